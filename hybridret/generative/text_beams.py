"""Beam search by a backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hybridret.decoding import Guide, LogProbs, Trie, beam_search
from hybridret.generative.backbone import Backbone
from hybridret.types import IntArray, Run


def backbone_beams(
    backbone: Backbone[Any],
    state: Any,
    n_queries: int,
    tries: Sequence[Trie],
    n_beams: int,
    alive: Sequence[IntArray | None],
    ties: IntArray,
    guide: Guide | None,
) -> list[Run]:
    """Finds the docids that a backbone finds likeliest; suffixes, the tries' last tokens, score 0.

    Args:
        backbone: The model.
        state: What its ``encode`` gave of the queries.
        n_queries: How many they are.
        tries: The docids, with suffixes.
        n_beams: How many prefixes are kept per query.
        alive: Per trie what its ``alive_before`` gave.
        ties: *Shape:* (n_docids,), place among docids of equal score.
        guide: Docids whose beams are spared.

    Returns:
        At most ``n_beams`` docids a query, best first.
    """
    n_tokens = tries[0].depth - 1

    def step(level: int, tokens: IntArray, parents: IntArray) -> LogProbs | None:
        return backbone.step(state, level, tokens, parents) if level < n_tokens else None

    def ahead(level: int, tokens: IntArray, parents: IntArray, paths: IntArray) -> LogProbs:
        scored = backbone.ahead(state, level, tokens, parents, paths[: n_tokens - level])
        return np.concatenate([scored, np.zeros((len(paths) - len(scored), *tokens.shape), scored.dtype)])

    return beam_search(tries, step, n_queries, n_beams, alive, ties, guide, ahead)
