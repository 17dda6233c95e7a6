"""How evenly docids use their codes, and how many documents they tell apart."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybridret.docids.scheme import FILL
from hybridret.types import CodeArray

_UNBALANCED, _COLLAPSED = 0.5, 0.1
_MANY_COLLISIONS = 0.5


class Usage(NamedTuple):
    """How docids use their codes.

    Attributes:
        n_documents: How many docids there are.
        perplexity: Per level, the exponential of the entropy of code use: as many codes used evenly tell as much.
        attainable: Per level, the highest perplexity that there could be: codes, or documents where they are fewer.
        dead: Per level, how many codes no document has.
        collided: The share of documents that have the docid of another.
        problems: What is wrong, one line each; none where codes are healthy.
    """

    n_documents: int
    perplexity: tuple[float, ...]
    attainable: tuple[int, ...]
    dead: tuple[int, ...]
    collided: float
    problems: tuple[str, ...]


def usage(docids: CodeArray, level_sizes: tuple[int, ...] | None) -> Usage:
    """Reports collapsed and unbalanced codebooks, and collisions.

    A level is collapsed where its perplexity is below a tenth of what is attainable, unbalanced where it is below half.

    Args:
        docids: *Shape:* (n, n_tokens), any integer type, suffixes left out.
        level_sizes: What the scheme says; None for tokens of a text, of which only collisions are judged.

    Returns:
        The report.
    """
    perplexity, attainable, dead, problems = [], [], [], []
    for level, size in enumerate(level_sizes or ()):
        column = docids[:, level]
        counts = np.bincount(column[column != FILL], minlength=size)
        shares = counts[counts > 0] / max(1, counts.sum())
        perplexity.append(float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0)
        attainable.append(min(len(counts), int(counts.sum())))
        dead.append(int((counts == 0).sum()))
        evenness = perplexity[-1] / max(1, attainable[-1])
        if attainable[-1] > 1 and evenness < _UNBALANCED:
            word = "collapsed" if evenness < _COLLAPSED else "unbalanced"
            found = f"perplexity {perplexity[-1]:.1f} of {attainable[-1]}, {dead[-1]} codes dead"
            problems.append(f"codebook {level} is {word}: {found}")
    _, counts = np.unique(docids, axis=0, return_counts=True)
    collided = float(counts[counts > 1].sum() / max(1, len(docids)))
    if collided > _MANY_COLLISIONS:
        problems.append(f"{collided:.0%} of the documents share their docid with others")
    return Usage(len(docids), tuple(perplexity), tuple(attainable), tuple(dead), collided, tuple(problems))
