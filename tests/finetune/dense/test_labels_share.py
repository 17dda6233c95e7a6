"""Few labels among many made questions, graded ones, and soft labels after new negatives were mined."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finetune.dense.sampler import TaskBatchSampler
from finetune.dense.table import TrainingTable
from finetune.dense.train import row_weights
from finetune.generative.config import DocidConfig
from finetune.generative.curriculum import picks_of
from finetune.generative.rows import planned, question_rows, with_labels
from finetune.types import Question
from hybridret.types import Document

TASK = "retrieval"


def sampler(n_labelled: int, n_made: int, size: int, batches: int, processes: int = 1) -> TaskBatchSampler:
    tasks = [f"{TASK} labels"] * n_labelled + [f"{TASK} titles"] * n_made
    positives = [*range(n_labelled), *(at % 6000 for at in range(n_made))]
    return TaskBatchSampler(tasks, positives, size, batches, 0, processes, None, {f"{TASK} labels"})


def test_ninety_labels_beside_thirteen_thousand_made_questions_have_half_of_the_rows() -> None:
    whole: list[int] = []
    for batch in sampler(90, 13_000, 32, 800).global_batches():
        whole += batch
        assert 2 * sum(row < 90 for row in whole) >= len(whole)
    times = Counter(row for row in whole if row < 90)
    assert len(times) == 90
    assert max(times.values()) - min(times.values()) <= 0.2 * max(times.values())


@given(st.integers(2, 60), st.integers(2, 400), st.sampled_from([4, 8, 16]), st.sampled_from([1, 2]))
@settings(max_examples=60, deadline=None)
def test_a_pass_has_labels_in_half_of_its_rows_or_in_three_of_four_batches(
    n_labelled: int, n_made: int, size: int, processes: int
) -> None:
    plan = sampler(n_labelled, n_made, size, 1, processes)
    batches = plan._one_pass(0)
    for batch in batches:
        assert len({int(plan._positives[row]) for row in batch}) == len(batch)
        assert len(batch) % processes == 0
    own = [batch for batch in batches if batch[0] < n_labelled]
    others = [batch for batch in batches if batch[0] >= n_labelled]
    assert own or n_labelled < max(2, processes)
    rows = sum(map(len, own)), sum(map(len, others))
    assert rows[0] >= rows[1] or len(own) >= 3 * len(others)
    assert batches == sampler(n_labelled, n_made, size, 1, processes)._one_pass(0)


def test_docid_training_asks_labels_in_half_of_its_questions() -> None:
    documents = [Document(f"d{at}", f"text {at}", {}) for at in range(50)]
    labelled = [Question(f"l{at}", f"label {at}", (f"d{at}",)) for at in range(9)]
    made = [Question(f"m{at}", f"made {at}", (f"d{at % 50}",), source="titles") for at in range(1300)]
    rows = question_rows([*labelled, *made], documents)
    config = DocidConfig(batch_size=8, sentences=0.25)
    plan = planned(len(rows), 40, 30, config, 0, picks_of(config, rows, [], 50, None))
    asked = plan[plan < len(rows)]
    assert (asked < 9).sum() == len(asked) // 2 == 90
    assert set(asked[asked < 9].tolist()) == set(range(9))


@given(st.lists(st.booleans(), min_size=1, max_size=50), st.integers(0, 200), st.integers(0, 5))
def test_at_least_half_of_the_picks_are_labelled(kinds: list[bool], wanted: int, seed: int) -> None:
    is_labelled = np.array(kinds)
    picked = with_labels(is_labelled, wanted, seed)
    assert picked.shape == (wanted,)
    np.testing.assert_array_equal(picked, with_labels(is_labelled, wanted, seed))
    if 0 < is_labelled.sum() < (~is_labelled).sum():
        assert 2 * is_labelled[picked].sum() >= wanted


def test_rows_are_drawn_by_the_grade_of_their_document() -> None:
    documents = [Document(f"d{at}", f"text {at}", {}) for at in range(4)]
    questions = [Question("q0", "ask", ("d0", "d1"), grades={"d0": 3}), Question("q1", "more", ("d2", "d3"))]
    table = TrainingTable(documents, questions, 0, 0)
    assert row_weights(table, 0.0) == [3 / 2, 1 / 2, 1.0, 1.0]
    plain = TrainingTable(documents, [each._replace(grades={}) for each in questions], 0, 0)
    assert row_weights(plain, 0.0) is None
    rows = question_rows(questions, documents)
    np.testing.assert_allclose(rows[0].weights, [3 / 4, 1 / 4])
    assert not len(rows[1].weights)


@pytest.mark.parametrize("n_negatives", [1, 2, 4])
def test_rows_keep_labelled_negatives_after_new_ones_were_mined(n_negatives: int) -> None:
    documents = [Document(f"d{at}", f"text {at}", {}) for at in range(50)]
    questions = [Question(f"q{at}", f"ask {at}", (f"d{at}",)) for at in range(10)]
    table = TrainingTable(documents, questions, n_negatives, 0)
    table.set_negatives([np.arange(at + 10, at + 14) for at in range(10)])
    table.set_teacher({f"q{at}": {f"d{n}": -1.0 for n in (at, *range(at + 10, at + 14))} for at in range(10)})
    before = np.isfinite(table.batch(range(10), 0).teacher).sum(axis=1)
    assert (before == 1 + n_negatives).all()
    table.set_negatives([np.arange(at + 20, at + 24) for at in range(10)])
    batch = table.batch(range(10), 1)
    labelled = np.isfinite(batch.teacher).sum(axis=1)
    assert (labelled == 1 + -(-n_negatives // 2)).all()
    assert (batch.candidates >= 0).all()
