"""What holds a model to what it was, by the formulas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional


def ewc(weights: Mapping[str, Tensor], anchor: Mapping[str, Tensor], fisher: Mapping[str, Tensor]) -> Tensor:
    """Elastic weight consolidation: ``1/2 * sum_i F_i (theta_i - theta*_i)^2``.

    Kirkpatrick et al., "Overcoming catastrophic forgetting in neural networks", PNAS 2017, equation 3, without lambda.

    Args:
        weights: The weights theta, by name.
        anchor: The weights theta* that old questions were learned with.
        fisher: The diagonal F of the Fisher information there; names that it lacks are free.
    """
    held = [name for name in weights if name in fisher]
    return torch.stack([(fisher[name] * (weights[name] - anchor[name]).square()).sum() for name in held]).sum() / 2


def distillation(old: Tensor, new: Tensor) -> Tensor:
    """``KL(softmax(old) || softmax(new))``, the mean over rows.

    Hinton et al., "Distilling the Knowledge in a Neural Network", 2015, at temperature 1; as Li and Hoiem, "Learning
    without Forgetting", ECCV 2016, hold a model to its own answers before.

    Args:
        old: *Shape:* (n_texts, n_candidates), the old model's scores.
        new: *Shape:* (n_texts, n_candidates).
    """
    log_old, log_new = functional.log_softmax(old, dim=1), functional.log_softmax(new, dim=1)
    return functional.kl_div(log_new, log_old, reduction="batchmean", log_target=True)


def token_distillation(old: Sequence[Tensor], new: Sequence[Tensor], there: Tensor) -> Tensor:
    """``distillation`` at each token of docids, the mean over tokens.

    Args:
        old: By place *shape:* (n_texts, n_codes), the old model's scores of all tokens.
        new: The same of the new model.
        there: *Shape:* (n_texts, n_places), bool, where docids have a token.
    """
    found = [
        distillation(was[own], now[own]) * own.sum()
        for was, now, own in zip(old, new, there.T, strict=True)
        if own.any()
    ]
    return torch.stack(found).sum() / there.sum()
