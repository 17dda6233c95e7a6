"""Which kinds of questions a system is good at, and what one retriever finds that the others miss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any

import numpy as np

from benchmarks.collection import Collection, relevant
from benchmarks.systems import Answer
from hybridret.bm25 import Tokenizer
from hybridret.types import BoolArray

Runs = Mapping[str, Mapping[str, Answer]]
_FOUND_AT = 10


def slices(collection: Collection) -> dict[str, list[str]]:
    """Query ids by slice; slices without questions are left out.

    ``length``: terciles of the number of words; ``head`` documents answer more questions, of all splits, than the
    median question's document does, ``tail`` documents do not; ``seen`` documents answer a train question. A
    question counts by its best-known document, and as partly seen where only some of its documents were seen.
    """
    questions = list(collection.dataset.queries)
    tokenize = Tokenizer("none")
    words = np.array([len(tokenize(collection.dataset.queries[query])) for query in questions])
    known = np.array(
        [max(collection.asked[doc_id] for doc_id in relevant(collection.dataset.qrels[query])) for query in questions]
    )
    first, second = np.quantile(words, [1 / 3, 2 / 3])
    masks = {
        f"length: up to {first:g} words": words <= first,
        f"length: up to {second:g} words": (words > first) & (words <= second),
        f"length: over {second:g} words": words > max(first, second),
        "documents: head": known > np.median(known),
        "documents: tail": known <= np.median(known),
    }
    if collection.trained is not None:
        seen = np.array(
            [
                np.mean([doc_id in collection.trained for doc_id in relevant(collection.dataset.qrels[query])])
                for query in questions
            ]
        )
        masks |= {
            "documents: seen in train": seen == 1,
            "documents: partly seen": (seen > 0) & (seen < 1),
            "documents: unseen in train": seen == 0,
        }
    chosen = {name: [questions[at] for at in np.flatnonzero(mask)] for name, mask in masks.items()}
    return {name: found for name, found in chosen.items() if found}


def sliced(collection: Collection, values: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Means by slice and system.

    Args:
        collection: What was asked.
        values: By system and query id one measure's value.
    """
    return {
        name: {
            "questions": len(queries),
            **{system: float(np.mean([own[query] for query in queries])) for system, own in values.items()},
        }
        for name, queries in slices(collection).items()
    }


def oracle(values: Mapping[str, Mapping[str, float]], retrievers: Sequence[str]) -> dict[str, Any]:
    """What choosing the best retriever for every question would give, and how often each is that one, ties included."""
    table = np.array([list(values[name].values()) for name in retrievers])
    best = table.max(axis=0)
    means = table.mean(axis=1)
    is_best = (table == best) & (best > 0)
    return {
        "value": float(best.mean()),
        "gain over the best retriever": float(best.mean() - means.max()),
        "best on": {name: float(row.mean()) for name, row in zip(retrievers, is_best, strict=True)},
    }


def complementarity(
    runs: Mapping[str, Mapping[str, Mapping[str, float]]],
    qrels: Mapping[str, dict[str, int]],
    retrievers: Sequence[str],
) -> dict[str, Any]:
    """Of all right documents, which share is among the ten best of one retriever alone, of all, of none.

    Args:
        runs: By system and query id the answers, best first.
        qrels: Per query id, grade by document id.
        retrievers: Which to compare.

    Returns:
        Shares of all pairs of question and right document; ``missed by B, found by A`` is of those that B misses.
    """
    pairs = [(query, doc_id) for query, grades in qrels.items() for doc_id in relevant(grades)]
    found = {
        name: np.array([doc_id in list(runs[name][query])[:_FOUND_AT] for query, doc_id in pairs])
        for name in retrievers
    }
    count = np.sum(list(found.values()), axis=0)
    return {
        "right documents": len(pairs),
        "found by one alone": {name: _share(mask & (count == 1)) for name, mask in found.items()},
        "found by all": _share(count == len(retrievers)),
        "found by none": _share(count == 0),
        "missed by B, found by A": {
            f"A {a}, B {b}": _share(found[a][~found[b]]) if (~found[b]).any() else 0.0
            for a, b in permutations(retrievers, 2)
        },
    }


def _share(mask: BoolArray) -> float:
    return float(np.mean(mask))
