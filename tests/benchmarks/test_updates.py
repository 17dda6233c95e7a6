"""An index that grows against one built at once."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.report.sections import _update_curves, _updates
from benchmarks.updates import BATCHES, updates
from hybridret.data.dataset import Dataset
from hybridret.dense import EmbeddingsEncoder
from hybridret.types import Document

DOCUMENTS = [Document(f"d{at}", f"word{at} and word{at + 1} of many", {}) for at in range(40)]


def asked() -> Dataset:
    queries = {f"q{at}": f"word{at} word{at + 1}" for at in range(40)}
    return Dataset(queries, {f"q{at}": {f"d{at}": 1} for at in range(40)}, 0)


def test_old_and_new_questions_are_measured_apart_after_each_batch(embeddings: Any) -> None:
    found = updates(DOCUMENTS, asked(), EmbeddingsEncoder(embeddings))
    assert found["questions"] == {"old": 20, "new": 16}
    assert [step["documents"] for step in found["steps"]] == [20, 24, 27, 30, 33, 36]
    assert len(found["single_adds_ms"]) == 4
    assert all(step["ms_per_document"] > 0 for step in found["steps"][1:])
    for part in ("old", "new"):
        assert found["grown"][part]["bm25"] == found["at_once"][part]["bm25"] == 1.0
        for system, difference in found[f"difference_on_{part}"].items():
            assert difference == pytest.approx(found["grown"][part][system] - found["at_once"][part][system])
    table = _updates(found)
    assert table.rows[0][0] == "old questions, indexed at once"
    assert len(table.rows) == 4
    assert f"{BATCHES} batches" in table.note
    assert _update_curves(found).svg.count("<polyline") == len(found["grown"]["old"])


def test_without_old_questions_there_is_nothing_to_forget(embeddings: Any) -> None:
    found = updates(DOCUMENTS, Dataset({}, {}, 0), EmbeddingsEncoder(embeddings))
    assert found["questions"] == {"old": 0, "new": 0}
    assert found["grown"] == {"old": {}, "new": {}}
    assert _updates(found).rows == []
