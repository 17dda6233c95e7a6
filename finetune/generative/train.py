"""Training docids: from questions, sentences and fixed document vectors to a query encoder and code tables."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from finetune.generative.altered import NOT_ALTERED, Altered
from finetune.generative.asking import difficulties, memorised, own_mistakes
from finetune.generative.config import DocidConfig
from finetune.generative.rows import Row, question_rows, sentence_rows
from finetune.generative.running import TrainingRuns, learn
from finetune.labelling import Labels
from finetune.types import Question
from hybridret.errors import InputError
from hybridret.types import Document, FloatArray, IntArray, Progress

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from finetune.generative.model import DocidModel
    from finetune.generative.planned_trainer import Mistakes
    from finetune.generative.trainer import DocidTrainer
    from hybridret.docids import ResidualQuantizer
    from hybridret.generative import CodeDecoder

_TABLE_RATE, _LEAST_TABLE_RATE, _WELL_ASKED = 3e-4, 1e-5, 20


class TrainedDocids(NamedTuple):
    """What docid training left, beside the query encoder that it changed in place.

    Attributes:
        start: The code tables that it started from.
        decoder: The trained code tables.
        facts: Steps, seconds, losses, mistakes found, ``memorised``: the share of sentences whose document's docid is
            the likeliest of all, before and after, and ``curve``: step and running rates by questions and sentences.
    """

    start: CodeDecoder
    decoder: CodeDecoder
    facts: dict[str, Any]


def train_docids(
    encoder: SentenceTransformer,
    quantizer: ResidualQuantizer,
    documents: Sequence[Document],
    vectors: FloatArray,
    questions: Sequence[Question],
    config: DocidConfig,
    folder: Path,
    prompt: str = "",
    seconds: float = 0.0,
    seed: int = 0,
    progress: Progress | None = None,
    labels: Labels | None = None,
    altered: Altered = NOT_ALTERED,
) -> TrainedDocids:
    """Trains in place, going on from the last checkpoint in the folder where there is one.

    Args:
        encoder: The encoder of queries; changed in place.
        quantizer: The codebooks, which stay as they are.
        documents: The corpus.
        vectors: *Shape:* (n_documents, dimension), float32, the documents' vectors, which stay as they are.
        questions: What to train on.
        config: Settings.
        folder: Where checkpoints and the plan go.
        prompt: Text before queries.
        seconds: Time for training, unless the configuration fixes the steps.
        seed: Seed of everything random.
        progress: Told how far the work is.
        labels: Soft labels by question and document.
        altered: Vectors of documents without the words of the questions about them; see ``alter_documents``.

    Raises:
        InputError: There is no question whose document is in the corpus, or a vector does not fit the codebooks.
        TrainingError: The loss is not finite, or there is no time for a step.
    """
    from transformers import set_seed

    from finetune.generative.model import DocidModel
    from finetune.generative.tables import starting_tables
    from hybridret.generative import CodeDecoder

    if vectors.shape != (len(documents), quantizer.codebooks.shape[2]):
        raise InputError(f"the vectors {vectors.shape} are not those that the codebooks were fitted to")
    folder.mkdir(parents=True, exist_ok=True)
    set_seed(seed)
    alterations = altered.alterations(questions, documents, vectors)
    asked = question_rows(questions, documents, labels, alterations.places)
    told = sentence_rows(documents, config.told)
    rows = [*asked, *told]
    if not asked:
        raise InputError("docid training has no question whose document is in the corpus")
    config = replace(config, table_learning_rate=config.table_learning_rate or table_rate(len(asked), len(documents)))
    start = CodeDecoder(starting_tables(quantizer, vectors))
    model = DocidModel(encoder, start, quantizer.encode(vectors), alterations).to(encoder.device)
    before = memorised(model, told, prompt, seed)
    make = Trainers(model, config, rows, vectors, prompt, len(asked), seed, progress)
    hard = difficulties(model, asked, prompt) if config.order == "easy" else None
    facts = learn(make, asked, told, len(documents), folder, seconds, hard)
    encoder.eval()
    facts["memorised"] = {"before": before, "after": memorised(model, told, prompt, seed)}
    return TrainedDocids(start, model.decoder(), facts)


def table_rate(n_questions: int, n_documents: int) -> float:
    """The learning rate of the code tables where none is given, see ``DocidConfig.table_learning_rate``."""
    return max(_LEAST_TABLE_RATE, _TABLE_RATE * min(1.0, n_questions / (_WELL_ASKED * n_documents)))


class Trainers(TrainingRuns):
    """Makes and runs trainers of one ``DocidModel``; see ``train_docids`` and ``DocidTrainer`` for the arguments."""

    def __init__(
        self,
        model: DocidModel,
        config: DocidConfig,
        rows: Sequence[Row],
        vectors: FloatArray,
        prompt: str,
        n_favoured: int,
        seed: int,
        progress: Progress | None,
    ) -> None:
        super().__init__(config, rows, seed, progress)
        self.model, self.vectors, self.prompt, self.n_favoured = model, vectors, prompt, n_favoured

    @property
    def module(self) -> DocidModel:
        """The model."""
        return self.model

    def trainer(
        self, module: Any, plan: IntArray, folder: Path, save: bool, mistakes: Mistakes | None = None
    ) -> DocidTrainer:
        """A trainer that takes the steps of a plan."""
        from finetune.generative.trainer import DocidTrainer

        args = self.arguments(plan, folder, save)
        return DocidTrainer(
            module, args, self.config, self.rows, plan, self.vectors, self.prompt, self.n_favoured, mistakes
        )

    @contextmanager
    def spare(self) -> Iterator[DocidModel]:
        """A copy."""
        yield copy.deepcopy(self.model)

    def own_mistakes(self, asked: Sequence[Row]) -> Mistakes:
        """Questions that it answers wrongly."""
        return own_mistakes(self.model, asked, self.prompt, self.config, self.seed)
