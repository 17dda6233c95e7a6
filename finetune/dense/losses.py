"""Ranking losses as pure functions of scores; every one returns the mean over the queries."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

DistillationLoss = Callable[["Tensor", "Tensor", float], "Tensor"]
"""(student logits, teacher scores, teacher temperature) -> scalar; column 0 is the positive."""


def info_nce(logits: Tensor, positives: Tensor) -> Tensor:
    """InfoNCE: the cross-entropy of each query's positive among its documents.

    van den Oord et al., "Representation Learning with Contrastive Predictive Coding", 2018, eq. 4.

    Args:
        logits: *Shape:* (n_queries, n_documents), similarities divided by the temperature; -inf takes a document out.
        positives: *Shape:* (n_queries,), int64, column of the positive.
    """
    return functional.cross_entropy(logits, positives)


def kl_divergence(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """KL divergence from the student's distribution over the candidates to the teacher's.

    Hinton et al., "Distilling the Knowledge in a Neural Network", 2015, section 2.

    Args:
        logits: *Shape:* (n_queries, n_candidates), similarities divided by the student's temperature; -inf where a
            candidate is missing.
        teacher: *Shape:* (n_queries, n_candidates), scores; -inf where a candidate is missing.
        temperature: The teacher's temperature.
    """
    target = functional.softmax(teacher / temperature, dim=1)
    present = torch.isfinite(teacher)
    student = functional.log_softmax(logits, dim=1).masked_fill(~present, 0.0)
    divergence: Tensor = (torch.xlogy(target, target) - target * student).sum(dim=1).mean()
    return divergence


def stabilised_distillation(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """LLM-Embedder's stabilised distillation: each candidate in turn against those that the teacher ranks below it.

    Candidates are sorted by the teacher's score, the positive (column 0) pinned first. With weights
    w = softmax(teacher / T): L = sum_i w_i * -log(exp(s_i) / sum_{j >= i} exp(s_j)).
    Zhang et al., "Retrieve Anything To Augment Large Language Models", 2023, section 2.2.

    Args:
        logits: *Shape:* (n_queries, n_candidates), similarities divided by the student's temperature; -inf where a
            candidate is missing.
        teacher: *Shape:* (n_queries, n_candidates), scores; -inf where a candidate is missing.
        temperature: The teacher's temperature.
    """
    others = torch.sort(teacher[:, 1:], dim=1, descending=True, stable=True).indices + 1
    order = torch.cat([others.new_zeros(len(others), 1), others], dim=1)
    weights = functional.softmax(teacher / temperature, dim=1).gather(1, order)
    present = torch.isfinite(teacher).gather(1, order)
    ranked = logits.gather(1, order).masked_fill(~present, torch.finfo(logits.dtype).min / 4)
    remaining = torch.logcumsumexp(ranked.flip(1), dim=1).flip(1)
    each = (remaining - ranked).masked_fill(~present, 0.0)
    return (weights * each).sum(dim=1).mean()


def margin_mse(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Squared difference of the student's and the teacher's margins between the positive and each other candidate.

    Hofstätter et al., "Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge Distillation",
    2020, section 3.

    Args:
        logits: *Shape:* (n_queries, n_candidates), similarities divided by the student's temperature; -inf where a
            candidate is missing.
        teacher: *Shape:* (n_queries, n_candidates), scores; -inf where a candidate is missing.
        temperature: The teacher's scores are divided by it, so that both margins have one unit.

    Returns:
        The mean over queries of the mean over their other candidates; 0 for a query that has none.
    """
    present = torch.isfinite(teacher[:, 1:])
    student = (logits[:, :1] - logits[:, 1:]).masked_fill(~present, 0.0)
    target = ((teacher[:, :1] - teacher[:, 1:]) / temperature).masked_fill(~present, 0.0)
    squares = (student - target).square().sum(dim=1)
    return (squares / present.sum(dim=1).clamp(min=1)).mean()


DISTILLATION_LOSSES: dict[str, DistillationLoss] = {
    "kl": kl_divergence,
    "stabilised": stabilised_distillation,
    "margin_mse": margin_mse,
}
"""Distillation losses by the name that a recipe gives them."""
