"""The numbers, each against what it is by definition."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridret.data.poison.stuffing import (
    Vocabulary,
    crowding,
    foreign_opening,
    listed,
    repeated_phrase,
    unconnected,
    words_of,
)

SOME_WORDS = st.lists(st.sampled_from([*"abcdefg", "1", "22"]), max_size=90)


def test_words_are_lower_case_and_ideographs_give_pairs() -> None:
    assert words_of("The os.path_x, 3.5 mm!") == ["the", "os", "path", "x", "3", "5", "mm"]
    assert words_of("Ünal’s ＡＢＣ") == ["ünal", "s", "abc"]
    assert words_of("修理水泵 abc 泵") == ["修理", "理水", "水泵", "abc", "泵"]
    assert words_of("") == words_of(" .,") == []


def test_a_weight_is_the_idf_by_that_of_an_unknown_word() -> None:
    vocabulary = Vocabulary([["the", "pump", "the"], ["the", "cat"], ["the", "dog"], ["the"]])
    assert vocabulary.weights(["the", "pump", "new"]) == pytest.approx([0, 1 - math.log(2) / math.log(5), 1])
    assert vocabulary.function_words == {"the"}
    assert Vocabulary([]).weights(["a"]) == [1.0]


def test_a_phrase_counts_from_three_times_in_a_row() -> None:
    phrase = ["best", "red", "pump", "shop"]
    assert repeated_phrase(phrase * 2) == 0
    assert repeated_phrase(phrase * 3) == 7
    assert repeated_phrase(["x", *phrase * 10, "y"]) == 4 * 10 - 1 - 4
    assert repeated_phrase([*phrase, "a", *phrase, "b", *phrase]) == 0
    assert repeated_phrase(["ha"] * 31) == pytest.approx(29 / 3)
    assert repeated_phrase(["yes", "no"] * 10) == pytest.approx(17 / 1.5)
    assert repeated_phrase(["1", "0", "2"] * 30) == 0
    assert repeated_phrase([]) == repeated_phrase(["a"]) == 0


@given(SOME_WORDS)
def test_crowding_is_what_windows_of_32_words_repeat(words: list[str]) -> None:
    weights = [{"a": 0.0, "b": 0.5}.get(word, 1.0) for word in words]
    windows = [range(start, min(start + 32, len(words))) for start in range(max(1, len(words)))]
    sums = [
        sum(weights[at] for at in window if any(words[other] == words[at] for other in window if other < at))
        for window in windows
    ]
    assert crowding(words, weights) == pytest.approx(max(sums) / 32)


@given(SOME_WORDS)
def test_the_longest_run_without_function_words_or_numbers(words: list[str]) -> None:
    runs = "".join("x" if word in ("a", "b") or word.isdigit() else "o" for word in words).split("x")
    assert unconnected(words, {"a", "b"}) == max(map(len, runs))


def test_a_row_of_short_items_is_a_list() -> None:
    assert listed("buy, red pump, best cheap pumps; shop|new") == 5
    assert listed("We went home, had a long dinner there, and slept.") == 1
    assert listed("one, two. three, four.") == 2
    assert listed("苹果、香蕉、梨") == 3
    assert listed("a, b\nc, d, e\nf, g") == 3
    assert listed("a, 1, 2, b, 3 c, 4 5") == 2
    assert listed("") == 0


def test_the_opening_is_what_the_rest_takes_up() -> None:
    rest = "One pump needs oil every week, as its manual says, else it breaks."
    text = f"How does a pump work? {rest}"
    words = words_of(text)
    ones = [1.0] * len(words)
    assert foreign_opening(text, words, ones) == pytest.approx(math.log(4.1 / 1.1))
    assert math.isnan(foreign_opening(rest, words_of(rest), ones))
    assert math.isnan(foreign_opening("How does a pump work? It does.", words[:7], ones))
    assert math.isnan(foreign_opening("", [], []))
    short = f"Dr. No. Pumps are good. {rest}"
    words = words_of(short)
    assert foreign_opening(short, words, [1.0] * len(words)) == pytest.approx(math.log(5.1 / 0.1))


@given(st.text(max_size=300))
def test_every_text_has_numbers_that_can_be(text: str) -> None:
    words = words_of(text)
    weights = Vocabulary([]).weights(words)
    assert 0 <= repeated_phrase(words) <= len(words)
    assert 0 <= crowding(words, weights) < 1
    assert 0 <= unconnected(words, set()) <= len(words)
    assert 0 <= listed(text) <= len(text)
    opening = foreign_opening(text, words, weights)
    assert math.isnan(opening) or math.isfinite(opening)


@pytest.mark.parametrize("part", ["a ", "ab cd ", ",", "a,", "a. ", "水", "\n", "é"])
def test_long_texts_come_to_an_end(part: str) -> None:
    text = part * 100_000
    words = words_of(text)
    weights = Vocabulary([]).weights(words)
    assert repeated_phrase(words) <= len(words)
    assert crowding(words, weights) < 1
    assert unconnected(words, set()) <= len(words)
    assert listed(text) <= len(text)
    assert not foreign_opening(text, words, weights) > 0
