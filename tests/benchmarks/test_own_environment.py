"""Environments of peers: made once, apart from ours, and what is said where they cannot be made."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from benchmarks.own_environment import NotRunError, OwnEnvironment
from hybridret.errors import InputError

MISSING = "--no-index\nno-such-package==1\n"


def write_wheel(folder: Path, module: str, code: str) -> Path:
    """A package of one module, and the requirements that install it without an index."""
    info = f"{module}-1.5.dist-info"
    files = {
        f"{module}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.5\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(folder / f"{module}-1.5-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    requirements = folder / "requirements.txt"
    requirements.write_text(f"--no-index\n--find-links {folder}\n{module}==1.5\n", encoding="utf-8")
    return requirements


@pytest.fixture(scope="module")
def speaking(tmp_path_factory: pytest.TempPathFactory) -> tuple[OwnEnvironment, Path]:
    """An environment with a module that tells its arguments and fails when told to, and its requirements."""
    folder = tmp_path_factory.mktemp("own")
    code = "import sys\nprint(sys.argv[1:])\nif 'fail' in sys.argv: raise ValueError('told to')\n"
    requirements = write_wheel(folder, "speaking", code)
    environment = OwnEnvironment(folder / "environment")
    environment.install(requirements)
    return environment, requirements


def test_what_is_pinned_is_installed_and_told(speaking: tuple[OwnEnvironment, Path]) -> None:
    versions = speaking[0].versions()
    assert versions["speaking"] == "1.5"
    assert {"python", "pip"} <= set(versions)
    assert "hybridret" not in versions


def test_a_module_runs_with_its_arguments_and_its_failure_is_told(speaking: tuple[OwnEnvironment, Path]) -> None:
    environment = speaking[0]
    assert environment.run("speaking", ["--a", "b c"]) == "['--a', 'b c']\n"
    with pytest.raises(NotRunError, match=r"^speaking ended with exit code 1: ValueError: told to$"):
        environment.run("speaking", ["fail"])
    with pytest.raises(NotRunError, match=r"^nothing ended with exit code 1: ENVIRONMENT/bin/python: No module named"):
        environment.run("nothing", [])


def test_our_own_modules_are_not_seen(
    speaking: tuple[OwnEnvironment, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ours.py").write_text("print('seen')\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotRunError, match="No module named ours"):
        speaking[0].run("ours", [])


def test_an_environment_is_made_once(speaking: tuple[OwnEnvironment, Path]) -> None:
    environment, requirements = speaking
    before = (environment.folder / "pyvenv.cfg").stat().st_mtime_ns
    OwnEnvironment(environment.folder).install(requirements)
    assert (environment.folder / "pyvenv.cfg").stat().st_mtime_ns == before


def test_a_package_that_cannot_be_had_is_named(speaking: tuple[OwnEnvironment, Path], tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(MISSING, encoding="utf-8")
    with pytest.raises(NotRunError, match=r"^pip install ended .* No matching distribution found for no-such-package"):
        speaking[0].install(requirements)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("exit 3", "python -m venv ended with exit code 3: it said nothing"),
        ("echo no room >&2; exit 1", "python -m venv ended with exit code 1: no room"),
        (None, "python -m venv ended with exit code 127: FileNotFoundError: No such file or directory"),
    ],
    ids=["silent", "speaking", "missing"],
)
def test_an_interpreter_that_fails_makes_no_environment(tmp_path: Path, code: str | None, message: str) -> None:
    python = tmp_path / "python"
    if code is not None:
        python.write_text(f"#!/bin/sh\n{code}\n", encoding="utf-8")
        python.chmod(0o755)
    environment = OwnEnvironment(tmp_path / "environment", str(python))
    with pytest.raises(NotRunError) as caught:
        environment.install(tmp_path / "none.txt")
    assert str(caught.value) == message


def test_a_folder_with_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(InputError, match="holds files and is no virtual environment"):
        OwnEnvironment(tmp_path).install(tmp_path / "none.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
