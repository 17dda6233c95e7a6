"""Fine-tuning from documents to a bundle."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from finetune import parallel
from finetune.recipe import Recipe
from finetune.stages import Run
from finetune.types import NO_SCORES, RETRIEVAL, GivenPrompts, Question
from finetune.workfolder import Stage, WorkFolder, write_mapping
from hybridret.errors import InputError
from hybridret.generative import CausalBackbone, backbone_kind
from hybridret.models import DEFAULT_MODEL
from hybridret.store.folders import check_target
from hybridret.types import Document, Progress

_log = logging.getLogger(__name__)
NO_PROMPTS: Mapping[str, str] = MappingProxyType({})


def finetune(
    documents: Sequence[Document],
    output: Path | str,
    *,
    questions: Sequence[Question] = (),
    scores: Mapping[str, Mapping[str, float]] = NO_SCORES,
    model: str | None = None,
    task: str | None = None,
    query_prompt: str | None = None,
    document_prompt: str | None = None,
    task_prompts: Mapping[str, str] = NO_PROMPTS,
    recipe: Recipe | None = None,
    language: str = "english",
    work: Path | str | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    announce: Callable[[str], None] = _log.info,
    keep: bool = True,
) -> dict[str, Any]:
    """Fine-tunes the dense retriever on a corpus and writes a bundle.

    Args:
        documents: The corpus; the bundle holds all of it as given.
        output: The bundle's folder.
        questions: Labelled questions, if there are any.
        scores: A teacher's scores of their documents, by query id and document id: soft labels, which are learned.
        model: Folder or hub id of the base model.
        task: Task whose prompts to use.
        query_prompt: Text before queries, in training and ever after, instead of the recipe's or the model's.
        document_prompt: Text before documents.
        task_prompts: Text before the questions of each task, where neither of these nor the recipe says otherwise.
        recipe: Settings of all stages.
        language: Snowball language of the bm25 stemmer.
        work: Folder for the stages' artefacts; by default beside the bundle, named after it with ``.work``.
        resume: Whether stages whose inputs have not changed are skipped, and an interrupted training is gone on with.
        progress: Told how far the work is.
        announce: Told, before training, how long it will take and what comes on top.
        keep: Whether models, vectors and checkpoints of the stages stay in the work folder when all is done; the
            decisions, soft labels and logs always do.

    Returns:
        The report, as JSON can hold it: ``documents``, ``questions``, ``stages``, ``decision``, ``whitening``,
        ``gain``, ``docid``, ``notes``, ``bundle``, ``work`` and ``seconds``.

    Raises:
        InputError: Documents, questions or settings are at fault.
        ModelError: The base model or the backbone cannot be loaded.
        TrainingError: Training cannot go on.
        BundleError: The bundle cannot be written.
    """
    start, output, recipe = time.monotonic(), Path(output), recipe or Recipe()
    documents = list(documents)
    if not documents:
        raise InputError("there are no documents to train on")
    check_target(output)
    if recipe.docid.backbone:
        kind = backbone_kind(recipe.docid.backbone)
        if recipe.docid.input_weight and kind is not CausalBackbone:
            raise InputError(f"docid.input_weight needs a decoder-only backbone, which {recipe.docid.backbone} is not")
    recipe, prompts = resolve_prompts(recipe, query_prompt, document_prompt, task_prompts)
    recipe, notes = _learn_scores(recipe, scores)
    place = Path(work) if work is not None else output.with_name(output.name + ".work")
    parallel.join()
    folder = WorkFolder(place, resume, parallel.is_first(), parallel.wait, parallel.outside_group)
    run = Run(documents, questions, recipe, folder, model or DEFAULT_MODEL, task, language, progress, prompts, scores)
    cleaned, encoded = run.clean, run.base_vectors
    if parallel.is_first() and not (recipe.dense.max_steps and recipe.docid.max_steps):
        announce(
            f"training takes {recipe.minutes:g} min; making questions, comparing models and writing the index take "
            f"about {max(1, round(run.estimate_rest() / 60))} min more"
        )
    stages = {
        "clean": cleaned,
        "vectors": encoded,
        "queries": run.questions,
        "pretrain": run.pretrained,
        "negatives": run.negatives,
        "labels": run.labels,
        "dense": run.dense,
        "gate": run.gate,
        "whiten": run.whitening,
        "docid": run.docid,
        "index": run.index(output),
    }
    finished = {name: stage for name, stage in stages.items() if stage is not None}
    report = _report(finished, output, place, time.monotonic() - start)
    report["notes"] = [*notes, *report["notes"]]
    if parallel.is_first():
        write_mapping(place / "report.json", report)
        if not keep:
            folder.remove_artefacts()
    return report


def resolve_prompts(
    recipe: Recipe, query: str | None, document: str | None, by_task: Mapping[str, str]
) -> tuple[Recipe, GivenPrompts]:
    """What was said of prompts, in one place: the caller's before the recipe's, the recipe's before a label file's.

    Args:
        recipe: Its ``dense.prompts`` name prompts by task, those of retrieval being the model's own from then on.
        query: Text before queries, as the caller gives it.
        document: The same before documents.
        by_task: Text before the questions of each task, as label files give it.

    Returns:
        The recipe with the prompts of other tasks alone, and those of retrieval.
    """
    others = {task: pair for task, pair in recipe.dense.prompts.items() if task != RETRIEVAL}
    named = recipe.dense.prompts.get(RETRIEVAL, (by_task.get(RETRIEVAL), None))
    given = GivenPrompts(named[0] if query is None else query, named[1] if document is None else document)
    for task, prompt in by_task.items():
        if task != RETRIEVAL:
            others.setdefault(task, (prompt, given.document or ""))
    return replace(recipe, dense=replace(recipe.dense, prompts=others)), given


def _learn_scores(recipe: Recipe, scores: Mapping[str, Mapping[str, float]]) -> tuple[Recipe, list[str]]:
    """The recipe under which a label file's scores are learned, and what is to be said of it."""
    if not scores or recipe.dense.distillation is not None:
        return recipe, []
    dense = replace(recipe.dense, distillation="stabilised", negatives=max(1, recipe.dense.negatives))
    note = (
        f"the scores of {len(scores)} labelled questions are learned as soft labels, by dense.distillation stabilised "
        f"and dense.negatives {dense.negatives}"
    )
    return replace(recipe, dense=dense), [note]


