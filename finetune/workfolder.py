"""The folder in which a run's stages leave their artefacts."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from finetune.errors import TrainingError
from finetune.types import Question
from hybridret.errors import InputError
from hybridret.types import Document

_MARK, _DONE, _STARTED = "hybridret-finetune.json", "done.json", "started.json"
_VERSION = 1
_BLOCK = 1 << 20


class Stage(NamedTuple):
    """A finished stage.

    Attributes:
        folder: Where its artefacts lie.
        facts: What it told of itself.
        seconds: Time that it took when it ran.
        files: SHA-256 by the name of each artefact.
        skipped: Whether its artefacts were there already.
    """

    folder: Path
    facts: dict[str, Any]
    seconds: float
    files: dict[str, str]
    skipped: bool


class WorkFolder:
    """Runs stages and keeps what they made.

    A stage whose inputs are those of an earlier run is not run again. One that was interrupted finds what it had made,
    if its inputs are the same.

    Args:
        path: The folder; made if it is not there.
        resume: Whether an earlier run's artefacts are used; if not, they are removed, save for the cache.
        alone: Whether this process runs the stages that are run once; others wait for it.
        wait: Waits for all processes.
        outside: What a stage that is run once runs in: as if there were no other process.

    Raises:
        InputError: Something else than a work folder lies there.
        TrainingError: The folder cannot be written.
    """

    def __init__(
        self,
        path: Path,
        resume: bool,
        alone: bool = True,
        wait: Callable[[], None] = lambda: None,
        outside: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.path, self.alone, self._wait, self._outside = path, alone, wait, outside
        self._spent = 0.0
        if alone and _is_foreign(path):
            raise InputError(f"{path} is no work folder of fine-tuning; it is left as it is")
        if alone:
            try:
                if not resume and path.is_dir():
                    for each in path.iterdir():
                        if each.is_dir() and each.name != "cache":
                            shutil.rmtree(each)
                path.mkdir(parents=True, exist_ok=True)
                _write_json(path / _MARK, {"version": _VERSION})
            except OSError as error:
                raise TrainingError(f"the work folder {path} cannot be written: {error.strerror}") from error
        wait()

    @property
    def cache(self) -> Path:
        """A folder for costly results that are found again by their content."""
        folder = self.path / "cache"
        folder.mkdir(exist_ok=True)
        return folder

    def remove_artefacts(self) -> None:
        """Removes what is large: all but the stages' JSON files. A later run with ``resume`` makes it anew."""
        for path in sorted(self.path.rglob("*"), key=lambda each: -len(each.parts)):
            is_kept = path.suffix == ".json" and path.parent.parent == self.path
            if path.is_dir():
                if not any(path.iterdir()):
                    path.rmdir()
            elif not is_kept and path.parent != self.path:
                path.unlink()

    @property
    def spent(self) -> float:
        """Seconds that the stages so far took when they ran, in this run or an earlier one."""
        return self._spent

    def run(
        self,
        name: str,
        inputs: Mapping[str, Any],
        make: Callable[[Path], dict[str, Any]],
        together: bool = False,
        keep_started: bool = False,
        redo: bool = False,
    ) -> Stage:
        """Runs a stage, unless its artefacts are there.

        Args:
            name: Name of the stage and its folder.
            inputs: All that its artefacts depend on, as JSON can hold it.
            make: Writes artefacts into the folder and returns facts.
            together: Whether all processes run it.
            keep_started: Whether an interrupted run with the same inputs is gone on with.
            redo: Whether it is run even where its artefacts are there.

        Raises:
            TrainingError: An artefact cannot be written.
        """
        folder, key = self.path / name, fingerprint({"version": _VERSION, "stage": name, **inputs})
        finished = None if redo else self._finished(folder, key)
        if finished is None:
            if self.alone:
                if folder.is_dir() and not (keep_started and _read_json(folder / _STARTED).get("key") == key):
                    shutil.rmtree(folder)
                folder.mkdir(exist_ok=True)
                _write_json(folder / _STARTED, {"key": key})
            self._wait()
            if together:
                self._make(folder, key, make)
            elif self.alone:
                with self._outside():
                    self._make(folder, key, make)
            self._wait()
            finished = self._finished(folder, key)
            assert finished is not None
            finished = finished._replace(skipped=False)
        self._spent += finished.seconds
        return finished

    def _make(self, folder: Path, key: str, make: Callable[[Path], dict[str, Any]]) -> None:
        start = time.monotonic()
        try:
            facts = make(folder)
            seconds = facts.pop("seconds", time.monotonic() - start)
            if self.alone:
                files = {str(path.relative_to(folder)): _hash(path) for path in _artefacts(folder)}
                _write_json(folder / _DONE, {"key": key, "facts": facts, "seconds": seconds, "files": files})
        except OSError as error:
            raise TrainingError(
                f"stage {folder.name} cannot write to {folder}: {error.strerror or error}; make room and run again "
                "with --resume: earlier stages are kept"
            ) from error

    def _finished(self, folder: Path, key: str) -> Stage | None:
        done = _read_json(folder / _DONE)
        if done.get("key") != key:
            return None
        if any(not (folder / name).is_file() or _hash(folder / name) != found for name, found in done["files"].items()):
            return None
        return Stage(folder, done["facts"], done["seconds"], done["files"], True)


def fingerprint(value: Any) -> str:
    """SHA-256 of a value as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=list).encode()).hexdigest()


def write_documents(path: Path, documents: Iterable[Document]) -> None:
    """Writes documents as JSON lines."""
    _write_lines(path, (document._asdict() for document in documents))


def read_documents(path: Path) -> list[Document]:
    """Reads documents that ``write_documents`` wrote."""
    return [Document(**record) for record in _read_lines(path)]


def write_questions(path: Path, questions: Iterable[Question]) -> None:
    """Writes questions as JSON lines."""
    _write_lines(path, (question._asdict() for question in questions))


def read_questions(path: Path) -> list[Question]:
    """Reads questions that ``write_questions`` wrote."""
    read = [Question(**record) for record in _read_lines(path)]
    return [each._replace(positives=tuple(each.positives), negatives=tuple(each.negatives)) for each in read]


def write_mapping(path: Path, mapping: Mapping[str, Any]) -> None:
    """Writes a mapping as a JSON object."""
    _write_json(path, mapping)


def read_mapping(path: Path) -> dict[str, Any]:
    """Reads a mapping that ``write_mapping`` wrote."""
    return _read_json(path)


def _is_foreign(path: Path) -> bool:
    return path.exists() and (not path.is_dir() or (any(path.iterdir()) and not (path / _MARK).is_file()))


def _artefacts(folder: Path) -> list[Path]:
    """What a stage leaves: all its files but those that only serve to go on after an interruption."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.name not in (_STARTED, _DONE)
        and not any(part.startswith("checkpoint-") for part in path.relative_to(folder).parts)
    )


def _hash(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def _write_json(path: Path, value: Any) -> None:
    new = path.with_name(path.name + ".new")
    with new.open("w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=True, indent=1)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return read


def _write_lines(path: Path, records: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for record in records:
            file.write(json.dumps(record) + "\n")


def _read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
