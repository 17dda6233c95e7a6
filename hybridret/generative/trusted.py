"""Whether the folder of a saved language model can be trusted: it must run, fetch and read nothing from elsewhere."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SETTINGS = "docid.json"
"""What a backbone tells of itself, beside its model."""
_FILE = re.compile(
    r"model/((config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|"
    r"model\.safetensors\.index)\.json|chat_template\.jinja|(vocab|merges)\.txt|"
    r"(spiece|sentencepiece\.bpe|tokenizer|source|target)\.(model|spm)|model(-\d{5}-of-\d{5})?\.safetensors)"
)
_LEADS_OUT = re.compile(
    r"auto_map|custom_\w+|\w+_files?|_?(attn|experts)_implementation|quantization_config|(use_)?kernels?(_config)?"
)
"""Keys of configurations that name code, other files, or packages to fetch."""


def without_ways_out(folder: Path) -> None:
    """Drops what a tokenizer that was loaded from elsewhere notes of the files that it came from."""
    path = folder / "tokenizer_config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    kept = {key: value for key, value in content.items() if not _LEADS_OUT.fullmatch(key)}
    path.write_text(json.dumps(kept, indent=1), encoding="utf-8")


def trust_faults(folder: Path) -> Iterator[str]:
    """What a backbone's folder has that a saved one has not, and what leads out of it."""
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_dir() or place == SETTINGS or _FILE.fullmatch(place)):
            yield f"{place} is no file of a saved language model"
        elif path.is_dir() and place != "model":
            yield f"{place} is no folder of a saved language model"
        elif path.suffix == ".json" and path.name not in ("tokenizer.json", "vocab.json"):
            yield from _json_faults(path, place)


def _json_faults(path: Path, place: str) -> Iterator[str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        yield f"{place}: {error}"
        return
    for key, value in _entries(content):
        if _LEADS_OUT.fullmatch(key) and value not in (None, False):
            yield f"{place} sets {key}, which could lead out of it"
        if key == "weight_map" and not _is_inside(value):
            yield f"{place} names weights outside it"


def _entries(content: Any) -> Iterator[tuple[str, Any]]:
    """All keys of nested objects with their values."""
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            yield from value.items()
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _is_inside(weights: Any) -> bool:
    """Whether an index of weights names files beside it alone."""
    return isinstance(weights, dict) and all(
        isinstance(name, str) and _FILE.fullmatch(f"model/{name}") for name in weights.values()
    )
