"""What is compared: anything that takes questions and gives document ids with scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hybridret.evaluation import SYSTEMS
from hybridret.fusion.rules import RRF_CONSTANT
from hybridret.hybrid import HybridIndex
from hybridret.types import Progress

Answer = dict[str, float]
Search = Callable[[Sequence[str], int], list[Answer]]
"""Takes questions and a number of hits; gives score by document id for each question."""

DEPTH, BATCH = 100, 64
RETRIEVERS, HYBRID, RRF = ("bm25", "dense", "docid"), "hybrid", "rrf"


def own_systems(index: HybridIndex) -> dict[str, Search]:
    """The index's retrievers, each alone and fused, and the fusion that ensemble retrievers use."""
    systems = {name: _search(index, retrievers) for name, retrievers in SYSTEMS.items()}
    return systems | {RRF: reciprocal_ranks(systems["bm25"], systems["dense"])}


def _search(index: HybridIndex, retrievers: Sequence[str]) -> Search:
    def search(texts: Sequence[str], k: int) -> list[Answer]:
        answers = index.search(texts, k, retrievers=retrievers)
        return [{hit.doc_id: hit.score for hit in hits} for hits in answers]

    return search


def reciprocal_ranks(*searches: Search) -> Search:
    """Fuses other systems' answers by the sum of ``1 / (60 + rank)``; see ``hybridret.fusion.rules``."""

    def search(texts: Sequence[str], k: int) -> list[Answer]:
        found = []
        for answers in zip(*(one(texts, DEPTH) for one in searches), strict=True):
            total: Answer = {}
            for answer in answers:
                for rank, doc_id in enumerate(answer, 1):
                    total[doc_id] = total.get(doc_id, 0.0) + 1 / (RRF_CONSTANT + rank)
            found.append(dict(sorted(total.items(), key=lambda hit: (-hit[1], hit[0]))[:k]))
        return found

    return search


def run(
    search: Search, queries: dict[str, str], label: str = "", progress: Progress | None = None
) -> dict[str, Answer]:
    """A system's answer to each question, by query id."""
    ids = list(queries)
    answers: dict[str, Answer] = {}
    for start in range(0, len(ids), BATCH):
        part = ids[start : start + BATCH]
        answers |= dict(zip(part, search([queries[query] for query in part], DEPTH), strict=True))
        if progress is not None:
            progress(f"asking {label}", len(answers), len(ids))
    return answers
