"""Codebooks that are due to be fitted anew: fitted before a writer takes its lock, used if they are due still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hybridret.generation import Generation
from hybridret.generative import DocidRetriever, IndexedDocids
from hybridret.types import Document, FloatArray, IntArray, Progress


@dataclass(frozen=True)
class Refitted:
    """Docids by new codebooks or further levels, for the rows of a generation and for documents to come.

    Attributes:
        generation: What they were fitted to, together with the documents to come.
        docid: Its rows' docids, and then those of the documents.
    """

    generation: Generation
    docid: IndexedDocids

    def over(self, current: Generation, vectors: FloatArray) -> IndexedDocids | None:
        """The docids of what is committed by now and of the documents; None where others have fitted meanwhile.

        Args:
            current: The newest generation of the same index; others may have added, deleted and compacted meanwhile.
            vectors: *Shape:* (n_documents, dimension), float32, of the documents to come.
        """
        fitted = self.generation
        if (current.fitted_on, current.fitted_at) != (fitted.fitted_on, fitted.fitted_at):
            return None
        if current.epoch == fitted.epoch and current.next_key == fitted.next_key:
            return self.docid
        if not isinstance(self.docid, DocidRetriever):
            return None
        rows = fitted.rows_of(current.keys.tolist())
        return self.docid.picked(rows).appended(np.concatenate([current.dense.vectors[len(rows) :], vectors]))


def refit(
    generation: Generation,
    removed: IntArray,
    documents: Sequence[Document],
    vectors: FloatArray,
    progress: Progress | None = None,
) -> Refitted | None:
    """Fits codebooks anew, or further levels, where the documents make that due; None where not.

    Args:
        generation: What is committed.
        removed: *Shape:* (n_removed,), int64, rows that make place for the documents.
        documents: What comes.
        vectors: *Shape:* (n_documents, dimension), float32.
        progress: Told how far the work is.
    """
    docid = generation.without(removed).refitted(documents, vectors, progress)
    return None if docid is None else Refitted(generation, docid)
