"""What of a bundle goes on learning, whichever model decodes its docids."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from finetune.continual.decide import Models
from finetune.continual.rows import Material
from finetune.generative.altered import Alterations
from finetune.recipe import Recipe
from hybridret.changes import Changes
from hybridret.dense import TransformerEncoder
from hybridret.generation import Generation
from hybridret.types import FloatArray, IntArray, Progress


class Learner(ABC):
    """The models of a bundle that learn from new documents; its document encoder, vectors and docids stay.

    Args:
        changes: The bundle.
        generation: Its state with the new documents.
        encoder: The bundle's encoder.
        rows: *Shape:* (n_texts,), int64, the rows of the index that training sees.
        recipe: All settings.
        progress: Told how far the work is.
    """

    matches_vectors = False
    """Whether questions are compared with documents' vectors, so that lifted ones find them by their own words."""

    def __init__(
        self,
        changes: Changes,
        generation: Generation,
        encoder: TransformerEncoder,
        rows: IntArray,
        recipe: Recipe,
        progress: Progress | None = None,
    ) -> None:
        self.changes, self.generation, self.encoder, self.rows = changes, generation, encoder, rows
        self.recipe, self.progress = recipe, progress

    @property
    def vectors(self) -> FloatArray:
        """The vectors of the rows, as the index has them. *Shape:* (n_texts, dimension), float32."""
        vectors: FloatArray = self.generation.dense.vectors[self.rows]
        return vectors

    @property
    @abstractmethod
    def inputs(self) -> dict[str, Any]:
        """The files of the models that learn, by digest."""

    @abstractmethod
    def train(
        self, material: Material, folder: Path, seconds: float, alterations: Alterations | None = None
    ) -> dict[str, Any]:
        """Trains, going on from the last checkpoint in the folder where there is one.

        Args:
            material: What to learn from, documents being positions in ``rows``.
            folder: Gets the new models and, under ``training``, checkpoints.
            seconds: Time for training, unless the configuration fixes the steps.
            alterations: By what documents' vectors change without the words of questions about them, where these are
                compared.

        Returns:
            Steps, seconds, losses, and how many ``texts`` of each kind there were.

        Raises:
            InputError: There is no question about a new document, or adapters fit no part of the model.
            TrainingError: The loss is not finite, or there is no time for a step.
        """

    @abstractmethod
    def models(self, ratio: float, folder: Path) -> Models:
        """The old models with a share of the new weights, which lie in the folder."""
