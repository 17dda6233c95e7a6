"""Fine-tuning from documents to a bundle."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finetune import parallel
from finetune.recipe import Recipe
from finetune.stages import Run
from finetune.types import Question
from finetune.workfolder import Stage, WorkFolder, write_mapping
from hybridret.errors import InputError
from hybridret.generative import CausalBackbone, backbone_kind
from hybridret.models import DEFAULT_MODEL
from hybridret.store.folders import check_target
from hybridret.types import Document, Progress


def finetune(
    documents: Sequence[Document],
    output: Path | str,
    *,
    questions: Sequence[Question] = (),
    model: str | None = None,
    task: str | None = None,
    recipe: Recipe | None = None,
    language: str = "english",
    work: Path | str | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Fine-tunes the dense retriever on a corpus and writes a bundle.

    Args:
        documents: The corpus; the bundle holds all of it as given.
        output: The bundle's folder.
        questions: Labelled questions, if there are any.
        model: Folder or hub id of the base model.
        task: Task whose prompts to use.
        recipe: Settings of all stages.
        language: Snowball language of the bm25 stemmer.
        work: Folder for the stages' artefacts; by default beside the bundle, named after it with ``.work``.
        resume: Whether stages whose inputs have not changed are skipped, and an interrupted training is gone on with.
        progress: Told how far the work is.

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
    place = Path(work) if work is not None else output.with_name(output.name + ".work")
    parallel.join()
    folder = WorkFolder(place, resume, parallel.is_first(), parallel.wait, parallel.outside_group)
    run = Run(documents, questions, recipe, folder, model or DEFAULT_MODEL, task, language, progress)
    stages = {
        "clean": run.clean,
        "vectors": run.base_vectors,
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
    if parallel.is_first():
        write_mapping(place / "report.json", report)
    return report


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
