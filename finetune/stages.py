"""The stages of training, deciding and indexing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cached_property, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from finetune.encoding import Loaded, RememberingEncoder, identity
from finetune.gate import Exam
from finetune.gate.decide import DECIDING
from finetune.preparing import CHOOSING, DOCUMENTS, HELD_OUT, MODEL, QUESTIONS, Preparation
from finetune.splitting import held_out_exam
from finetune.whitening.layer import through, whitened, whitening_matrix
from finetune.workfolder import Stage, read_mapping, write_mapping
from hybridret.models import load_model
from hybridret.types import FloatArray

LOG, DECISION, MATRIX = "log.json", "decision.json", "whitening.npy"
_NARROWED, _SAMPLE = 10, 1000


class Run(Preparation):
    """One fine-tuning run, from documents to a bundle; see ``Preparation`` for its arguments."""

    @cached_property
    def dense(self) -> Stage:
        """Leaves the trained model and the trainer's log."""
        from finetune.labelling import denoised

        config = self.recipe.dense
        negatives = read_mapping(self.negatives.folder / "negatives.json")
        labels = read_mapping(self.labels.folder / "labels.json")

        def make(folder: Path) -> dict[str, Any]:
            from finetune.dense.train import train_dense
            from finetune.negatives.ance import AnceRefresh

            start = time.monotonic()
            begun = self.fresh_start()
            prompts = begun.encoder.prompts
            begun_with = 0.0 if self.recipe.pretrain.objective is None else self.recipe.pretrain.share
            seconds = self.training_seconds * (1 - begun_with) * (1 - self.recipe.docid.share)

            def refresher(table: Any, trained: Any) -> Any:
                mining, every, seed = self.recipe.negatives, config.ance_every, self.recipe.seed
                return AnceRefresh(
                    table, trained, self.texts, prompts, mining, every, seed, config.precision, self.language
                )

            trained = train_dense(
                begun.model,
                self.texts,
                self.split.train,
                self.sized(config, seconds),
                folder,
                prompts=prompts,
                seconds=seconds,
                seed=self.recipe.seed,
                negatives=denoised(negatives, labels, self.split.train, self.recipe.negatives.denoise),
                teacher=labels,
                refresher=refresher,
                progress=self.progress,
            )
            if self.work.alone:
                self.loaded(begun.model).encoder.save(folder / MODEL)
                write_mapping(folder / LOG, {"history": trained.history})
            facts = {"steps": trained.steps, "planned": trained.planned, "notes": trained.notes}
            return {**facts, "seconds": max(trained.seconds, time.monotonic() - start)}

        inputs = {
            "config": asdict(config),
            "ance": asdict(self.recipe.negatives) if config.ance_every else None,
            "denoise": self.recipe.negatives.denoise,
            "seed": self.recipe.seed,
            "minutes": None if config.max_steps else self.recipe.minutes,
            "questions": self.questions.files[QUESTIONS],
            "documents": self.clean.files[DOCUMENTS],
            "negatives": self.negatives.files,
            "labels": self.labels.files,
            "model": self.start_identity,
        }
        return self.work.run("dense", inputs, make, together=True, keep_started=True)

    @cached_property
    def gate(self) -> Stage:
        """Leaves the decision and, where a merge is shipped, its weights."""

        def make(folder: Path) -> dict[str, Any]:
            decision = self._decide(folder)
            write_mapping(folder / DECISION, decision)
            return {"decision": decision}

        inputs = {
            "config": asdict(self.recipe.gate),
            "questions": self.questions.files,
            "documents": self.clean.files[DOCUMENTS],
            "base": identity(self.base),
            "dense": self.dense.files,
        }
        return self.work.run("gate", inputs, make)

    @cached_property
    def trained(self) -> RememberingEncoder:
        """The trained model."""
        return RememberingEncoder(self.loaded(load_model(str(self.dense.folder / MODEL))).encoder)

    @cached_property
    def _candidates(self) -> dict[float, RememberingEncoder]:
        """Models that were asked about the whole corpus, by their share of new weights."""
        return {}

    @cached_property
    def passed(self) -> RememberingEncoder:
        """The model that the gate lets pass."""
        ratio = self.gate.facts["decision"]["ratio"]
        if ratio in self._candidates:
            return self._candidates[ratio]
        if ratio == 0.0:
            return self.remembering_base
        if ratio == 1.0:
            return self.trained
        return RememberingEncoder(self.loaded(load_model(str(self.gate.folder / MODEL))).encoder)

    @cached_property
    def whitening(self) -> Stage | None:
        """Leaves the decision and, where the passed model's vectors are whitened, the matrix; None if not asked for."""
        from finetune.whitening.stage import choose_whitening

        config = self.recipe.whiten
        if not config.strengths:
            return None

        def make(folder: Path) -> dict[str, Any]:
            decision, matrix = choose_whitening(self, [strength * self.most for strength in config.strengths])
            if matrix is not None:
                np.save(folder / MATRIX, matrix)
            write_mapping(folder / DECISION, decision)
            return {"decision": decision}

        inputs = {
            "config": asdict(config),
            "gate_config": asdict(self.recipe.gate),
            "questions": self.questions.files,
            "documents": self.clean.files[DOCUMENTS],
            "base": identity(self.base),
            "gate": self.gate.files,
            "dense": self.dense.files,
        }
        return self.work.run("whiten", inputs, make)

    @cached_property
    def _matrix(self) -> FloatArray | None:
        """What whitens the passed model's vectors; None: they stay as they are."""
        if self.whitening is None or not self.whitening.facts["decision"]["strength"]:
            return None
        matrix: FloatArray = np.load(self.whitening.folder / MATRIX)
        return matrix

    @cached_property
    def shipped(self) -> RememberingEncoder:
        """The model that the gate lets pass, whitened where that was found better."""
        if self._matrix is None:
            return self.passed
        return self.passed.mapped(self.shipped_copy().encoder, partial(through, self._matrix))

    @cached_property
    def untrained(self) -> RememberingEncoder:
        """The base model, whitened as strongly as the shipped one."""
        if self.whitening is None or self._matrix is None:
            return self.remembering_base
        matrix = whitening_matrix(self.document_vectors, self.whitening.facts["decision"]["strength"])
        layered = self.loaded(whitened(self.base.model, matrix))
        return self.remembering_base.mapped(layered.encoder, partial(through, matrix))

    @property
    def most(self) -> float:
        """The most of the new weights that may be shipped: made questions prove less than labelled ones."""
        return 1.0 if self.is_labelled else self.recipe.gate.unproven

    @cached_property
    def _docid_training(self) -> ModuleType:
        """What trains and loads docids: those of the code decoder, or of a backbone."""
        from finetune.generative import backbone_stage, stage

        return backbone_stage if self.recipe.docid.backbone else stage

    @property
    def docid_labels(self) -> dict[str, dict[str, float]]:
        """Soft labels for docid training; none where it does not learn from them."""
        return read_mapping(self.labels.folder / "labels.json") if self.recipe.docid.teacher_weight else {}

    @cached_property
    def docid(self) -> Stage | None:
        """Leaves codebooks, code tables and the query encoder, or scheme and backbone; and the decision."""
        given = self.recipe.docid.share
        if not given:
            return None

        def make(folder: Path) -> dict[str, Any]:
            seconds = min(self.dense.seconds * given / (1 - given), self.training_seconds * given)
            facts: dict[str, Any] = self._docid_training.train_and_decide(self, folder, seconds)
            return facts

        inputs = {
            "config": asdict(self.recipe.docid),
            "gate_config": asdict(self.recipe.gate),
            "given": self.clean.facts["given"],
            "seed": self.recipe.seed,
            "minutes": None if self.recipe.docid.max_steps else self.recipe.minutes,
            "questions": self.questions.files,
            "documents": self.clean.files[DOCUMENTS],
            "base": identity(self.base),
            "gate": self.gate.files,
            "whiten": None if self.whitening is None else self.whitening.files,
            "dense": self.dense.files,
            "labels": self.labels.files if self.recipe.docid.teacher_weight else None,
        }
        return self.work.run("docid", inputs, make, keep_started=True)

    def shipped_copy(self) -> Loaded:
        """The shipped model, loaded again, to be changed in place."""
        ratio = self.gate.facts["decision"]["ratio"]
        places = {0.0: self.model_name, 1.0: str(self.dense.folder / MODEL)}
        model = load_model(places.get(ratio, str(self.gate.folder / MODEL)))
        return self.loaded(model if self._matrix is None else whitened(model, self._matrix))

    def index(self, output: Path) -> Stage:
        """Builds the bundle: all documents as given, encoded by the shipped model, codebooks and fusion fitted anew."""
        from finetune.fusing import fit_fusion
        from hybridret.config import Config
        from hybridret.hybrid import HybridIndex
        from hybridret.store.bundle import DATABASE

        def make(folder: Path) -> dict[str, Any]:
            config, encoder, docid = Config(language=self.language, seed=self.recipe.seed), self.shipped, None
            if self.docid is not None and self.docid.facts["decision"]["shipped"]:
                encoder, docid = self._docid_training.load_trained(self, self.docid.folder)
                levels, codes = self.recipe.docid.rq_sizes
                config = replace(config, docid_levels=levels, docid_codes=codes)
            built = HybridIndex.build(self.documents, encoder, config, output, self.progress, docid=docid)
            fit_fusion(output, encoder, self.untrained, self._held_out_labels(), self.progress)
            built.refresh()
            return {"info": built.info()}

        inputs = {
            "given": self.clean.facts["given"],
            "gate": self.gate.files,
            "whiten": None if self.whitening is None else self.whitening.files,
            "dense": self.dense.files,
            "docid": None if self.docid is None else self.docid.files,
            "questions": self.questions.files[HELD_OUT],
            "language": self.language,
            "seed": self.recipe.seed,
            "output": str(output.resolve()),
        }
        return self.work.run("index", inputs, make, redo=not (output / DATABASE).is_file())

    def _held_out_labels(self) -> dict[str, dict[str, int]]:
        """Labelled questions that nothing was trained on, with those of their documents that the index has."""
        if not self.is_labelled:
            return {}
        known = {document.doc_id for document in self.documents}
        labels = {
            each.text: {name: grade for name, grade in each.graded.items() if name in known}
            for each in self.split.held_out
        }
        return {text: grades for text, grades in labels.items() if grades}

    @cached_property
    def exam(self) -> Exam:
        """The held-out questions."""
        return held_out_exam(self.texts, self.split.held_out)

    def _decide(self, folder: Path) -> dict[str, Any]:
        """Compares the models; writes the weights of a merge that is shipped."""
        from finetune.gate import HybridExam, decide, measure
        from finetune.gate.exam import narrowed
        from finetune.gate.merge import merged

        config, base = self.recipe.gate, self.remembering_base
        exam, general = self.exam, self.general
        hybrid = HybridExam(exam, self.language, base)
        old, old_general = hybrid.measure(base), None if general is None else measure(base, general)
        smaller: list[Any] = []
        new_model = load_model(str(self.dense.folder / MODEL))

        def merge(ratio: float) -> Loaded:
            return self.loaded(merged(self.base.model, new_model, ratio))

        def candidate(ratio: float) -> RememberingEncoder:
            return self.trained if ratio == 1.0 else RememberingEncoder(merge(ratio).encoder)

        shares = self._shares(exam, candidate)
        most = max(shares, key=lambda share: shares[share], default=self.most)

        def ask(ratio: float) -> Any:
            if ratio == most:
                self._candidates[ratio] = new = candidate(ratio)
                return old, hybrid.measure(new, self.progress), None if general is None else measure(new, general)
            if not smaller:
                fewer = narrowed(exam, [base, self._candidates[most]], _NARROWED, hybrid.found_by_words(_NARROWED))
                smaller.append(HybridExam(fewer, self.language, base))
                smaller.append(smaller[0].measure(base))
            new = candidate(ratio)
            values = smaller[0].measure(new, self.progress)
            return smaller[1], values, None if general is None else measure(new, general)

        decision = decide(old, old_general, ask, config, most, max(1, len(shares)))
        if 0.0 < decision.ratio < 1.0:
            merge(decision.ratio).encoder.save(folder / MODEL)
        return {
            **decision.to_json(),
            "shares": [{"ratio": share, DECIDING: value} for share, value in shares.items()],
            "sentence": decision.sentence(),
            "held_out": self.questions.facts["kind"],
            "general": None if general is None else general.name,
        }

    def _shares(self, exam: Exam, candidate: Callable[[float], RememberingEncoder]) -> dict[float, float]:
        """By labelled questions over a sample of the documents, what shares of new weights give; else nothing.

        The sample is as large as its time allows, or whole where steps are counted instead of time; where the documents
        that count for some question take longer already, there is none.
        """
        from finetune.gate import choose_share, measure
        from finetune.gate.exam import sampled

        if not self.is_labelled:
            return {}
        shares, seconds = self.recipe.gate.shares, CHOOSING * 60 * self.recipe.minutes
        each = len(shares) * self.document_seconds
        affordable = len(self.texts) if self.recipe.dense.max_steps else int(seconds / each)
        sample = sampled(exam, min(_SAMPLE, affordable), self.recipe.seed)
        if len(sample.documents) > affordable:
            return {}
        return choose_share(
            lambda share: float(measure(candidate(share), sample, self.progress)[DECIDING].mean()), shares
        )
