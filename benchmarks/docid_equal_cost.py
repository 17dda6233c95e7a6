"""Does the generative half earn its place: dense and docid trained together against dense trained as long.

``python -m benchmarks.docid_equal_cost NAME... [--minutes 20] [--split test] [--seeds 0 1 2] [--recipe F]``
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from benchmarks.results import FOLDER, read_result, write_result
from benchmarks.significance import gains
from finetune import Recipe, finetune, read_recipe
from finetune.formats import read_questions
from finetune.recipe import changed
from hybridret.data.dataset import read_dataset
from hybridret.data.readers import find_source, read_corpus
from hybridret.display import progress_bars
from hybridret.evaluation import SYSTEMS, evaluate_queries
from hybridret.hybrid import HybridIndex

NAME = "docid_equal_cost"
MEASURES = ("nDCG@10", "Recall@1", "Recall@10")
SHARES = {"dense alone": 0.0, "together": 0.5}
ASKED = {**SYSTEMS, "dense + docid": ["dense", "docid"]}
Values = Mapping[str, Mapping[str, Mapping[str, float]]]


def main() -> None:
    """Runs the command line's work on each collection and adds its entry to the results."""
    arguments = _parse()
    entries = read_result(NAME)["result"] if (FOLDER / f"{NAME}.json").is_file() else {}
    for name in arguments.names:
        for seed in arguments.seeds:
            entries[f"{name} {arguments.split} {arguments.minutes:g} minutes, seed {seed}"] = measure(
                name, seed, arguments
            )
            write_result(NAME, dict(sorted(entries.items())))


def measure(name: str, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Trains both ways and compares each system of both with dense that was trained alone."""
    recipe = Recipe() if arguments.recipe is None else read_recipe(arguments.recipe)
    ways = {}
    for way, share in SHARES.items():
        settings = {"minutes": arguments.minutes, "seed": seed, "docid": {"share": share}}
        ways[way] = trained(name, settings, arguments.split, recipe)
    rival = ways["dense alone"][0]["dense"]
    found: dict[str, Any] = {}
    for way, (systems, report) in ways.items():
        compared = {system: gains(values, rival, MEASURES) for system, values in systems.items()}
        facts = {each: report[each] for each in ("decision", "whitening", "docid", "steps", "stages", "seconds")}
        found[way] = {"systems": compared, **facts}
    told = {} if arguments.recipe is None else yaml.safe_load(arguments.recipe.read_text(encoding="utf-8"))
    return {"questions": len(rival["nDCG@10"]), "recipe": told, **found}


def trained(name: str, settings: Mapping[str, Any], split: str, recipe: Recipe) -> tuple[Values, dict[str, Any]]:
    """Fine-tunes on a collection's train questions and asks the bundle.

    Args:
        name: Of the collection.
        settings: What differs from the recipe.
        split: Whose questions are asked.
        recipe: All other settings.

    Returns:
        The measures by system, measure and query id, and what ``finetune`` reports.
    """
    source = find_source(name)
    documents = read_corpus(source)
    questions = read_questions(source, documents=documents).questions
    with tempfile.TemporaryDirectory() as folder, progress_bars() as progress:
        bundle = Path(folder) / "bundle"
        changed_recipe = changed(recipe, settings, "command line")
        report = finetune(documents, bundle, questions=questions, recipe=changed_recipe, progress=progress)
        dataset = read_dataset(source, split, {document.doc_id for document in documents})
        return evaluate_queries(HybridIndex.open(bundle), dataset, progress, ASKED), report


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", help="collections in $HYBRIDRET_DATA with train questions")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--split", default="test")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--recipe", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
