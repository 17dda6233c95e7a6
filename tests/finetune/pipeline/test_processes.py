"""The whole command as torchrun starts it, with its default stages, in one process and in two."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from transformers import TrainingArguments

from finetune import Recipe, finetune
from finetune.recipe import changed
from hybridret.data.readers import read_corpus
from hybridret.hybrid import HybridIndex

TOLERANCE = 2e-3
"""Of vectors: sums over a batch are taken in another order in two processes, and Adam's first steps magnify that."""
DOCID: dict[str, Any] = {"max_steps": 6, "levels": 4, "codes": 8, "batch_size": 8, "precision": "fp32"}


class Command(NamedTuple):
    """Runs ``hybridret finetune`` from this source, by itself or under torchrun."""

    script: Path

    def __call__(self, processes: int | None, *arguments: object) -> dict[str, Any]:
        launcher = [sys.executable, "-W", "ignore"]
        if processes is not None:
            launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        variables = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        variables["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            [*launcher, str(self.script), *map(str, arguments), "--json", "--keep"],
            env=variables, capture_output=True, text=True, timeout=280, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.count("\n") == 1, "one process prints"
        return dict(json.loads(done.stdout))


@pytest.fixture
def command(tmp_path: Path) -> Command:
    script = tmp_path / "run.py"
    script.write_text("from finetune.cli import finetune\nimport typer\ntyper.run(finetune)\n")
    return Command(script)


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """The tiny model without dropout, which is drawn for a half of a batch in each of two processes."""
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    (config,) = [path for path in folder.rglob("config.json") if "hidden_dropout_prob" in path.read_text()]
    settings = {**json.loads(config.read_text()), "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config.write_text(json.dumps(settings))
    return folder


def recipe(domain: Any, folder: Path, **docid: Any) -> Path:
    """The domain's recipe with all stages that run by default, the general questions and whitening among them."""
    settings = {**domain.settings, "gate": {"ratios": [0.5], "hybrid_drop": None}, "docid": {**DOCID, **docid}}
    path = folder / f"recipe-{len(docid)}.yaml"
    path.write_text(json.dumps(settings))
    return path


def vectors(bundle: Path) -> Any:
    texts = ["where is the lamp of hall 0", "a road", "The red lamp stands in hall 0."]
    return SentenceTransformer(str(bundle / "dense"), device="cpu").encode(texts)


def answers(bundle: Path) -> list[list[str]]:
    index = HybridIndex.open(bundle)
    return [[hit.doc_id for hit in hits] for hits in index.search(["where is the lamp of hall 0", "gold bridge"], 5)]


@pytest.mark.slow
def test_labels_docids_and_new_documents_under_torchrun(
    command: Command, domain: Any, model: Path, tmp_path: Path
) -> None:
    settings = recipe(domain, tmp_path)
    labels = ["--queries", domain.folder / "queries.jsonl", "--qrels", domain.folder / "qrels" / "train.tsv"]
    reports = {}
    for name, processes in (("plain", None), ("one", 1), ("two", 2)):
        arguments = [domain.folder, "-o", tmp_path / name, "--model", model, "--recipe", settings, *labels]
        reports[name] = command(processes, *arguments)
    plain = reports.pop("plain")
    assert plain["docid"]["steps"] == DOCID["max_steps"]
    assert plain["whitening"] is not None
    assert plain["decision"]["trials"][0]["general"] is not None
    for name, report in reports.items():
        assert report["steps"] == plain["steps"] == 12
        assert list(report["stages"]) == list(plain["stages"])
        trained, expected = (
            SentenceTransformer(str(tmp_path / f"{each}.work" / "dense" / "model"), device="cpu")
            for each in (name, "plain")
        )
        np.testing.assert_allclose(
            trained.encode(["a lamp"]), expected.encode(["a lamp"]), atol=TOLERANCE, err_msg=name
        )
        assert report["docid"]["decision"]["shipped"] == plain["docid"]["decision"]["shipped"]
        np.testing.assert_allclose(vectors(tmp_path / name), vectors(tmp_path / "plain"), atol=TOLERANCE)
        assert answers(tmp_path / name) == answers(tmp_path / "plain")

    new = tmp_path / "new.jsonl"
    new.write_text(
        "".join(
            json.dumps(
                {"_id": f"n{at}", "title": f"violet ship {at}", "text": f"The violet ship waits in hall {90 + at}."}
            )
            + "\n"
            for at in range(6)
        )
    )
    updates = {}
    for name, processes in (("plain", None), ("two", 2)):
        updates[name] = command(processes, "--continue", tmp_path / name, "--new", new, "--recipe", settings)
    assert updates["two"]["documents"] == updates["plain"]["documents"] == 46
    assert updates["two"]["steps"] == updates["plain"]["steps"] == DOCID["max_steps"]
    assert updates["two"]["ratio"] == updates["plain"]["ratio"]
    np.testing.assert_allclose(vectors(tmp_path / "two"), vectors(tmp_path / "plain"), atol=TOLERANCE)


@pytest.mark.slow
def test_no_labels_and_a_language_model_under_torchrun(
    command: Command, domain: Any, model: Path, language_model_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    settings = recipe(domain, tmp_path, backbone=str(language_model_folder("t5")))
    for name, processes in (("plain", None), ("two", 2)):
        arguments = [domain.folder, "-o", tmp_path / name, "--model", model, "--recipe", settings]
        report = command(processes, *arguments)
        assert report["questions"]["kind"] == "made"
        assert report["docid"]["steps"] == DOCID["max_steps"]
        assert HybridIndex.open(tmp_path / name).info()["docid"]["trained"]
    for path in (tmp_path / "plain.work" / "docid").rglob("*.safetensors"):
        other = tmp_path / "two.work" / path.relative_to(tmp_path / "plain.work")
        assert other.is_file()
    np.testing.assert_allclose(vectors(tmp_path / "two"), vectors(tmp_path / "plain"), atol=TOLERANCE)


def test_of_several_gpus_one_process_trains_on_one(
    domain: Any, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transformers' trainer would wrap the model into DataParallel, which passes through where there is no device."""
    monkeypatch.setattr(TrainingArguments, "n_gpu", property(lambda self: 2))
    documents = read_corpus(str(domain.folder))
    found = []
    for name in ("two", "one"):
        settings = {
            **domain.settings,
            "docid": {"share": 0.5, **DOCID},
            "pretrain": {"objective": "tsdae", "max_steps": 2},
        }
        finetune(documents, tmp_path / name, model=str(tiny_model), recipe=changed(Recipe(), settings, "here"))
        found.append(vectors(tmp_path / name))
        monkeypatch.undo()
        shutil.rmtree(tmp_path / f"{name}.work")
    np.testing.assert_array_equal(*found)
