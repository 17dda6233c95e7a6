"""A cross-encoder as teacher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hybridret.errors import ModelError

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder


class CrossEncoderTeacher:
    """Labels passages by a cross-encoder's raw score, before any sigmoid; answers play no part.

    Args:
        model: A sentence-transformers cross-encoder of one output.
        name: What caches call it.
        batch_size: Pairs scored at once.

    Raises:
        ModelError: The model has more outputs than one.
    """

    def __init__(self, model: CrossEncoder, name: str, batch_size: int = 16) -> None:
        if model.num_labels != 1:
            raise ModelError(f"the cross-encoder {name!r} gives {model.num_labels} scores for a pair; one is wanted")
        self._model, self._batch_size = model, batch_size
        self.name = f"cross-encoder:{name}:{model.dtype}"

    def score(
        self, questions: Sequence[str], passages: Sequence[Sequence[str]], answers: Sequence[str | None]
    ) -> list[list[float]]:
        """Scores each question's passages."""
        import torch

        pairs = [(question, text) for question, own in zip(questions, passages, strict=True) for text in own]
        if not pairs:
            return [[] for _ in questions]
        scores = self._model.predict(
            pairs, batch_size=self._batch_size, show_progress_bar=False, activation_fn=torch.nn.Identity()
        )
        found = iter(scores.tolist())
        return [[float(next(found)) for _ in own] for own in passages]


def load_cross_encoder(name: str) -> CrossEncoder:
    """Loads a cross-encoder, from safetensors and without running code that comes with it.

    Raises:
        ModelError: It cannot be loaded.
    """
    import torch
    from sentence_transformers import CrossEncoder

    settings = {"use_safetensors": True, "dtype": torch.float32}
    try:
        model: CrossEncoder = CrossEncoder(name, model_kwargs=settings, trust_remote_code=False)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelError(f"the cross-encoder {name!r} cannot be loaded: {reason}") from error
    return model
