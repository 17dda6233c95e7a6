"""The linear layer that makes documents differ alike in all directions."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hybridret.dense.encoder import unit_length
from hybridret.types import FloatArray

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


_SAMPLE = 50_000


def whitening_matrices(vectors: FloatArray, strengths: Sequence[float]) -> dict[float, FloatArray]:
    """By strength C^(-strength / 2), C being the covariance of documents' vectors, scaled to a mean eigenvalue of 1.

    Su et al., "Whitening Sentence Representations for Better Semantics and Faster Retrieval", 2021, section 3, at
    strength 1, but that no mean is subtracted. C is estimated with Ledoit and Wolf's shrinkage ("A well-conditioned
    estimator for large-dimensional covariance matrices", 2004), so that it can be inverted for few documents too; of
    very many every n-th counts.

    Args:
        vectors: *Shape:* (n_documents, dimension), float32.
        strengths: From 0, the identity, to 1.

    Returns:
        *Shape:* (dimension, dimension), float32, symmetric. The identity where all documents are alike.
    """
    from sklearn.covariance import ledoit_wolf

    dimension = vectors.shape[1]
    sample = vectors[:: max(1, len(vectors) // _SAMPLE)]
    covariance, _ = ledoit_wolf(sample.astype(np.float64))
    values, directions = np.linalg.eigh(covariance)
    if not values[0] > np.finfo(np.float32).eps * max(values[-1], np.finfo(np.float32).tiny):
        return {strength: np.eye(dimension, dtype=np.float32) for strength in strengths}
    scales = {strength: values ** (-strength / 2) for strength in strengths}
    return {
        strength: np.asarray((directions * (each / each.mean())) @ directions.T, dtype=np.float32)
        for strength, each in scales.items()
    }


def whitening_matrix(vectors: FloatArray, strength: float) -> FloatArray:
    """The matrix of one strength; see ``whitening_matrices``."""
    return whitening_matrices(vectors, [strength])[strength]


def through(matrix: FloatArray, vectors: FloatArray) -> FloatArray:
    """Vectors after the layer. *Shape:* (n_vectors, dimension), float32, unit length."""
    return unit_length(vectors @ matrix)


def whitened(model: SentenceTransformer, matrix: FloatArray) -> SentenceTransformer:
    """A copy of a model with the layer behind its pooling, before a last normalisation if it has one.

    Args:
        model: The model.
        matrix: *Shape:* (dimension, dimension), symmetric.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense
    from sentence_transformers.sentence_transformer.modules import Normalize

    modules = list(copy.deepcopy(model))
    layer = Dense(len(matrix), len(matrix), bias=False, activation_function=torch.nn.Identity())
    with torch.no_grad():
        layer.linear.weight.copy_(torch.from_numpy(matrix))
    modules.insert(len(modules) - isinstance(modules[-1], Normalize), layer)
    return SentenceTransformer(modules=modules, device=str(model.device), prompts=dict(model.prompts))  # type: ignore[arg-type]
