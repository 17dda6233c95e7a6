"""Stages together: pretraining, soft labels, denoising, the round trip; and artefacts that others can read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finetune import Recipe, finetune
from finetune.errors import TrainingError
from finetune.formats import read_questions
from finetune.recipe import changed
from finetune.workfolder import WorkFolder
from hybridret.data.readers import read_corpus
from hybridret.errors import InputError
from hybridret.models import load_model
from hybridret.types import Document


@pytest.fixture
def cross_encoder(tiny_model: Path, tmp_path: Path) -> Path:
    """A cross-encoder of random weights."""
    import torch
    from transformers import AutoConfig, AutoTokenizer, BertForSequenceClassification

    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(tiny_model)
    config.num_labels = 1
    BertForSequenceClassification(config).save_pretrained(tmp_path / "cross")
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path / "cross")
    return tmp_path / "cross"


def test_pretraining_soft_labels_and_lora_in_one_run(
    domain: Any, tiny_model: Path, cross_encoder: Path, tmp_path: Path
) -> None:
    settings = {
        **domain.settings,
        "pretrain": {"objective": "mlm", "max_steps": 3, "batch_size": 4},
        "queries": {"count": 30, "round_trip": 20},
        "negatives": {"count": 3, "sources": {"dense": 1, "bm25": 1, "errors": 1}, "denoise": 0.0},
        "labels": {"teacher": "cross-encoder", "model": str(cross_encoder)},
        "dense": {
            **domain.settings["dense"],
            "distillation": "stabilised",
            "negatives": 2,
            "lora_rank": 2,
            "long_tail": 0.5,
        },
        "docid": {"share": 0.5, "max_steps": 3, "levels": 3, "codes": 8, "prefix_weight": 0.5, "teacher_weight": 1.0},
    }
    documents = read_corpus(str(domain.folder))
    questions = read_questions(domain.folder, documents=documents).questions
    report = finetune(
        documents,
        tmp_path / "b",
        questions=questions,
        model=str(tiny_model),
        recipe=changed(Recipe(), settings, "here"),
    )
    assert list(report["stages"])[3] == "pretrain"
    assert all(np.isfinite(report["docid"]["losses"]))
    work = tmp_path / "b.work"
    labels = json.loads((work / "labels" / "labels.json").read_text())
    negatives = json.loads((work / "negatives" / "negatives.json").read_text())
    rows = [json.loads(line) for line in (work / "queries" / "questions.jsonl").read_text().splitlines()]
    assert set(labels) == set(negatives) == {row["query_id"] for row in rows}
    for row in rows:
        assert set(labels[row["query_id"]]) == {*row["positives"], *negatives[row["query_id"]]}
    model = load_model(str(work / "dense" / "model"))
    assert not [name for name in model.state_dict() if "lora" in name]
    assert np.isfinite(model.encode(["a red lamp"])).all()
    log = json.loads((work / "dense" / "log.json").read_text())["history"]
    assert [entry["step"] for entry in log if "ance_changed" in entry] == [5, 10]


def test_no_documents_and_damaged_weights(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no documents to train on"):
        finetune([], tmp_path / "b", model=str(tiny_model))
    assert not (tmp_path / "b.work").exists()


def test_a_loss_that_is_no_number_keeps_earlier_stages(domain: Any, tiny_model: Path, tmp_path: Path) -> None:
    documents = read_corpus(str(domain.folder))
    questions = read_questions(domain.folder, documents=documents).questions

    def run(rate: float, resume: bool) -> dict[str, Any]:
        settings = {**domain.settings, "dense": {**domain.settings["dense"], "learning_rate": rate, "warmup": 0.0}}
        recipe = changed(Recipe(), settings, "here")
        place = tmp_path / "b"
        return finetune(documents, place, questions=questions, model=str(tiny_model), recipe=recipe, resume=resume)

    with pytest.raises(TrainingError, match=r"loss at step \d+ is nan.*earlier stages and checkpoints are kept"):
        run(1e30, False)
    assert not (tmp_path / "b").exists()
    report = run(1e-3, True)
    assert [name for name, facts in report["stages"].items() if facts["skipped"]] == [
        "clean",
        "vectors",
        "queries",
        "negatives",
        "labels",
    ]


def test_stages_are_skipped_only_when_nothing_changed(tmp_path: Path) -> None:
    runs: list[str] = []

    def make(folder: Path) -> dict[str, Any]:
        runs.append(folder.name)
        (folder / "artefact").write_text(str(len(runs)))
        return {"n": len(runs)}

    assert WorkFolder(tmp_path / "w", resume=False).run("a", {"x": 1}, make).facts == {"n": 1}
    again = WorkFolder(tmp_path / "w", resume=True)
    assert again.run("a", {"x": 1}, make).skipped
    assert again.spent > 0
    assert not WorkFolder(tmp_path / "w", resume=True).run("a", {"x": 2}, make).skipped
    (tmp_path / "w" / "a" / "artefact").write_text("damaged")
    assert not WorkFolder(tmp_path / "w", resume=True).run("a", {"x": 2}, make).skipped
    WorkFolder(tmp_path / "w", resume=True).cache.joinpath("kept").touch()
    fresh = WorkFolder(tmp_path / "w", resume=False)
    assert not fresh.run("a", {"x": 2}, make).skipped
    assert (tmp_path / "w" / "cache" / "kept").exists(), "what was asked for by content stays"
    assert runs == ["a"] * 4


def test_a_stage_that_cannot_write_says_so_and_keeps_the_others(tmp_path: Path) -> None:
    def fill_up(folder: Path) -> dict[str, Any]:
        raise OSError(28, os.strerror(28))

    work = WorkFolder(tmp_path / "w", resume=False)
    work.run("a", {}, lambda folder: {})
    with pytest.raises(TrainingError, match=r"stage b cannot write .*No space left.*run again with --resume"):
        work.run("b", {}, fill_up)
    assert WorkFolder(tmp_path / "w", resume=True).run("a", {}, fill_up).skipped


def test_a_model_without_a_transformer_is_refused(tmp_path: Path, run_python: Callable[..., Any]) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models

    static = StaticEmbedding(Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, "[UNK]")), embedding_dim=4)
    SentenceTransformer(modules=[static], device="cpu").save(str(tmp_path / "static"), create_model_card=False)
    documents = [Document(str(at), f"text number {at} of many", {}) for at in range(5)]
    with pytest.raises(InputError, match="static embeddings; contrastive training needs a transformer"):
        finetune(documents, tmp_path / "b", model=str(tmp_path / "static"))


def test_documents_that_give_no_question_do_not_stop_a_run_with_labels(tiny_encoder: Any) -> None:
    from finetune.made import made_questions
    from finetune.queries import QueriesConfig

    documents = [Document(str(at), "·" * (at + 1), {}) for at in range(5)]
    arguments = (QueriesConfig(makers={"titles": 1.0}), tiny_encoder, 0, "english")
    assert made_questions(documents, 20, *arguments) == []
    with pytest.raises(InputError, match="no question could be made of 5 documents"):
        made_questions(documents, 0, *arguments)
