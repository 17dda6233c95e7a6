"""Synthetic collections: documents, questions and judgements of kinds that test collections seldom hold.

All are written for this project and made by seeded draws, so that two runs give the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from benchmarks.collection import Collection
from benchmarks.synthetic.code import code_lines
from benchmarks.synthetic.copies import copy_documents, with_copies
from benchmarks.synthetic.faq import faq
from benchmarks.synthetic.languages import two_languages
from benchmarks.synthetic.manual import lookups, manual
from benchmarks.synthetic.records import inventory, log_lines
from benchmarks.synthetic.short import claims, commands, posts, turns
from benchmarks.synthetic.words import descriptions, one_word

__all__ = ["LOOKUPS", "SYNTHETIC", "copy_documents", "synthetic_collections", "with_copies"]

_TINY = {1: 30, 2: 30, 5: 20, 20: 6, 100: 2}
"""Corpora by number of documents: few questions fit on few documents, so there are many such corpora."""
_QUESTIONS_A_DOCUMENT = 3
_LOOKUPS = {20: 3, 30: 3, 60: 3, 200: 2, 600: 1, 2_000: 1}
"""Orders of the documents by number of pages."""
_STRAYS = (0, 1, 4)


def _tiny(n_documents: int) -> list[Collection]:
    """Corpora of so many documents, in turn claims of a sentence and pages of a manual."""
    n_queries = _QUESTIONS_A_DOCUMENT * n_documents
    return [
        claims(n_documents, n_queries, seed, f"claims-{n_documents}-{seed}")
        if seed % 2 == 0
        else manual(n_documents, n_queries, seed, f"manual-pages-{n_documents}-{seed}")
        for seed in range(_TINY[n_documents])
    ]


def _lookups(n_pages: int) -> list[Collection]:
    """One corpus in several orders, with and without stray files beside it."""
    return [lookups(n_pages, n_strays, seed) for n_strays in _STRAYS for seed in range(_LOOKUPS[n_pages])]


def _alone(make: Callable[[], Collection]) -> list[Collection]:
    return [make()]


def _copied(make: Callable[[], Collection], times: int) -> list[Collection]:
    return [with_copies(make(), times)]


_SINGLE: Mapping[str, Callable[[], Collection]] = {
    "one-word": one_word,
    "descriptions": descriptions,
    "faq": faq,
    "posts": posts,
    "turns": turns,
    "commands": commands,
    "claims": claims,
    "code-lines": code_lines,
    "inventory": inventory,
    "log-lines": log_lines,
    "two-languages": two_languages,
    "manual-pages": manual,
}
_TWICE, _FOUR_TIMES = ("claims", "commands", "manual-pages"), ("claims", "manual-pages")
LOOKUPS = tuple(f"lookups-{n_pages}" for n_pages in _LOOKUPS)
"""Names of those whose questions are exact terms that stand in one document: that document must come first."""
SYNTHETIC: Mapping[str, Callable[[], Sequence[Collection]]] = {
    **{name: partial(_alone, make) for name, make in _SINGLE.items()},
    **{f"{name}-x2": partial(_copied, _SINGLE[name], 2) for name in _TWICE},
    **{f"{name}-x4": partial(_copied, _SINGLE[name], 4) for name in _FOUR_TIMES},
    **{f"documents-{n_documents}": partial(_tiny, n_documents) for n_documents in _TINY},
    **{f"lookups-{n_pages}": partial(_lookups, n_pages) for n_pages in _LOOKUPS},
}
"""By name what makes it: one corpus, or several of a kind whose questions are measured together."""


def synthetic_collections(name: str) -> Sequence[Collection]:
    """The corpora that a name of ``SYNTHETIC`` stands for, with their questions and judgements."""
    return SYNTHETIC[name]()
