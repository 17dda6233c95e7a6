"""Kill -9 anywhere: a resumed run ends with the same weights, and stages whose inputs did not change are skipped."""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RUN = """
import json, os, signal, sys
from finetune import finetune, read_recipe
from finetune.formats import read_questions
from hybridret.data.readers import read_corpus
from pathlib import Path

domain, recipe, output, model, resume, label, step = sys.argv[1:]

def progress(what, done, total):
    if what == label and done >= int(step):
        os.kill(os.getpid(), signal.SIGKILL)

documents = read_corpus(domain)
report = finetune(
    documents, output, questions=read_questions(domain, documents=documents).questions, model=model,
    recipe=read_recipe(Path(recipe)), resume=resume == "yes", progress=progress,
)
print(json.dumps(report))
"""


def weights(output: Path) -> dict[str, str]:
    folder = output.with_name(output.name + ".work") / "dense" / "model"
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.safetensors"))
    }


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_weights(
    run_python: Callable[..., Any], domain: Any, tiny_model: Path, tmp_path: Path
) -> None:
    def run(name: str, resume: str = "no", label: str = "-", step: int = 0) -> Any:
        return run_python(RUN, domain.folder, domain.recipe, tmp_path / name, tiny_model, resume, label, str(step))

    whole = run("whole")
    assert whole.returncode == 0, whole.stderr
    expected = weights(tmp_path / "whole")
    assert expected
    for name, label, step in (
        ("early", "making questions", 7),
        ("middle", "training", 7),
        ("late", "docid codebooks", 0),
    ):
        killed = run(name, "no", label, step)
        assert killed.returncode == -signal.SIGKILL, (name, killed.stderr)
        resumed = run(name, "yes")
        assert resumed.returncode == 0, resumed.stderr
        assert weights(tmp_path / name) == expected, name
        report = json.loads(resumed.stdout)
        skipped = {stage for stage, facts in report["stages"].items() if facts["skipped"]}
        wanted = {
            "early": {"clean", "vectors"},
            "middle": {"clean", "vectors", "queries", "negatives", "labels"},
            "late": {"clean", "vectors", "queries", "negatives", "labels", "dense", "gate", "whiten"},
        }[name]
        assert skipped == wanted, name
        assert report["decision"] == json.loads(whole.stdout)["decision"]
