"""The losses, against their formulas in float64."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.special import log_softmax

from finetune.generative.losses import code_loss, listwise, rpo, taught


def test_listwise_is_the_cross_entropy_without_what_leaves() -> None:
    logits = np.array([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]])
    out = np.array([[False, True, False], [False, False, False]])
    first = -(1.0 - math.log(math.exp(1.0) + math.exp(0.5)))
    second = -(-1.0 - math.log(1.0 + math.exp(-1.0) + math.exp(3.0)))
    found = listwise(torch.tensor(logits), torch.tensor([0, 1]), torch.tensor(out))
    assert math.isclose(float(found), (first + second) / 2, rel_tol=1e-6)


def test_code_loss_is_the_mean_over_texts_and_levels() -> None:
    rng = np.random.default_rng(0)
    log_probs = log_softmax(rng.normal(size=(5, 3, 4)), axis=2)
    codes = rng.integers(0, 4, size=(5, 3))
    expected = -np.mean([log_probs[text, level, codes[text, level]] for text in range(5) for level in range(3)])
    found = code_loss(torch.tensor(log_probs), torch.tensor(codes))
    np.testing.assert_allclose(float(found), expected, rtol=1e-12)


def test_rpo_equals_its_formula() -> None:
    rng = np.random.default_rng(1)
    b, w, rb, rw = (-rng.gamma(2.0, 3.0, size=6) for _ in range(4))
    beta, alpha = 0.3, 0.7
    expected = np.mean(
        [
            -math.log(1 / (1 + math.exp(-beta * ((b[at] - rb[at]) - (w[at] - rw[at]))))) - alpha * b[at]
            for at in range(6)
        ]
    )
    found = rpo(*(torch.tensor(each) for each in (b, w, rb, rw)), beta, alpha)
    np.testing.assert_allclose(float(found), expected, rtol=1e-9)


def test_soft_labels_are_taught_by_the_divergence_from_their_softmax() -> None:
    scores, labels = [[-3.0, -1.0, -2.5], [-1.0], [-2.0, -2.2]], [[2.0, 0.5, 1.0], [4.0], [0.0, 3.0]]
    expected = []
    for own, told in ((scores[0], labels[0]), (scores[2], labels[2])):  # one label alone teaches nothing
        teacher = [math.exp(one / 2.0) / sum(math.exp(other / 2.0) for other in told) for one in told]
        student = [math.exp(one) / sum(math.exp(other) for other in own) for one in own]
        expected.append(sum(t * math.log(t / s) for t, s in zip(teacher, student, strict=True)))
    told_arrays = [np.array(one, dtype=np.float32) for one in labels]
    found = taught([torch.tensor(one) for one in scores], told_arrays, 2.0)
    assert math.isclose(float(found), sum(expected) / 2, rel_tol=1e-5)
    assert float(taught([torch.tensor([1.0])], [np.array([1.0], dtype=np.float32)], 1.0)) == 0.0
