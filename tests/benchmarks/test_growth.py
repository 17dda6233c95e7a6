"""Growth curves: made documents, measured parts, fitted exponents."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.growth import NOISE, exponents, grown, growth
from benchmarks.report.sections import _growth, _growth_curves
from hybridret.dense import EmbeddingsEncoder
from hybridret.types import FloatArray

TEXTS = [f"word{at} and word{at + 1} of many" for at in range(30)]


@pytest.fixture
def vectors() -> FloatArray:
    drawn = np.random.default_rng(0).normal(size=(30, 16)).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def test_real_documents_come_first_and_made_ones_are_near_them(vectors: FloatArray) -> None:
    texts, made = grown(TEXTS, vectors, 100)
    assert sorted(texts[:30]) == sorted(TEXTS)
    assert {word for text in texts[30:] for word in text.split()} <= {word for text in TEXTS for word in text.split()}
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1.0, atol=1e-6)
    nearest = (made[30:] @ vectors.T).max(axis=1)
    assert (nearest > 1 / np.sqrt(1 + NOISE**2) - 0.3).all()
    assert grown(TEXTS, vectors, 7)[0] == texts[:7]


def test_exponents_are_the_slopes_of_logarithms() -> None:
    steps = [
        {"documents": size, "ms": {"dense": {"p50": 0.1 + 3e-6 * size**1.0 - 0.1}}, "build_seconds": 2 * size**1.5}
        for size in (1_000, 10_000, 100_000)
    ]
    assert exponents(steps) == pytest.approx({"dense ms": 1.0, "build seconds": 1.5})
    assert exponents(steps[:1]) == {}


def test_every_size_is_measured_and_shown(vectors: FloatArray, embeddings: Any) -> None:
    encoder = EmbeddingsEncoder(embeddings)
    own = encoder.encode_documents(TEXTS)
    found = growth(TEXTS, own, ["word1 of", "word7"], encoder, sizes=(20, 40))
    assert [step["documents"] for step in found["steps"]] == [20, 40]
    assert [step["own"] for step in found["steps"]] == [20, 30]
    for step in found["steps"]:
        assert set(step["ms"]) == {"dense", "bm25", "docid", "fuse"}
        assert all(own["p50"] > 0 for own in step["ms"].values())
        assert step["floor_ms"]["dense"] > 0
        assert step["bytes_a_document"]["vectors"] >= 4 * own.shape[1]
    assert set(found["exponents"]) == {"dense ms", "bm25 ms", "docid ms", "fuse ms", "build seconds"}
    table = _growth(found)
    assert [row[0] for row in table.rows] == ["20", "40", "exponent"]
    assert _growth_curves(found).svg.count("<polyline") == 4
