"""Two processes on gloo train like one: the same loss curve for the same global batches."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RUN = """
import json, os, sys
from pathlib import Path

import torch

sys.path.insert(0, sys.argv[3])
from conftest import make_corpus, make_questions

from finetune import parallel
from finetune.dense.config import DenseConfig
from finetune.dense.train import train_dense
from finetune.negatives.ance import AnceRefresh
from finetune.negatives.config import NegativesConfig
from hybridret.models import load_model
from hybridret.prompts import Prompts

parallel.join()
model = load_model(sys.argv[1])
for module in model.modules():
    if isinstance(module, torch.nn.Dropout):
        module.p = 0.0
corpus, prompts = make_corpus(), Prompts("", "")
config = DenseConfig(
    max_steps=10, batch_size=8, negatives=2, learning_rate=1e-4, precision="fp32", ance_every=4,
    distillation="stabilised",
)
mining = NegativesConfig(sources={"dense": 1.0}, count=4, relative_margin=None)
trained = train_dense(
    model, corpus, make_questions(), config, Path(sys.argv[2]), prompts=prompts, seconds=60, seed=0,
    negatives={f"q{at}": [f"d{(at + 1) % 60}", f"d{(at + 2) % 60}"] for at in range(60)},
    teacher={f"q{at}": {f"d{other}": -abs(at - other) / 10 for other in range(60)} for at in range(60)},
    refresher=lambda table, trained: AnceRefresh(table, trained, corpus, prompts, mining, 4, 0, "fp32"),
)
losses = [entry["loss"] for entry in trained.history if "loss" in entry]
changed = [entry["ance_changed"] for entry in trained.history if "ance_changed" in entry]
total = sum(float(value.double().sum()) for value in model.state_dict().values())
Path(sys.argv[2], f"rank{os.environ.get('RANK', '-')}.json").write_text(json.dumps([losses, changed, total]))
"""

JOIN = """
import atexit, os, sys
from pathlib import Path

import torch.distributed

from finetune import parallel

record = Path(sys.argv[2], f"rank{os.environ['RANK']}.json")
atexit.register(lambda: record.write_text(str(torch.distributed.is_initialized()).lower()))  # called last
parallel.join()
parallel.wait()
"""


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port: int = place.getsockname()[1]
        return port


def launch(folder: Path, model: Path, world: int, run: str = RUN) -> list[Any]:
    folder.mkdir()
    code, port = folder / "run.py", free_port()
    code.write_text(run)
    processes = []
    for rank in range(world):
        variables = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        if world > 1:
            variables |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
            variables |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        command = [sys.executable, "-W", "ignore", str(code), str(model), str(folder), str(Path(__file__).parent)]
        processes.append(subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True))
    for process in processes:
        error = process.communicate(timeout=240)[1]
        assert process.returncode == 0, error[-3000:]
    return [json.loads(path.read_text()) for path in sorted(folder.glob("rank*.json"))]


@pytest.mark.slow
def test_two_processes_on_gloo_train_like_one(tiny_model: Path, tmp_path: Path) -> None:
    (one,) = launch(tmp_path / "one", tiny_model, 1)
    first, second = launch(tmp_path / "two", tiny_model, 2)
    assert len(one[0]) == 10
    assert first[0] == pytest.approx(one[0], abs=1e-4)
    assert first[1] == pytest.approx(one[1], abs=1e-4)
    assert len(one[1]) == 2
    assert first[2] == second[2], "both processes end with the same weights"


def test_processes_leave_their_group_before_they_end(tiny_model: Path, tmp_path: Path) -> None:
    """With gloo's threads still there one of three was aborted after its work (exit status -6)."""
    assert launch(tmp_path / "two", tiny_model, 2, JOIN) == [False, False]
