"""Copies are found, whatever their number, and nothing else is."""

from __future__ import annotations

import random
import time
from itertools import combinations

import pytest

from finetune.cleaning.duplicates import _rows_per_band, exact_duplicates, near_duplicates
from finetune.cleaning.normal import normal_form, words_and_signs

VOCABULARY = [f"w{number}" for number in range(2000)]


def random_text(source: random.Random, length: int) -> str:
    return " ".join(source.choices(VOCABULARY, k=length))


def edited(text: str, source: random.Random, edits: int) -> str:
    parts = text.split()
    for _ in range(edits):
        parts[source.randrange(len(parts))] = source.choice(VOCABULARY)
    return " ".join(parts)


def jaccard(first: str, second: str) -> float:
    sets = []
    for text in (first, second):
        parts = words_and_signs(text)
        size = min(3, len(parts))
        sets.append({tuple(parts[at : at + size]) for at in range(len(parts) - size + 1)})
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


def test_exact_copies_differ_in_white_space_and_composition_alone() -> None:
    texts = [
        "A café, a dog.",
        " A cafe\u0301,\n a  dog. ",
        "A café a dog",
        "a café, a dog.",
        "",
        "!!",
        "",
        "??",
        "x²",
        "x2",
    ]
    assert exact_duplicates(texts) == {1: 0, 6: 4}


DIFFERENT = [
    "echo error > log.txt",
    "echo error >> log.txt",
    "make test && make install",
    "make test || make install",
    "ls -l",
    "ls -L",
    "git diff HEAD~1",
    "git diff HEAD^1",
    "rm -r ./build",
    "rm -r /build",
    "x = a + b",
    "x = a - b",
    "a > b",
    "a | b",
    "5 degrees",
    "-5 degrees",
    "Lists in C",
    "Lists in C++",
    "Lists in C#",
    "दिन",
    "दान",
]


def test_texts_whose_signs_or_capitals_differ_are_no_copies() -> None:
    assert exact_duplicates(DIFFERENT) == {}
    assert near_duplicates(DIFFERENT, 0.9, seed=0) == {}


def test_normal_forms_keep_signs_and_drop_what_hardly_tells_questions_apart() -> None:
    assert len({normal_form(text) for text in DIFFERENT}) == len(DIFFERENT) - 1  # ls -l and ls -L
    for text in ("who purrs", "Who purrs?", " “Who  purrs” ?", "WHO PURRS!", "Ｗho pu\u00adrrs?"):
        assert normal_form(text) == "who purrs"
    assert normal_form("谁在 叫？") == normal_form("谁在叫") == "谁在叫"
    assert normal_form("!!") == "!!"
    assert normal_form(" ") == ""


def test_near_copies_equal_a_search_over_all_pairs() -> None:
    source = random.Random(7)
    originals = [random_text(source, source.randrange(20, 120)) for _ in range(60)]
    texts = list(originals)
    for text in originals:
        texts += [edited(text, source, source.choice([0, 1, 2, 5, 20])) for _ in range(3)]
    source.shuffle(texts)
    similar = {pair: jaccard(texts[pair[0]], texts[pair[1]]) for pair in combinations(range(len(texts)), 2)}
    expected: dict[int, int] = {}
    for late in range(len(texts)):
        for early in range(late):
            if early not in expected and similar[early, late] >= 0.8:
                expected[late] = early
                break
    assert len(expected) > 60
    assert near_duplicates(texts, 0.8, seed=0) == expected == near_duplicates(texts, 0.8, seed=1)


def test_a_copy_points_to_a_kept_text_that_is_alike() -> None:
    source = random.Random(3)
    chain = [random_text(source, 100)]
    for _ in range(12):
        chain.append(edited(chain[-1], source, 1))
    copies = near_duplicates(chain, 0.85, seed=0)
    assert copies
    for copy, kept in copies.items():
        assert kept not in copies
        assert jaccard(chain[copy], chain[kept]) >= 0.85
    assert len(copies) < len(chain) - 1


def test_texts_without_words_and_short_texts_are_no_copies_of_each_other() -> None:
    assert near_duplicates(["", "!", "", "a", "b", "a b"], 0.9, seed=0) == {}
    assert near_duplicates(["one two", "one two", "two one"], 0.9, seed=0) == {1: 0}


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.9, 0.95, 1.0])
def test_bands_meet_at_the_threshold(threshold: float) -> None:
    rows = _rows_per_band(threshold)
    assert 1 - (1 - threshold**rows) ** (64 // rows) >= 0.98


def test_time_grows_with_length_not_with_its_square() -> None:
    source = random.Random(1)
    texts = [random_text(source, 40) for _ in range(16_000)]

    def seconds(count: int) -> float:
        start = time.process_time()
        near_duplicates([*texts[: count // 2], *texts[: count // 2]], 0.9, seed=0)
        return time.process_time() - start

    seconds(1000)
    assert seconds(16_000) < 8 * seconds(4_000)
