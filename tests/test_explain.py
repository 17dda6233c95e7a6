"""An explanation is of the search that gave the hit: its rule, its weights, its score."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridret import HybridRetriever
from hybridret.config import Config
from hybridret.dense import EmbeddingsEncoder
from hybridret.fusion import EVIDENCE, RULES, Ranker
from hybridret.hybrid import HybridIndex
from hybridret.types import RETRIEVERS, Document
from tests.conftest import StubEmbeddings

WORDS = [f"{first}{vowel}n" for first in "bdfgklm" for vowel in "aeiou"]
MOSTLY = 1e-9
_INDEXES: dict[str, HybridIndex] = {}


def built(fusion: str) -> HybridIndex:
    """An index of 30 documents, made once a rule."""
    if fusion not in _INDEXES:
        generator = np.random.default_rng(0)
        texts = [" ".join(generator.choice(WORDS, size=5)) for _ in range(30)]
        documents = [Document(f"d{at:02}", text, {}) for at, text in enumerate(texts)]
        config = Config(docid_levels=2, docid_codes=8, depth=8, fusion=fusion, weights={"dense": 2, "docid": 1})
        _INDEXES[fusion] = HybridIndex.build(documents, EmbeddingsEncoder(StubEmbeddings()), config)
    return _INDEXES[fusion]


LOWERED = 1e-5
"""How far scores may be lowered, so that 32-bit floats tell saturated ones apart; see ``keep_order``."""


def check_sums(index: HybridIndex, query: str, **asked: Any) -> None:
    for rank, hit in enumerate(index.search([query], 6, **asked)[0], 1):
        told = index.explain(query, hit.doc_id, **asked)
        assert (told["score"], told["rank"]) == (pytest.approx(hit.score, abs=LOWERED), rank)
        total = sum(part["contribution"] for part in told["retrievers"].values())
        if "log_odds" in told:
            assert total + told["agreement"] + told["offset"] == pytest.approx(told["log_odds"], abs=MOSTLY)
            assert 1 / (1 + math.exp(-told["log_odds"])) == pytest.approx(hit.score, abs=LOWERED)
        else:
            assert total == pytest.approx(hit.score, abs=MOSTLY)
            assert sum(part["weight"] for part in told["retrievers"].values()) == pytest.approx(1.0)
        for name, part in told["retrievers"].items():
            assert (part["rank"], part["score"]) == (hit.details[name].rank, pytest.approx(hit.details[name].score))


WEIGHTS = st.none() | st.dictionaries(st.sampled_from(RETRIEVERS), st.sampled_from([0, 1, 0.5, 1e-6, 7, 1e6]))
NAMES = st.permutations(RETRIEVERS).flatmap(lambda order: st.integers(1, 3).map(lambda n: list(order)[:n]))
QUERIES = st.lists(st.sampled_from([*WORDS, "zanzibar"]), min_size=1, max_size=4).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(fusion=st.sampled_from(["learned", *RULES]), weights=WEIGHTS, names=NAMES, query=QUERIES)
def test_contributions_sum_to_the_score_of_the_hit(
    fusion: str, weights: dict[str, float] | None, names: list[str], query: str
) -> None:
    check_sums(built(fusion), query, weights=weights, retrievers=names)


@settings(max_examples=60, deadline=None)
@given(
    columns=st.lists(st.floats(-8, 8), min_size=len(EVIDENCE), max_size=len(EVIDENCE)),
    slope=st.floats(1e-3, 3),
    offset=st.floats(-6, 6),
    weights=st.none() | st.just({"bm25": 1.0}),
    names=NAMES,
    query=QUERIES,
)
def test_they_do_so_by_any_fitted_ranker(
    columns: list[float], slope: float, offset: float, weights: dict[str, float] | None, names: list[str], query: str
) -> None:
    index = built("learned")
    changes, generation = index._changes, index._changes.generation
    ranker = Ranker(tuple(columns), generation.spread, slope, offset)
    committed = changes._committed
    changes._committed = committed._replace(generation=dataclasses.replace(generation, ranker=ranker))
    try:
        check_sums(index, query, weights=weights, retrievers=names)
    finally:
        changes._committed = committed


def test_the_langchain_user_reads_the_score_of_the_answer(make_embeddings: Callable[..., Any]) -> None:
    texts = [f"pump number {at} is cleaned {'and started ' * (at % 3)}by its operator" for at in range(20)]
    retriever = HybridRetriever.from_texts(
        texts, ids=map(str, range(20)), embedding_model=make_embeddings(), with_scores=True
    )
    weighted = retriever.model_copy(update={"weights": {"dense": 0.3, "bm25": 0.7}})
    for document in weighted.invoke("who cleaned pump number 7"):
        told = weighted.explain("who cleaned pump number 7", str(document.id))
        assert told["score"] == pytest.approx(document.metadata["hybridret"]["score"])
        assert sum(part["contribution"] for part in told["retrievers"].values()) == pytest.approx(told["score"])
