"""Measurements that a killed run need not repeat: one JSON file each, keyed by what went into it."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hybridret.errors import InputError

VERSION = 1
"""Of the files; grows when what they hold changes its meaning."""


class Parts:
    """The measurements of one run.

    Args:
        folder: Where the files lie; None: nothing is kept.
        environment: What every measurement depends on: machine, versions.
    """

    def __init__(self, folder: Path | None, environment: dict[str, Any]) -> None:
        self._folder = folder
        self._environment = environment

    def get(
        self, name: str, inputs: dict[str, Any], measure: Callable[[], dict[str, Any]], is_there: bool = True
    ) -> dict[str, Any]:
        """Gives a measurement that was made before with the same inputs, else makes it and keeps it.

        Args:
            name: Of the measurement, and of its file.
            inputs: What it depends on; JSON.
            measure: Makes it.
            is_there: Whether what it left beside its result is still there.

        Returns:
            The result, as JSON gives it back.

        Raises:
            InputError: A file is of another version or no such file.
        """
        key = hashlib.sha256(json.dumps([VERSION, self._environment, inputs], sort_keys=True).encode()).hexdigest()
        path = None if self._folder is None else self._folder / f"{name}.json"
        if path is not None and path.is_file():
            kept = read_part(path)
            if kept["key"] == key and is_there:
                result: dict[str, Any] = kept["result"]
                return result
        start = time.perf_counter()
        measured: dict[str, Any] = json.loads(json.dumps(measure()))
        if path is not None and "not run" not in measured:
            seconds = round(time.perf_counter() - start, 1)
            document = {"version": VERSION, "key": key, "inputs": inputs, "seconds": seconds, "result": measured}
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_suffix(".new")
            new.write_text(json.dumps(document, ensure_ascii=False) + "\n", encoding="utf-8")
            os.replace(new, path)  # noqa: PTH105
        return measured


def read_part(path: Path) -> dict[str, Any]:
    """Reads a measurement's file.

    Raises:
        InputError: It is of another version, or no such file; the message names file and line.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: not JSON: {error.msg}; delete the file to measure again") from error
    version = document.get("version") if isinstance(document, dict) else None
    if version != VERSION or not {"key", "result"} <= set(document):
        raise InputError(
            f"{path}:1: a measurement of version {version!r}, this is {VERSION}; delete the file to measure again"
        )
    return dict(document)
