"""Guided decoding: docids alone by beam search, with and without dense hits as guides, against scoring every docid.

``python -m benchmarks.guided NAME...``, on train or dev questions, where ``GUIDED`` was decided, and on test ones.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np

from benchmarks.results import write_result
from hybridret.config import Config
from hybridret.data.dataset import Dataset, read_dataset
from hybridret.data.readers import find_source, read_corpus
from hybridret.dense import make_encoder
from hybridret.evaluation import measure_run
from hybridret.generation import Generation
from hybridret.generative import retriever as docids
from hybridret.types import Encoder, Queries, Run

MOST_QUERIES, SEED, DEPTH = 400, 0, 100
BEAMS, STRENGTHS = (20, 100), (5.0, 20.0, 50.0)
MEASURES = ("nDCG@10", "Recall@10", "Recall@100")


def main() -> None:
    """Measures the collections named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collections", nargs="+", help="BEIR folders or names, of more than 4,096 documents")
    encoder, rows = make_encoder(), {}
    for name in parser.parse_args().collections:
        source = find_source(name)
        documents = read_corpus(source)
        ids, vectors = {each.doc_id for each in documents}, encoder.encode_documents([each.text for each in documents])
        generation = Generation.empty(Config()).appended(documents, vectors)
        deciding = next(each for each in ("dev", "train") if Path(source, "qrels", f"{each}.tsv").is_file())
        for split in (deciding, "test"):
            rows[f"{Path(name).name} {split}"] = _measure(generation, read_dataset(source, split, ids), encoder)
    write_result("guided", rows)


def _measure(generation: Generation, dataset: Dataset, encoder: Encoder) -> dict[str, dict[str, float]]:
    names = sorted(dataset.queries)
    drawn = np.random.default_rng(SEED).permutation(len(names))[:MOST_QUERIES]
    asked = [names[at] for at in np.sort(drawn)]
    texts = [dataset.queries[name] for name in asked]
    queries = Queries(texts, encoder.encode_queries(texts))
    part = Dataset(dict(zip(asked, texts, strict=True)), {name: dataset.qrels[name] for name in asked}, 0)
    guides = generation.dense.search(queries, DEPTH, None, generation.ties)

    def measured(search: Callable[[], list[Run]]) -> dict[str, float]:
        search()
        start = time.perf_counter()
        runs = search()
        taken = 1000 * (time.perf_counter() - start) / len(asked)
        answers = {
            name: {
                generation.ids[row]: score for row, score in zip(run.rows.tolist(), run.scores.tolist(), strict=True)
            }
            for name, run in zip(asked, runs, strict=True)
        }
        values = measure_run(answers, part, MEASURES)
        return {**{each: float(np.mean(list(values[each].values()))) for each in MEASURES}, "ms a query": taken}

    assert generation.docid is not None
    docid, ties = generation.docid, generation.ties
    rows = {"dense": measured(lambda: generation.dense.search(queries, DEPTH, None, ties))}
    with patch.object(docids, "EXHAUSTIVE_UP_TO", generation.n_rows):
        rows["every docid"] = measured(lambda: docid.search(queries, DEPTH, None, ties))
    for beams in BEAMS:
        with patch.object(docids, "EXHAUSTIVE_UP_TO", 0), patch.object(docids, "N_BEAMS", beams):
            depth = min(DEPTH, beams)
            rows[f"{beams} beams"] = measured(partial(docid.search, queries, depth, None, ties))
            for strength in STRENGTHS:
                with patch.object(docids, "GUIDED", strength):
                    rows[f"{beams} beams, guided by {strength:g}"] = measured(
                        partial(docid.search, queries, depth, None, ties, guides)
                    )
    return rows


if __name__ == "__main__":
    main()
