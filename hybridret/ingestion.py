"""Documents on their way into an index: their vectors, and what whoever adds them should be told."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hybridret.data.clean import has_text
from hybridret.types import Document, Encoder, FloatArray, IntArray, Progress

_log = logging.getLogger(__name__)
_ANY_TEXT = "text"


class Ingested(NamedTuple):
    """What an index needs of documents beside themselves.

    Attributes:
        vectors: *Shape:* (n_documents, dimension), float32, unit length; zeros where there is no text.
        cut: *Shape:* (n_documents,), int64, tokens of each that the encoder's window cuts off.
    """

    vectors: FloatArray
    cut: IntArray


def ingest(documents: Sequence[Document], encoder: Encoder, progress: Progress | None = None) -> Ingested:
    """Encodes documents that have a text; of the others no encoder is asked.

    Args:
        documents: At least one.
        encoder: The index's encoder.
        progress: Told how far the work is.
    """
    texts = [document.text for document in documents]
    rows = [row for row, text in enumerate(texts) if has_text(text)]
    vectors = encoder.encode_documents([texts[row] for row in rows] or [_ANY_TEXT], progress)
    if len(rows) < len(texts):
        encoded, vectors = vectors, np.zeros((len(texts), vectors.shape[1]), dtype=np.float32)
        vectors[rows] = encoded[: len(rows)]
    return Ingested(vectors, encoder.count_cut_tokens(texts))


def warn_of_blank(documents: Sequence[Document]) -> None:
    """Names documents without a text, which are taken in all the same."""
    blank = [document.doc_id for document in documents if not has_text(document.text)]
    if blank:
        _log.warning(
            "%d of %d documents have no text, such as %r: they are kept, and no search finds them",
            len(blank),
            len(documents),
            blank[0],
        )


def warn_of_cut(documents: Sequence[Document], cut: IntArray, window: int | None) -> bool:
    """Says how many documents are longer than the encoder's window, and what helps.

    Args:
        documents: The documents.
        cut: *Shape:* (n_documents,), int64, tokens of each that the window cuts off.
        window: The window in tokens.

    Returns:
        Whether there was something to say.
    """
    rows = np.flatnonzero(cut)
    if not len(rows):
        return False
    are_chunks = all(documents[row].parent is not None for row in rows.tolist())
    _log.warning(
        "%d of %d documents are longer than the model's window of %s tokens, such as %r: dense and docid do not see "
        "the %d tokens beyond it, bm25 does; %s",
        len(rows),
        len(documents),
        window,
        documents[int(rows[0])].doc_id,
        int(cut.sum()),
        "split them into smaller parts" if are_chunks else "chunk=True (--chunk on the command line) splits documents",
    )
    return True
