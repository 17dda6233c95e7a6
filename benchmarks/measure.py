"""Runs the measurements of a collection, each part once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.collection import Collection
from benchmarks.cost import cost, drawn
from benchmarks.detection import detection
from benchmarks.growth import QUESTIONS, SIZES, growth
from benchmarks.parts import Parts
from benchmarks.peers import PEERS, generation, measured_peer
from benchmarks.poison import poisoning
from benchmarks.quality import quality, write_questions
from benchmarks.robustness import robustness
from benchmarks.subject import Subject, build, open_subject
from benchmarks.systems import HYBRID, RETRIEVERS, Answer, own_systems, run
from benchmarks.updates import updates
from hybridret import __version__
from hybridret.dense import make_encoder
from hybridret.types import Encoder, Progress

Runs = dict[str, dict[str, Answer]]


class Plan(NamedTuple):
    """How thoroughly a collection is measured.

    Attributes:
        questions: How many are timed.
        memory: Systems whose memory is measured.
        is_full: Whether peers and all that takes long are measured too.
    """

    questions: int
    memory: Sequence[str]
    is_full: bool


QUICK = Plan(50, (HYBRID,), is_full=False)
OTHER_PEERS = {
    "FlagEmbedding finetune": {
        "not run": "needs an environment of its own and train questions: python -m benchmarks.flag_embedding COLLECTION"
    },
}
FULL = Plan(300, (*RETRIEVERS, HYBRID), is_full=True)


class Bench:
    """Measures collections with one model.

    Args:
        parts: Keeps what was measured.
        folder: Gets bundles and files by question.
        model: Folder or hub id of the embedding model; None: the default.
        plan: How thoroughly.
        progress: Told how far the work is.
    """

    def __init__(self, parts: Parts, folder: Path, model: str | None, plan: Plan, progress: Progress) -> None:
        self._parts, self._folder, self._model = parts, folder, model
        self._plan, self._progress = plan, progress
        self._loaded: Encoder | None = None

    def measured(self, collection: Collection) -> dict[str, Any]:
        """Everything about one collection; see the parts' own modules."""
        inputs = {"data": collection.fingerprint, "model": self._model, "hybridret": __version__}
        name, plan = collection.name, self._plan
        bundle = collection.bundle or self._folder / "bundles" / name
        built = self._built(collection, bundle, inputs)
        subject = open_subject(collection, bundle, self._encoder() if collection.bundle is None else None)
        peers = self._peers(subject, inputs) if plan.is_full else {}
        runs = self._runs(subject, inputs) | _answers({each: own["run"] for each, own in peers.items() if "run" in own})
        write_questions(self.questions_file(name), runs, collection)
        found = {
            "build": built,
            "quality": self._parts.get(
                f"{name}.quality", inputs | {"systems": list(runs)}, lambda: quality(runs, collection)
            ),
            "cost": self._parts.get(
                f"{name}.cost", inputs | plan._asdict(), lambda: cost(subject, plan.questions, plan.memory)
            ),
        }
        if plan.is_full:
            shown = {each: {key: value for key, value in own.items() if key != "run"} for each, own in peers.items()}
            found["peers"] = shown | OTHER_PEERS
            found["generation"] = self._parts.get(f"{name}.generation", inputs, lambda: generation(subject))
            found["robustness"] = self._parts.get(
                f"{name}.robustness", inputs, lambda: robustness(subject, self._progress)
            )
            found["updates"] = self._parts.get(f"{name}.updates", inputs, lambda: self._updated(subject))
            found["growth"] = self._parts.get(f"{name}.growth", inputs, lambda: self._grown(subject))
            found["poison"] = self._parts.get(f"{name}.poison", inputs, lambda: poisoning(subject, self._progress))
            found["detection"] = self._parts.get(f"{name}.detection", inputs, lambda: detection(collection))
        return found

    def questions_file(self, name: str) -> Path:
        """Where a collection's answers lie, a line a question."""
        return self._folder / "questions" / f"{name}.jsonl"

    def _encoder(self) -> Encoder:
        if self._loaded is None:
            self._loaded = make_encoder(self._model)
        return self._loaded

    def _built(self, collection: Collection, bundle: Path, inputs: dict[str, Any]) -> dict[str, Any]:
        if collection.bundle is not None:
            return {"not run": "the bundle was there"}
        return self._parts.get(
            f"{collection.name}.build",
            inputs,
            lambda: build(collection, self._encoder(), bundle, self._progress),
            is_there=bundle.is_dir(),
        )

    def _updated(self, subject: Subject) -> dict[str, Any]:
        collection = subject.collection
        return updates(collection.documents, collection.dataset, subject.index.encoder, self._progress)

    def _grown(self, subject: Subject) -> dict[str, Any]:
        state, queries = subject.index._changes.generation, subject.collection.dataset.queries
        rows = {state.ids[row]: row for row in np.flatnonzero(state.alive).tolist()}
        own = [document for document in subject.collection.documents if document.doc_id in rows]
        vectors = state.dense.vectors[[rows[document.doc_id] for document in own]]
        asked = drawn(list(queries.values()), QUESTIONS)
        return growth([document.text for document in own], vectors, asked, subject.index.encoder, SIZES, self._progress)

    def _runs(self, subject: Subject, inputs: dict[str, Any]) -> Runs:
        queries = subject.collection.dataset.queries

        def answered() -> dict[str, Any]:
            return {
                name: {
                    query: list(answer.items()) for query, answer in run(search, queries, name, self._progress).items()
                }
                for name, search in own_systems(subject.index).items()
            }

        return _answers(self._parts.get(f"{subject.collection.name}.runs", inputs, answered))

    def _peers(self, subject: Subject, inputs: dict[str, Any]) -> dict[str, dict[str, Any]]:
        n_questions, found = self._plan.questions, {}
        for name, make in PEERS.items():

            def measured() -> dict[str, Any]:
                return measured_peer(make, subject, n_questions)

            part = f"{subject.collection.name}.peer.{name.replace(' ', '_')}"
            found[name] = self._parts.get(part, inputs | {"peer": name, "questions": n_questions}, measured)
        return found


def _answers(kept: dict[str, Any]) -> Runs:
    """Runs as JSON has them."""
    return {name: {query: dict(hits) for query, hits in answers.items()} for name, answers in kept.items()}


@contextmanager
def work_folder(output: Path | None) -> Iterator[Path]:
    """The folder of a run, or one that is gone afterwards."""
    if output is not None:
        yield output
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
