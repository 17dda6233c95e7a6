"""The whole command under two processes, as torchrun starts it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.slow
def test_the_command_runs_under_torchrun(domain: Any, tiny_model: Path, tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text("from finetune.cli import finetune\nimport typer\ntyper.run(finetune)\n")
    launcher = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    arguments = [domain.folder, "-o", tmp_path / "b", "--model", tiny_model, "--recipe", domain.recipe, "--json"]
    arguments += ["--queries", domain.folder / "queries.jsonl", "--qrels", domain.folder / "qrels" / "train.tsv"]
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    variables["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [*launcher, str(script), *map(str, arguments)],
        env=variables, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert report["steps"] == 12
    assert report["documents"] == 40
    assert (tmp_path / "b" / "hybridret.sqlite").is_file()
