"""The stage of a recipe that whitens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from finetune.gate import HybridExam, measure
from finetune.gate.decide import Values
from finetune.gate.exam import encoded, measure_vectors
from finetune.gate.general import everyday_questions
from finetune.whitening.decide import decide_whitening
from finetune.whitening.layer import through, whitening_matrices
from hybridret.types import FloatArray

if TYPE_CHECKING:
    from finetune.stages import Run


def choose_whitening(run: Run, strengths: Sequence[float]) -> tuple[dict[str, Any], FloatArray | None]:
    """Compares strengths on the held-out questions.

    Args:
        run: The fine-tuning run, up to its gate.
        strengths: What is tried.

    Returns:
        The decision, as JSON can hold it, and the matrix of the strength that is shipped; None if none is.
    """
    exam, general = run.exam, run.general
    hybrid = HybridExam(exam, run.language, run.remembering_base)
    old_general = None if general is None else measure(run.remembering_base, general)
    chance = run.passed.encode_queries(everyday_questions())
    known = (*encoded(run.passed, exam, run.progress), chance)
    known_general = None if general is None else encoded(run.passed, general)
    vectors = run.passed.encode_documents([document.text for document in run.texts], run.progress)
    matrices = whitening_matrices(vectors, strengths)

    def ask(strength: float) -> tuple[Values, Values | None]:
        def turned(vectors: tuple[FloatArray, ...]) -> list[FloatArray]:
            return [through(matrices[strength], each) for each in vectors]

        told = None if general is None or known_general is None else measure_vectors(general, *turned(known_general))
        return hybrid.measure_vectors(*turned(known)), told

    decision = decide_whitening(hybrid.measure_vectors(*known), old_general, strengths, ask, run.recipe.gate)
    return decision.to_json(), matrices.get(decision.strength)
