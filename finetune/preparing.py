"""The stages before training: what each reads, what it leaves, and what it depends on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finetune import parallel
from finetune.dense.config import LARGE_BATCH, SMALL_BATCH, DenseConfig
from finetune.encoding import Loaded, RememberingEncoder, identity
from finetune.gate import Exam, general_exam
from finetune.recipe import Recipe
from finetune.splitting import Split, order, split
from finetune.types import LABELS, NO_SCORES, GivenPrompts, Question
from finetune.workfolder import (
    Stage,
    WorkFolder,
    fingerprint,
    read_documents,
    read_mapping,
    read_questions,
    write_documents,
    write_mapping,
    write_questions,
)
from hybridret.errors import InputError
from hybridret.models import load_model
from hybridret.prompts import Prompts, choose_prompts, origins_of, pooling_of
from hybridret.types import Document, FloatArray, Progress

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from finetune.negatives import Pool

DOCUMENTS, QUESTIONS, HELD_OUT = "documents.jsonl", "questions.jsonl", "held_out.jsonl"
MODEL, VECTORS, REPORT = "model", "vectors.npy", "report.json"
CHOOSING = 0.1
"""The most of the time for training that, beside it, goes into choosing how much of the new weights labels ship."""
_INDEX_ENCODINGS, _OTHER_SECONDS = 0.3, 20.0
"""What the index encodes of its documents, the gate having encoded those that training saw; and what else there is."""
_ROOM, _PAIR_COST, _ENOUGH_STEPS = 2, 6.0, 24


class Preparation:
    """A run up to its training data.

    Each stage is a method that returns the finished stage; later ones call earlier ones for what they read.

    Args:
        documents: The corpus as given.
        labelled: Labelled questions.
        recipe: All settings.
        work: Where artefacts lie.
        model: Folder or hub id of the base model.
        task: Task whose prompts to use.
        language: Of the bm25 stemmer.
        progress: Told how far the work is.
        prompts: Texts before queries and documents, where they were given.
        scores: Soft labels that were given, by query id and document id.
    """

    def __init__(
        self,
        documents: Sequence[Document],
        labelled: Sequence[Question],
        recipe: Recipe,
        work: WorkFolder,
        model: str,
        task: str | None = None,
        language: str = "english",
        progress: Progress | None = None,
        prompts: GivenPrompts = GivenPrompts(),  # noqa: B008
        scores: Mapping[str, Mapping[str, float]] = NO_SCORES,
    ) -> None:
        self.documents, self.labelled, self.recipe, self.work = documents, labelled, recipe, work
        self.model_name, self.task, self.language, self.progress = model, task, language, progress
        self.prompts, self.scores = prompts, scores

    @cached_property
    def base_model(self) -> SentenceTransformer:
        """The base model.

        Raises:
            ModelError: It cannot be loaded.
            InputError: It cannot be trained.
        """
        from sentence_transformers.base.losses.gradcache import has_static_embedding_input

        model = load_model(self.model_name)
        if has_static_embedding_input(model):
            raise InputError(
                f"the model {self.model_name} has static embeddings; contrastive training needs a transformer"
            )
        return model

    @cached_property
    def model_prompts(self) -> Prompts:
        """The texts before queries and documents, in training, in the gate, in the bundle and in the saved model."""
        own, given = self.base_model.prompts, self.prompts
        origins, pooling = origins_of(self.base_model), pooling_of(self.base_model)
        return choose_prompts(self.model_name, own, self.task, *given, origins, pooling)

    @cached_property
    def base(self) -> Loaded:
        """The base model and what encodes with it."""
        return self.loaded(self.base_model)

    @cached_property
    def clean(self) -> Stage:
        """Leaves the documents and labelled questions that training sees, and a report of what was dropped."""
        from finetune.cleaning import clean

        def make(folder: Path) -> dict[str, Any]:
            cleaned = clean(self.documents, self.labelled, self.recipe.clean)
            write_documents(folder / DOCUMENTS, cleaned.documents)
            write_questions(folder / QUESTIONS, cleaned.questions)
            write_mapping(folder / REPORT, cleaned.report.to_json())
            return {"summary": cleaned.report.to_text(), "counts": cleaned.report.counts(), "given": documents}

        documents = fingerprint([document._asdict() for document in self.documents])
        labelled = fingerprint([question._asdict() for question in self.labelled])
        inputs = {"config": asdict(self.recipe.clean), "documents": documents, "labelled": labelled}
        return self.work.run("clean", inputs, make)

    @cached_property
    def texts(self) -> list[Document]:
        """The documents that training sees."""
        return read_documents(self.clean.folder / DOCUMENTS)

    @cached_property
    def base_vectors(self) -> Stage:
        """Leaves the documents' vectors from the base model."""

        def make(folder: Path) -> dict[str, Any]:
            start = time.monotonic()
            vectors = self.base.encoder.encode_documents([document.text for document in self.texts], self.progress)
            np.save(folder / VECTORS, vectors)
            return {"encoding": time.monotonic() - start}

        inputs = {"documents": self.clean.files[DOCUMENTS], "model": identity(self.base)}
        return self.work.run("vectors", inputs, make)

    @cached_property
    def questions(self) -> Stage:
        """Leaves the questions to train on and those to compare the models on."""
        from finetune.made import made_questions

        def make(folder: Path) -> dict[str, Any]:
            labelled = read_questions(self.clean.folder / QUESTIONS)
            made = made_questions(
                self.texts,
                len(labelled),
                self.recipe.queries,
                self.remembering_base,
                self.recipe.seed,
                self.language,
                self.work.cache,
                self.progress,
            )
            train, held_out = split(labelled, made, self.recipe.gate, self.recipe.seed)
            train = sorted(train, key=lambda each: order(each, self.recipe.seed))
            given = [each for each in train if each.source == LABELS]
            rest = [each for each in train if each.source != LABELS]
            train = [*given, *rest[: max(0, self._usable() - len(given))]]
            if not train:
                raise InputError(
                    "there is no question to train on: none was given with a positive, and none could be made from the "
                    "documents"
                )
            write_questions(folder / QUESTIONS, train)
            write_questions(folder / HELD_OUT, held_out)
            sources: dict[str, int] = {}
            for question in train:
                sources[question.source] = sources.get(question.source, 0) + 1
            kind = "labelled" if held_out and held_out[0].source == LABELS else "made"
            return {"train": sources, "held_out": len(held_out), "kind": kind}

        inputs = {
            "config": asdict(self.recipe.queries),
            "gate": [self.recipe.gate.held_out, self.recipe.gate.at_most, self.recipe.gate.at_least],
            "seed": self.recipe.seed,
            "steps": [self.recipe.dense.max_steps, self.recipe.dense.batch_size, self.recipe.minutes],
            "clean": self.clean.files,
            "vectors": self.base_vectors.files,
            "language": self.language,
        }
        return self.work.run("queries", inputs, make, keep_started=True)

    @cached_property
    def split(self) -> Split:
        """The questions to train on and those to compare the models on."""
        folder = self.questions.folder
        return Split(read_questions(folder / QUESTIONS), read_questions(folder / HELD_OUT))

    @cached_property
    def pretrained(self) -> Stage | None:
        """Leaves the model after training on the bare corpus; None where none was asked for."""
        config = self.recipe.pretrain
        if config.objective is None:
            return None
        from finetune.pretraining import pretrain

        seconds = config.share * self.training_seconds

        def make(folder: Path) -> dict[str, Any]:
            model = load_model(self.model_name)
            texts = [document.text for document in self.texts]
            facts: dict[str, Any] = pretrain(model, texts, config, seconds, self.recipe.seed, self.progress)
            self.loaded(model).encoder.save(folder / MODEL)
            return facts

        inputs = {
            "config": asdict(config),
            "seed": self.recipe.seed,
            "documents": self.clean.files[DOCUMENTS],
            "model": identity(self.base),
            "minutes": None if config.max_steps else self.recipe.minutes,
        }
        return self.work.run("pretrain", inputs, make)

    @cached_property
    def start(self) -> Loaded:
        """The model that contrastive training starts from."""
        return self.base if self.pretrained is None else self.fresh_start()

    def fresh_start(self) -> Loaded:
        """The model that contrastive training starts from, loaded again, to be changed in place."""
        return self.loaded(
            load_model(self.model_name if self.pretrained is None else str(self.pretrained.folder / MODEL))
        )

    @cached_property
    def start_identity(self) -> Any:
        """What tells the model that contrastive training starts from, from others."""
        return identity(self.base) if self.pretrained is None else self.pretrained.files

    @cached_property
    def negatives(self) -> Stage:
        """Leaves hard negatives of the questions to train on."""
        from finetune.negatives import mine_negatives

        def make(folder: Path) -> dict[str, Any]:
            if not (self.recipe.negatives.count and (self.recipe.dense.negatives or self.recipe.labels.teacher)):
                write_mapping(folder / "negatives.json", {})
                return {"negatives": 0}
            mined = mine_negatives(self._pool(), self.recipe.negatives, self.recipe.seed)
            found: dict[str, list[str]] = {}
            for question, each in zip(self.split.train, mined, strict=True):
                known = [name for name in question.negatives if name not in question.positives]
                rows = [self.texts[row].doc_id for row in each.rows.tolist()]
                found[question.query_id] = list(dict.fromkeys([*known, *rows]))
            write_mapping(folder / "negatives.json", found)
            return {"negatives": sum(map(len, found.values()))}

        inputs = {
            "config": asdict(self.recipe.negatives),
            "wanted": bool(self.recipe.dense.negatives or self.recipe.labels.teacher),
            "seed": self.recipe.seed,
            "questions": self.questions.files[QUESTIONS],
            "documents": self.clean.files[DOCUMENTS],
            "model": self.start_identity,
            "language": self.language,
        }
        return self.work.run("negatives", inputs, make)

    @cached_property
    def labels(self) -> Stage:
        """Leaves soft labels of each question's positive and negatives."""
        from finetune.labelling import soft_labels

        def make(folder: Path) -> dict[str, Any]:
            negatives = read_mapping(self.negatives.folder / "negatives.json")
            labels = soft_labels(
                self.split.train, self.texts, negatives, self.recipe.labels, self.work.cache, self.progress
            )
            texts = {document.doc_id for document in self.texts}
            for question in self.split.train:
                given = {name: each for name, each in self.scores.get(question.query_id, {}).items() if name in texts}
                if given:
                    labels[question.query_id] = {**labels.get(question.query_id, {}), **given}
            write_mapping(folder / "labels.json", labels)
            return {"questions": len(labels)}

        inputs = {
            "config": asdict(self.recipe.labels),
            "questions": self.questions.files[QUESTIONS],
            "documents": self.clean.files[DOCUMENTS],
            "negatives": self.negatives.files,
            **({"scores": fingerprint(self.scores)} if self.scores else {}),
        }
        return self.work.run("labels", inputs, make)

    def _pool(self) -> Pool:
        from finetune.negatives import Pool

        texts = [question.text for question in self.split.train]
        vectors = (
            self.document_vectors
            if self.pretrained is None
            else self.start.encoder.encode_documents([document.text for document in self.texts], self.progress)
        )
        return Pool(self.texts, self.split.train, vectors, self.start.encoder.encode_queries(texts), self.language)

    @cached_property
    def document_vectors(self) -> FloatArray:
        """The documents' vectors from the base model. *Shape:* (n_documents, dimension), float32."""
        vectors: FloatArray = np.load(self.base_vectors.folder / VECTORS)
        return vectors

    @cached_property
    def remembering_base(self) -> RememberingEncoder:
        """The base model, knowing the documents' vectors."""
        encoder = RememberingEncoder(self.base.encoder)
        encoder.remember([document.text for document in self.texts], self.document_vectors)
        return encoder

    @cached_property
    def general(self) -> Exam | None:
        """Questions from outside the domain; None: they are not asked."""
        return None if self.recipe.gate.general_drop is None else general_exam(self.documents)

    def loaded(self, model: SentenceTransformer) -> Loaded:
        """A model with its encoder, which has the base model's name and prompts."""
        from hybridret.dense.encoder import TransformerEncoder

        return Loaded(model, TransformerEncoder(model, self.model_name, self.model_prompts))

    def _usable(self) -> int:
        """How many questions the time may at most allow to train on; no work is done for others."""
        dense = self.recipe.dense
        if dense.max_steps:
            return _ROOM * dense.max_steps * dense.questions_a_step
        return max(int(_ROOM * 60 * self.recipe.minutes / self._pair_seconds), _ROOM * dense.questions_a_step)

    @property
    def document_seconds(self) -> float:
        """How long it takes to encode a document, on the average."""
        return float(self.base_vectors.facts["encoding"]) / len(self.texts)

    @property
    def _pair_seconds(self) -> float:
        """About how long it takes to train on a question and its document."""
        return _PAIR_COST * self.document_seconds

    def sized(self, config: DenseConfig, seconds: float) -> DenseConfig:
        """The configuration with a batch size: with labels the largest of 128, 64 and 32 that leaves enough steps.

        Args:
            config: As the recipe has it.
            seconds: Time for training.
        """
        if config.batch_size or config.max_steps or not self.is_labelled:
            return replace(config, batch_size=config.questions_a_step)
        asked = min(seconds / self._pair_seconds, config.max_passes * len(self.split.train))
        size = LARGE_BATCH
        while size > SMALL_BATCH and asked < _ENOUGH_STEPS * size:
            size //= 2
        return replace(config, batch_size=parallel.agreed(size))

    @property
    def training_seconds(self) -> float:
        """Time for training, of dense and of docids together."""
        return 60 * self.recipe.minutes

    def estimate_rest(self) -> float:
        """About how many seconds the stages take that do not train: comparing models, and writing the index."""
        general = 0 if self.general is None else len(self.general.documents)
        encoded = (1 + _INDEX_ENCODINGS) * len(self.texts) + 2 * general
        choosing = CHOOSING * self.training_seconds if self.labelled else 0.0
        return encoded * self.document_seconds + choosing + _OTHER_SECONDS

    @property
    def is_labelled(self) -> bool:
        """Whether labelled questions decide, not made ones."""
        return bool(self.questions.facts["kind"] == "labelled")
