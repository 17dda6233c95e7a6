"""Benchmarks that take hours run here to their last line, on sixty documents and with a tiny model."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.results import read_result

WORDS = [f"{first}{vowel}{last}" for first in "bdfgkl" for vowel in "aeiou" for last in "nr"]
USES = ("hybridret.dense.encoder", "finetune.pipeline")
Run = Callable[..., dict[str, Any]]


@pytest.fixture
def collection(tmp_path: Path, write_jsonl: Callable[..., Path]) -> Path:
    """Sixty documents on a word each, with train, dev and test questions about every one."""
    folder = tmp_path / "words"
    texts = {word: f"The {word} has number {at}. A {word} lives in house {at}." for at, word in enumerate(WORDS)}
    write_jsonl(folder / "corpus.jsonl", *({"_id": word, "title": word, "text": text} for word, text in texts.items()))
    asked = {"train": ("where is the {}", "show me a {}"), "dev": ("what about that {}",), "test": ("find the {} now",)}
    queries = []
    (folder / "qrels").mkdir()
    for split, forms in asked.items():
        rows = ["query-id\tcorpus-id\tscore"]
        for word in WORDS:
            for at, form in enumerate(forms):
                queries.append({"_id": f"{split}-{word}-{at}", "text": form.format(word)})
                rows.append(f"{split}-{word}-{at}\t{word}\t1")
        (folder / "qrels" / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    write_jsonl(folder / "queries.jsonl", *queries)
    return folder


@pytest.fixture
def run(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a benchmark's command in an empty folder and gives its result, which is also the last line of stdout."""
    for module in USES:
        monkeypatch.setattr(importlib.import_module(module), "DEFAULT_MODEL", str(tiny_model))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("benchmarks.results.FOLDER", tmp_path)

    def call(name: str, *arguments: str) -> dict[str, Any]:
        module = importlib.import_module(f"benchmarks.{name}")
        if hasattr(module, "FOLDER"):
            monkeypatch.setattr(module, "FOLDER", tmp_path)
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        module.main()
        result: dict[str, Any] = read_result(name, tmp_path)["result"]
        assert json.loads(capsys.readouterr().out.splitlines()[-1]) == result
        return result

    return call


@pytest.fixture
def quick_recipe(tmp_path: Path) -> str:
    settings = {
        "clean": {"near_duplicates": 0, "language": "any", "garbled": False, "boilerplate": 0},
        "dense": {"max_steps": 2, "batch_size": 8},
        "docid": {"max_steps": 2, "batch_size": 8, "levels": 3, "codes": 8},
        "gate": {"general_drop": None},
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(settings), encoding="utf-8")
    return "recipe.yaml"


def test_finetune_dense(run: Run, collection: Path, quick_recipe: str) -> None:
    for labels in ([], ["--labels"]):
        found = run("finetune_dense", str(collection), "--recipe", quick_recipe, "--split", "dev+test", *labels)
    assert set(found) == {f"{collection} dev+test labels", f"{collection} dev+test no labels"}
    for entry in found.values():
        assert entry["questions"] == 2 * len(WORDS)
        assert entry["steps"] == 2
        assert set(entry["systems"]) == {"dense", "bm25", "docid", "hybrid"}
        assert entry["whitening"]["sentence"].startswith("Its vectors are ")


def test_docid_equal_cost(run: Run, collection: Path, quick_recipe: str) -> None:
    found = run("docid_equal_cost", str(collection), "--recipe", quick_recipe, "--minutes", "1", "--seeds", "3")
    (entry,) = found.values()
    assert entry["dense alone"]["systems"]["dense"]["nDCG@10"]["gain"] == 0.0
    assert entry["dense alone"]["docid"] is None
    assert entry["together"]["docid"]["steps"] == 2


def test_leaderboard(run: Run, collection: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = run("leaderboard", str(collection), "--minutes", "0.5")
    states = found[str(collection)]["states"]
    assert list(states) == ["untrained", "made questions", "labels"]
    for state in states.values():
        assert set(state["systems"]) == {"dense", "bm25", "docid", "hybrid"}
        assert set(state["systems"]["dense"]) == {"nDCG@10", "Recall@1", "Recall@10"}
    assert states["untrained"]["systems"]["dense"]["nDCG@10"]["p"] == 1
    monkeypatch.setattr("benchmarks.leaderboard.measure", lambda *arguments: pytest.fail("measured twice"))
    with pytest.raises(IndexError):
        run("leaderboard", str(collection), "--minutes", "0.5")


def test_continual(run: Run, collection: Path, tmp_path: Path) -> None:
    found = run("continual", str(collection), "--splits", "test", "--first-steps", "2", "--steps", "1")
    assert set(found["arms"]) == {"frozen", "continue", "naive", "everything"}
    for name, steps in found["arms"].items():
        assert len(steps) == (1 if name == "everything" else 6)
        assert steps[-1]["test"]["questions"] == {"old": 30, "new": 30}
        assert set(steps[-1]["test"]["new"]) == {"dense", "docid", "hybrid"}
    assert (tmp_path / "continual.svg").read_text(encoding="utf-8").startswith("<svg")


def test_guided_decoding_and_fixed_fusions(run: Run, collection: Path) -> None:
    assert set(run("guided", str(collection))) == {"words dev", "words test"}
    assert run("fusion_default", str(collection))
