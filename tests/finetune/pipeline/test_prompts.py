"""Prompts are one thing from training to the saved bundle, and a label file's scores and prompts reach training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

from finetune import Recipe, finetune
from finetune.formats import read_questions
from finetune.pipeline import resolve_prompts
from finetune.recipe import changed
from finetune.types import GivenPrompts
from hybridret.data.readers import read_corpus
from hybridret.hybrid import HybridIndex

QUERY, DOCUMENT = "Represent this sentence for searching relevant passages: ", "Passage: "
DOCID = {"share": 0.5, "max_steps": 4, "levels": 4, "codes": 8, "batch_size": 8, "precision": "fp32"}


@pytest.fixture
def bge(tiny_model: Path, tmp_path: Path) -> Path:
    """A model of BGE's shape: the first token's vector, of unit length."""
    tiny = SentenceTransformer(str(tiny_model), device="cpu")
    tiny[0].auto_model.save_pretrained(tmp_path / "raw")
    tiny.tokenizer.save_pretrained(tmp_path / "raw")
    transformer = Transformer(str(tmp_path / "raw"))
    model = SentenceTransformer(modules=[transformer, Pooling(32, "cls"), Normalize()], device="cpu")
    model.save(str(tmp_path / "bge"), create_model_card=False)
    return tmp_path / "bge"


def test_trainer_bundle_and_saved_model_give_the_same_vectors(domain: Any, bge: Path, tmp_path: Path) -> None:
    recipe = changed(Recipe(), {**domain.settings, "docid": DOCID}, "here")
    finetune(
        read_corpus(str(domain.folder)), tmp_path / "b", model=str(bge), recipe=recipe,
        query_prompt=QUERY, document_prompt=DOCUMENT,
    )  # fmt: skip
    saved = SentenceTransformer(str(tmp_path / "b" / "dense"), device="cpu")
    assert saved.prompts["query"] == QUERY
    assert saved.prompts["document"] == DOCUMENT
    index = HybridIndex.open(tmp_path / "b")
    text = index.get(["d0"])[0].text
    encoder = index._changes.bundled_encoder()
    pairs = [
        (encoder.encode_queries(["a lamp"]), saved.encode_query(["a lamp"])),
        (encoder.encode_documents([text]), saved.encode_document([text])),
        (saved.encode([DOCUMENT + text], prompt_name=None), saved.encode_document([text])),
        (
            index._changes.generation.dense.vectors[:1],
            saved.encode_document([index.get([index._changes.generation.ids[0]])[0].text]),
        ),
    ]
    for one, other in pairs:
        np.testing.assert_allclose(one, other, atol=2e-2 if encoder.model is not encoder._original else 1e-5)
    trained = SentenceTransformer(str(tmp_path / "b.work" / "dense" / "model"), device="cpu")
    assert trained.prompts == {**trained.prompts, "query": QUERY, "document": DOCUMENT}


def test_the_callers_prompts_come_before_the_recipes_and_these_before_a_label_files() -> None:
    by_task = {"retrieval": "file: ", "sts": "same: "}
    recipe = Recipe()
    assert resolve_prompts(recipe, None, None, by_task)[1] == GivenPrompts("file: ", None)
    named = changed(recipe, {"dense": {"prompts": {"retrieval": ["Q: ", "D: "]}}}, "here")
    resolved, given = resolve_prompts(named, None, "P: ", by_task)
    assert given == GivenPrompts("Q: ", "P: ")
    assert resolved.dense.prompts == {"sts": ("same: ", "P: ")}
    assert resolve_prompts(named, "X: ", None, {})[1] == GivenPrompts("X: ", "D: ")
    assert resolve_prompts(recipe, None, None, {})[1] == GivenPrompts()


def test_the_scores_of_a_label_file_are_learned_by_default(domain: Any, tiny_model: Path, tmp_path: Path) -> None:
    documents = read_corpus(str(domain.folder))
    labels = tmp_path / "labels.jsonl"
    with labels.open("w") as file:
        for at, document in enumerate(documents):
            other = documents[(at + 1) % len(documents)].text
            for end in ("", " please"):
                record = {"query": f"where is hall {at}{end}", "pos": [document.text], "neg": [other]}
                file.write(
                    json.dumps({**record, "pos_scores": [4.0], "neg_scores": [-3.0 - at], "prompt": QUERY}) + "\n"
                )
    labelled = read_questions(labels, documents=documents)
    settings = {**domain.settings, "dense": {**domain.settings["dense"], "negatives": 0}}
    report = finetune(
        documents, tmp_path / "b", questions=labelled.questions, scores=labelled.scores, model=str(tiny_model),
        task_prompts=labelled.prompts, recipe=changed(Recipe(), settings, "here"),
    )  # fmt: skip
    assert any("80 labelled questions are learned as soft labels" in note for note in report["notes"])
    stored = json.loads((tmp_path / "b.work" / "labels" / "labels.json").read_text())
    assert len(stored) == report["questions"]["train"]["labels"] > 20
    for query_id, scores in stored.items():
        assert scores == labelled.scores[query_id]
    assert SentenceTransformer(str(tmp_path / "b" / "dense"), device="cpu").prompts["query"] == QUERY
    plain = changed(Recipe(), {**settings, "dense": {**settings["dense"], "negatives": 1}}, "here")
    without = finetune(
        documents, tmp_path / "c", questions=labelled.questions, model=str(tiny_model),
        task_prompts=labelled.prompts, recipe=plain,
    )  # fmt: skip
    assert without["notes"] == []
    taught, untaught = (
        SentenceTransformer(str(tmp_path / f"{name}.work" / "dense" / "model"), device="cpu").encode(["a lamp"])
        for name in ("b", "c")
    )
    assert np.abs(taught - untaught).max() > 1e-4, "the scores change what is learned"
