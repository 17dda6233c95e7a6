"""Taking from several makers in proportion to their weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from finetune.types import Question


def mix(streams: Mapping[str, Iterator[Question]], weights: Mapping[str, float]) -> Iterator[Question]:
    """Takes from streams in proportion to their weights, spread as evenly as can be.

    At each step the stream gives whose share is owed most (smooth weighted round robin); one that has ended leaves its
    share to the others.

    Args:
        streams: Questions by name.
        weights: Weight by name, above 0.

    Yields:
        Questions until all streams have ended.
    """
    owed = dict.fromkeys(streams, 0.0)
    while owed:
        total = sum(weights[name] for name in owed)
        for name in owed:
            owed[name] += weights[name] / total
        chosen = max(owed, key=lambda name: owed[name])
        question = next(streams[chosen], None)
        if question is None:
            del owed[chosen]
            continue
        owed[chosen] -= 1
        yield question
