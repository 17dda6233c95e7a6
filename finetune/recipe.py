"""A recipe: the settings of all stages, from defaults, a YAML file and the command line, in this order."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

from finetune.cleaning.config import CleanConfig
from finetune.continual.config import ContinualConfig
from finetune.dense.config import DenseConfig
from finetune.gate.config import GateConfig
from finetune.generative.config import DocidConfig
from finetune.negatives.config import NegativesConfig
from finetune.pretraining.config import PretrainConfig
from finetune.queries.config import QueriesConfig
from finetune.teachers.config import LabelsConfig
from finetune.whitening.config import WhitenConfig
from hybridret.errors import InputError

_ENTRY = re.compile(r"^(\w+): (.*)$")


@dataclass(frozen=True)
class Recipe:
    """The settings of a fine-tuning run.

    Attributes:
        clean: What is left out of training.
        queries: How questions are made.
        pretrain: Training on the bare corpus before contrastive training.
        negatives: Where hard negatives come from.
        labels: Who gives soft labels.
        dense: How the bi-encoder is trained.
        gate: When the new model is good enough.
        whiten: How strongly its vectors may be whitened.
        docid: How the docid retriever is trained.
        continual: How it goes on with new documents.
        minutes: Time for training; reading, making questions, comparing and indexing come on top, as announced.
        seed: Seed of everything random.
    """

    clean: CleanConfig = field(default_factory=CleanConfig)
    queries: QueriesConfig = field(default_factory=QueriesConfig)
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    negatives: NegativesConfig = field(default_factory=NegativesConfig)
    labels: LabelsConfig = field(default_factory=LabelsConfig)
    dense: DenseConfig = field(default_factory=DenseConfig)
    gate: GateConfig = field(default_factory=GateConfig)
    whiten: WhitenConfig = field(default_factory=WhitenConfig)
    docid: DocidConfig = field(default_factory=DocidConfig)
    continual: ContinualConfig = field(default_factory=ContinualConfig)
    minutes: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.minutes > 0:
            raise InputError(f"minutes must be a number above 0, not {self.minutes!r}")
        if self.docid.teacher_weight and self.labels.teacher is None:
            raise InputError("docid.teacher_weight learns from soft labels: set labels.teacher")


@dataclass(frozen=True)
class Setting:
    """A field of a stage's configuration, as the command line shows it.

    Attributes:
        stage: Name of the stage.
        name: Name of the field, which is its YAML key.
        help: What the class's docstring says of it.
        default: Its default.
    """

    stage: str
    name: str
    help: str
    default: Any


def settings() -> list[Setting]:
    """All settings of all stages, in the order in which they are defined."""
    found = []
    for stage, kind in stages().items():
        told = field_docs(kind)
        for each in fields(kind):
            made = each.default_factory() if each.default_factory is not MISSING else each.default
            found.append(Setting(stage, each.name, told[each.name], made))
    return found


def stages() -> dict[str, type]:
    """The configuration class of each stage."""
    hints = get_type_hints(Recipe)
    return {each.name: hints[each.name] for each in fields(Recipe) if is_dataclass(hints[each.name])}


def field_docs(kind: type) -> dict[str, str]:
    """What a dataclass's docstring says of each field in its section ``Attributes:``.

    Args:
        kind: The dataclass.

    Raises:
        TypeError: A field is not described, or something is described that is no field.
    """
    section = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2]
    told: dict[str, str] = {}
    name = None
    for line in inspect.cleandoc(section).splitlines():
        if entry := _ENTRY.match(line):
            name = entry[1]
            told[name] = entry[2]
        elif name is not None and line.strip():
            told[name] += " " + line.strip()
    if wrong := {each.name for each in fields(kind)} ^ set(told):
        raise TypeError(f"{kind.__name__}: docstring and fields differ in {', '.join(sorted(wrong))}")
    return told


def read_recipe(path: Path, recipe: Recipe | None = None) -> Recipe:
    """Reads a YAML file: a mapping of stages to mappings of their settings, and ``minutes`` and ``seed``.

    Args:
        path: The file.
        recipe: What it changes; None: the defaults.

    Raises:
        InputError: The file cannot be read, names an unknown stage or setting, or has a value of the wrong type.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the recipe {path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise InputError(f"the recipe {path} is not YAML: {' '.join(str(error).split())}") from error
    if content is None:
        return recipe or Recipe()
    if not isinstance(content, Mapping):
        raise InputError(f"the recipe {path} must map stages to their settings, not be a {type(content).__name__}")
    return changed(recipe or Recipe(), content, str(path))


def changed(recipe: Recipe, changes: Mapping[str, Any], place: str) -> Recipe:
    """A recipe with some settings changed.

    Args:
        recipe: The recipe.
        changes: By stage a mapping of settings; ``minutes`` and ``seed`` themselves.
        place: Where the changes come from, for error messages.

    Raises:
        InputError: A stage or setting is unknown or a value of the wrong type.
    """
    made: Recipe = _changed(recipe, changes, place, "")
    return made


def parse_value(text: str, setting: str) -> Any:
    """Reads a setting given on the command line as YAML: numbers, true, null, [a, b], {a: 1}."""
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError(f"{setting}: {text!r} is not a value: {' '.join(str(error).split())}") from error


def _changed(settings: Any, changes: Mapping[str, Any], place: str, prefix: str) -> Any:
    from pydantic import TypeAdapter, ValidationError

    hints, values = get_type_hints(type(settings)), {}
    known = [each.name for each in fields(settings)]
    for name, value in changes.items():
        if name not in known:
            what = f"setting {prefix}{name}" if prefix else f"stage {name!r}"
            raise InputError(f"{place}: unknown {what}; known are {', '.join(known)}")
        if is_dataclass(hints[name]):
            if not isinstance(value, Mapping):
                raise InputError(f"{place}: {prefix}{name} must map settings to values, not be {value!r}")
            values[name] = _changed(getattr(settings, name), value, place, f"{prefix}{name}.")
            continue
        try:
            values[name] = TypeAdapter(hints[name]).validate_python(value)
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise InputError(f"{place}: {prefix}{name} cannot be {value!r}: {reason}") from error
    try:
        return replace(settings, **values)
    except InputError as error:
        raise InputError(f"{place}: {error}") from error
