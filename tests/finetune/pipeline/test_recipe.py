"""Recipes: defaults, YAML, the command line, and what the docstrings tell."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from finetune.recipe import Recipe, changed, field_docs, parse_value, read_recipe, settings, stages
from hybridret.errors import InputError


def test_every_setting_is_described_by_its_docstring() -> None:
    found = settings()
    assert {setting.stage for setting in found} == set(stages())
    names = ["clean", "queries", "pretrain", "negatives", "labels", "dense", "gate", "whiten", "docid", "continual"]
    assert list(stages()) == names
    assert all(len(setting.help) > 10 for setting in found)
    (size,) = [setting for setting in found if (setting.stage, setting.name) == ("dense", "micro_batch")]
    assert size.help == "Texts embedded at once; larger batches go through GradCache."
    assert size.default == Recipe().dense.micro_batch


def test_a_field_without_a_description_is_a_mistake() -> None:
    @dataclass
    class Odd:
        """Odd.

        Attributes:
            told: This is
                told.
        """

        told: int
        untold: int

    with pytest.raises(TypeError, match="Odd: docstring and fields differ in untold"):
        field_docs(Odd)


def test_a_file_changes_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "minutes: 3\ndense:\n  learning_rate: 2.0e-5\n  matryoshka: [64, 128]\nnegatives:\n  ranks: [2, 9]\n"
    )
    recipe = read_recipe(path)
    assert recipe.minutes == 3.0
    assert recipe.dense.learning_rate == 2e-5
    assert recipe.dense.matryoshka == (64, 128)
    assert recipe.negatives.ranks == (2, 9)
    assert recipe.negatives.count == Recipe().negatives.count
    path.write_text("")
    assert read_recipe(path) == Recipe()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dense:\n  lr: 1", "unknown setting dense.lr; known are max_steps"),
        ("denes:\n  lr: 1", "unknown stage 'denes'; known are clean, queries"),
        ("dense: 3", "dense must map settings to values, not be 3"),
        ("dense:\n  batch_size: many", "dense.batch_size cannot be 'many'"),
        ("dense:\n  batch_size: 1", "dense.batch_size must be a whole number from 2 up"),
        ("dense:\n  schedule: stairs", "must be one of cosine, linear"),
        ("negatives:\n  sources: {colbert: 1}", "unknown source of negatives 'colbert'"),
        ("docid:\n  teacher_weight: 1", "docid.teacher_weight learns from soft labels: set labels.teacher"),
        ("minutes: -1", "minutes must be a number above 0"),
        ("[1, 2]", "must map stages to their settings"),
        ("a: [", "is not YAML"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(words)) as caught:
        read_recipe(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_recipe(tmp_path / "none.yaml")


def test_values_of_the_command_line_are_yaml() -> None:
    assert parse_value("[1, 2]", "--x") == [1, 2]
    assert parse_value("{dense: 0.5}", "--x") == {"dense": 0.5}
    with pytest.raises(InputError, match=r"--x: '\{' is not a value"):
        parse_value("{", "--x")
    assert changed(Recipe(), {"dense": {"false_negative_margin": None}}, "here").dense.false_negative_margin is None
