"""An index that grows by batches: left as it is, trained on with replay, trained naively, or trained on everything.

``python -m benchmarks.continual NAME [--splits dev test] [--first-steps 160] [--steps 24] [--folder F]``

Half of the documents are indexed and docid training sees their train questions; the other half comes in five batches.
Documents keep untouched MiniLM's vectors everywhere: what is trained are the query encoder and the code tables.

- frozen: batches are added, nothing is trained.
- continue: ``hybridret finetune --continue`` with its defaults, given all train questions about documents so far.
- naive: as many steps on the batch's questions and sentences alone, at the learning rate of the first training, without
  replay, elastic weight consolidation, distillation or gate.
- everything: all documents indexed and trained on at once, for as many steps as the others in all.

A batch's crowding is not forgetting: more documents compete. So old questions are also put to the old half alone.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.parting import parted
from benchmarks.results import FOLDER, write_result
from finetune import Question, Recipe, continue_training, finetune
from finetune.formats import read_questions
from finetune.recipe import changed
from hybridret.allowed import Allowed
from hybridret.changes import Changes
from hybridret.data.dataset import Dataset, read_dataset
from hybridret.data.readers import find_source, read_corpus
from hybridret.display import progress_bars
from hybridret.evaluation import measure_run
from hybridret.hybrid import HybridIndex
from hybridret.types import Document, Queries

NAME, BATCHES, SEED, MEASURE, K = "continual", 5, 0, "Recall@10", 10
FIRST = {
    "dense": {"max_steps": 1},
    "gate": {"general_drop": None, "significance": 1.0, "ratios": ()},
    "whiten": {"strengths": ()},
}
NAIVE = {"replay": 0.0, "distillation": 0.0, "ewc": 0.0, "learning_rate": 1e-4, "tolerance": None}


class Plan(NamedTuple):
    """What the arms share.

    Attributes:
        old: The documents of the first half.
        batches: Those that come.
        questions: All train questions.
        asked: The questions that are measured, by split.
        steps: Of the first training, and of each batch's.
    """

    old: list[Document]
    batches: list[list[Document]]
    questions: list[Question]
    asked: dict[str, Dataset]
    steps: tuple[int, int]

    def questions_about(self, documents: Sequence[Document]) -> list[Question]:
        """Train questions that some documents answer alone."""
        known = {document.doc_id for document in documents}
        return [question for question in self.questions if known.issuperset(question.positives)]


def main() -> None:
    """Runs the arms that have no result yet, and writes all results."""
    arguments = _parse()
    plan = _plan(arguments)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    arms: dict[str, Callable[[Plan, Path], list[dict[str, Any]]]] = {
        "frozen": _frozen,
        "continue": lambda plan, folder: _trained_on(plan, folder, "continue", {}),
        "naive": lambda plan, folder: _trained_on(plan, folder, "naive", NAIVE),
        "everything": _everything,
    }
    found: dict[str, Any] = {}
    for name in arguments.arms:
        kept = arguments.folder / f"{name}.json"
        if not kept.is_file():
            kept.write_text(json.dumps(arms[name](plan, arguments.folder)), encoding="utf-8")
        found[name] = json.loads(kept.read_text(encoding="utf-8"))
        print(name, json.dumps(found[name][-1]), flush=True)
    if not arguments.dry:
        _write(arguments, plan, found)


def _write(arguments: argparse.Namespace, plan: Plan, arms: dict[str, Any]) -> None:
    from benchmarks.continual_plot import draw

    first, each = plan.steps
    result = {
        "collection": Path(arguments.collection).name,
        "measure": MEASURE,
        "documents": {"old": len(plan.old), "batches": [len(batch) for batch in plan.batches]},
        "steps": {"first": first, "each batch": each, "everything": first + BATCHES * each},
        "naive": NAIVE,
        "arms": arms,
    }
    write_result(NAME, result)
    draw(arms, arguments.splits[-1], FOLDER / f"{NAME}.svg")


def _frozen(plan: Plan, folder: Path) -> list[dict[str, Any]]:
    bundle = _copied(plan, folder, "frozen")
    steps = [_measured(bundle, plan, 0)]
    for number, batch in enumerate(plan.batches, 1):
        HybridIndex.open(bundle).add(batch)
        steps.append(_measured(bundle, plan, number))
    return steps


def _trained_on(plan: Plan, folder: Path, name: str, settings: dict[str, Any]) -> list[dict[str, Any]]:
    bundle = _copied(plan, folder, name)
    steps, known = [_measured(bundle, plan, 0)], list(plan.old)
    recipe = changed(Recipe(seed=SEED), {"continual": settings, "docid": {"max_steps": plan.steps[1]}}, NAME)
    for number, batch in enumerate(plan.batches, 1):
        known += batch
        asked = plan.questions_about(known if name == "continue" else batch)
        with progress_bars() as progress:
            report = continue_training(bundle, batch, questions=asked, recipe=recipe, progress=progress)
        told = {each: report[each] for each in ("ratio", "sentence", "seconds", "steps", "questions")}
        steps.append(_measured(bundle, plan, number) | told)
        print(name, json.dumps(steps[-1]), flush=True)
    return steps


def _everything(plan: Plan, folder: Path) -> list[dict[str, Any]]:
    documents = [*plan.old, *(document for batch in plan.batches for document in batch)]
    bundle = folder / "everything"
    _first(plan, documents, bundle, plan.steps[0] + BATCHES * plan.steps[1])
    return [_measured(bundle, plan, BATCHES)]


def _copied(plan: Plan, folder: Path, name: str) -> Path:
    first = folder / "first"
    if not first.is_dir():
        _first(plan, plan.old, first, plan.steps[0])
    shutil.rmtree(folder / name, ignore_errors=True)
    return Path(shutil.copytree(first, folder / name))


def _first(plan: Plan, documents: list[Document], bundle: Path, steps: int) -> None:
    """Indexes documents and trains their docids."""
    recipe = changed(Recipe(seed=SEED), FIRST | {"docid": {"max_steps": steps}}, NAME)
    with progress_bars() as progress:
        questions = plan.questions_about(documents)
        report = finetune(documents, bundle, questions=questions, recipe=recipe, progress=progress)
    print(report["docid"]["decision"]["sentence"], flush=True)


def _measured(bundle: Path, plan: Plan, number: int) -> dict[str, Any]:
    """Recall@10 after some batches: of old questions, of these put to the old half alone, and of new ones so far."""
    changes = Changes.open(bundle)
    index = HybridIndex(changes, changes.bundled_encoder)
    old_ids = {document.doc_id for document in plan.old}
    came = {document.doc_id for batch in plan.batches[:number] for document in batch}
    alone = Allowed(np.array([doc_id in old_ids for doc_id in changes.generation.ids]))
    found: dict[str, Any] = {"documents": len(index)}
    for split, asked in plan.asked.items():
        old, rest = parted(asked, old_ids)
        new, _ = parted(rest, old_ids | came)
        found[split] = {
            "old": _recall(index, changes, old, None) | _hybrid(index, old),
            "old_alone": _recall(index, changes, old, alone),
            "new": (_recall(index, changes, new, None) | _hybrid(index, new)) if new.queries else None,
            "questions": {"old": len(old.queries), "new": len(new.queries)},
        }
    return found


def _recall(index: HybridIndex, changes: Changes, asked: Dataset, allowed: Allowed | None) -> dict[str, float]:
    texts, generation = list(asked.queries.values()), changes.generation
    queries = Queries(texts, index.encoder.encode_queries(texts))
    runs = generation.runs(queries, {"dense": K, "docid": K}, allowed)
    return {
        name: _mean(
            {
                query: {generation.ids[row]: float(score) for row, score in zip(run.rows, run.scores, strict=True)}
                for query, run in zip(asked.queries, found, strict=True)
            },
            asked,
        )
        for name, found in runs.items()
    }


def _hybrid(index: HybridIndex, asked: Dataset) -> dict[str, float]:
    answers = index.search(list(asked.queries.values()), K)
    run = {query: {hit.doc_id: hit.score for hit in hits} for query, hits in zip(asked.queries, answers, strict=True)}
    return {"hybrid": _mean(run, asked)}


def _mean(run: dict[str, dict[str, float]], asked: Dataset) -> float:
    return float(np.mean(list(measure_run(run, asked, [MEASURE])[MEASURE].values())))


def _plan(arguments: argparse.Namespace) -> Plan:
    source = find_source(arguments.collection)
    documents = read_corpus(source)
    order = np.random.default_rng(SEED).permutation(len(documents))
    documents = [documents[at] for at in order]
    half = len(documents) // 2
    parts = np.array_split(np.arange(half, len(documents)), BATCHES)
    return Plan(
        documents[:half],
        [[documents[at] for at in part] for part in parts],
        read_questions(source, documents=documents).questions,
        {each: read_dataset(source, each, {document.doc_id for document in documents}) for each in arguments.splits},
        (arguments.first_steps, arguments.steps),
    )


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection", help="a collection in $HYBRIDRET_DATA with train questions")
    parser.add_argument("--splits", nargs="+", default=["dev", "test"], help="the last one is drawn")
    parser.add_argument("--first-steps", type=int, default=160)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--arms", nargs="+", default=["frozen", "continue", "naive", "everything"])
    parser.add_argument("--folder", type=Path, default=Path("continual"), help="where bundles and results are kept")
    parser.add_argument("--dry", action="store_true", help="write no result")
    return parser.parse_args()


if __name__ == "__main__":
    main()
