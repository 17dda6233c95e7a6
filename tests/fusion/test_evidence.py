"""What speaks for a candidate, with expected values as formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hybridret.fusion import EVIDENCE, Spread, evidence, spread_of


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
        "bm25_peak": [high / (high + low), low / (high + low)],
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
    np.testing.assert_allclose(table[:, 3], np.full(n, 1 / max(n, 1)))


def test_the_spread_is_that_of_all_pairs_and_a_usual_one_of_twenty_documents() -> None:
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1]], dtype=np.float32)
    cosines = np.array([0.6, 0.0, 0.8])
    share = 20 / (20 + 3)
    spread = spread_of(vectors, np.arange(3), 0)
    assert spread.mean == pytest.approx((1 - share) * cosines.mean() + share * 0.15, abs=1e-6)
    variance = (1 - share) * cosines.var() + share * 0.11**2
    assert spread.deviation == pytest.approx(math.sqrt(variance), abs=1e-6)


def test_few_documents_have_the_usual_spread_and_equal_ones_no_zero_one() -> None:
    ones = np.ones((600, 1), dtype=np.float32)
    assert spread_of(ones, np.arange(0), 0) == spread_of(ones, np.arange(1), 0) == Spread(0.15, 0.11)
    assert spread_of(ones, np.arange(600), 0).deviation > 0.01
    assert spread_of(ones, np.arange(600), 0) == spread_of(ones, np.arange(600), 0)
