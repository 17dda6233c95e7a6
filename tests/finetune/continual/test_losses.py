"""What holds a model to what it was, against the formulas in float64."""

from __future__ import annotations

import math

import numpy as np
import torch

from finetune.continual.losses import distillation, ewc


def test_ewc_and_its_slope_equal_their_formulas() -> None:
    rng = np.random.default_rng(0)
    shapes = {"a": (3, 2), "b": (4,)}
    theta, star, fisher = ({name: rng.normal(size=shape) for name, shape in shapes.items()} for _ in range(3))
    fisher = {name: each**2 for name, each in fisher.items()}
    weights = {name: torch.tensor(each, requires_grad=True) for name, each in theta.items()}
    anchor = {name: torch.tensor(each) for name, each in star.items()}
    found = ewc(weights, anchor, {name: torch.tensor(each) for name, each in fisher.items()})
    expected = sum(
        0.5 * fisher[name][at] * (theta[name][at] - star[name][at]) ** 2
        for name, shape in shapes.items()
        for at in np.ndindex(shape)
    )
    assert found.dtype == torch.float64
    assert math.isclose(found.item(), expected, rel_tol=1e-12)
    found.backward()  # type: ignore[no-untyped-call]
    for name, weight in weights.items():
        assert weight.grad is not None
        np.testing.assert_allclose(weight.grad.numpy(), fisher[name] * (theta[name] - star[name]), rtol=1e-12)


def test_weights_without_fisher_information_are_free() -> None:
    weights = {"held": torch.tensor([2.0, 0.0]), "free": torch.tensor([100.0])}
    found = ewc(weights, {"held": torch.tensor([0.0, 0.0])}, {"held": torch.tensor([3.0, 5.0])})
    assert float(found) == 3.0 * 2.0**2 / 2


def test_distillation_and_its_slope_equal_their_formulas() -> None:
    rng = np.random.default_rng(1)
    old, new = rng.normal(size=(4, 5)) * 3, rng.normal(size=(4, 5)) * 3
    p, q = (np.exp(each) / np.exp(each).sum(axis=1, keepdims=True) for each in (old, new))
    expected = sum(p[row, at] * math.log(p[row, at] / q[row, at]) for row in range(4) for at in range(5)) / 4
    scores = torch.tensor(new, requires_grad=True)
    found = distillation(torch.tensor(old), scores)
    assert math.isclose(found.item(), expected, rel_tol=1e-12)
    found.backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    np.testing.assert_allclose(scores.grad.numpy(), (q - p) / 4, rtol=1e-9, atol=1e-12)
    assert distillation(torch.tensor(old), torch.tensor(old + 7.0)).item() < 1e-12
