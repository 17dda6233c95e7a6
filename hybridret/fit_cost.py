"""What a fit of the fusion encodes, and a bound on it, for those who pay for each text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral

import numpy as np

from hybridret.data.lifted import LIFTERS
from hybridret.data.off_topic import ENGLISH
from hybridret.errors import InputError
from hybridret.fit import LEAST_QUESTIONS
from hybridret.fit_questions import N_LIFTED
from hybridret.generation import Generation
from hybridret.types import Document

_TEXTS = 2 * len(LIFTERS)
"""Texts that one document can make a fit encode: for each kind of question the question and what is left."""
_OFF_TOPIC = len(ENGLISH)


def texts_of_fit(n_documents: int, max_texts: int | None = None) -> int:
    """How many texts a fit without labelled questions encodes at most; most often it is a quarter of that.

    Labelled questions, and a hundred rare terms where these have changed weights, come on top.

    Args:
        n_documents: How many documents the index has.
        max_texts: The bound that the fit is given; None: none.
    """
    n_texts = _TEXTS * min(n_documents, N_LIFTED) + (_OFF_TOPIC if n_documents else 0)
    return n_texts if max_texts is None else min(n_texts, max_texts)


def check_max_texts(max_texts: int | None) -> None:
    """Checks the bound on what a fit encodes.

    Raises:
        InputError: So few texts are too few for a fit, or it is no whole number.
    """
    least = _TEXTS * LEAST_QUESTIONS + _OFF_TOPIC
    if max_texts is None:
        return
    if not isinstance(max_texts, Integral) or isinstance(max_texts, bool) or max_texts < least:
        raise InputError(f"a fit of the fusion needs {least} texts or more, not {max_texts!r}")


def sampled_documents(
    documents: Callable[[Sequence[int]], Mapping[int, Document]], generation: Generation, max_texts: int | None
) -> Callable[[Sequence[int]], Mapping[int, Document]]:
    """The documents that a fit may lift questions out of, so that it encodes no more than so many texts.

    Args:
        documents: Gives documents by key.
        generation: The index's state.
        max_texts: How many texts; None: all that it can use.

    Returns:
        What gives those of them that are in a random sample; all of them where the bound does not bind.

    Raises:
        InputError: So few texts are too few for a fit.
    """
    check_max_texts(max_texts)
    if max_texts is None:
        return documents
    n_sampled = (max_texts - _OFF_TOPIC) // _TEXTS
    keys = generation.keys[generation.alive]
    if n_sampled >= min(len(keys), N_LIFTED):
        return documents
    generator = np.random.default_rng(generation.config.seed)
    sampled = set(generator.choice(keys, n_sampled, replace=False).tolist())
    return lambda asked: documents([key for key in asked if key in sampled])
