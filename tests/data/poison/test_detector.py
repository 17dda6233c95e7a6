"""What looks poisoned beside what, and what does not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridret.data.poison import Detector, drawn, screened
from hybridret.types import Document

SUBJECTS = ["pump", "valve", "filter", "motor", "gauge", "hose", "tank", "switch", "sensor", "bearing"]
VERBS = ["leaks", "stops", "hums", "overheats", "drips", "rattles", "clogs", "fails", "vibrates", "jams"]
PLACES = ["cellar", "attic", "workshop", "garage", "kitchen", "shed", "barn", "boiler-room", "yard", "hall"]


def prose(source: random.Random) -> str:
    """A paragraph of a manual, the first sentence of which says what the others are about."""
    subject, place = source.choice(SUBJECTS), source.choice(PLACES)
    sentences = [f"This is what to do when the {subject} in the {place} {source.choice(VERBS)}."]
    for _ in range(source.randint(4, 9)):
        other = source.choice(SUBJECTS)
        sentences.append(
            f"If it {source.choice(VERBS)}, then look at the {other} and at the {subject} of the {place}, "
            f"and turn {source.randint(2, 40)} of the screws by a quarter."
        )
    return " ".join(sentences)


@pytest.fixture(scope="module")
def manual() -> list[str]:
    source = random.Random(0)
    return [prose(source) for _ in range(300)]


@pytest.fixture(scope="module")
def detector(manual: list[str]) -> Detector:
    return Detector(manual[:200])


PROSE = [
    "The water pump has to be bled before the first start. Open the screw at the top, wait until no more air comes "
    "out, and close it again. After that the pump can be switched on; it must not run dry for more than a minute.",
    "Once upon a time there was a miller who had three sons. When he died, the eldest got the mill, the second the "
    "donkey, and the youngest nothing but the cat. "
    "“Oh, oh, oh,” he cried, “what am I to do with a cat?”",
    "Die Pumpe muss vor dem ersten Start entlüftet werden. Öffnen Sie die Schraube, warten Sie, bis keine Luft mehr "
    "austritt, und schließen Sie sie wieder.",
]
CODE = [
    'def mean(values, default=None):\n    """Return the mean of values.\n\n    :param values: numbers\n'
    '    :returns: float\n    """\n    if not values:\n        return default\n    total = 0\n'
    "    for value in values:\n        total += value\n"
    "    return total / len(values)\n",
    "#include <vector>\nstd::vector<int> f(const std::vector<int>& a, std::vector<int> b) { for (int x : a) if (x < 3) "
    "b.push_back(x); return b; }",
    "os.path.join(path, *paths)\n\nJoin one or more path segments. The return value is the concatenation of path and "
    "all members of *paths, with exactly one directory separator following each non-empty part.",
]
TABLES = [
    "| size | mass | price |\n|---|---|---|\n| 10 | 1.2 | 4.00 |\n| 20 | 2.4 | 8.00 |\n| 30 | 3.6 | 12.00 |\n" * 3,
    "year,jan,feb,mar\n2020,0,0,1\n2021,0,0,1\n2022,0,1,1\n2023,0,0,0\n2024,1,1,1\n",
    "name,town,colour\nalice,paris,blue\nbob,london,red\ncarol,rome,green\ndan,oslo,grey\neve,bern,pink\nfay,kyiv,tan\n",
    "WeatherTool: Get the current weather, forecasts and warnings for any location in the world.",
]
CHINESE = [
    "水泵在首次启动前必须排气。打开顶部的螺钉，等到没有空气排出，然后再拧紧。之后可以接通水泵，干转不得超过一分钟。",
    "《战国无双》是日本公司开发的动作游戏，共有三大故事，分别以不同的武将为主角，还收录了苹果、香蕉、梨等小游戏。",
]


@pytest.mark.parametrize("text", [*PROSE, *CODE, *TABLES, *CHINESE, "", "pump", "?", "10 20 30"])
def test_sound_texts_are_not_suspected_by_themselves(text: str) -> None:
    assert Detector([]).reasons(text) == []


def test_sound_texts_are_not_suspected_beside_their_like(manual: list[str], detector: Detector) -> None:
    assert [text for text in manual[200:] if detector.reasons(text)] == []
    for text in [*CODE, *TABLES, *CHINESE]:
        assert Detector([text] * 100).reasons(text) == []


