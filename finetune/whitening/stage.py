"""The stage of a recipe that whitens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from finetune.gate import general_exam, measure
from finetune.splitting import held_out_exam
from finetune.whitening.decide import decide_whitening
from finetune.whitening.layer import through, whitening_matrix
from hybridret.types import Encoder, FloatArray, Progress

if TYPE_CHECKING:
    from finetune.stages import Run


class Whitened:
    """An encoder whose vectors are mapped by a matrix.

    Args:
        encoder: Gives the vectors.
        matrix: *Shape:* (dimension, dimension).
    """

    def __init__(self, encoder: Encoder, matrix: FloatArray) -> None:
        self._encoder, self._matrix = encoder, matrix

    def encode_queries(self, texts: Sequence[str]) -> FloatArray:
        """Encodes queries. *Shape:* (n_queries, dimension), float32, unit length."""
        return through(self._matrix, self._encoder.encode_queries(texts))

    def encode_documents(self, texts: Sequence[str], progress: Progress | None = None) -> FloatArray:
        """Encodes documents. *Shape:* (n_documents, dimension), float32, unit length."""
        return through(self._matrix, self._encoder.encode_documents(texts, progress))


def choose_whitening(run: Run, strengths: Sequence[float]) -> tuple[dict[str, Any], FloatArray | None]:
    """Compares strengths on the held-out questions.

    Args:
        run: The fine-tuning run, up to its gate.
        strengths: What is tried.

    Returns:
        The decision, as JSON can hold it, and the matrix of the strength that is shipped; None if none is.
    """
    exam = held_out_exam(run.texts, run.split.held_out)
    general = None if run.recipe.gate.general_drop is None else general_exam(run.documents)
    old = measure(run.passed, exam, run.progress)
    old_general = None if general is None else measure(run.remembering_base, general)
    vectors = run.passed.encode_documents([document.text for document in run.texts], run.progress)

    def ask(strength: float) -> Any:
        encoder: Any = Whitened(run.passed, whitening_matrix(vectors, strength))
        return measure(encoder, exam), None if general is None else measure(encoder, general)

    decision = decide_whitening(old, old_general, strengths, ask, run.recipe.gate)
    matrix = whitening_matrix(vectors, decision.strength) if decision.strength else None
    return decision.to_json(), matrix
