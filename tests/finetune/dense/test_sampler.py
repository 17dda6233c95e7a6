"""Batches: one task each, no positive twice, the same plan for any number of processes."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from finetune.dense.sampler import TaskBatchSampler, long_tail_weights
from hybridret.errors import InputError

GENERATOR = np.random.default_rng(0)
TASKS = GENERATOR.choice(["qa", "tool", "chat"], 500, p=[0.6, 0.3, 0.1]).tolist()
POSITIVES = GENERATOR.zipf(1.4, 500) % 60


def sampler(n_processes: int = 1, **changes: object) -> TaskBatchSampler:
    settings = {"batch_size": 8, "n_batches": 200, "seed": 3, "n_processes": n_processes, **changes}
    return TaskBatchSampler(TASKS, POSITIVES.tolist(), **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("weights", [None, long_tail_weights(POSITIVES.tolist(), 1.0)])
def test_batches_hold_one_task_and_no_positive_twice(weights: list[float] | None) -> None:
    batches = list(sampler(weights=weights))
    assert len(batches) == 200
    for batch in batches:
        assert len({TASKS[row] for row in batch}) == 1
        assert len({POSITIVES[row] for row in batch}) == len(batch) == 8
    assert {TASKS[batch[0]] for batch in batches} == {"qa", "tool", "chat"}


def test_no_row_comes_twice_in_a_pass_and_most_come() -> None:
    batches = sampler()._one_pass(0)
    counts = Counter(row for batch in batches for row in batch)
    assert set(counts.values()) == {1}
    distinct = TaskBatchSampler(["qa"] * 64, range(64), 8, 8, 0)._one_pass(0)
    assert sorted(row for batch in distinct for row in batch) == list(range(64))


def test_the_plan_depends_on_the_seed_alone() -> None:
    assert list(sampler()) == list(sampler())
    assert list(sampler()) != list(sampler(seed=4))


@pytest.mark.parametrize("n_processes", [2, 4])
def test_processes_share_the_global_batches(n_processes: int) -> None:
    whole, parts = list(sampler()), list(sampler(n_processes))
    assert len(sampler(n_processes)) == len(parts) == n_processes * 200
    joined = [
        [row for part in parts[at : at + n_processes] for row in part] for at in range(0, len(parts), n_processes)
    ]
    assert joined == whole


def test_a_task_with_few_documents_gets_smaller_batches() -> None:
    made = TaskBatchSampler(["a"] * 20 + ["b"] * 20, [*range(20), *([0, 1, 2] * 7)[:20]], 8, 50, 0)
    assert made.sizes == {"a": 8, "b": 3}
    assert {len(batch) for batch in made} == {3, 8}


def test_one_document_is_no_contrast() -> None:
    with pytest.raises(InputError, match="at least 2 different documents"):
        TaskBatchSampler(["a"] * 9, [5] * 9, 8, 50, 0)


def test_long_tail_weights_even_out_documents() -> None:
    weights = long_tail_weights([0, 0, 0, 1], 1.0)
    assert weights == pytest.approx([4 / 6, 4 / 6, 4 / 6, 4 / 2])
    assert long_tail_weights([0, 0, 0, 1], 0.0) == [1.0] * 4
    positives = [*np.repeat(range(10), 30).tolist(), *range(10, 40)]
    shares = []
    for power in (0.0, 1.0):
        made = TaskBatchSampler(["a"] * 330, positives, 4, 500, 0, weights=long_tail_weights(positives, power))
        shares.append(np.mean([positives[row] >= 10 for batch in made for row in batch]))
    assert shares[0] == pytest.approx(30 / 330, abs=0.05)
    assert shares[1] == pytest.approx(30 / 40, abs=0.05)
