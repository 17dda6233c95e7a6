"""Fine-tuning the dense retriever: every retriever on a collection's questions before and after it.

``python -m benchmarks.finetune_dense NAME... [--labels] [--docids] [--minutes 10] [--split test] [--recipe F]``.
Docids stay untrained, unless ``--docids`` or the recipe says otherwise; with it all settings are the defaults.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from benchmarks.results import FOLDER, read_result, write_result
from benchmarks.significance import t_test
from finetune import Recipe, finetune, read_recipe
from finetune.formats import read_questions
from finetune.recipe import changed
from hybridret.data.dataset import read_dataset
from hybridret.data.readers import PYTHON_DOCS, find_source, read_corpus
from hybridret.dense import make_encoder
from hybridret.display import progress_bars
from hybridret.evaluation import evaluate_queries
from hybridret.hybrid import HybridIndex

NAME = "finetune_dense"
MEASURES = ("nDCG@10", "Recall@1", "Recall@10")
Values = dict[tuple[str, str], list[float]]


def main() -> None:
    """Runs the command line's work on each collection and adds its entry to the results."""
    arguments = _parse()
    entries = read_result(NAME)["result"] if (FOLDER / f"{NAME}.json").is_file() else {}
    for name in arguments.names:
        key = f"{name} {arguments.split} {'labels' if arguments.labels else 'no labels'}"
        key += f"{', docids' if arguments.docids else ''}{arguments.tag}"
        entries[key] = measure(name, arguments)
        write_result(NAME, dict(sorted(entries.items())))


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Fine-tunes on one collection and compares the bundles before and after."""
    source = find_source(name)
    documents = read_corpus(source)
    recipe = Recipe() if arguments.docids else changed(Recipe(), {"docid": {"share": 0.0}}, NAME)
    recipe = recipe if arguments.recipe is None else read_recipe(arguments.recipe, recipe)
    recipe = changed(recipe, {"minutes": arguments.minutes, "seed": arguments.seed}, "command line")
    questions = read_questions(source, documents=documents).questions if arguments.labels else []
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, progress_bars() as progress:
        report = finetune(documents, Path(folder) / "bundle", questions=questions, recipe=recipe, progress=progress)
        seconds = time.perf_counter() - start
        tuned = HybridIndex.open(Path(folder) / "bundle")
        base = HybridIndex.build(documents, make_encoder(), progress=progress, fit=True)
        before: Values = {}
        after: Values = {}
        for split in arguments.split.split("+"):
            dataset = read_dataset(source, split, {document.doc_id for document in documents})
            for values, index in ((before, base), (after, tuned)):
                for system, measured in evaluate_queries(index, dataset, progress).items():
                    for each in MEASURES:
                        values.setdefault((system, each), []).extend(measured[each].values())
    systems: dict[str, Any] = {}
    for (system, each), old in before.items():
        new = after[system, each]
        means = {"before": sum(old) / len(old), "after": sum(new) / len(new)}
        systems.setdefault(system, {})[each] = {**means, "p": t_test(new, old)}
    command = f"python -m benchmarks.{NAME} {name} --split {arguments.split} --minutes {arguments.minutes:g}"
    return {
        "command": command
        + (" --labels" if arguments.labels else "")
        + (" --docids" if arguments.docids else "")
        + (" --recipe RECIPE" if arguments.recipe else ""),
        "recipe": {} if arguments.recipe is None else yaml.safe_load(arguments.recipe.read_text(encoding="utf-8")),
        "seconds": round(seconds, 1),
        "questions": len(old),
        "systems": systems,
        "steps": report["steps"],
        "trained_on": report["questions"],
        "decision": report["decision"],
        "whitening": report["whitening"],
        "docid": report["docid"],
        "stages": report["stages"],
        "notes": report["notes"],
    }


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", help=f"collections in $HYBRIDRET_DATA, or {PYTHON_DOCS}")
    parser.add_argument("--labels", action="store_true", help="use the train split's labels")
    parser.add_argument("--docids", action="store_true", help="train docids too, as the command does by default")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--split", default="test", help="questions to measure on; several joined by +")
    parser.add_argument("--recipe", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tag", default="", help="added to the entry's name")
    return parser.parse_args()


if __name__ == "__main__":
    main()
