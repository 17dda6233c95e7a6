"""Texts as a language model's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def ended(tokens: list[int], end: int) -> list[int]:
    """Tokens with an end token, whether the tokenizer put one there or not."""
    return [*(tokens[:-1] if tokens[-1:] == [end] else tokens), end]


def padded(texts: Sequence[list[int]], fill: int, is_left: bool = False) -> tuple[Tensor, Tensor]:
    """Tokens filled up to one length, and their mask, 0 for what was filled in.

    Args:
        texts: Each text's tokens.
        fill: What to fill up with.
        is_left: Whether to fill up on the left.

    Returns:
        *Shapes:* (n_texts, n_tokens), int64, both.
    """
    import torch

    longest = max(map(len, texts))
    ids = torch.full((len(texts), longest), fill)
    mask = torch.zeros_like(ids)
    for row, own in enumerate(texts):
        places = slice(longest - len(own), None) if is_left else slice(len(own))
        ids[row, places] = torch.tensor(own, dtype=torch.int64)
        mask[row, places] = 1
    return ids, mask


def mean_loss(logits: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """The mean of the negative log-probabilities of tokens, without those whose mask is 0; 0 where there is none.

    *Shapes:* (n_texts, n_tokens, n_vocabulary), and twice (n_texts, n_tokens), int64.
    """
    from torch.nn.functional import cross_entropy

    each = cross_entropy(logits.float().flatten(0, 1), tokens.flatten(), reduction="none").view(tokens.shape)
    return (each * mask).sum() / mask.sum().clamp(min=1)
