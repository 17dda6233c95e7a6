"""Exact and near duplicates among documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from finetune.cleaning.normal import content_hash, exact_form, words_and_signs

_SHINGLE = 3
_HASHES = 64
_SLAB = 2048
_LEADERS = 8
_RECALL = 0.98
_ODD = np.uint64(0x9E3779B97F4A7C15)

Hashes: TypeAlias = NDArray[np.uint64]


def exact_duplicates(texts: Sequence[str]) -> dict[int, int]:
    """Finds texts that differ in nothing but white space and how Unicode composes their letters.

    Returns:
        The position of the first such text by the position of each later one.
    """
    first: dict[str, int] = {}
    copies = {}
    for position, text in enumerate(texts):
        kept = first.setdefault(content_hash(exact_form(text)), position)
        if kept != position:
            copies[position] = kept
    return copies


def near_duplicates(texts: Sequence[str], threshold: float, seed: int) -> dict[int, int]:
    """Finds texts whose sets of triples of words and signs are alike, in time that grows with their length.

    MinHash: Broder, "On the resemblance and containment of documents", 1997; banding: Leskovec, Rajaraman and Ullman,
    "Mining of Massive Datasets", section 3.4: with b bands of r hashes a pair of similarity s meets in some
    band with probability 1 - (1 - s^r)^b; r is the largest for which that is at least .98 at the threshold. Every
    pair that meets is then measured exactly.

    Args:
        texts: What to compare.
        threshold: Jaccard similarity from which the later text of two is a copy.
        seed: Seed of the hash functions.

    Returns:
        The position of an earlier text that is itself kept, by the position of each copy.
    """
    shingles = _shingles(texts)
    signatures = _signatures(shingles, seed)
    rows = _rows_per_band(threshold)
    alike: dict[int, set[int]] = {}
    for band in range(_HASHES // rows):
        for group in _groups(signatures[:, band * rows : (band + 1) * rows]):
            for early, late in _close_pairs(group, shingles, threshold):
                alike.setdefault(late, set()).add(early)
    copies: dict[int, int] = {}
    for late in sorted(alike):
        leaders = {copies.get(early, early) for early in alike[late]}
        kept = [leader for leader in sorted(leaders) if _jaccard(shingles[leader], shingles[late]) >= threshold]
        if kept:
            copies[late] = kept[0]
    return copies


def _rows_per_band(threshold: float) -> int:
    reached = [rows for rows in (1, 2, 4, 8, 16) if 1 - (1 - threshold**rows) ** (_HASHES // rows) >= _RECALL]
    return max(reached, default=1)


def _shingles(texts: Sequence[str]) -> list[Hashes]:
    """Sorted, distinct hashes of each text's triples of words and signs; of all of them where they are fewer."""
    vocabulary: dict[str, int] = {}
    found = []
    for text in texts:
        ids = (
            np.array([vocabulary.setdefault(word, len(vocabulary)) for word in words_and_signs(text)], dtype=np.uint64)
            + 1
        )
        mixed = np.zeros(max(len(ids) - _SHINGLE + 1, min(len(ids), 1)), dtype=np.uint64)
        for offset in range(min(_SHINGLE, len(ids))):
            mixed = _mix(mixed * _ODD + ids[offset : offset + len(mixed)])
        found.append(np.unique(mixed))
    return found


def _mix(values: Hashes) -> Hashes:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _signatures(shingles: Sequence[Hashes], seed: int) -> Hashes:
    """MinHash signatures. *Shape:* (n_texts, 64), uint64; a text without words gets a row of its own."""
    random = np.random.default_rng(seed)
    salts, factors = random.integers(0, 2**64, size=(2, _HASHES), dtype=np.uint64)
    signatures = random.integers(0, 2**64, size=(len(shingles), _HASHES), dtype=np.uint64)
    filled = [position for position, hashes in enumerate(shingles) if len(hashes)]
    for start in range(0, len(filled), _SLAB):
        rows = filled[start : start + _SLAB]
        starts = np.cumsum([0, *(len(shingles[row]) for row in rows[:-1])])
        joined = np.concatenate([shingles[row] for row in rows])
        for column, (salt, factor) in enumerate(zip(salts, factors | np.uint64(1), strict=True)):
            signatures[rows, column] = np.minimum.reduceat((joined ^ salt) * factor, starts)
    return signatures


def _groups(keys: Hashes) -> Iterator[NDArray[Any]]:
    """Positions of equal rows, ascending, where there are at least two. *Shape of keys:* (n_texts, rows)."""
    mixed = np.zeros(len(keys), dtype=np.uint64)
    for column in keys.T:
        mixed = _mix(mixed * _ODD + column)
    order = np.argsort(mixed, kind="stable")
    edges = np.flatnonzero(np.diff(mixed[order])) + 1
    return (group for group in np.split(order, edges) if len(group) > 1)


def _close_pairs(group: NDArray[Any], shingles: Sequence[Hashes], threshold: float) -> Iterator[tuple[int, int]]:
    """Pairs of a group that are alike; each member meets the few first that are not alike themselves."""
    leaders: list[int] = []
    for member in group.tolist():
        for leader in leaders:
            if _jaccard(shingles[leader], shingles[member]) >= threshold:
                yield leader, member
                break
        else:
            if len(leaders) < _LEADERS:
                leaders.append(member)


def _jaccard(first: Hashes, second: Hashes) -> float:
    shared = len(np.intersect1d(first, second, assume_unique=True))
    total = len(first) + len(second) - shared
    return shared / total if total else 0.0
