"""Fine-tuning by FlagEmbedding beside ``hybridret finetune``: one base model, the same labels, the same minutes.

``python -m benchmarks.flag_embedding NAME... [--minutes 10] [--split test] [--seed 0] [--environment FOLDER]``

FlagEmbedding runs in an environment of its own, which is made and filled by pip from ``flag_embedding.txt`` where it is
not there yet. Both train with the learning rate that its examples give and with the one that hybridret takes for
labelled questions: the former is for models that are ten times larger. What could be said to favour one side favours
FlagEmbedding: it trains on all labelled questions, where hybridret holds some out for its gate, and its minutes hold
neither the steps that were timed for the plan nor the encoding of the documents.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.docid_equal_cost import MEASURES, trained
from benchmarks.flag_training import SETTINGS, FlagTraining, as_json, planned_steps, write_lessons
from benchmarks.own_environment import NotRunError, OwnEnvironment
from benchmarks.peers import NOT_RUN
from benchmarks.results import FOLDER, read_result, write_result
from benchmarks.significance import t_test
from benchmarks.systems import own_systems, run
from finetune import Recipe
from finetune.formats import read_questions
from finetune.types import Question
from hybridret.data.dataset import Dataset, read_dataset
from hybridret.data.readers import find_source, read_corpus
from hybridret.dense import make_encoder
from hybridret.evaluation import measure_run
from hybridret.hybrid import HybridIndex
from hybridret.models import DEFAULT_MODEL, fast_dtype, load_model
from hybridret.types import Document, Encoder

NAME, PEER = "flag_embedding", "FlagEmbedding"
REQUIREMENTS = Path(__file__).with_suffix(".txt")
RATES = (1e-5, 1e-4)
Values = Mapping[str, Mapping[str, float]]


class Task(NamedTuple):
    """What both learn and are asked.

    Attributes:
        documents: The corpus.
        lessons: The labelled questions of its train split.
        dataset: The questions that are asked.
    """

    documents: Sequence[Document]
    lessons: Sequence[Question]
    dataset: Dataset


def main() -> None:
    """Runs the command line's work on each collection and adds its entry to the results."""
    arguments = _parse()
    environment = OwnEnvironment(arguments.environment)
    entries = read_result(NAME)["result"] if (FOLDER / f"{NAME}.json").is_file() else {}
    told = ["--minutes", f"{arguments.minutes:g}", "--split", arguments.split, "--seed", str(arguments.seed)]
    for name in arguments.names:
        key = f"{name} {arguments.split} {arguments.minutes:g} minutes, seed {arguments.seed}"
        entries[key] = measure(name, environment, REQUIREMENTS, arguments.minutes, arguments.split, arguments.seed)
        write_result(NAME, dict(sorted(entries.items())), [*arguments.names, *told])


def measure(
    name: str, environment: OwnEnvironment, requirements: Path, minutes: float, split: str, seed: int
) -> dict[str, Any]:
    """Trains both ways on a collection and compares them on the same questions.

    Args:
        name: Of the collection.
        environment: Where FlagEmbedding is or will be installed.
        requirements: What the environment needs.
        minutes: For each training.
        split: Whose questions are asked.
        seed: Of both.

    Returns:
        ``questions``, and by measure the means of ``untrained``, of ``hybridret``, and of ``FlagEmbedding`` by learning
        rate, there with hybridret's gain over it and its p; ``not run`` and why in the place of what could not be
        measured. Where FlagEmbedding cannot be installed nothing else is measured.
    """
    source = find_source(name)
    documents = read_corpus(source)
    dataset = read_dataset(source, split, {document.doc_id for document in documents})
    task = Task(documents, read_questions(source, documents=documents).questions, dataset)
    try:
        environment.install(requirements)
        versions = environment.versions()
        measured, facts = _of_flag_embedding(task, environment, 60.0 * minutes, seed)
    except NotRunError as error:
        return {"questions": len(dataset.queries), PEER: {NOT_RUN: str(error)}}
    settings = {"minutes": minutes, "seed": seed, "docid": {"share": 0.0}}
    systems, report = trained(name, settings, split, Recipe())
    own = systems["dense"]
    for rate, values in measured.items():
        facts["rates"][rate] |= compared(own, values)
    shown = {each: report[each] for each in ("decision", "steps", "stages", "seconds")}
    return {
        "questions": len(dataset.queries),
        "model": DEFAULT_MODEL,
        "untrained": means(_asked(task, make_encoder())),
        "hybridret": {**means(own), "trained_on": report["questions"], **shown},
        PEER: {**facts, "versions": versions},
    }


