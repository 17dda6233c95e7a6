"""Questions lifted out of documents: what is lifted is prose, and gone from the rest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hybridret.data.lifted import LIFTERS, lift_sentence, lift_span

PROSE = "The sun was just setting. It gave a red light over the snow! Nobody saw it go down. Ships lay still."
CODE = 'def write_all(self):\n    """Writes every waiting line to the stream."""\n    self.stream.write(x)'
CHINESE = "战国无双三是由光荣公司开发的系列续作。本作以三大故事为主轴，分别是武田信玄等人。游戏共有二十张地图。"


def test_a_sentence_is_lifted_and_gone() -> None:
    drawn = {lift_sentence(PROSE, np.random.default_rng(seed)) for seed in range(40)}
    assert {lifted.query for lifted in drawn if lifted} == {
        "The sun was just setting.",
        "It gave a red light over the snow!",
        "Nobody saw it go down.",
    }
    assert all(lifted is not None and lifted.query not in lifted.rest for lifted in drawn)


def test_code_is_no_question() -> None:
    drawn = {lift_sentence(CODE, np.random.default_rng(seed)) for seed in range(20)}
    assert {lifted.query for lifted in drawn if lifted} == {"Writes every waiting line to the stream."}


def test_chinese_is_lifted_by_characters() -> None:
    sentence = lift_sentence(CHINESE, np.random.default_rng(0))
    span = lift_span(CHINESE, np.random.default_rng(0))
    assert sentence is not None
    assert sentence.query in CHINESE
    assert span is not None
    assert span.query in CHINESE
    assert 6 <= len(span.query) <= 24


@pytest.mark.parametrize("text", ["", "one", "one two three four five", "a.b(c)", "\n\n", "战国"])
def test_nothing_is_lifted_from_next_to_nothing(text: str) -> None:
    assert [lift(text, np.random.default_rng(0)) for lift in LIFTERS.values()] == [None, None]


@given(st.text(max_size=300), st.integers(0, 2**32 - 1))
def test_any_text_gives_a_question_and_a_rest_or_nothing(text: str, seed: int) -> None:
    for lift in LIFTERS.values():
        lifted = lift(text, np.random.default_rng(seed))
        assert lifted == lift(text, np.random.default_rng(seed))
        if lifted is not None:
            assert lifted.query.strip()
            assert lifted.rest.strip()
            assert len(lifted.rest) < len(text)
