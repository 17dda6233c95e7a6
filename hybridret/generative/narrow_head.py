"""An output layer that works out only the tokens that are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

_ASKED: ContextVar[tuple[int, int] | None] = ContextVar("_ASKED", default=None)


@contextmanager
def only_tokens(first: int, end: int) -> Iterator[None]:
    """Within it, heads narrowed by ``narrowed`` give 0 for all other tokens, in this thread alone.

    A vocabulary has tens of thousands of tokens and a level of a docid some hundreds. What models do with logits
    after their head (scaling, capping, a bias) works token by token, so that the tokens asked for come out right.
    """
    token = _ASKED.set((first, end))
    try:
        yield
    finally:
        _ASKED.reset(token)


def narrowed(head: Any) -> None:
    """Makes a linear output layer heed ``only_tokens``; any other layer stays as it is."""
    import torch

    if type(head) is torch.nn.Linear:
        head.forward = MethodType(_forward, head)  # type: ignore[method-assign]


def _forward(head: Any, hidden: Tensor) -> Tensor:
    from torch.nn.functional import linear, pad

    asked = _ASKED.get()
    if asked is None:
        return linear(hidden, head.weight, head.bias)
    first, end = asked
    logits = linear(hidden, head.weight[first:end], None if head.bias is None else head.bias[first:end])
    return pad(logits, (first, len(head.weight) - end))