def means(values: Values) -> dict[str, float]:
    """The mean of each measure over all questions."""
    return {each: sum(values[each].values()) / len(values[each]) for each in MEASURES}


def compared(own: Values, peer: Values) -> dict[str, Any]:
    """A peer's mean of each measure, what hybridret gains over it, and the p of the paired t-test."""
    told = {}
    for each, mean in means(peer).items():
        ours, theirs = list(own[each].values()), [peer[each][query] for query in own[each]]
        told[each] = {"mean": mean, "hybridret's gain": means(own)[each] - mean, "p": t_test(ours, theirs)}
    return told


def trained_encoder(folder: Path) -> Encoder:
    """The default model with the weights that FlagEmbedding left.

    Raises:
        NotRunError: They are not there, or of another model.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    model = load_model(DEFAULT_MODEL)
    try:
        _inner(model).load_state_dict(load_file(folder / "model.safetensors"))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise NotRunError(f"the trained model cannot be loaded: {type(error).__name__}") from error
    return make_encoder(model)


def _of_flag_embedding(
    task: Task, environment: OwnEnvironment, seconds: float, seed: int
) -> tuple[dict[str, Values], dict[str, Any]]:
    """Trains with each rate: by rate the measures of what came out, and what is to be told of all of it."""
    measured: dict[str, Values] = {}
    rates: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="hybridret-") as folder:
        work = Path(folder)
        n_lessons = write_lessons(work / "lessons.jsonl", task.lessons, task.documents)
        base = load_model(DEFAULT_MODEL)
        settings = {**SETTINGS, **_precision(base), "seed": str(seed)}
        training = FlagTraining(environment, _inner(base).name_or_path, work / "lessons.jsonl", work, settings)
        probe = training.probe(RATES[0])
        steps = planned_steps(probe, seconds)
        for rate in RATES:
            output, name = work / f"{rate:g}", f"{rate:g}"
            try:
                rates[name] = as_json(training.train(output, steps, rate))
                measured[name] = _asked(task, trained_encoder(output))
            except NotRunError as error:
                rates[name] = {NOT_RUN: str(error)}
    return measured, {"trained_on": n_lessons, "settings": settings, "probe": as_json(probe), "rates": rates}


def _asked(task: Task, encoder: Encoder) -> Values:
    """An encoder's dense retrieval, by measure and question."""
    search = own_systems(HybridIndex.build(task.documents, encoder))["dense"]
    return measure_run(run(search, task.dataset.queries), task.dataset)


def _inner(model: Any) -> Any:
    """The transformers model in one of sentence-transformers."""
    return model[0].auto_model


def _precision(model: Any) -> dict[str, str]:
    """Device and precision as ``hybridret finetune`` chooses them."""
    import torch

    is_short = fast_dtype(model.device) is torch.bfloat16
    return {"use_cpu": str(model.device.type == "cpu"), "bf16": str(is_short)}


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", help="collections in $HYBRIDRET_DATA with train questions")
    parser.add_argument("--minutes", type=float, default=10.0, help="for each training")
    parser.add_argument("--split", default="test")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--environment", type=Path, default=_cache() / "hybridret" / NAME, help="folder of FlagEmbedding's environment"
    )
    return parser.parse_args()


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


if __name__ == "__main__":
    main()
