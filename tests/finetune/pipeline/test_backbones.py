"""From a corpus to a bundle whose docids a tiny language model writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune import Recipe, finetune
from finetune.continual.update import continue_training
from finetune.recipe import changed
from finetune.types import Question
from hybridret import HybridRetriever
from hybridret.check import check_bundle
from hybridret.errors import InputError, ModelError
from hybridret.hybrid import HybridIndex
from hybridret.types import Document
from tests.finetune.words import WORDS

DOCUMENTS = [Document(word, f"The {word} stands in {at}.", {"title": word}) for at, word in enumerate(WORDS)]
QUESTIONS = [
    Question(f"{word}{at}", f"{ask} {word}", (word,))
    for word in WORDS
    for at, ask in enumerate(("where is the", "show me a", "find the", "which"))
]
SETTINGS: dict[str, Any] = {
    "clean": {"near_duplicates": 0, "language": "any", "garbled": False, "boilerplate": 0},
    "queries": {"count": 10, "makers": {"titles": 1.0}},
    "dense": {"max_steps": 2, "batch_size": 4, "precision": "fp32"},
    "gate": {"general_drop": None, "ratios": [0.5], "at_least": 10, "at_most": 10},
}
DOCID = {"max_steps": 200, "levels": 3, "codes": 6, "batch_size": 12, "backbone_rate": 1e-2, "precision": "fp32"}


def run(model: Path, output: Path, backbone: str, resume: bool = False, **docid: Any) -> dict[str, Any]:
    settings = {**SETTINGS, "docid": {**DOCID, "sentences": 0.5, "backbone": backbone, **docid}}
    recipe = changed(Recipe(), settings, "here")
    report = finetune(DOCUMENTS, output, questions=QUESTIONS, model=str(model), recipe=recipe, resume=resume)
    return dict(report)


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ("t5", {}),
        ("llama", {"scheme": "hierarchical", "codes": None, "levels": None, "lora_rank": 8}),
        ("t5", {"scheme": "path"}),
    ],
)
def test_a_bundle_finds_what_its_backbone_learned(
    tiny_model: Path, language_model_folder: Callable[[str], Path], tmp_path: Path, shape: str, settings: Any
) -> None:
    backbone = str(language_model_folder(shape))
    report = run(tiny_model, tmp_path / "b", backbone, **settings)
    docid = report["docid"]
    assert docid["memorised"] == 1.0
    assert docid["decision"]["shipped"]
    assert docid["decision"]["sentence"].startswith(f"The docids of {backbone} are shipped, as they were asked for")
    assert docid["codes"]["collided"] == 0
    index = HybridIndex.open(tmp_path / "b")
    assert index.info()["docid"]["scheme"] == settings.get("scheme", "rq")
    texts = [document.text for document in DOCUMENTS]
    found = index.search(texts, 1, retrievers=("docid",))
    assert [hits[0].doc_id for hits in found] == WORDS
    assert HybridIndex.open(tmp_path / "b").search(texts, 12) == index.search(texts, 12)
    assert [hits[0].doc_id for hits in index.search(texts, 1)] == WORDS
    assert check_bundle(tmp_path / "b").faults == []
    assert not list((tmp_path / "b").rglob("adapter*"))

    again = run(tiny_model, tmp_path / "b", backbone, resume=True, **settings)
    assert again["stages"]["docid"]["skipped"]
    assert again["stages"]["index"]["skipped"]

    index.add([Document("ship", "The ship stands in 99.", {"title": "ship"})])
    assert "ship" in {hit.doc_id for hit in index.search(["ship"], 13, retrievers=("docid",))[0]}
    assert HybridRetriever.load(tmp_path / "b").invoke("where is the road")

    new = Document("comet", "The comet passes in winter. Nobody sees the comet at noon.", {"title": "comet"})
    going_on = changed(Recipe(), {**SETTINGS, "docid": {"max_steps": 2}, "continual": {"tolerance": None}}, "here")
    asked = [Question(f"comet{at}", f"where did I see {at} of the comet", ("comet",)) for at in range(24)]
    report = continue_training(tmp_path / "b", [new], questions=[*QUESTIONS, *asked], recipe=going_on)
    assert [row["steps"] for row in report["updates"]] == [2]
    assert "comet" in {hit.doc_id for hit in HybridIndex.open(tmp_path / "b").search(["comet"], 14)[0]}


def test_a_backbone_that_is_not_there_is_refused_before_anything_is_done(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere' cannot be loaded"):
        run(tiny_model, tmp_path / "b", str(tmp_path / "nowhere"))
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_decoder_has_no_loss_of_its_input(
    tiny_model: Path, language_model_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"docid\.input_weight needs a decoder-only backbone, which .* is not"):
        run(tiny_model, tmp_path / "b", str(language_model_folder("t5")), input_weight=1.0)
    assert not (tmp_path / "b.work").exists()
