"""Loss functions against loops that spell out the papers' formulas, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from finetune.dense.losses import info_nce, kl_divergence, margin_mse, stabilised_distillation

N, M = 7, 6


def made(seed: int, missing: bool) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(N, M, generator=generator, dtype=torch.float64) * 4
    teacher = torch.randn(N, M, generator=generator, dtype=torch.float64) * 2
    if missing:
        teacher[0, 3:], teacher[1, 1:], teacher[2, 4] = -math.inf, -math.inf, -math.inf
        logits = logits.masked_fill(torch.isinf(teacher), -math.inf)
    return logits, teacher


def softmax(values: list[float]) -> list[float]:
    total = sum(math.exp(value) for value in values)
    return [math.exp(value) / total for value in values]


def slow_kl(scores: list[float], teacher: list[float], temperature: float) -> float:
    p, q = softmax([value / temperature for value in teacher]), softmax(scores)
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def slow_stabilised(scores: list[float], teacher: list[float], temperature: float) -> float:
    weights = softmax([value / temperature for value in teacher])
    order = [0, *sorted(range(1, len(scores)), key=lambda at: -teacher[at])]
    total = 0.0
    for place, at in enumerate(order):
        remaining = sum(math.exp(scores[other]) for other in order[place:])
        total += weights[at] * -math.log(math.exp(scores[at]) / remaining)
    return total


def slow_margin_mse(scores: list[float], teacher: list[float], temperature: float) -> float:
    squares = [
        ((scores[0] - score) - (teacher[0] - label) / temperature) ** 2
        for score, label in zip(scores[1:], teacher[1:], strict=True)
    ]
    return sum(squares) / len(squares) if squares else 0.0


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.3, 5.0])
@pytest.mark.parametrize(
    ("fast", "slow"),
    [(kl_divergence, slow_kl), (stabilised_distillation, slow_stabilised), (margin_mse, slow_margin_mse)],
)
def test_distillation_losses_equal_their_formulas(
    fast: Callable[..., torch.Tensor], slow: Callable[..., float], temperature: float, missing: bool
) -> None:
    logits, teacher = made(0, missing)
    logits.requires_grad_()
    found = fast(logits, teacher, temperature)
    rows = []
    for row, labels in zip(logits.tolist(), teacher.tolist(), strict=True):
        present = [at for at, label in enumerate(labels) if label > -math.inf]
        rows.append(slow([row[at] for at in present], [labels[at] for at in present], temperature))
    assert found.item() == pytest.approx(sum(rows) / N, abs=1e-6)
    found.backward()
    assert torch.isfinite(logits.grad).all()


def test_info_nce_equals_its_formula() -> None:
    logits, _ = made(1, False)
    positives = torch.tensor([0, 3, 2, 5, 1, 4, 0])
    expected = [
        -math.log(math.exp(row[at]) / sum(map(math.exp, row)))
        for row, at in zip(logits.tolist(), positives.tolist(), strict=True)
    ]
    assert info_nce(logits, positives).item() == pytest.approx(sum(expected) / N, abs=1e-6)


def test_stabilised_distillation_depends_on_the_order_and_pins_the_positive() -> None:
    logits = torch.tensor([[0.0, 2.0, 1.0]], dtype=torch.float64)
    teacher = torch.tensor([[-3.0, 1.0, 0.0]], dtype=torch.float64)
    weights = softmax(teacher[0].tolist())
    first = -math.log(1 / (1 + math.exp(2) + math.exp(1)))
    second = -math.log(math.exp(2) / (math.exp(2) + math.exp(1)))
    expected = weights[0] * first + weights[1] * second + weights[2] * 0.0
    assert stabilised_distillation(logits, teacher, 1.0).item() == pytest.approx(expected, abs=1e-9)
    swapped = stabilised_distillation(logits[:, [0, 2, 1]], teacher[:, [0, 2, 1]], 1.0)
    assert swapped.item() == pytest.approx(expected, abs=1e-9)


def test_a_student_that_agrees_with_the_teacher_has_no_kl_loss() -> None:
    teacher = made(2, False)[1]
    assert kl_divergence(teacher / 0.7, teacher, 0.7).item() == pytest.approx(0.0, abs=1e-12)
