"""An output layer that works out only the tokens that are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class _Asked:
    """The tokens asked for, and their logits where the model's output cannot carry them."""

    first: int
    end: int
    aside: Tensor | None = None


_ASKED: ContextVar[_Asked | None] = ContextVar("_ASKED", default=None)


@contextmanager
def only_tokens(first: int, end: int) -> Iterator[None]:
    """Within it, and in this thread alone, models narrowed by ``narrowed`` give logits of these tokens.

    A vocabulary has tens of thousands of tokens and a level of a docid some hundreds. What models do with logits
    after their head (scaling, capping) works on any number of tokens.
    """
    token = _ASKED.set(_Asked(first, end))
    try:
        yield
    finally:
        _ASKED.reset(token)


def narrowed(model: Any) -> None:
    """Makes a model with a linear output layer heed ``only_tokens``; any other stays as it is."""
    import torch

    head = model.get_output_embeddings()
    if type(head) is torch.nn.Linear:
        head.forward = MethodType(_forward, head)  # type: ignore[method-assign]
        head.has_bias_after = hasattr(model, "final_logits_bias")  # type: ignore[assignment]


def logits_of(output: Any, model: Any) -> Tensor:
    """The logits of a model's output: all, or those of the tokens asked for. *Shape:* (n, n_tokens, n_vocabulary)."""
    asked = _ASKED.get()
    if asked is None or asked.aside is None:
        logits: Tensor = output.logits
        return logits
    logits, asked.aside = asked.aside, None
    bias: Tensor = model.final_logits_bias[:, asked.first : asked.end]
    return logits + bias


def _forward(head: Any, hidden: Tensor) -> Tensor:
    from torch.nn.functional import linear

    asked = _ASKED.get()
    if asked is None:
        return linear(hidden, head.weight, head.bias)
    rows = slice(asked.first, asked.end)
    logits = linear(hidden, head.weight[rows], None if head.bias is None else head.bias[rows])
    if not head.has_bias_after:
        return logits
    asked.aside = logits  # BART's kind adds a bias as long as the vocabulary, to which a single 0 can be added
    return logits.new_zeros(1, 1, 1)
