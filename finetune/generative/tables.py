"""What code tables start from: the vectors whose sums come nearest to the documents'."""

from __future__ import annotations

import numpy as np
import torch

from hybridret.docids import ResidualQuantizer
from hybridret.types import FloatArray

_RIDGE, _FITTED_TO = 1.0, 100_000


def starting_tables(quantizer: ResidualQuantizer, vectors: FloatArray) -> FloatArray:
    """The codebooks, all levels fitted to the documents together, for the codes that these have.

    Residual quantisation fits a level to what those above left over, and none again. With the codes fixed the best
    tables are a least-squares problem (the codebook update of Babenko and Lempitsky, "Additive quantization for extreme
    vector compression", CVPR 2014): ``min_T sum_n |v_n - sum_l T_l[c_nl]|^2 + |T - C|^2``, whose last term holds what
    few documents share to the codebooks C, by which new documents are coded.

    Args:
        quantizer: The codebooks.
        vectors: *Shape:* (n_documents, dimension), float32; of more than 100,000 every n-th is looked at.

    Returns:
        *Shape:* (n_levels, n_codes, dimension), float32.
    """
    vectors = vectors[:: -(-len(vectors) // _FITTED_TO)]
    codes = quantizer.encode(vectors)
    n_levels, n_codes, dimension = quantizer.codebooks.shape
    together = np.empty((n_levels, n_codes, n_levels, n_codes))
    for one in range(n_levels):
        for other in range(n_levels):
            pairs = np.bincount(codes[:, one] * n_codes + codes[:, other], minlength=n_codes**2)
            together[one, :, other] = pairs.reshape(n_codes, n_codes)
    left = torch.from_numpy(quantizer.residuals(vectors, codes)).double()
    wanted = torch.zeros(n_levels, n_codes, dimension, dtype=torch.float64)
    for level, own in enumerate(torch.from_numpy(codes).T):
        wanted[level].index_add_(0, own, left)
    normal = torch.from_numpy(together).view(n_levels * n_codes, -1)
    normal.diagonal().add_(_RIDGE)
    moved = torch.cholesky_solve(wanted.view(n_levels * n_codes, -1), torch.linalg.cholesky(normal))
    tables: FloatArray = quantizer.codebooks + moved.view(quantizer.codebooks.shape).numpy().astype(np.float32)
    return tables
