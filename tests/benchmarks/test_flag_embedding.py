"""Fine-tuning by FlagEmbedding: what it is told, how its answers are read, and what is said where it cannot run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import ttest_rel

from benchmarks import flag_embedding
from benchmarks.flag_embedding import MEASURES, REQUIREMENTS, compared, means, trained_encoder
from benchmarks.flag_training import SETTINGS, FlagTraining, Timing, as_json, parsed, planned_steps, write_lessons
from benchmarks.own_environment import NotRunError, OwnEnvironment
from finetune.formats import read_questions
from finetune.types import Question
from hybridret.types import Document

MISSING = "--no-index\nno-such-package==1\n"
TOLD = "{'train_runtime': 31.5, 'train_samples_per_second': 10.1, 'train_loss': 2.25, 'epoch': 0.02}\n"


def test_lessons_are_read_back_as_they_were(tmp_path: Path) -> None:
    documents = [Document("cat", "Cats purr", {}), Document("dog", "Dogs – bark", {})]
    questions = [
        Question("1", "who purrs", ("cat",)),
        Question("2", "qui aboie ?\nqui ?", ("dog", "lost", "cat")),
        Question("3", "who is lost", ("lost",)),
    ]
    assert write_lessons(tmp_path / "lessons.jsonl", questions, documents) == 2
    lines = [json.loads(line) for line in (tmp_path / "lessons.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines[0] == {"query": "who purrs", "pos": ["Cats purr"], "neg": []}
    found = read_questions(tmp_path / "lessons.jsonl", documents=documents)
    assert found.documents == []
    assert [(each.text, each.positives) for each in found.questions] == [
        ("who purrs", ("cat",)),
        ("qui aboie ?\nqui ?", ("dog", "cat")),
    ]


def test_the_command_line_names_each_setting_once(tmp_path: Path) -> None:
    environment = OwnEnvironment(tmp_path / "environment")
    settings = {**SETTINGS, "seed": "7", "bf16": "True"}
    training = FlagTraining(environment, "base", tmp_path / "data.jsonl", tmp_path, settings)
    command = training.command(tmp_path / "model", 40, 1e-5)
    given = dict(zip(command[::2], command[1::2], strict=True))
    assert len(given) == len(command) / 2
    assert all(name.startswith("--") for name in given)
    assert given.items() >= {
        ("--model_name_or_path", "base"),
        ("--train_data", str(tmp_path / "data.jsonl")),
        ("--output_dir", str(tmp_path / "model")),
        ("--max_steps", "40"),
        ("--learning_rate", "1e-05"),
        ("--temperature", "0.02"),
        ("--sentence_pooling_method", "mean"),
        ("--normalize_embeddings", "True"),
        ("--seed", "7"),
        ("--bf16", "True"),
    }


def test_as_many_steps_are_planned_as_fit_beside_starting_and_saving() -> None:
    # 30 seconds of which 20 are ten steps: 10 to start and save, 2 a step
    probe = Timing(10, 30.0, 20.0, 1.0)
    assert planned_steps(probe, 610.0) == 300
    assert planned_steps(probe, 611.9) == 300
    assert planned_steps(probe, 5.0) == 1


def test_what_training_says_at_its_end_is_read() -> None:
    timing = parsed(f"{{'loss': 9.0, 'epoch': 0.1}}\n{TOLD}", 10, 44.4444)
    assert as_json(timing) == {"steps": 10, "seconds": 44.444, "training_seconds": 31.5, "loss": 2.25}
    quoted = TOLD.replace("31.5", "'31.5'").replace("2.25", "'2.25'")
    assert parsed(quoted, 10, 44.4444) == timing
    assert parsed(TOLD.replace("2.25", "2.5e-05"), 10, 44.0).loss == 2.5e-05
    with pytest.raises(NotRunError, match="does not say what its training took"):
        parsed("{'loss': 9.0}", 10, 44.0)


def test_hybridret_s_gain_is_paired_by_question() -> None:
    own = {each: {"a": 1.0, "b": 0.5, "c": 0.75} for each in MEASURES}
    peer = {each: {"c": 0.25, "b": 0.5, "a": 0.5} for each in MEASURES}
    assert means(own)["nDCG@10"] == pytest.approx(0.75)
    told = compared(own, peer)["Recall@1"]
    assert told["mean"] == pytest.approx(1.25 / 3)
    assert told["hybridret's gain"] == pytest.approx(1 / 3)
    assert told["p"] == pytest.approx(ttest_rel([1.0, 0.5, 0.75], [0.5, 0.5, 0.25]).pvalue)
    assert compared(own, own)["Recall@1"]["p"] == 1.0


@pytest.mark.model
def test_the_trained_weights_take_the_place_of_the_model_s(packaged_model: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from hybridret.dense import make_encoder
    from hybridret.models import load_model

    with pytest.raises(NotRunError, match="FileNotFoundError"):
        trained_encoder(tmp_path)
    load_model(packaged_model)[0].auto_model.save_pretrained(tmp_path)
    texts = ["who purrs", "who makes honey"]
    untrained = make_encoder(packaged_model).encode_queries(texts)
    np.testing.assert_array_equal(trained_encoder(tmp_path).encode_queries(texts), untrained)
    weights = load_file(tmp_path / "model.safetensors")
    name = "encoder.layer.5.output.dense.weight"
    save_file({**weights, name: -weights[name]}, tmp_path / "model.safetensors")
    assert np.abs(trained_encoder(tmp_path).encode_queries(texts) - untrained).max() > 0.01
    save_file({name: weights[name]}, tmp_path / "model.safetensors")
    with pytest.raises(NotRunError, match="RuntimeError"):
        trained_encoder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(NotRunError, match="SafetensorError"):
        trained_encoder(tmp_path)


def test_the_requirements_pin_every_package() -> None:
    lines = [line for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert lines
    assert all(line.count("==") == 1 for line in lines)
    assert any(line.startswith("FlagEmbedding==") for line in lines)


def test_where_it_cannot_be_installed_the_result_says_so(
    zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    requirements, results = tmp_path / "requirements.txt", tmp_path / "results"
    requirements.write_text(MISSING, encoding="utf-8")
    monkeypatch.setattr(flag_embedding, "REQUIREMENTS", requirements)
    monkeypatch.setattr(flag_embedding, "FOLDER", results)
    monkeypatch.setattr("benchmarks.results.FOLDER", results)
    place = str(tmp_path / "environment")
    monkeypatch.setattr(sys, "argv", ["flag_embedding", str(zoo), "--minutes", "1", "--environment", place])
    flag_embedding.main()
    written: dict[str, Any] = json.loads((results / "flag_embedding.json").read_text(encoding="utf-8"))
    assert written["command"] == f"python -m benchmarks.flag_embedding {zoo} --minutes 1 --split test --seed 0"
    ((key, entry),) = written["result"].items()
    assert key == f"{zoo} test 1 minutes, seed 0"
    assert set(entry) == {"questions", "FlagEmbedding"}
    assert entry["questions"] == 3
    (why,) = entry["FlagEmbedding"].values()
    assert set(entry["FlagEmbedding"]) == {"not run"}
    assert "No matching distribution found for no-such-package" in why
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == written["result"]
