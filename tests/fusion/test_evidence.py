"""What speaks for a candidate, with expected values as formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hybridret.fusion import EVIDENCE, PRIOR, Spread, evidence, spread_of


def test_each_column_is_its_formula() -> None:
    table = evidence(
        np.array([0.5, 0.2]),
        np.array([6.0, 3.0]),
        np.array([0.9, 0.25]),
        12.0,
        Spread(0.1, 0.2),
        np.array([-4.0, -40.0]),
    )
    high, low = math.exp(10 * 6 / 6), math.exp(10 * 3 / 6)
    expected = {
        "cosine": [(0.5 - 0.1) / 0.2, (0.2 - 0.1) / 0.2],
        "coverage": [0.9, 0.25],
        "bm25_share": [6 / 12, 3 / 12],
        "bm25_peak": [high / (high + low) * 6 / 12, low / (high + low) * 6 / 12],
        "agreement": [(0.5 - 0.1) / 0.2 * 0.9, (0.2 - 0.1) / 0.2 * 0.25],
        "docid": [-math.log(1 + math.exp(-36)), -30.0 - math.log(1 + 36 - 30)],
    }
    assert tuple(expected) == EVIDENCE
    np.testing.assert_allclose(table.T, list(expected.values()), rtol=1e-12)


def test_no_docid_however_unlikely_ties_with_another() -> None:
    docids = np.array([-1.0, -31.0, -60.0, -61.0, -1e4, -1e6])
    table = evidence(np.zeros(6), np.zeros(6), np.zeros(6), 0.0, Spread(0.1, 0.2), docids)
    assert (np.diff(table[:, EVIDENCE.index("docid")]) < 0).all()


def test_an_untrained_docid_is_no_evidence() -> None:
    table = evidence(np.array([0.5, 0.2]), np.array([6.0, 3.0]), np.array([0.9, 0.25]), 12.0, Spread(0.1, 0.2))
    assert not table[:, EVIDENCE.index("docid")].any()


@pytest.mark.parametrize("n", [0, 1, 3])
def test_a_query_without_known_words_has_finite_evidence(n: int) -> None:
    table = evidence(np.full(n, 0.3), np.zeros(n), np.zeros(n), 0.0, Spread(0.1, 0.2))
    assert table.shape == (n, len(EVIDENCE))
    assert np.isfinite(table).all()
    assert not table[:, 2:4].any(), "nothing stands out by words that no document has"


def test_candidates_beyond_the_peers_change_nothing_for_others() -> None:
    """The evidence of ten candidates is the same whether or not further ones, which are no peers, stand beside them."""
    generator = np.random.default_rng(0)
    cosines, bm25, coverage, docid = generator.random((4, 15))
    peers = {name: np.arange(15) < 10 for name in ("bm25", "docid")}
    few = [values[:10] for values in (cosines, bm25, coverage)]
    alone = evidence(*few, 2.0, Spread(0.1, 0.2), docid[:10])
    beside = evidence(cosines, bm25, coverage, 2.0, Spread(0.1, 0.2), docid, peers)
    np.testing.assert_array_equal(beside[:10], alone)


def test_high_cosines_do_not_turn_covered_words_against_a_document() -> None:
    """However high a model's cosines lie, more of the query's words never lower the sum of the usual weights."""
    for cosine in (0.2, 0.9, 1.0):
        table = evidence(np.full(2, cosine), np.array([2.0, 1.0]), np.array([1.0, 0.5]), 3.0, Spread(0.1, 0.05))
        sums = table @ np.array(PRIOR)
        assert sums[0] > sums[1]


def test_the_spread_is_that_of_all_pairs_and_a_usual_one_of_few_documents() -> None:
    """A usual mean of three pairs; a usual deviation of twenty documents, in proportion to the room below 1."""
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1]], dtype=np.float32)
    cosines = np.array([0.6, 0.0, 0.8])
    spread = spread_of(vectors, np.arange(3), 0)
    mean = (3 * cosines.mean() + 3 * 0.15) / (3 + 3)
    assert spread.mean == pytest.approx(mean, abs=1e-6)
    share, usual = 20 / (20 + 3), 0.11 * (1 - mean) / (1 - 0.15)
    assert spread.deviation == pytest.approx(math.sqrt((1 - share) * cosines.var() + share * usual**2), abs=1e-6)


@pytest.mark.parametrize("n", [5, 20, 100])
def test_few_documents_of_a_model_whose_cosines_all_lie_high_have_nearly_its_spread(n: int) -> None:
    generator = np.random.default_rng(0)
    vectors = generator.normal(size=(2000, 64)) + 16.0 * np.eye(64)[0]
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    true = spread_of(vectors, np.arange(2000), 0)
    assert true.mean > 0.7
    spread = spread_of(vectors, np.arange(n), 0)
    assert spread.mean == pytest.approx(true.mean, abs=0.2 if n == 5 else 0.03)
    assert true.deviation / 2 < spread.deviation < 3 * true.deviation


def test_few_documents_have_the_usual_spread_and_equal_ones_no_zero_one() -> None:
    ones = np.ones((600, 1), dtype=np.float32)
    assert spread_of(ones, np.arange(0), 0) == spread_of(ones, np.arange(1), 0) == Spread(0.15, 0.11)
    assert spread_of(ones, np.arange(600), 0).deviation > 0
    assert spread_of(ones, np.arange(600), 0) == spread_of(ones, np.arange(600), 0)
