"""What a bundle's database says of the bundle: settings, and the files that make up its generation."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from hybridret.config import Config
from hybridret.errors import BundleError, InputError
from hybridret.store.bundle import ArrayFile

_LATER = {"ranker", "updates", "scheme", "backbone_files", "tokenizer"}
"""Entries that bundles of earlier versions lack."""


@dataclass(frozen=True)
class State:
    """The state of one generation; committing it is what makes a change.

    Attributes:
        generation: Grows by one with every change.
        epoch: The generation that numbered the rows; compaction begins a new one.
        config: The index's settings.
        model: The encoder's name.
        fitted_on: How many documents there were when the codebooks were fitted.
        fitted_at: What ``next_key`` was then.
        next_key: The key that the next document gets.
        files: By part, the files that hold its rows, in their order.
        model_files: SHA-256 of each file of the encoder's folder.
        ranker: The fitted ranker, as its ``as_json`` gives it; None: none was fitted.
        updates: What was told of each training that went on with new documents, in their order.
        scheme: Name of the docid scheme whose docids a language model writes; None: a code decoder decodes them.
        backbone_files: SHA-256 of each file of that model's folder.
        tokenizer: Version of the tokenizer that cut the texts into the terms of the postings.
    """

    generation: int
    epoch: int
    config: Config
    model: str
    fitted_on: int
    fitted_at: int
    next_key: int
    files: dict[str, list[ArrayFile]]
    model_files: dict[str, str]
    ranker: dict[str, Any] | None = None
    updates: list[dict[str, Any]] = field(default_factory=list)
    scheme: str | None = None
    backbone_files: dict[str, str] = field(default_factory=dict)
    tokenizer: int = 1

    def as_json(self) -> dict[str, Any]:
        """What the database holds."""
        return asdict(self) | {"files": {part: [list(file) for file in files] for part, files in self.files.items()}}

    @classmethod
    def from_json(cls, value: dict[str, Any], where: str) -> State:
        """Reads what ``as_json`` gave.

        Args:
            value: The JSON object.
            where: What error messages call its bundle.

        Raises:
            BundleError: It is no state of a bundle.
        """
        try:
            known = {each.name for each in fields(cls)}
            if not known - _LATER <= set(value) <= known:
                raise ValueError("its state has other entries than a state has")
            files = {part: [_array_file(entry) for entry in entries] for part, entries in value["files"].items()}
            state = cls(**{**value, "config": Config(**value["config"]), "files": files})
            numbers = (state.generation, state.epoch, state.fitted_on, state.fitted_at, state.next_key, state.tokenizer)
            if not all(type(number) is int and 0 <= number < 2**62 for number in numbers):
                raise ValueError("its state has a number that is none")
            digests = [*state.model_files.items(), *state.backbone_files.items()]
            if not isinstance(state.model, str) or not all(isinstance(text, str) for pair in digests for text in pair):
                raise ValueError("its state names no model")
            if state.scheme is not None and not isinstance(state.scheme, str):
                raise ValueError("its docid scheme has no name")
            if state.ranker is not None and not isinstance(state.ranker, dict):
                raise ValueError("its ranker is none")
            if not isinstance(state.updates, list) or not all(isinstance(each, dict) for each in state.updates):
                raise ValueError("its updates are none")
        except (AttributeError, InputError, KeyError, TypeError, ValueError) as error:
            raise BundleError(f"{where} is damaged: {error}") from error
        return state


def _array_file(entry: list[Any]) -> ArrayFile:
    file = ArrayFile(*entry)
    if not isinstance(file.name, str) or not isinstance(file.sha256, str):
        raise ValueError("its state names a file without a name or checksum")
    if not all(type(number) is int and 0 <= number < 2**62 for number in (file.bytes, file.rows)):
        raise ValueError(f"its state gives {file.name} no size")
    return file
