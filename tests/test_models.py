"""Where models come from, and what is said when they do not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from hybridret import models
from hybridret.errors import ModelError
from hybridret.models import DEFAULT_MODEL, fast_dtype, load_model


@pytest.fixture
def copied(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "copy"))


def test_a_folder_is_loaded_in_full_precision(tiny_model: Path) -> None:
    model = load_model(str(tiny_model))
    assert model.dtype == torch.float32
    assert model.get_embedding_dimension() == 32


def test_a_plain_transformers_folder_is_loaded_too(tiny_model: Path, tmp_path: Path) -> None:
    for file in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_model / file, tmp_path)
    assert load_model(str(tmp_path)).get_embedding_dimension() == 32


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ModelError, match=r"is not a model folder: it has neither modules\.json nor config\.json"):
        load_model(str(tmp_path))
    with pytest.raises(ModelError, match="is not a model folder"):
        load_model(str(tmp_path / "notes.txt"))


@pytest.mark.parametrize("name", ["/nowhere/model", "./nowhere", "~/nowhere/model"])
def test_a_path_to_nothing_is_not_looked_up_on_the_hub(name: str) -> None:
    with pytest.raises(ModelError, match="there is no model folder"):
        load_model(name)


@pytest.mark.parametrize("file", ["modules.json", "config.json", "model.safetensors", "tokenizer.json"])
def test_a_model_with_a_truncated_file_is_refused(copied: Path, file: str) -> None:
    content = (copied / file).read_bytes()
    (copied / file).write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="holds no model that can be loaded"):
        load_model(str(copied))


def test_a_model_without_weights_is_refused(copied: Path) -> None:
    (copied / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="holds no model that can be loaded"):
        load_model(str(copied))


def test_pickled_weights_are_not_read(copied: Path) -> None:
    from safetensors.torch import load_file

    torch.save(load_file(copied / "model.safetensors"), copied / "pytorch_model.bin")
    (copied / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="holds no model that can be loaded"):
        load_model(str(copied))


def test_code_that_comes_with_a_model_is_not_run(copied: Path, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    (copied / "evil.py").write_text(f"from pathlib import Path\nPath({str(proof)!r}).touch()\nclass Evil: pass\n")
    modules = json.loads((copied / "modules.json").read_text())
    modules[1]["type"] = "evil.Evil"
    (copied / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelError):
        load_model(str(copied))
    assert not proof.exists()


def test_a_hub_that_cannot_be_reached_is_said_in_one_clear_error() -> None:
    with pytest.raises(ModelError, match="model 'nobody/nothing' is no folder here and could not be loaded") as caught:
        load_model("nobody/nothing")
    assert "\n" not in str(caught.value)


def test_the_extra_is_named_where_the_default_model_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "PACKAGED_MODULE", "no_such_module")
    monkeypatch.setenv("HF_HOME", "/nonexistent")
    with pytest.raises(ModelError, match=r"pip install 'hybridret\[offline\]'"):
        load_model(DEFAULT_MODEL)


def test_a_refused_connection_is_said_in_one_clear_error(run_python: Callable[..., Any], tmp_path: Path) -> None:
    code = """
from hybridret.errors import ModelError
from hybridret.models import load_model
try:
    load_model("nobody/nothing")
except ModelError as error:
    print(error)
"""
    nowhere = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    done = run_python(code, **nowhere)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("model 'nobody/nothing' is no folder here and could not be loaded")
    assert done.stdout.count("\n") == 1


def test_the_fast_precision_of_this_processor_is_one_it_can_compute_in() -> None:
    dtype = fast_dtype(torch.device("cpu"))
    assert dtype in (torch.float32, torch.bfloat16)
    assert torch.ones(2, 2, dtype=dtype).matmul(torch.ones(2, 2, dtype=dtype)).tolist() == [[2, 2], [2, 2]]


@pytest.mark.model
@pytest.mark.parametrize("name", [DEFAULT_MODEL, DEFAULT_MODEL.partition("/")[2]])
def test_the_default_model_comes_from_its_package(packaged_model: str, name: str) -> None:
    assert load_model(name).get_embedding_dimension() == 384


@pytest.mark.model
def test_a_package_with_other_weights_is_refused(
    packaged_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fake_minilm" / "model").mkdir(parents=True)
    (tmp_path / "fake_minilm" / "__init__.py").touch()
    (tmp_path / "fake_minilm" / "model" / "model.safetensors").write_bytes(b"other")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(models, "PACKAGED_MODULE", "fake_minilm")
    with pytest.raises(ModelError, match="is not the model that it should be: SHA-256"):
        load_model(DEFAULT_MODEL)
