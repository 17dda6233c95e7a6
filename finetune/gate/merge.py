"""Merging what was trained with what it was before."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from hybridret.generative import CodeDecoder

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


def merged_decoder(base: CodeDecoder, new: CodeDecoder, ratio: float) -> CodeDecoder:
    """Code tables (1 - ratio) * base + ratio * new, the scales on a logarithmic scale, on which they are trained."""
    tables = base.tables + np.float32(ratio) * (new.tables - base.tables)
    return CodeDecoder(tables, (base.scales * (new.scales / base.scales) ** ratio).astype(np.float32))
