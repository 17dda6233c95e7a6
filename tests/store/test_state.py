"""The state of a bundle: what was written comes back, and nothing else is taken for one."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hybridret.config import Config
from hybridret.errors import BundleError
from hybridret.store import ArrayFile, State

STATE = State(
    generation=7,
    epoch=5,
    config=Config(index="hnsw", docid_levels=3, weights={"dense": 1.0, "bm25": 0.5, "docid": 0.0}),
    model="a model",
    fitted_on=40,
    fitted_at=44,
    next_key=51,
    files={
        "vectors": [
            ArrayFile("vectors.5.safetensors", "a" * 64, 1000, 40),
            ArrayFile("vectors.7.safetensors", "b" * 64, 90, 3),
        ],
        "trie": [ArrayFile("trie.5.safetensors", "c" * 64, 10, 40)],
        "bm25": [],
    },
    model_files={"config.json": "d" * 64, "1_Pooling/config.json": "e" * 64},
)
NUMBERS = ("generation", "epoch", "fitted_on", "fitted_at", "next_key")


def written() -> dict[str, Any]:
    """The state as the database holds it."""
    value: dict[str, Any] = json.loads(json.dumps(STATE.as_json()))
    return value


def assert_refused(value: Any) -> str:
    with pytest.raises(BundleError, match="THE BUNDLE is damaged: ") as caught:
        State.from_json(value, "THE BUNDLE")
    return str(caught.value)


def test_a_state_comes_back_from_json_as_it_was() -> None:
    assert State.from_json(written(), "x") == STATE


@settings(deadline=None, max_examples=50)
@given(
    numbers=st.lists(st.integers(0, 2**62 - 1), min_size=7, max_size=7),
    model=st.text(),
    names=st.dictionaries(st.text(), st.text(), max_size=3),
    parts=st.dictionaries(st.text(), st.lists(st.tuples(st.text(), st.text()), max_size=3), max_size=3),
)
def test_any_state_comes_back_as_it_was(
    numbers: list[int], model: str, names: dict[str, str], parts: dict[str, list[tuple[str, str]]]
) -> None:
    files = {part: [ArrayFile(*pair, *numbers[5:]) for pair in pairs] for part, pairs in parts.items()}
    state = State(numbers[0], numbers[1], Config(), model, *numbers[2:5], files, names)
    assert State.from_json(json.loads(json.dumps(state.as_json())), "x") == state


@pytest.mark.parametrize("name", [*STATE.__dataclass_fields__])
def test_a_state_without_one_of_its_entries_is_refused_unless_earlier_versions_lack_it(name: str) -> None:
    value = written()
    del value[name]
    later = {"ranker": None, "updates": [], "scheme": None, "backbone_files": {}, "tokenizer": 1}
    if name in later:
        assert getattr(State.from_json(value, "x"), name) == later[name]
    else:
        assert "other entries" in assert_refused(value)


@pytest.mark.parametrize("ranker", ["learned", 5, [], True])
def test_a_ranker_that_is_no_object_is_refused(ranker: Any) -> None:
    assert "its ranker is none" in assert_refused({**written(), "ranker": ranker})


@pytest.mark.parametrize("updates", [None, {}, "one", [1], [{}, "two"]])
def test_updates_that_are_no_list_of_objects_are_refused(updates: Any) -> None:
    assert "its updates are none" in assert_refused({**written(), "updates": updates})
    told = [{"batch": 1}]
    assert State.from_json({**written(), "updates": told}, "x").updates == told


@pytest.mark.parametrize("name", ["", "Generation", "more", "__class__", "files "])
def test_a_state_with_an_entry_more_is_refused(name: str) -> None:
    assert "other entries" in assert_refused({**written(), name: 1})


@pytest.mark.parametrize("value", [{}, [], "state", 5, None, [["generation", 1]]])
def test_what_is_no_object_of_a_state_is_refused(value: Any) -> None:
    assert_refused(value)


@pytest.mark.parametrize("number", [-1, 2**62, 2**70, 1.0, 7.5, float("nan"), True, False, None, "7", [7], {}])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_is_none_is_refused(name: str, number: Any) -> None:
    assert "a number that is none" in assert_refused({**written(), name: number})


@pytest.mark.parametrize("number", [0, 1, 2**62 - 1])
@pytest.mark.parametrize("name", NUMBERS)
def test_every_whole_number_in_range_is_taken(name: str, number: int) -> None:
    assert getattr(State.from_json({**written(), name: number}, "x"), name) == number


@pytest.mark.parametrize("model", [None, 5, True, ["a"], {"a": "b"}])
def test_a_model_without_a_name_is_refused(model: Any) -> None:
    assert "names no model" in assert_refused({**written(), "model": model})


@pytest.mark.parametrize(
    "model_files", [None, [], "x", 5, {"config.json": 5}, {"config.json": None}, {"config.json": ["d" * 64]}]
)
def test_model_files_without_checksums_are_refused(model_files: Any) -> None:
    assert_refused({**written(), "model_files": model_files})


@pytest.mark.parametrize(
    "config",
    [
        None,
        [],
        "flat",
        5,
        {"unknown": 1},
        {"docid_levels": 0},
        {"docid_levels": "3"},
        {"docid_codes": 2**31},
        {"docid_codes": True},
        {"depth": 1.5},
        {"index": None},
        {"language": ["english"]},
        {"fusion": 3},
        {"weights": [0.5, 0.5]},
        {"weights": None},
        {"seed": "0"},
        {"seed": 2**31},
        {"seed": None},
    ],
)
def test_settings_of_another_kind_are_refused(config: Any) -> None:
    assert_refused({**written(), "config": config})


@pytest.mark.parametrize("files", [None, [], "vectors", 5, {"vectors": None}, {"vectors": 5}, {"vectors": "abcd"}])
def test_files_that_are_no_lists_by_part_are_refused(files: Any) -> None:
    assert_refused({**written(), "files": files})


def without(at: int) -> Callable[[list[Any]], Any]:
    return lambda entry: entry[:at] + entry[at + 1 :]


def replaced(at: int, value: Any) -> Callable[[list[Any]], Any]:
    return lambda entry: [*entry[:at], value, *entry[at + 1 :]]


@pytest.mark.parametrize(
    "damage",
    [
        *(without(at) for at in range(4)),
        lambda entry: [*entry, 1],
        lambda _: [],
        lambda _: None,
        lambda _: "vectors.5.safetensors",
        lambda _: 5,
        *(replaced(0, value) for value in (None, 5, ["x"], {})),
        *(replaced(1, value) for value in (None, 5, ["a" * 64])),
        *(replaced(at, value) for at in (2, 3) for value in (-1, 2**62, 1.5, 40.0, True, None, "40", [40])),
    ],
)
@pytest.mark.parametrize("at", [0, 1])
def test_an_entry_of_a_file_that_makes_no_sense_is_refused(at: int, damage: Callable[[list[Any]], Any]) -> None:
    value = deepcopy(written())
    value["files"]["vectors"][at] = damage(value["files"]["vectors"][at])
    assert_refused(value)


def test_the_file_whose_size_is_wrong_is_named() -> None:
    value = written()
    value["files"]["vectors"][1][3] = -1
    assert "vectors.7.safetensors" in assert_refused(value)