def _report(stages: dict[str, Stage], output: Path, work: Path, seconds: float) -> dict[str, Any]:
    decision = stages["gate"].facts["decision"]
    whitening = stages["whiten"].facts["decision"] if "whiten" in stages else None
    return {
        "bundle": str(output),
        "work": str(work),
        "documents": stages["index"].facts["info"]["documents"],
        "questions": stages["queries"].facts,
        "decision": decision,
        "whitening": whitening,
        "gain": _gain(decision, whitening),
        "docid": stages["docid"].facts if "docid" in stages else None,
        "notes": stages["dense"].facts["notes"],
        "cleaning": stages["clean"].facts["counts"],
        "steps": stages["dense"].facts["steps"],
        "stages": {
            name: {"seconds": round(stage.seconds, 2), "skipped": stage.skipped} for name, stage in stages.items()
        },
        "seconds": round(seconds, 1),
    }


def _gain(decision: dict[str, Any], whitening: dict[str, Any] | None) -> dict[str, dict[str, float]]:
    """By measure the untouched and the shipped model's mean on the held-out questions."""
    whole = decision["trials"][0]["old"]
    before, after = next(
        ((each["old"], each["new"]) for each in decision["trials"] if each["ratio"] == decision["ratio"]),
        (whole, whole),
    )
    if whitening is not None and whitening["strength"]:
        before = whole
        after = next(each["new"] for each in whitening["trials"] if each["strength"] == whitening["strength"])
    return {measure: {"before": before[measure], "after": after[measure]} for measure in whole}
