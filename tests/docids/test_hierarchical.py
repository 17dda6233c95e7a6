"""Paths down a tree of clusters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hybridret.docids import FILL, HierarchicalKMeans
from hybridret.types import FloatArray, IntArray

Vectors = Callable[[int, int], FloatArray]


def walked(tree: HierarchicalKMeans, vector: FloatArray) -> list[int]:
    """The path of one vector, by distances in float64."""
    node, path = 0, list[int]()
    while tree.n_children[node]:
        first = tree.first_child[node]
        children = tree.centroids[first : first + tree.n_children[node]].astype(np.float64)
        path.append(int(np.argmin(((children - vector) ** 2).sum(axis=1))))
        node = first + path[-1]
    return path


def paths(codes: IntArray) -> list[list[int]]:
    return [[code for code in row if code != FILL] for row in codes.tolist()]


def test_documents_go_to_the_nearest_child_of_each_node(unit_vectors: Vectors) -> None:
    tree = HierarchicalKMeans.fit(unit_vectors(300, 0), seed=1, n_codes=5)
    for vectors in (unit_vectors(300, 0), unit_vectors(50, 2)):
        assert paths(tree.encode(vectors)) == [walked(tree, vector) for vector in vectors]


def test_different_documents_have_different_paths_none_of_which_begins_another(unit_vectors: Vectors) -> None:
    found = paths(HierarchicalKMeans.fit(unit_vectors(300, 3), seed=1, n_codes=4).encode(unit_vectors(300, 3)))
    assert len({tuple(path) for path in found}) == 300
    begun = {tuple(path[:length]) for path in found for length in range(len(path))}
    assert not begun & {tuple(path) for path in found}


def test_codes_stay_within_their_level(unit_vectors: Vectors) -> None:
    tree = HierarchicalKMeans.fit(unit_vectors(200, 4), seed=0, n_codes=3)
    codes = tree.encode(unit_vectors(400, 5))
    assert codes.shape[1] == len(tree.level_sizes)
    assert (codes.max(axis=0) < tree.level_sizes).all()
    assert all(2 <= size <= 3 for size in tree.level_sizes)


def test_levels_are_limited_and_what_is_left_collides(unit_vectors: Vectors) -> None:
    tree = HierarchicalKMeans.fit(unit_vectors(100, 6), seed=0, n_codes=3, n_levels=2)
    codes = tree.encode(unit_vectors(100, 6))
    assert codes.shape == (100, 2)
    assert len(np.unique(codes, axis=0)) <= 9


def test_fit_is_reproducible_for_a_seed(unit_vectors: Vectors) -> None:
    first, again, other = (
        HierarchicalKMeans.fit(unit_vectors(200, 7), seed=seed).encode(unit_vectors(200, 7)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


@pytest.mark.parametrize("n", [1, 2, 9])
def test_fewer_documents_than_codes_are_one_level(unit_vectors: Vectors, n: int) -> None:
    tree = HierarchicalKMeans.fit(unit_vectors(n, 8), seed=0, n_codes=10)
    assert tree.level_sizes == (n,)
    assert sorted(tree.encode(unit_vectors(n, 8))[:, 0].tolist()) == list(range(n))


def test_identical_documents_share_one_path(unit_vectors: Vectors) -> None:
    vectors = np.repeat(unit_vectors(1, 9), 40, axis=0)
    tree = HierarchicalKMeans.fit(vectors, seed=0)
    assert tree.level_sizes == (1,)
    assert tree.encode(vectors).tolist() == [[0]] * 40
