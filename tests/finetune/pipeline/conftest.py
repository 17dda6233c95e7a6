"""A small domain on disk: forty documents, questions with labels, and a recipe that trains for a few steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

COLOURS = ["red", "blue", "green", "gold", "black", "white", "pink", "grey"]
THINGS = ["lamp", "road", "tower", "bridge", "river", "garden", "kitchen", "train"]


class Domain(NamedTuple):
    """Files of a domain.

    Attributes:
        folder: A BEIR folder.
        recipe: A recipe file.
        settings: What the recipe says.
    """

    folder: Path
    recipe: Path
    settings: dict[str, Any]


@pytest.fixture
def domain(tmp_path: Path) -> Domain:
    folder = tmp_path / "domain"
    (folder / "qrels").mkdir(parents=True)
    documents, queries, qrels = [], [], ["query-id\tcorpus-id\tscore"]
    for at in range(40):
        colour, thing = COLOURS[at % 8], THINGS[(at // 8 + at) % 8]
        text = (
            f"The {colour} {thing} stands in hall {at}. Visitors of hall {at} find the {thing} behind a {colour} door."
        )
        documents.append({"_id": f"d{at}", "title": f"{colour} {thing} {at}", "text": text, "hall": at % 4})
        for part in range(2):
            queries.append({"_id": f"q{at}-{part}", "text": f"where is the {thing} of hall {at}" + " please" * part})
            qrels.append(f"q{at}-{part}\td{at}\t1")
    queries.append({"_id": "loose", "text": "a query without a row in the qrels"})
    for name, records in (("corpus.jsonl", documents), ("queries.jsonl", queries)):
        (folder / name).write_text("".join(json.dumps(record) + "\n" for record in records))
    (folder / "qrels" / "train.tsv").write_text("\n".join(qrels) + "\n")
    settings = {
        "clean": {"near_duplicates": 0, "language": "any", "garbled": False, "boilerplate": 0},
        "queries": {"count": 40, "makers": {"titles": 1.0, "sentences": 1.0}},
        "dense": {
            "max_steps": 12,
            "batch_size": 8,
            "checkpoint_every": 4,
            "ance_every": 5,
            "negatives": 1,
            "precision": "fp32",
            "learning_rate": 1e-3,
        },
        "gate": {"general_drop": None, "ratios": [0.5]},
        "docid": {"share": 0.0},
    }
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps(settings))
    return Domain(folder, recipe, settings)
