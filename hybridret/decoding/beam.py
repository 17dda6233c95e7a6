"""Beam search under one or more tries, for many queries at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hybridret.decoding.forest import Forest
from hybridret.decoding.guide import Guide
from hybridret.decoding.trie import END, Leaves, Trie
from hybridret.ranking import top_k
from hybridret.types import IntArray, Run, ScoreArray

LogProbs: TypeAlias = NDArray[np.float32] | NDArray[np.float64]


class Beams(NamedTuple):
    """The state of a search at one level.

    Attributes:
        nodes: *Shape:* (n_tries, 2, n_queries, n_beams), uint32, nodes of the level; empty where ``scores`` is -inf.
        tokens: *Shape:* (n_queries, n_beams), int64, the token that each beam ends with; ``END`` where there is none.
        scores: *Shape:* (n_queries, n_beams), float64, sum of log-probabilities; -inf where there is no beam.
        parents: *Shape:* (n_queries, n_beams), int64, which beam of the level above each one continues.
    """

    nodes: Leaves
    tokens: IntArray
    scores: ScoreArray
    parents: IntArray


class Step(Protocol):
    """A model that scores the next token."""

    def __call__(self, level: int, tokens: IntArray, parents: IntArray) -> LogProbs | None:
        """Scores the tokens of one level.

        Args:
            level: 0 for the first token.
            tokens: *Shape:* (n_queries, n_beams), int64, the token that each beam ends with (``END`` at level 0).
            parents: *Shape:* (n_queries, n_beams), int64, the beam of the previous call that each one continues.

        Returns:
            *Shape:* (n_queries, n_beams, n_codes), or (n_queries, 1, n_codes) where the beams share it:
            log-probabilities over all codes, the trie's valid ones and the others. None: every token scores 0.
        """


class Ahead(Protocol):
    """A model that scores several tokens in one pass, where a prefix can be continued in one way alone."""

    def __call__(self, level: int, tokens: IntArray, parents: IntArray, paths: IntArray) -> LogProbs:
        """Scores the tokens of several levels; what follows goes on after the last of them.

        Args:
            level: The level of the first token, not 0.
            tokens: As in ``Step``.
            parents: As in ``Step``.
            paths: *Shape:* (n_levels, n_queries, n_beams), int64, the tokens of each level, ``END`` after an end.

        Returns:
            *Shape:* that of ``paths``, log-probabilities, 0 for ``END``.
        """


def beam_search(
    tries: Sequence[Trie],
    step: Step,
    n_queries: int,
    n_beams: int,
    alive: Sequence[IntArray | None],
    ties: IntArray,
    guide: Guide | None = None,
    ahead: Ahead | None = None,
) -> list[Run]:
    """Finds the docids with the highest log-probability.

    Only prefixes of docids with an allowed document are ever kept, so no illegal docid can come out, and a beam is
    never spent on a branch that a filter or a deletion has emptied. With at least as many beams as allowed leaves the
    result is exact. Among prefixes of equal score at the cut of a level the first in lexicographic order are kept.
    Several tries give what one trie over all their documents gives, ties and calls of ``step`` included.

    Args:
        tries: The docids: usually one trie, or a large one and a small one of what was added since. Their rows are
            disjoint, and no docid is in two of them, which is not checked.
        step: The model.
        n_queries: How many queries the model answers for.
        n_beams: How many prefixes are kept per query.
        alive: Per trie what its ``alive_before`` gave for the documents that may be found; None: all.
        ties: *Shape:* (n_rows,), int64, place among documents of equal score.
        guide: Documents whose beams are spared in pruning.
        ahead: The model, for levels where no beam branches; None: ``step`` scores them one by one.

    Returns:
        Per query the documents found, at most ``n_beams``, with their docids' log-probabilities.

    Raises:
        ValueError: The tries differ in depth, ``alive`` is not theirs, a bonus is below 0, or what ``step`` gives does
            not fit the beams.
    """
    forest = Forest(tries, alive, guide)
    if min(n_beams, forest.n_leaves) == 0:
        return [Run(np.zeros(0, dtype=np.int64), np.zeros(0)) for _ in range(n_queries)]
    zeros = np.zeros((n_queries, 1), dtype=np.int64)
    nodes = np.repeat(forest.roots()[:, :, None], n_queries, axis=2)
    beams = Beams(nodes, zeros + END, np.zeros((n_queries, 1)), zeros)
    level = 0
    while level < forest.depth:
        straight = forest.straight(level, _flat(beams.nodes)) if _is_whole(beams) else zeros[:0]
        if len(straight):
            level, beams = _followed(step, ahead, level, beams, straight)
        else:
            n_kept = forest.n_leaves if level + 1 == forest.depth else n_beams
            beams = _branched(forest, level, beams, step(level, beams.tokens, beams.parents), n_kept)
            level += 1
    rows = forest.rows(beams.nodes)
    return [top_k(scores, n_beams, ties, found) for scores, found in zip(beams.scores, rows, strict=True)]


def _flat(nodes: Leaves) -> Leaves:
    """Puts the beams of all queries in a row. *Shapes:* (n_tries, 2, n_queries, n_beams) to (n_tries, 2, n)."""
    return nodes.reshape(*nodes.shape[:2], nodes.shape[2] * nodes.shape[3])


def _is_whole(beams: Beams) -> bool:
    return bool(beams.scores.min(initial=0.0) > -np.inf)


def _followed(step: Step, ahead: Ahead | None, level: int, beams: Beams, straight: IntArray) -> tuple[int, Beams]:
    """Continues each beam by its only tokens, *shape:* (n_levels, n), until a score of -inf ends a beam."""
    shape = beams.scores.shape
    own = np.tile(np.arange(shape[1]), (shape[0], 1))
    paths = straight.reshape(len(straight), *shape)
    if ahead is not None and level and len(paths) > 1:
        scores = beams.scores + ahead(level, beams.tokens, beams.parents, paths).sum(axis=0, dtype=np.float64)
        beams = Beams(beams.nodes, paths[-1], scores, own)
        return level + len(paths), beams if _is_whole(beams) else _cleared(beams)
    for tokens in paths:
        log_probs = step(level, beams.tokens, beams.parents)
        scores = beams.scores + _gained(log_probs, shape, None, tokens.ravel()).reshape(shape)
        beams = Beams(beams.nodes, tokens, scores, own)
        level += 1
        if not _is_whole(beams):
            return level, _cleared(beams)
    return level, beams


def _branched(forest: Forest, level: int, beams: Beams, log_probs: LogProbs | None, n_beams: int) -> Beams:
    """Replaces each query's beams by the best ``n_beams`` of all their living children."""
    n_queries, width = beams.scores.shape
    branches = forest.branches(level, _flat(beams.nodes))
    gained = _gained(log_probs, beams.scores.shape, branches.fanout, branches.tokens)
    scores = np.repeat(beams.scores.ravel(), branches.fanout) + gained
    bonus = forest.bonus(branches, np.repeat(np.arange(n_queries), width))
    worth = scores if bonus is None else scores + bonus
    kept, picked = _best(worth, branches.fanout.reshape(n_queries, width).sum(axis=1), n_beams)
    scores = kept if bonus is None else np.where(kept > -np.inf, scores[picked], -np.inf)
    parents = branches.owners(picked) - width * np.arange(n_queries)[:, None]
    return _cleared(Beams(branches.nodes(picked), branches.tokens[picked], scores, parents))


