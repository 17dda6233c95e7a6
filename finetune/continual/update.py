"""One batch of new documents: added at once, then learned, and shipped where old ones are kept."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from finetune import parallel
from finetune.continual.asking import Asked, ask, material
from finetune.continual.backbone import BackboneLearner
from finetune.continual.decide import Decision, Models, Side, decide, lost_so_far
from finetune.continual.learner import Learner
from finetune.continual.rows import Material
from finetune.continual.tables import TablesLearner
from finetune.encoding import RememberingEncoder
from finetune.gate import HybridExam
from finetune.generative.altered import SHARE, Alterations, alter_documents
from finetune.recipe import Recipe
from finetune.splitting import held_out_exam
from finetune.types import Question
from finetune.workfolder import (
    Stage,
    WorkFolder,
    fingerprint,
    read_documents,
    read_questions,
    write_documents,
    write_questions,
)
from hybridret.changes import Changes
from hybridret.data.clean import clean_documents
from hybridret.dense import TransformerEncoder
from hybridret.errors import InputError
from hybridret.fit import fit_ranker
from hybridret.fit_questions import labelled_questions
from hybridret.generative import BackboneDocids
from hybridret.hybrid import HybridIndex
from hybridret.store.families import family_keys, root_ids
from hybridret.types import Document, IntArray, Progress

_DOCUMENTS, _PARTS = "documents.jsonl", ("old", "new")


class Update:
    """Training that goes on with documents that were added to a bundle.

    Args:
        changes: The bundle, which holds the new documents already.
        new_ids: Ids of the new documents.
        labelled: Labelled questions about new or old ones.
        recipe: All settings.
        work: Where artefacts lie.
        progress: Told how far the work is.
    """

    def __init__(
        self,
        changes: Changes,
        new_ids: set[str],
        labelled: Sequence[Question],
        recipe: Recipe,
        work: WorkFolder,
        progress: Progress | None = None,
    ) -> None:
        self.changes, self.new_ids, self.labelled, self.recipe = changes, new_ids, labelled, recipe
        self.work, self.progress = work, progress
        self.generation, self.store = changes.generation, changes.store
        self.documents = [document for _, document in self.store.documents()]

    def run(self, key: str) -> dict[str, Any]:
        """Trains, decides and ships; gives the row of the bundle's updates, which holds the key of the run."""
        training, decision = self.training, self.decide()
        row = {
            "key": key,
            "batch": len(self.changes.state.updates) + 1,
            "documents": self.generation.n_documents,
            "new_documents": len(self.new_ids),
            "questions": self.questions.facts,
            "steps": training.facts["steps"],
            **_told(decision),
        }
        update: dict[str, Any] = json.loads(json.dumps(row))
        self.ship(decision, update)
        return update

    @cached_property
    def encoder(self) -> TransformerEncoder:
        """The bundle's encoder."""
        encoder = self.changes.bundled_encoder()
        assert isinstance(encoder, TransformerEncoder)
        return encoder

    @cached_property
    def asked(self) -> tuple[Asked, Asked]:
        """Questions about old documents, and about new ones."""
        folder = self.questions.folder
        old, new = (
            Asked(read_questions(folder / f"{part}.train.jsonl"), read_questions(folder / f"{part}.held_out.jsonl"))
            for part in _PARTS
        )
        return old, new

    @cached_property
    def texts(self) -> list[Document]:
        """The documents that training sees."""
        return read_documents(self.questions.folder / _DOCUMENTS)

    @cached_property
    def rows(self) -> IntArray:
        """The row of the index of each of ``texts``. *Shape:* (n_texts,)."""
        place = {doc_id: row for row, doc_id in enumerate(self.generation.ids) if self.generation.alive[row]}
        return np.array([place[each.doc_id] for each in self.texts], dtype=np.int64)

    @cached_property
    def remembering(self) -> RememberingEncoder:
        """The encoder, knowing the documents' vectors."""
        encoder = RememberingEncoder(self.encoder)
        encoder.remember([each.text for each in self.texts], self.learner.vectors)
        return encoder

    @cached_property
    def learner(self) -> Learner:
        """What learns."""
        kind = BackboneLearner if isinstance(self.generation.docid, BackboneDocids) else TablesLearner
        return kind(self.changes, self.generation, self.encoder, self.rows, self.recipe, self.progress)

    @cached_property
    def questions(self) -> Stage:
        """Leaves the documents that training sees, and questions about old and new ones."""
        from finetune.cleaning import clean

        def make(folder: Path) -> dict[str, Any]:
            cleaned = clean(self.documents, self.labelled, self.recipe.clean)
            language = self.generation.config.language
            sides = ask(
                cleaned.documents,
                cleaned.questions,
                self.new_ids,
                self.encoder,
                self.recipe,
                language,
                self.work.cache,
                self.progress,
            )
            write_documents(folder / _DOCUMENTS, cleaned.documents)
            for part, side in zip(_PARTS, sides, strict=True):
                write_questions(folder / f"{part}.train.jsonl", side.train)
                write_questions(folder / f"{part}.held_out.jsonl", side.held_out)
            facts: dict[str, Any] = {
                part: {"train": len(side.train), "held_out": len(side.held_out), "kind": side.kind}
                for part, side in zip(_PARTS, sides, strict=True)
            }
            return facts

        inputs = {
            "documents": fingerprint([document._asdict() for document in self.documents]),
            "new": sorted(self.new_ids),
            "labelled": fingerprint([question._asdict() for question in self.labelled]),
            "clean": asdict(self.recipe.clean),
            "queries": asdict(self.recipe.queries),
            "gate": [self.recipe.gate.held_out, self.recipe.gate.at_most, self.recipe.gate.at_least],
            "seed": self.recipe.seed,
        }
        return self.work.run("questions", inputs, make, keep_started=True)

    @cached_property
    def training(self) -> Stage:
        """Leaves what the learner trained."""

        def make(folder: Path) -> dict[str, Any]:
            start, seconds = time.monotonic(), 60 * self.recipe.minutes
            material, alterations = self._material(folder / "training", seconds)
            return self.learner.train(material, folder, seconds - (time.monotonic() - start), alterations)

        inputs = {
            "docid": asdict(self.recipe.docid),
            "continual": asdict(self.recipe.continual),
            "seed": self.recipe.seed,
            "minutes": None if self.recipe.docid.max_steps else self.recipe.minutes,
            "questions": self.questions.files,
            **self.learner.inputs,
        }
        return self.work.run("training", inputs, make, keep_started=True)

    def _material(self, folder: Path, seconds: float) -> tuple[Material, Alterations | None]:
        """What is learned from; sentences that were made into held-out questions are not.

        Args:
            folder: Keeps vectors of documents without the words of the questions about them.
            seconds: Time for training, of which these may take a share.

        Returns:
            The texts, and by what the documents' vectors change for them.
        """
        old, new = self.asked
        exam = held_out_exam(self.texts, [*old.held_out, *new.held_out])
        alterations = None
        if self.learner.matches_vectors:
            most = float("inf") if self.recipe.docid.max_steps else SHARE * seconds
            questions, altered = alter_documents([*new.train, *old.train], self.encoder, folder, most, self.progress)
            alterations = altered.alterations(questions, self.texts, self.learner.vectors)
            usable = {question.query_id for question in questions}
            old, new = (
                side._replace(train=[each for each in side.train if each.query_id in usable]) for side in (old, new)
            )
        places = {} if alterations is None else alterations.places
        return material(exam.documents, old, new, self.new_ids, self.recipe.docid.told, places), alterations

    def models(self, ratio: float) -> Models:
        """The old models with a share of the new weights."""
        return self.learner.models(ratio, self.training.folder)

    def decide(self) -> Decision:
        """Compares the models on held-out questions; see ``decide.decide``."""
        gate, tolerance = self.recipe.gate, self.recipe.continual.tolerance
        sides = [self._side(asked) for asked in self.asked]
        old, new = sides
        if new is None:
            raise InputError("there are too few questions about the new documents to compare models on")
        most = 1.0 if self.asked[1].kind == "labelled" else gate.unproven
        ratios = [most, *(ratio for ratio in gate.ratios if ratio < most)]
        return decide(
            (old, new), self.models, ratios, tolerance, lost_so_far(self.changes.state.updates), gate.hybrid_drop
        )

    def _side(self, asked: Asked) -> Side | None:
        if not asked.held_out:
            return None
        exam = held_out_exam(self.texts, asked.held_out)
        vectors = self.remembering.encode_documents([document.text for document in exam.documents])
        return Side(HybridExam(exam, self.generation.config.language, self.remembering), vectors)

    def ship(self, decision: Decision, update: Mapping[str, Any]) -> None:
        """Gives the bundle what was decided, in one commit."""
        if decision.ratio == 0.0:
            self.changes.note(update)
            return
        models = self.models(decision.ratio)
        generation, store = self.changes.generation, self.store
        held_out = [each for side in self.asked if side.kind == "labelled" for each in side.held_out]
        ranker = None
        if held_out:
            given = {each.text: each.graded for each in held_out}
            labels = labelled_questions(given, generation, lambda doc_ids: family_keys(store, doc_ids))
            assert generation.docid is not None
            taught = replace(generation, docid=models.retrained(generation.docid))
            ranker = fit_ranker(taught, store.by_key, models.queries, labels, self.progress)
        self.changes.retrain(models.queries, models.retrained, ranker, update, store)


