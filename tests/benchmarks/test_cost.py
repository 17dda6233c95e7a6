"""Costs: what is measured is complete and adds up; how long it takes is nobody's business here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import memory
from benchmarks.collection import Collection
from benchmarks.cost import cost, parts
from benchmarks.memory import peak_bytes, peak_memory
from benchmarks.subject import Subject, build, open_subject
from benchmarks.systems import own_systems
from benchmarks.timing import percentiles, pinned_threads, repeated_ratio, timed_in_turn


@pytest.fixture
def subject(collection: Collection, tiny_encoder: Any, tmp_path: Path) -> Subject:
    seconds = build(collection, tiny_encoder, tmp_path / "bundle")
    assert seconds["seconds"] == pytest.approx(sum(seconds[name] for name in ("encode", "index", "fit", "save")))
    assert all(seconds.values())
    return open_subject(collection, tmp_path / "bundle", tiny_encoder)


def test_every_cost_is_measured(subject: Subject) -> None:
    found = cost(subject, n_questions=3)
    assert set(found["latency_ms"]) == set(found["questions_a_second"]) == set(own_systems(subject.index))
    for own in found["latency_ms"].values():
        assert 0 < own["p50"] <= own["p95"] <= own["p99"]
    assert set(found["parts_ms"]) == {"encode", "search dense", "search bm25", "decode docid", "fuse"}
    assert set(found["floors_ms"]) == {"encoder forward", "flat search"}
    assert found["memory_bytes"]["hybrid"]["imports"] <= found["memory_bytes"]["hybrid"]["answered"]
    assert {"vectors", "bm25", "documents", "model"} <= set(found["disk_bytes_a_document"])
    assert json.loads(json.dumps(found)) == found


def test_the_parts_put_together_are_the_answer(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """The calls that are timed give what the index gives: the fused run of the last question is its own."""
    from hybridret.generation import Generation

    fused: list[Any] = []
    own = Generation.fuse

    def noted(*arguments: Any) -> Any:
        fused.append(own(*arguments))
        return fused[-1]

    monkeypatch.setattr(Generation, "fuse", noted)
    parts(subject.index, ["who purrs"])
    ids = subject.index._changes.generation.ids
    assert [ids[row] for row in fused[-1][0].rows] == [hit.doc_id for hit in subject.index.search(["who purrs"], 10)[0]]


def test_calls_are_timed_in_turn_and_the_warm_up_does_not_count() -> None:
    asked: list[tuple[str, int]] = []
    times = timed_in_turn({"a": lambda at: asked.append(("a", at)), "b": lambda at: asked.append(("b", at))}, 2, 1)
    assert asked == [("a", -1), ("b", -1), ("a", 0), ("b", 0), ("a", 1), ("b", 1)]
    assert {name: len(own) for name, own in times.items()} == {"a": 2, "b": 2}


def test_percentiles_and_ratios_follow_their_formulas() -> None:
    assert percentiles([float(each) for each in range(101)]) == {"p50": 50, "p95": 95, "p99": 99}
    found = repeated_ratio({"a": [2.0, 4.0, 9.0], "b": [2.0]}, {"a": [2.5], "b": [1.0]}, "a", "b")
    assert found == {"ratio": "a / b", "first": 4 / 2, "second": 2.5, "difference": (2.5 - 2) / 2}


def test_threads_are_given_back() -> None:
    import torch

    before = torch.get_num_threads()
    with pinned_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_peak_memory_is_the_new_process_s_own(run_python: Callable[..., Any]) -> None:
    """A parent that holds much memory does not count: a process's ``ru_maxrss`` would start there."""
    ballast = np.ones(100_000_000, dtype=np.uint8)
    done = run_python("from benchmarks.memory import peak_bytes; print(peak_bytes())")
    assert done.returncode == 0, done.stderr
    assert 1_000_000 < int(done.stdout) < ballast.nbytes < peak_bytes()


def test_a_process_that_fails_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="BundleError"):
        peak_memory(tmp_path / "nothing", ["?"], ["bm25"])


def test_without_proc_the_system_s_own_account_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory, "_STATUS", tmp_path / "nothing")
    assert peak_bytes() > 1_000_000