def _cleared(beams: Beams) -> Beams:
    """Takes what is left of ended beams away."""
    if _is_whole(beams):
        return beams
    is_there = beams.scores > -np.inf
    return Beams(
        np.where(is_there, beams.nodes, np.uint32(0)),
        np.where(is_there, beams.tokens, END),
        beams.scores,
        np.where(is_there, beams.parents, 0),
    )


def _gained(
    log_probs: LogProbs | None, shape: tuple[int, int], fanout: IntArray | None, tokens: IntArray
) -> ScoreArray | LogProbs:
    """What tokens add to the scores of the beams that they continue.

    Args:
        log_probs: What the model gave.
        shape: (n_queries, n_beams).
        fanout: *Shape:* (n_queries * n_beams,), int64, how many of the tokens each beam has; None: one.
        tokens: *Shape:* (n_tokens,), int64, grouped by beam.

    Returns:
        *Shape:* (n_tokens,).
    """
    if log_probs is None:
        return np.zeros(len(tokens))
    _, n_rows, n_codes = log_probs.shape
    if log_probs.shape[:2] not in (shape, (shape[0], 1)) or tokens.max(initial=END) >= n_codes:
        raise ValueError(f"log-probabilities {log_probs.shape} for {shape} beams and token {tokens.max(initial=END)}")
    rows = np.arange(shape[0])[:, None] * n_rows + np.minimum(np.arange(shape[1]), n_rows - 1)
    starts = rows.ravel() * n_codes
    gained = log_probs.ravel().take((starts if fanout is None else np.repeat(starts, fanout)) + tokens)
    gained[tokens == END] = 0
    return gained


def _best(scores: ScoreArray, count: IntArray, n_best: int) -> tuple[ScoreArray, IntArray]:
    """Keeps each query's best scores, in the order in which they come; of equal ones the first.

    Args:
        scores: *Shape:* (n_scores,), float64, grouped by query.
        count: *Shape:* (n_queries,), int64, the size of each group.
        n_best: How many to keep.

    Returns:
        *Shapes:* (n_queries, n_kept), float64, filled up with -inf, and int64, where each stands in ``scores``, or 0.
    """
    width = int(count.max(initial=0))
    if (count == width).all():
        table = scores.reshape(len(count), width)
    else:
        table = np.full((len(count), width), -np.inf)
        table[np.arange(width) < count[:, None]] = scores
    columns = np.arange(width)[None]
    if width > n_best:
        picked = _highest(table, n_best)
        table, columns = table.ravel()[picked], picked % width
    return table, np.where(table > -np.inf, columns + (np.cumsum(count) - count)[:, None], 0)


def _highest(table: ScoreArray, n_best: int) -> IntArray:
    """Where each row's highest scores stand in the flat table. *Shapes:* (n_rows, n_columns) to (n_rows, n_best)."""
    at = table.shape[1] - n_best
    threshold = np.partition(table, at, axis=1)[:, at, None]
    kept = table >= threshold
    if np.count_nonzero(kept) > n_best * len(table):
        tied = table == threshold
        room = n_best - np.count_nonzero(kept & ~tied, axis=1, keepdims=True)
        kept &= ~tied | (np.cumsum(tied, axis=1) <= room)
    return np.flatnonzero(kept).reshape(len(table), n_best)
