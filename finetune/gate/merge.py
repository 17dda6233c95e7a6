"""Merging what was trained with what it was before."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from hybridret.generative import CodeDecoder

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from torch import nn


def merged(base: SentenceTransformer, new: SentenceTransformer, ratio: float) -> SentenceTransformer:
    """A model with the weights (1 - ratio) * base + ratio * new.

    Wortsman et al., "Robust fine-tuning of zero-shot models", 2022, section 3 (WiSE-FT).

    Args:
        base: The model before training.
        new: The model after training, of the same shape.
        ratio: Share of the new weights.
    """
    model = copy.deepcopy(new)
    merge_into(model, base, ratio)
    return model


def merge_into(new: nn.Module, base: nn.Module, ratio: float) -> None:
    """Gives a model the weights (1 - ratio) * base + ratio * its own, those that it uses twice once."""
    import torch

    old = dict(base.named_parameters())
    with torch.no_grad():
        for name, value in new.named_parameters():
            value.copy_(torch.lerp(old[name].to(value.device), value, ratio))


def merged_decoder(base: CodeDecoder, new: CodeDecoder, ratio: float) -> CodeDecoder:
    """Code tables (1 - ratio) * base + ratio * new, the scales on a logarithmic scale, on which they are trained."""
    tables = base.tables + np.float32(ratio) * (new.tables - base.tables)
    return CodeDecoder(tables, (base.scales * (new.scales / base.scales) ** ratio).astype(np.float32))
