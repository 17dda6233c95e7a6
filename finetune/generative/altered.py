"""Documents without the words of the questions that were lifted out of them, for docid training.

A question lifted out of a document finds it by its own words. Dense training and the gate take them out, and docid
training, whose documents are vectors, must do so as well: asked for the whole document the right one comes first
already, and what is learned is to match words.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from finetune.types import Question
from hybridret.types import Document, Encoder, FloatArray, IntArray, Progress

SHARE = 0.25
"""The most of docid training's time that goes into encoding documents anew."""
_BLOCK = 256
_NO_PLACES: Mapping[str, int] = MappingProxyType({})


class Alterations(NamedTuple):
    """By what the vectors of documents change when the words of questions about them are taken out.

    Attributes:
        places: By the id of a question, the row of the change.
        documents: *Shape:* (n_changes,), int64, the document that each is of.
        changes: *Shape:* (n_changes, dimension), float32.
    """

    places: Mapping[str, int]
    documents: IntArray
    changes: FloatArray


class Altered(NamedTuple):
    """Vectors of documents without the words of the questions about them.

    Attributes:
        places: By the id of a question, the row of its document's vector.
        vectors: *Shape:* (n_altered, dimension), float32.
    """

    places: Mapping[str, int]
    vectors: FloatArray

    def alterations(
        self, questions: Sequence[Question], documents: Sequence[Document], vectors: FloatArray
    ) -> Alterations:
        """By what documents' vectors change.

        Args:
            questions: The questions.
            documents: The corpus.
            vectors: *Shape:* (n_documents, dimension), float32, of the whole documents.
        """
        rows = {document.doc_id: row for row, document in enumerate(documents)}
        pairs = {
            question.query_id: (self.places[question.query_id], rows[question.positives[0]])
            for question in questions
            if question.query_id in self.places and question.positives[0] in rows
        }
        own, whole = np.array(list(pairs.values()), dtype=np.int64).reshape(-1, 2).T
        changes = self.vectors[own] - vectors[whole] if len(own) else np.zeros((0, vectors.shape[1]), dtype=np.float32)
        return Alterations({name: at for at, name in enumerate(pairs)}, whole, changes)

    def save(self, path: Path) -> None:
        """Writes them as ``.npz``."""
        np.savez(path, ids=np.array(list(self.places), dtype=np.str_), vectors=self.vectors)

    @classmethod
    def load(cls, path: Path) -> Altered:
        """Reads what ``save`` wrote."""
        with np.load(path) as stored:
            return cls({str(name): at for at, name in enumerate(stored["ids"])}, stored["vectors"])


NOT_ALTERED = Altered(_NO_PLACES, np.zeros((0, 0), dtype=np.float32))
"""No document lacks anything."""


def alter_documents(
    questions: Sequence[Question],
    encoder: Encoder,
    folder: Path,
    seconds: float,
    progress: Progress | None = None,
) -> tuple[list[Question], Altered]:
    """Encodes the documents of lifted questions without their words, as many as there is time for.

    Args:
        questions: What docids are to be trained on, the most important ones first.
        encoder: Encodes documents.
        folder: Keeps the vectors, so that a run that goes on learns from the same questions.
        seconds: Time for it.
        progress: Told how far the work is.

    Returns:
        The questions that can be learned from, those without such a text and those whose text was encoded, and the
        vectors.
    """
    lifted = {each.query_id: each.positive_text for each in questions if each.positive_text is not None}
    path = folder / "altered.npz"
    if path.is_file():
        altered = Altered.load(path)
    else:
        start, parts, names = time.monotonic(), list[FloatArray](), list(lifted)
        for at in range(0, len(names), _BLOCK):
            if parts and (time.monotonic() - start) * (len(parts) + 1) / len(parts) > seconds:
                break
            parts.append(encoder.encode_documents([lifted[name] for name in names[at : at + _BLOCK]]))
            if progress is not None:
                progress("documents without what they are asked", min(at + _BLOCK, len(names)), len(names))
        vectors = np.concatenate(parts) if parts else np.zeros((0, 0), dtype=np.float32)
        altered = Altered({name: at for at, name in enumerate(names[: len(vectors)])}, vectors)
        folder.mkdir(parents=True, exist_ok=True)
        altered.save(path)
    return [each for each in questions if each.positive_text is None or each.query_id in altered.places], altered
