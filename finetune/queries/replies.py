"""Models' replies on disk, so that none is asked for twice."""

from __future__ import annotations

import json
import os
from pathlib import Path

from hybridret.errors import InputError


class Replies:
    """Replies by a hash of what they answer, in a file of JSON lines that grows by each reply.

    A last line that a killed run did not finish is cut off.

    Args:
        path: The file; None keeps replies in memory alone.

    Raises:
        InputError: The file holds something else.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[str, list[str]] = {}
        if path is not None and path.is_file():
            whole = 0
            content = path.read_bytes()
            for number, line in enumerate(content.splitlines(keepends=True), 1):
                if not line.endswith(b"\n"):
                    os.truncate(path, whole)
                    break
                try:
                    record = json.loads(line)
                    self._known[record["key"]] = record["replies"]
                except (ValueError, TypeError, KeyError) as error:
                    raise InputError(f"{path}:{number}: no reply of a model; remove the file to ask anew") from error
                whole += len(line)

    def get(self, key: str) -> list[str] | None:
        """The replies to something, None where there are none yet."""
        return self._known.get(key)

    def put(self, key: str, replies: list[str]) -> None:
        """Keeps the replies to something."""
        self._known[key] = replies
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "replies": replies}, ensure_ascii=False) + "\n")
