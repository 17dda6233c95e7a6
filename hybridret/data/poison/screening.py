"""Looking at documents on their way into an index: the usual ones of it say what is suspicious."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np

from hybridret.data.poison.detector import Detector, Suspect
from hybridret.types import Document

_T = TypeVar("_T")
SAMPLE, _SEED = 1000, 0
"""How many documents say what is usual in a collection."""


def drawn(doc_ids: Iterable[str]) -> list[str]:
    """At most a thousand of an index's ids, the same every time, whose documents say what is usual there."""
    return _drawn(sorted(doc_ids), SAMPLE)


def screened(documents: Sequence[Document], known: Sequence[Document]) -> list[Suspect]:
    """Looks for documents that look poisoned.

    Args:
        documents: Those that shall be added.
        known: Some of the index's own, at most ``SAMPLE``; where they are fewer, a sample of the new ones joins them.

    Returns:
        The suspicious ones, in their order.
    """
    reference = [*known, *_drawn(documents, SAMPLE - len(known))]
    return Detector(document.text for document in reference).suspects(documents)


def _drawn(items: Sequence[_T], most: int) -> list[_T]:
    if len(items) <= most:
        return list(items)
    places = np.random.default_rng(_SEED).choice(len(items), size=most, replace=False)
    return [items[place] for place in places.tolist()]
