"""How often the hybrid is worse than its best single retriever, by how much, and whether exact terms stay reachable.

``python -m benchmarks.fusion_safety NAME...`` measures BEIR folders, their names in ``$HYBRIDRET_DATA``,
``python-docs`` and the synthetic collections of ``benchmarks/synthetic`` (``synthetic`` stands for all of them,
``list`` prints their names); ``NAME-x2`` and ``NAME-x4`` hold every document two and four times. What was measured
before of other collections stays in the result's file, so that each can be run on its own. The last line on stdout is
JSON, the summary.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.collection import Collection, read_collection, relevant
from benchmarks.results import FOLDER, environment, read_result, write_result
from benchmarks.significance import compare
from benchmarks.synthetic import LOOKUPS, SYNTHETIC, synthetic_collections, with_copies
from benchmarks.systems import Answer, own_systems, run
from benchmarks.vector_cache import CachedEncoder, LiftedEncoder
from hybridret.data.dataset import Dataset
from hybridret.dense import make_encoder
from hybridret.display import progress_bars
from hybridret.errors import InputError
from hybridret.evaluation import measure_run
from hybridret.hybrid import HybridIndex
from hybridret.types import Encoder, Progress

NAME, MEASURE = "fusion_safety", "nDCG@10"
SINGLES, UNFITTED, FITTED = ("dense", "bm25", "docid"), "hybrid unfitted", "hybrid fitted"
TOLERANCE, MISSED = 0.01, 0.1
BEYOND = f"more than {TOLERANCE} below"
_OFF_TOPIC_OF_OTHERS, _GROWTH = 40, 10
_ALL, _WIDTH = "synthetic", 240
_COPIES = re.compile(r"(.+)-x(\d+)")
EVERYDAY = (
    "how do I cook pasta",
    "what time does the supermarket close on Sunday",
    "best birthday present for a six year old",
    "how to remove a red wine stain from a carpet",
    "who won the football world cup in 1998",
    "cheap flights to Tenerife in February",
    "my cat does not eat any more",
    "how many calories does an avocado have",
    "lyrics of the song about the yellow submarine",
    "how do I fold a fitted sheet",
    "symptoms of a sprained ankle",
    "which wine goes with salmon",
    "how to knit a scarf for beginners",
    "when are the next school holidays",
    "what is the capital of Mongolia",
    "how long must I boil an egg",
    "names for baby girls that start with M",
    "is it going to snow at Christmas",
    "how do I get chewing gum out of hair",
    "difference between a crocodile and an alligator",
    "how to apologise to my wife",
    "good films for a rainy evening",
    "exercises against back pain",
    "how to repot an orchid",
    "what should I wear to a job interview",
    "recipe for banana bread without eggs",
    "how tall is the Eiffel tower",
    "how often should one wash jeans",
    "do I need a visa for Japan",
    "how do I learn to whistle",
)
"""Questions of daily life, which none of the collections is about."""


class Answers(NamedTuple):
    """What an index gave for one corpus.

    Attributes:
        collection: The corpus with its questions.
        values: By system, nDCG@10 of each question.
        first: By system, whether a right document came first, for each question.
        scores: The fitted hybrid's scores by query id and document id, best first.
        off_topic: Scores of what the fitted hybrid gave for questions that the corpus is not about.
        threshold: What ``threshold(.1)`` recommends; why there is none, where there is none.
        fusion: What ``info()["fusion"]`` says after the fit.
        fit_seconds: How long the fit took, or the growth in its stead; texts whose vectors were kept count as encoded.
    """

    collection: Collection
    values: dict[str, list[float]]
    first: dict[str, list[float]]
    scores: dict[str, Answer]
    off_topic: list[list[float]]
    threshold: float | str
    fusion: dict[str, Any]
    fit_seconds: float


def main() -> None:
    """Measures the collections named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collections", nargs="+", metavar="NAME", help="what to measure")
    parser.add_argument("--split", default="test", help="whose questions of BEIR folders")
    parser.add_argument("--model", help="embedding model: a folder or a hub id")
    parser.add_argument(
        "--grown", action="store_true", help="fit an empty index, to which the documents come in batches"
    )
    parser.add_argument(
        "--least-cosine", type=float, help="lift all cosines: 0 to this number, as models give whose cosines lie close"
    )
    parser.add_argument("--cache", type=Path, help="folder for vectors, which the next run need not compute")
    parser.add_argument("--results", type=Path, default=FOLDER, help="folder of the result's file")
    parser.add_argument("--new", action="store_true", help="forget what the result's file holds of other collections")
    options = parser.parse_args()
    names = [each for name in options.collections for each in (SYNTHETIC if name == _ALL else [name])]
    if names == ["list"]:
        print(*SYNTHETIC, sep="\n")
        return
    encoder: Encoder = make_encoder(options.model)
    if options.cache is not None:
        encoder = CachedEncoder(encoder, options.cache)
    if options.least_cosine is not None:
        encoder = LiftedEncoder(encoder, options.least_cosine)
    settings = [f"cosines from {options.least_cosine}"] * (options.least_cosine is not None) + ["grown"] * options.grown
    commit = environment()["commit"]
    for at, name in enumerate(names):
        kept = {} if options.new and at == 0 else kept_rows(options.results)
        with progress_bars() as progress:
            row = measure_collection(name, find_collections(name, options.split), encoder, progress, options.grown)
        rows = {**kept, ", ".join([Path(name).name, *settings]): {**row, "commit": commit}}
        result = {"summary": summarise(rows), "collections": rows}
        write_result(NAME, result, [Path(row).name for row in rows], options.results, is_printed=False)
    show(kept_rows(options.results))


