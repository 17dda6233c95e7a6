"""Documents that training asks about are right more often in it, and are no likelier for it."""

from __future__ import annotations

import numpy as np
import torch

from finetune.generative.losses import listwise
from finetune.generative.priors import log_priors
from finetune.generative.rows import Row

ROWS = [Row(f"text {document}", np.array([document])) for document in (3, 4, 0, 1, 2)]
PLAN = np.array([[0, 1, 0, 1, 2], [1, 0, 1, 0, 4]])


def test_the_numbers_are_logarithms_of_shares() -> None:
    found = log_priors(ROWS, 2, PLAN, n_documents=5)
    np.testing.assert_allclose(found, np.log([0.2 / 3, 0.2 / 3, 0.2 / 3, 0.8 / 2, 0.8 / 2]), rtol=1e-6)
    assert found.dtype == np.float32


def test_texts_that_say_nothing_move_no_score() -> None:
    """With equal scores the expected gradient is 0, where without priors new documents would rise."""
    priors = torch.from_numpy(log_priors(ROWS, 2, PLAN, n_documents=5)).double()
    right = torch.tensor([0, 1, 2] * 2 + [3, 4] * 12)
    shown = torch.zeros(len(right), 5, dtype=torch.bool)
    for given, rising in ((priors, False), (torch.zeros(5, dtype=torch.float64), True)):
        scores = torch.zeros(5, dtype=torch.float64, requires_grad=True)
        listwise(scores.expand(len(right), 5) + given, right, shown).backward()  # type: ignore[no-untyped-call]
        assert scores.grad is not None
        assert bool((scores.grad[3:] < -1e-3).all()) == rising
        if not rising:
            torch.testing.assert_close(scores.grad, torch.zeros(5, dtype=torch.float64), atol=1e-7, rtol=0)


def test_nothing_is_added_where_nothing_is_replayed_or_all_is_new() -> None:
    for first_old, plan, n_documents in ((2, PLAN.clip(max=1), 5), (5, PLAN, 5)):
        np.testing.assert_array_equal(log_priors(ROWS, first_old, plan, n_documents), np.zeros(n_documents))
