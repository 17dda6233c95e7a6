"""The table that decides the untrained fusion: rules and weights on train and dev splits, and on the test splits.

It also fits the sigmoids that the rule ``calibrated`` has where nothing was fitted.

Decide by the first part only; the second is for the report.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import write_result
from hybridret.candidates import Candidates
from hybridret.config import Config
from hybridret.data.dataset import Dataset, read_dataset
from hybridret.data.readers import PYTHON_DOCS, find_source, read_corpus
from hybridret.dense import make_encoder
from hybridret.evaluation import measure_run
from hybridret.fusion import CALIBRATED, RULES, convex, reciprocal_rank
from hybridret.fusion.calibration import fit_sigmoids
from hybridret.fusion.training import Judged
from hybridret.generation import Generation
from hybridret.generative import DocidRetriever
from hybridret.ranking import top_k
from hybridret.types import RETRIEVERS, Encoder, Queries, Run

MOST_QUERIES, SEED = 600, 0
SETTINGS: dict[str, tuple[Callable[..., Any], tuple[float, float, float]]] = {
    "rrf dense+bm25": (reciprocal_rank, (0.5, 0.5, 0)),
    "rrf all three": (reciprocal_rank, (1 / 3, 1 / 3, 1 / 3)),
    **{f"convex dense {w:.2f}": (convex, (w, 1 - w, 0.0)) for w in (0.3, 0.4, 0.5, 0.55, 0.6, 0.7, 0.8)},
    **{f"convex equal, docid {w:.1f}": (convex, ((1 - w) / 2, (1 - w) / 2, w)) for w in (0.1, 0.2, 0.3)},
    **{f"calibrated dense {w:.2f}": (RULES[CALIBRATED], (w, 1 - w, 0.0)) for w in (0.4, 0.5, 0.55, 0.6, 0.7)},
}


def main() -> None:
    """Measures every setting on every split of the collections named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collections", nargs="+", help="BEIR folders, names or python-docs")
    encoder, rows, deciding_questions = make_encoder(), {}, []
    for name in parser.parse_args().collections:
        source = find_source(name)
        documents = read_corpus(source)
        ids = {document.doc_id for document in documents}
        vectors = encoder.encode_documents([document.text for document in documents])
        generation = Generation.empty(Config(fusion=CALIBRATED)).appended(documents, vectors)
        for split in ("train", "dev", "test"):
            if source == PYTHON_DOCS or Path(source, "qrels", f"{split}.tsv").is_file():
                dataset = read_dataset(source, split, ids)
                measured, judged = _measure(generation, dataset, encoder)
                rows[f"{Path(name).name} {split}"] = measured
                deciding_questions.append([] if split == "test" else judged)
                print(name, split, {setting: round(value, 4) for setting, value in measured.items()}, flush=True)
    deciding = {row: values for row, values in rows.items() if not row.endswith(" test")}
    reported = {row: values for row, values in rows.items() if row.endswith(" test")}
    usual = fit_sigmoids([each for judged in deciding_questions for each in judged])
    write_result(
        "fusion_default",
        {
            "ndcg@10": rows,
            "decided_by": _gains(deciding),
            "test": _gains(reported),
            "usual sigmoids": {name: [round(value, 3) for value in each] for name, each in usual.items()},
        },
    )


def _measure(generation: Generation, dataset: Dataset, encoder: Encoder) -> tuple[dict[str, float], list[Judged]]:
    sample = random.Random(SEED).sample(list(dataset.queries), min(MOST_QUERIES, len(dataset.queries)))
    asked = {query: dataset.queries[query] for query in sample}
    dataset = Dataset(asked, {query: dataset.qrels[query] for query in asked}, 0)
    queries = Queries(list(asked.values()), encoder.encode_queries(list(asked.values())))
    runs = generation.runs(queries, generation.depths(RETRIEVERS), None)
    measured = {name: _ndcg(generation, runs[name], dataset) for name in RETRIEVERS}
    for setting, (rule, weights) in SETTINGS.items():
        pooled = [name for name, weight in zip(RETRIEVERS, weights, strict=True) if weight]
        fused = [
            _fused(generation, text, rule, np.array(weights), one)
            for text, one in zip(queries.texts, generation.candidates(queries, runs, pooled), strict=True)
        ]
        measured[setting] = _ndcg(generation, fused, dataset)
    return measured, _judged(generation, queries, runs, dataset)


def _fused(generation: Generation, text: str, rule: Callable[..., Any], weights: Any, candidates: Candidates) -> Run:
    comparable = rule is RULES[CALIBRATED]
    scores = generation.comparable(text, candidates, RETRIEVERS) if comparable else candidates.scores
    return top_k(rule(scores, candidates.ranks, weights), 10, generation.ties, candidates.rows)


def _judged(generation: Generation, queries: Queries, runs: dict[str, list[Run]], dataset: Dataset) -> list[Judged]:
    """The evidence on all retrievers' candidates, that of untrained docids as if they were trained."""
    assert isinstance(generation.docid, DocidRetriever)
    trained = replace(generation, docid=generation.docid.with_decoder(generation.docid.decoder))
    judged = []
    for text, grades, candidates in zip(
        queries.texts, dataset.qrels.values(), generation.candidates(queries, runs, RETRIEVERS), strict=True
    ):
        table = trained.evidence(text, candidates, RETRIEVERS)
        gains = np.array([grades.get(generation.ids[row], 0) for row in candidates.rows], dtype=np.float64)
        judged.append(Judged(table, gains, 0.0, candidates.scores))
    return judged


def _ndcg(generation: Generation, runs: list[Run], dataset: Dataset) -> float:
    scored = {
        query: {generation.ids[row]: float(score) for row, score in zip(run.rows, run.scores, strict=True)}
        for query, run in zip(dataset.queries, runs, strict=True)
    }
    return float(np.mean(list(measure_run(scored, dataset)["nDCG@10"].values())))


def _gains(rows: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Each setting's mean, and its mean and worst difference to the best single retriever, over collections.

    A collection's value is the mean over its splits.
    """
    collections: dict[str, list[dict[str, float]]] = {}
    for row, values in rows.items():
        collections.setdefault(row.rpartition(" ")[0], []).append(values)
    means = [{key: float(np.mean([one[key] for one in group])) for key in group[0]} for group in collections.values()]
    gains = {
        setting: [values[setting] - max(values[name] for name in RETRIEVERS) for values in means]
        for setting in SETTINGS
    }
    return {
        setting: {
            "mean": float(np.mean([values[setting] for values in means])),
            "mean_gain": float(np.mean(g)),
            "worst": min(g),
        }
        for setting, g in gains.items()
    }


if __name__ == "__main__":
    main()
