"""Hierarchical k-means: a docid is the path of clusters that leads to the document."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from hybridret.docids.rq import nearest
from hybridret.docids.scheme import FILL, check_dimension
from hybridret.types import Arrays, Document, FloatArray, IntArray, Progress

N_CODES, N_LEVELS = 10, 12
_ITERATIONS = 20


class HierarchicalKMeans:
    """A frozen tree of clusters; a docid says which child to go down to, level by level, until there is none.

    Tay et al., "Transformer Memory as a Differentiable Search Index", NeurIPS 2022, algorithm 1, but clusters are split
    until their documents are told apart, not down to a hundred documents that are numbered: a number says nothing of a
    document. No path begins another, so paths need no end token.

    Args:
        centroids: *Shape:* (n_nodes, dimension), float32; the root is the first, its centroid is not used.
        first_child: *Shape:* (n_nodes,), int64; children follow each other.
        n_children: *Shape:* (n_nodes,), int64; 0 for a leaf.
    """

    def __init__(self, centroids: FloatArray, first_child: IntArray, n_children: IntArray) -> None:
        self.centroids = centroids
        self.first_child = first_child
        self.n_children = n_children

    @classmethod
    def fit(
        cls,
        vectors: FloatArray,
        seed: int,
        n_codes: int = N_CODES,
        n_levels: int = N_LEVELS,
        progress: Progress | None = None,
    ) -> HierarchicalKMeans:
        """Splits clusters, those of a level after those of the one above.

        Args:
            vectors: *Shape:* (n_documents, dimension), float32; at least one.
            seed: Seed of the k-means starts.
            n_codes: Into how many clusters one is split; fewer where it has fewer different documents.
            n_levels: How often at most.
            progress: Told after each level.

        Returns:
            The tree.
        """
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        centroids, first_child, n_children = [np.zeros_like(vectors[:1])], [0], [0]
        level = [(0, np.arange(len(vectors)))]
        for depth in range(n_levels):
            below: list[tuple[int, IntArray]] = []
            for node, members in level:
                found = _clusters(vectors[members], n_codes, seed + node)
                if len(found) < 2:
                    continue
                first_child[node], n_children[node] = len(first_child), len(found)
                owner = nearest(vectors[members], found)
                below += [(len(first_child) + code, members[owner == code]) for code in range(len(found))]
                centroids.append(found)
                first_child += [0] * len(found)
                n_children += [0] * len(found)
            level = below
            if progress is not None:
                progress("docid clusters", depth + 1, n_levels)
        return cls(np.concatenate(centroids), np.array(first_child), np.array(n_children))

    @property
    def dimension(self) -> int:
        """Of the vectors that it was fitted to."""
        return int(self.centroids.shape[1])

    @cached_property
    def level_sizes(self) -> tuple[int, ...]:
        """The most children that a node of each level has."""
        sizes, level = [], slice(0, 1)
        while self.n_children[level].any():
            sizes.append(int(self.n_children[level].max()))
            level = slice(level.stop, level.stop + int(self.n_children[level].sum()))
        return tuple(sizes) or (1,)

    def encode(self, vectors: FloatArray, documents: Sequence[Document] = ()) -> IntArray:
        """Walks vectors down the tree, each time to the nearest child.

        Args:
            vectors: *Shape:* (n, dimension), float32.
            documents: Not looked at; see ``DocidScheme``.

        Returns:
            *Shape:* (n, n_levels), int64, filled up with ``FILL``.

        Raises:
            InputError: The vectors have another dimension than the centroids.
        """
        check_dimension(vectors, self.dimension)
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        codes = np.full((len(vectors), len(self.level_sizes)), FILL, dtype=np.int64)
        nodes = np.zeros(len(vectors), dtype=np.int64)
        for column in codes.T:
            order = np.argsort(nodes, kind="stable")
            present, starts = np.unique(nodes[order], return_index=True)
            for node, members in zip(present, np.split(order, starts)[1:], strict=True):
                first, n_children = self.first_child[node], self.n_children[node]
                if n_children:
                    column[members] = nearest(vectors[members], self.centroids[first : first + n_children])
                    nodes[members] = first + column[members]
        if not self.n_children[0]:
            codes[:] = 0
        return codes

    def arrays(self) -> Arrays:
        """What makes the tree again."""
        return {"centroids": self.centroids, "first_child": self.first_child, "n_children": self.n_children}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> HierarchicalKMeans:
        """The tree that gave the arrays.

        Raises:
            ValueError: They are no tree whose nodes follow each other level by level.
        """
        centroids, first_child, n_children = (arrays[name] for name in ("centroids", "first_child", "n_children"))
        if centroids.dtype != np.float32 or centroids.ndim != 2 or not np.isfinite(centroids).all():
            raise ValueError("the centroids are none")
        n_nodes = len(centroids)
        if any(each.dtype != np.int64 or each.shape != (n_nodes,) for each in (first_child, n_children)):
            raise ValueError("the nodes of the tree have not one first child and one number of children each")
        before = 1 + np.cumsum(n_children) - n_children
        in_range = not n_nodes or ((n_children >= 0) & (n_children <= n_nodes)).all()
        if not in_range or 1 + n_children.sum() != n_nodes:
            raise ValueError("the tree has another number of nodes than its nodes have children")
        has_children = n_children > 0
        places = np.arange(n_nodes)
        if (first_child[has_children] != before[has_children]).any() or (before <= places)[has_children].any():
            raise ValueError("the children of the tree do not follow each other")
        return cls(centroids, first_child, n_children)


def _clusters(vectors: FloatArray, n_codes: int, seed: int) -> FloatArray:
    """Centroids of at most ``n_codes`` clusters, none of them empty. *Shape:* (n_clusters, dimension), float32."""
    import faiss

    different: FloatArray = np.unique(vectors, axis=0)
    if len(different) <= n_codes:
        return different
    kmeans = faiss.Kmeans(vectors.shape[1], n_codes, niter=_ITERATIONS, seed=seed, min_points_per_centroid=1)
    kmeans.train(vectors)
    centroids: FloatArray = kmeans.centroids
    return centroids[np.unique(nearest(vectors, centroids))]