def continue_training(
    bundle: Path | str,
    documents: Sequence[Document],
    *,
    questions: Sequence[Question] = (),
    recipe: Recipe | None = None,
    work: Path | str | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Adds documents to a bundle and goes on training its docids with them, and its query encoder.

    The documents are added first, durably: they are found at once by what the bundle knows. The document encoder, all
    vectors and docids stay. Where docids were not trained before, training starts from the codebooks. Where a language
    model writes docids, it alone learns.

    Args:
        bundle: The bundle's folder; the trained models replace its own, at once or not at all.
        documents: The new documents.
        questions: Labelled questions about them, and about old ones, which are replayed.
        recipe: Settings; of the stages clean, queries, gate, docid and continual.
        work: Folder for artefacts; by default beside the bundle, named after it with ``.update``.
        resume: Whether an interrupted run with the same documents is gone on with; these may be in the bundle already.
        progress: Told how far the work is.

    Returns:
        The report, as JSON can hold it: ``bundle``, ``work``, ``seconds``, ``updates`` (a row for each batch so far),
        and what this batch's row has: ``batch``, ``documents``, ``new_documents``, ``questions``, ``steps``, the
        ``ratio`` of new weights that was shipped, the ``sentence`` that says why, ``trials``, and ``old`` and ``new``:
        by retriever and measure what questions about old and new documents were answered like before and are now.

    Raises:
        InputError: Documents, questions or settings are at fault, or the bundle's encoder cannot be trained.
        BundleError: There is no bundle, or it cannot be written.
        TrainingError: Training cannot go on.
    """
    bundle, recipe = Path(bundle), recipe or Recipe()
    place = Path(work) if work is not None else bundle.with_name(bundle.name + ".update")
    return parallel.run_in_first(lambda: _continue(bundle, documents, questions, recipe, place, resume, progress))


def _continue(
    bundle: Path,
    documents: Sequence[Document],
    questions: Sequence[Question],
    recipe: Recipe,
    place: Path,
    resume: bool,
    progress: Progress | None,
) -> dict[str, Any]:
    """Adds, trains and ships; see ``continue_training``."""
    start = time.monotonic()
    documents, changes = clean_documents(documents), Changes.open(bundle)
    if not changes.state.model_files:
        raise InputError(f"{bundle} was built with {changes.model}, which a bundle cannot hold and nothing can train")
    index = HybridIndex(changes, changes.bundled_encoder)
    if not len(index):
        raise InputError(f"{bundle} holds no documents; index or finetune the new ones")
    key = fingerprint([[each._asdict() for each in documents], [each._asdict() for each in questions], asdict(recipe)])
    done = next((each for each in changes.state.updates if resume and each["key"] == key), None)
    if done is None:
        added = _missing(index, documents, resume)
        folder = WorkFolder(place, resume)
        index.add(added, progress=progress)
        new_ids = {document.doc_id for document in documents}
        done = Update(changes, new_ids, questions, recipe, folder, progress).run(key)
    return {
        "bundle": str(bundle),
        "work": str(place),
        **{name: value for name, value in done.items() if name != "key"},
        "updates": changes.state.updates,
        "seconds": round(time.monotonic() - start, 1),
    }


def _missing(index: HybridIndex, documents: Sequence[Document], resume: bool) -> list[Document]:
    """The documents that are to be added; an interrupted run has added them already."""
    if not documents:
        raise InputError("there are no new documents")
    texts = {document.doc_id: document.text for document in documents}
    by_root: dict[str, list[Document]] = {}
    for document in documents:
        by_root.setdefault(root_ids([document])[0], []).append(document)
    taken, missing = [], []
    for root, own in by_root.items():
        present = {each.doc_id: each.text for each in index.get([root, *(document.doc_id for document in own)])}
        if not present:
            missing += own
        elif not (resume and present.items() <= texts.items()):
            taken.append(root)
    if taken:
        raise InputError(
            f"{len(taken)} of {len(by_root)} new documents have ids that the bundle has already, such as "
            + ", ".join(map(repr, taken[:3]))
        )
    return missing


def _told(decision: Decision) -> dict[str, Any]:
    """The decision, and what questions about old and new documents were answered like before and are now."""
    shown = decision.trials[-1]
    sides = {"old": shown.old, "new": shown.new}
    if decision.ratio == 0.0:
        sides = {
            side: {name: {each: (was, was) for each, (was, _) in values.items()} for name, values in found.items()}
            for side, found in sides.items()
        }
    trials = [trial._asdict() for trial in decision.trials]
    return {**sides, "ratio": decision.ratio, "sentence": decision.sentence(), "trials": trials}
