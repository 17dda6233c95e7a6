"""Features of queries and candidates, with expected values as formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hybridret.facts import query_facts
from hybridret.fusion import EVIDENCE
from hybridret.fusion.features import FEATURES, NO_FACTS, QUERY_FACTS, features, source_of


def test_each_feature_is_its_formula() -> None:
    evidence = np.zeros((3, len(EVIDENCE)))
    evidence[:, EVIDENCE.index("cosine")] = [1.0, 3.0, 2.5]
    evidence[:, EVIDENCE.index("bm25_share")] = [0.2, 0.2, 0.0]
    table = features(evidence, np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    named = dict(zip(FEATURES, table.T.tolist(), strict=True))
    np.testing.assert_array_equal(table[:, : len(EVIDENCE)], evidence)
    assert named["cosine reciprocal_rank"] == [1 / 3, 1.0, 1 / 2]
    assert named["cosine margin"] == [0.5] * 3
    assert named["cosine best"] == [3.0] * 3
    total = math.exp(1.0) + math.exp(3.0) + math.exp(2.5)
    shares = [math.exp(value) / total for value in (1.0, 3.0, 2.5)]
    assert named["cosine entropy"] == pytest.approx([-sum(share * math.log(share) for share in shares)] * 3)
    assert named["bm25_share reciprocal_rank"] == [1.0, 1.0, 1 / 3]
    assert named["bm25_share margin"] == [0.0] * 3
    assert named["docid entropy"] == pytest.approx([math.log(3)] * 3)
    assert named["same first"] == [0.0] * 3
    assert named["candidates"] == [math.log(4)] * 3
    assert [named[name] for name in QUERY_FACTS] == [[value] * 3 for value in (1.0, 2.0, 3.0, 4.0, 5.0)]


@pytest.mark.parametrize("n", [0, 1])
def test_few_candidates_have_finite_features(n: int) -> None:
    table = features(np.ones((n, len(EVIDENCE))))
    assert table.shape == (n, len(FEATURES))
    assert np.isfinite(table).all()


def test_query_facts_are_shares() -> None:
    found = query_facts("read_csv with 2 columns 表", ["read", "csv", "column", "表"], unknown=1)
    letters = len("readcsvwithcolumns表")
    assert found == pytest.approx([math.log(5), 1 / 4, 1 / 5, 1 / 5, 1 / letters])
    assert query_facts("", [], 0).tolist() == NO_FACTS.tolist()


def test_features_are_of_the_retriever_whose_evidence_they_are() -> None:
    assert source_of("cosine margin") == "dense"
    assert source_of("bm25_share best") == source_of("coverage") == "bm25"
    assert source_of("docid entropy") == "docid"
    assert {source_of(name) for name in ("agreement", "same first", "base", *QUERY_FACTS)} == {"both"}
