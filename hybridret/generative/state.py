"""What a language model keeps of a batch of queries while it writes docids."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class State:
    """What a language model keeps of a batch of queries.

    Attributes:
        mask: *Shape:* (n_queries, n_text_tokens), int64, 0 for padding.
        encoded: What ``encode`` worked out: an encoder's output, or the prompts' last logits and their cache.
        width: How many beams each query has.
        cache: Keys and values of the beams.
        extra: What a decoder's step reads besides, as wide as the beams are.
    """

    mask: Tensor
    encoded: Any
    width: int = 1
    cache: Any = None
    extra: Any = None


def copied(cache: Any) -> Any:
    """A cache that shares its tensors with another one and grows by itself."""
    twin = copy.copy(cache)
    twin.layers = [copy.copy(layer) for layer in cache.layers]
    return twin
