"""Beam search under a trie, for many queries at once."""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hybridret.decoding.trie import END, Trie
from hybridret.ranking import top_k
from hybridret.types import BoolArray, IntArray, Run, ScoreArray

LogProbs: TypeAlias = NDArray[np.float32] | NDArray[np.float64]


class Beams(NamedTuple):
    """The state of a search at one level.

    Attributes:
        nodes: *Shape:* (n_queries, n_beams), int64, nodes of the level; 0 where ``scores`` is -inf.
        scores: *Shape:* (n_queries, n_beams), float64, sum of log-probabilities; -inf where there is no beam.
        parents: *Shape:* (n_queries, n_beams), int64, which beam of the level above each one continues.
    """

    nodes: IntArray
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


def beam_search(
    trie: Trie, step: Step, n_queries: int, n_beams: int, allowed: BoolArray | None, ties: IntArray
) -> list[Run]:
    """Finds the docids with the highest log-probability.

    Only prefixes of docids with an allowed document are ever kept, so no illegal docid can come out, and a beam is
    never spent on a branch that a filter or a deletion has emptied. With at least as many beams as allowed leaves the
    result is exact.

    Args:
        trie: The docids.
        step: The model.
        n_queries: How many queries the model answers for.
        n_beams: How many prefixes are kept per query.
        allowed: *Shape:* (n_documents,), documents that may be found; None: all.
        ties: *Shape:* (n_documents,), int64, place among documents of equal score.

    Returns:
        Per query the documents found, at most ``n_beams``, with their docids' log-probabilities.
    """
    alive = trie.alive_before(allowed)
    n_found = min(n_beams, trie.n_leaves if alive is None else int(alive[-1]))
    if n_found == 0:
        return [Run(np.zeros(0, dtype=np.int64), np.zeros(0)) for _ in range(n_queries)]
    zeros = np.zeros((n_queries, 1), dtype=np.int64)
    beams = Beams(zeros, np.zeros((n_queries, 1)), zeros)
    for level in range(trie.depth):
        tokens = np.where(beams.scores > -np.inf, trie.levels[level].tokens[beams.nodes], END) if level else zeros + END
        beams = _advance(trie, level, beams, step(level, tokens, beams.parents), n_beams, alive)
    leaves = trie.rows[beams.nodes]
    return [top_k(scores, n_beams, ties, rows) for scores, rows in zip(beams.scores, leaves, strict=True)]


def _advance(
    trie: Trie, level: int, beams: Beams, log_probs: LogProbs | None, n_beams: int, alive: IntArray | None
) -> Beams:
    """Replaces each query's beams by the best of all their living children."""
    here, below = trie.levels[level], trie.levels[level + 1]
    query, beam = np.nonzero(beams.scores > -np.inf)
    node = beams.nodes[query, beam]
    first, fanout = here.children[node], here.children[node + 1] - here.children[node]
    offset = np.cumsum(fanout) - fanout
    owner = np.repeat(np.arange(len(node)), fanout)
    child = np.arange(len(owner)) - offset[owner] + first[owner]
    if alive is not None:
        kept = alive[below.starts[child + 1]] > alive[below.starts[child]]
        owner, child = owner[kept], child[kept]
    query, beam = query[owner], beam[owner]
    scores = beams.scores[query, beam]
    token = below.tokens[child]
    if log_probs is not None:
        shared = log_probs.shape[1] == 1
        gained = log_probs[query, 0 if shared else beam, np.maximum(token, 0)]
        scores = scores + np.where(token == END, 0.0, gained)
    is_last = level + 1 == trie.depth
    return _best(query, scores, child, beam, len(beams.scores), trie.n_leaves if is_last else n_beams)


def _best(query: IntArray, scores: ScoreArray, child: IntArray, beam: IntArray, n_queries: int, n_beams: int) -> Beams:
    """Keeps each query's ``n_beams`` best candidates; candidates come grouped by query."""
    count = np.bincount(query, minlength=n_queries)
    column = np.arange(len(query)) - np.repeat(np.cumsum(count) - count, count)
    width = int(count.max(initial=0))
    table = np.full((n_queries, width), -np.inf)
    table[query, column] = scores
    position = np.zeros((n_queries, width), dtype=np.int64)
    position[query, column] = np.arange(len(query))
    if width > n_beams:
        picked = np.argpartition(-table, n_beams - 1, axis=1)[:, :n_beams]
        picked.sort(axis=1)
        table = np.take_along_axis(table, picked, axis=1)
        position = np.take_along_axis(position, picked, axis=1)
    found = table > -np.inf
    return Beams(np.where(found, child[position], 0), table, np.where(found, beam[position], 0))