def kept_rows(folder: Path) -> dict[str, dict[str, Any]]:
    """What the result's file holds, by collection; nothing where there is none."""
    if not (folder / f"{NAME}.json").is_file():
        return {}
    rows: dict[str, dict[str, Any]] = read_result(NAME, folder)["result"]["collections"]
    return rows


def find_collections(name: str, split: str = "test") -> Sequence[Collection]:
    """The corpora of a name: one, or several of a kind that are measured together.

    Raises:
        CorpusError: There is no such collection, or a line of it is at fault.
    """
    if name in SYNTHETIC:
        return synthetic_collections(name)
    copies = _COPIES.fullmatch(name)
    if copies and not Path(name).exists():
        return [with_copies(each, int(copies[2])) for each in find_collections(copies[1], split)]
    return [read_collection(name, split)]


def measure_collection(
    name: str,
    collections: Sequence[Collection],
    encoder: Encoder,
    progress: Progress | None = None,
    grown: bool = False,
) -> dict[str, Any]:
    """One row: the values of all questions of its corpora together.

    Args:
        name: Of the collection.
        collections: Its corpora.
        encoder: Encodes documents and questions.
        progress: Told how far the work is.
        grown: Whether what is called fitted began as an empty index that was fitted, to which documents then came.

    Returns:
        Means of nDCG@10, the hybrids' differences to the best single retriever with 95 % bootstrap intervals, how far
        the encoder is trusted, seconds of the fit, what the recommended threshold misses and lets through, and the
        share of questions for which a right document comes first.
    """
    strange = off_topic_questions(name)
    found = [_answers(each, strange, encoder, progress, grown) for each in collections]
    values = {system: [value for each in found for value in each.values[system]] for system in found[0].values}
    means = {system: float(np.mean(each)) for system, each in values.items()}
    best = max(SINGLES, key=means.__getitem__)
    compared = compare(values, [(UNFITTED, best), (FITTED, best), (FITTED, UNFITTED)])
    return {
        "corpora": len(found),
        "documents": sum(len(each.collection.documents) for each in found),
        "questions": len(values[best]),
        MEASURE: means,
        "best single": best,
        "difference": {
            f"{each.first} - {'best single' if each.second == best else each.second}": {
                "mean": each.difference,
                "low": each.low,
                "high": each.high,
                "p": max(each.p_t, each.p_bootstrap),
            }
            for each in compared
        },
        "success@1": {
            system: float(np.mean([value for each in found for value in each.first[system]])) for system in values
        },
        "trust": dict(Counter(f"{each.fusion['trust']:g}" for each in found)),
        "fit seconds": round(sum(each.fit_seconds for each in found), 2),
        "threshold": _threshold(found),
        "fusion": found[0].fusion,
    }


def off_topic_questions(name: str) -> list[str]:
    """Questions that a collection is not about: of daily life, and of a collection about something else."""
    about_machines = name.startswith(("manual-pages", "documents", "lookups"))
    (other,) = synthetic_collections("commands" if about_machines else "manual-pages")
    queries = other.dataset.queries
    return [*EVERYDAY, *(queries[query] for query in sorted(queries)[:_OFF_TOPIC_OF_OTHERS])]