KEYWORDS = "cheap casino bonus slots roulette jackpot"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("{} " + " ".join([KEYWORDS] * 10), "over and over"),
        ("{} casino casino bonus slots casino bonus casino slots bonus casino casino slots bonus slots casino", "rare"),
        ("{}\n" + ", ".join(f"word{at}" for at in range(20)), "keywords in a row"),
        ("{}\n" + " ".join("abcdefghijklmnopqrstuvwxyz"), "without a function word"),
        ("How much does a Caribbean cruise cost for seven adults? {}", "does not take up"),
        ("{}<!-- cheap casino bonus -->", "3 words in a comment"),
        ("{}\n[//]: # (cheap casino bonus)", "3 words in a comment"),
        ("<p style='display:none'>cheap casino bonus</p>{}", "3 words in a hidden element"),
        ("<meta name='keywords' content='casino, bonus, slots'>{}", "3 words in a hidden element"),
        ("{}" + "\n" * 30 + "casino", "1 words far below"),
        ("{} ca\u200bsi\u200bno", "2 invisible characters (U+200B)"),
    ],
)
def test_poison_is_noticed_and_named(manual: list[str], detector: Detector, spoil: str, reason: str) -> None:
    for text in manual[200:220]:
        assert any(reason in each for each in detector.reasons(spoil.format(text))), detector.reasons(
            spoil.format(text)
        )


def test_what_needs_no_collection_is_noticed_without_one() -> None:
    alone = Detector([])
    assert alone.reasons(f"{PROSE[0]} {' '.join([KEYWORDS] * 4)}") == ["a phrase over and over: 17 words"]
    assert alone.reasons(f"{PROSE[0]} <!-- best pump shop -->") == ["3 words in a comment"]
    assert alone.reasons(f"{PROSE[0]} <!-- todo later -->") == []
    assert alone.reasons("ab\U000e0061") == ["1 invisible characters (U+E0061)"]


def test_what_is_usual_in_a_collection_is_not_suspected(manual: list[str]) -> None:
    pages = [f"{text} <!-- generated by the tool of the firm -->" for text in manual]
    detector = Detector(pages[:200])
    assert [page for page in pages[200:] if detector.reasons(page)] == []
    assert detector.reasons(f"{pages[200]} <!-- {' '.join([*KEYWORDS.split()] * 6)} -->")


def test_some_poison_among_the_usual_does_not_hide_more_of_it(manual: list[str], detector: Detector) -> None:
    bad = [f"{text} {' '.join([KEYWORDS] * 10)}" for text in manual[:2]] + [f"{manual[2]} <!-- {KEYWORDS} -->"] * 2
    spoilt = Detector([*manual[:196], *bad])
    for text in (*bad, f"{manual[210]} {' '.join(['one other phrase here'] * 10)}"):
        assert spoilt.reasons(text)
        assert detector.reasons(text)


@given(st.text(st.characters(exclude_categories=())))
def test_no_text_is_too_odd(text: str) -> None:
    for judge in (Detector([]), Detector([text] * 60)):
        assert all(isinstance(reason, str) for reason in judge.reasons(text))


@given(
    st.text(st.characters(categories=("Ll", "Lu", "Nd")), max_size=30), st.sampled_from("\u2060\u3164\U000e0041\ufff9")
)
def test_a_hidden_character_is_reported_whatever_is_usual(text: str, hidden: str) -> None:
    spoilt = f"{text}{hidden}"
    assert "invisible characters" in Detector([spoilt] * 60).reasons(spoilt)[0]


def documents(texts: list[str], prefix: str = "d") -> list[Document]:
    return [Document(f"{prefix}{at}", text, {}) for at, text in enumerate(texts)]


def test_screening_judges_by_the_index_and_fills_up_with_what_comes(manual: list[str]) -> None:
    bad = Document("bad", f"How much does a Caribbean cruise cost for seven adults? {manual[250]}", {})
    coming = [*documents(manual[200:]), bad]
    (suspect,) = screened(coming, documents(manual[:200], "known"))
    assert (suspect.document, len(suspect.reasons)) == (bad, 1)
    assert [each.document for each in screened(coming, [])] == [bad]
    assert screened([bad], []) == []
    assert screened([], documents(manual[:9])) == []


def test_a_sample_is_the_same_every_time_and_of_no_more_than_a_thousand() -> None:
    ids = {f"d{at}" for at in range(5000)}
    chosen = drawn(ids)
    assert len(chosen) == len(set(chosen)) == 1000
    assert chosen == drawn(sorted(ids, reverse=True))
    assert drawn({"b", "a"}) == ["a", "b"]
