"""Merging the weights of a model and what it was trained to."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


def merged(base: SentenceTransformer, new: SentenceTransformer, ratio: float) -> SentenceTransformer:
    """A model with the weights (1 - ratio) * base + ratio * new.

    Wortsman et al., "Robust fine-tuning of zero-shot models", 2022, section 3 (WiSE-FT).

    Args:
        base: The model before training.
        new: The model after training, of the same shape.
        ratio: Share of the new weights.
    """
    import torch

    model = copy.deepcopy(new)
    old, state = base.state_dict(), model.state_dict()
    with torch.no_grad():
        for name, value in state.items():
            if value.is_floating_point():
                value.copy_(torch.lerp(old[name].to(value.device), value, ratio))
    return model