def summarise(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """On how many collections each hybrid loses and by how much at worst, and how many look-ups are right."""
    measured = {name: row for name, row in rows.items() if name.partition(",")[0] not in LOOKUPS}
    looked_up = {name: row for name, row in rows.items() if name not in measured}
    summary: dict[str, Any] = {"collections": len(measured)}
    for hybrid in (UNFITTED, FITTED):
        gains = {name: row["difference"][f"{hybrid} - best single"]["mean"] for name, row in measured.items()}
        if gains:
            worst = min(gains, key=gains.__getitem__)
            summary[hybrid] = {
                "below the best single": sorted(name for name, gain in gains.items() if gain < 0),
                BEYOND: sorted(name for name, gain in gains.items() if gain < -TOLERANCE),
                "worst": {"collection": worst, "difference": gains[worst]},
                "mean gain": float(np.mean(list(gains.values()))),
            }
    if looked_up:
        counts = [row["questions"] for row in looked_up.values()]
        summary["look-ups"] = {
            "questions": sum(counts),
            "success@1": {
                system: float(np.average([row["success@1"][system] for row in looked_up.values()], weights=counts))
                for system in (*SINGLES, UNFITTED, FITTED)
            },
        }
    return summary


def show(rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Prints the rows as a table, and the summary."""
    table = Table(title=f"{MEASURE}; differences to the best single retriever")
    head = ("collection", "docs", "questions", *SINGLES, UNFITTED, FITTED, "unfitted", "fitted", "95 %", "first")
    for column in (*head, "trust", "fit s", "threshold", "missed", "let through"):
        table.add_column(column, justify="left" if column in ("collection", "trust") else "right")
    for name, row in rows.items():
        unfitted, fitted = (row["difference"][f"{hybrid} - best single"] for hybrid in (UNFITTED, FITTED))
        told = row["threshold"]
        table.add_row(
            name,
            str(row["documents"]),
            str(row["questions"]),
            *(f"{row[MEASURE][system]:.3f}" for system in (*SINGLES, UNFITTED, FITTED)),
            f"{unfitted['mean']:+.3f}",
            f"{fitted['mean']:+.3f}",
            f"{fitted['low']:+.3f}..{fitted['high']:+.3f}",
            f"{row['success@1'][FITTED]:.3f}",
            ", ".join(f"{trust} ({count})" for trust, count in row["trust"].items()),
            f"{row['fit seconds']:.1f}",
            *(
                ("-", "-", "-")
                if told["median"] is None
                else (f"{told['median']:.3f}", f"{told['missed']:.2f}", f"{told['let through']:.2f}")
            ),
        )
    Console(width=_WIDTH).print(table)
    print(json.dumps(summarise(rows)))


def _answers(
    collection: Collection, strange: Sequence[str], encoder: Encoder, progress: Progress | None, grown: bool
) -> Answers:
    dataset, queries = collection.dataset, collection.dataset.queries
    index = HybridIndex.build(collection.documents, encoder, progress=progress)
    systems = own_systems(index)
    asked = {**{single: systems[single] for single in SINGLES}, UNFITTED: systems["hybrid"]}
    answers = {system: run(search, queries, system, progress) for system, search in asked.items()}
    saved, start = getattr(encoder, "seconds_saved", 0.0), time.perf_counter()
    if grown:
        index = _grown(collection, encoder, progress)
    else:
        index.fit(progress=progress)
    seconds = time.perf_counter() - start + getattr(encoder, "seconds_saved", 0.0) - saved
    answers[FITTED] = run(own_systems(index)["hybrid"], queries, FITTED, progress)
    try:
        threshold: float | str = index.threshold(MISSED)
    except InputError as error:
        threshold = str(error)
    return Answers(
        collection,
        {system: _ndcg(answer, dataset) for system, answer in answers.items()},
        {system: _right_first(answer, dataset) for system, answer in answers.items()},
        answers[FITTED],
        [[hit.score for hit in hits] for hits in index.search(strange)],
        threshold,
        index.info()["fusion"],
        seconds,
    )


def _grown(collection: Collection, encoder: Encoder, progress: Progress | None) -> HybridIndex:
    """An index that was fitted while it was empty, and filled afterwards."""
    index = HybridIndex.build([], encoder, progress=progress, fit=True)
    for batch in np.array_split(np.arange(len(collection.documents)), _GROWTH):
        index.add([collection.documents[at] for at in batch])
    return index


def _ndcg(answers: Mapping[str, Answer], dataset: Dataset) -> list[float]:
    """Of each question, in the order that users see, whatever the scores are."""
    ranked = {query: {doc_id: float(-rank) for rank, doc_id in enumerate(answer)} for query, answer in answers.items()}
    return list(measure_run(ranked, dataset, [MEASURE])[MEASURE].values())


def _right_first(answers: Mapping[str, Answer], dataset: Dataset) -> list[float]:
    """Of each question, whether a right document comes first."""
    return [float(next(iter(answers[query]), None) in relevant(grades)) for query, grades in dataset.qrels.items()]


def _threshold(found: Sequence[Answers]) -> dict[str, Any]:
    """What the recommended thresholds miss and let through, over the corpora that have one.

    A question is missed where no right document is found with a score from the threshold on; a question off the topic
    is let through where any document has such a score.
    """
    having = [(each, each.threshold) for each in found if isinstance(each.threshold, float)]
    if not having:
        return {"median": None, "why": str(found[0].threshold)}
    best, let = [], []
    for each, threshold in having:
        for query, grades in each.collection.dataset.qrels.items():
            right = [each.scores[query].get(doc_id, -np.inf) for doc_id in relevant(grades)]
            best.append((max(right) > -np.inf, max(right) >= threshold))
        let += [sum(score >= threshold for score in scores) for scores in each.off_topic]
    return {
        "corpora": len(having),
        "median": float(np.median([threshold for _, threshold in having])),
        "missed": float(np.mean([not passes for _, passes in best])),
        "not found at all": float(np.mean([not is_found for is_found, _ in best])),
        "let through": float(np.mean([count > 0 for count in let])),
        "documents a question off the topic": float(np.mean(let)),
    }


if __name__ == "__main__":
    main()
