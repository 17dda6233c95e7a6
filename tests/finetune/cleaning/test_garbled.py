"""Damaged and foreign texts are found; code, lists, short texts and Chinese are not."""

from __future__ import annotations

import base64
import builtins
import inspect
import os
import random

import pytest

from finetune.cleaning.garbled import find_garbled
from finetune.cleaning.language import find_foreign

STORY = (
    "The old woman walked to the river and washed the linen that her daughter had brought, and as it was a warm day "
    "she sat down under the willow and slept until the evening, when the bells of the village were ringing."
)
GERMAN = (
    "Die alte Frau ging an den Fluss und wusch das Leinen, das ihre Tochter gebracht hatte, und weil es ein warmer Tag "
    "war, setzte sie sich unter die Weide und schlief bis zum Abend, als die Glocken im Dorf zu läuten begannen."
)
CODE = (
    'def read_all(path):\n    """Read a file."""\n    with open(path) as file:\n'
    "        return [line.strip() for line in file]\n"
)
CHINESE = "那个老妇人走到河边，洗女儿带来的亚麻布。天气很暖和，她坐在柳树下睡着了，一直睡到晚上村里的钟声响起。"
RUSSIAN = "Старая женщина пошла к реке и выстирала бельё, которое принесла её дочь, а потом уснула под ивой до вечера."


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no words"),
        ("-- !! ?? ...", "no words"),
        ("The caf\ufffd\ufffd\ufffd was \ufffd\ufffd\ufffd open", "undecodable characters"),
        ("PNG\x00\x01\x02\x03\x04 data\x05\x06", "undecodable characters"),
        ("é à ü – “naïve” café".encode().decode("cp1252", "ignore") * 3, "wrong decoding"),
        (base64.b64encode(random.Random(0).randbytes(600)).decode(), "no spaces"),
        ("buy now " * 200, "repetition"),
    ],
)
def test_damage_is_named(text: str, reason: str) -> None:
    assert find_garbled([STORY, text]) == {1: reason}


@pytest.mark.parametrize(
    "text", [STORY, GERMAN, CODE, CHINESE, RUSSIAN, "x", "42", "Café – naïve, “très” bien", "a-b", "𝒙 = 2π"]
)
def test_sound_texts_are_kept(text: str) -> None:
    assert find_garbled([text]) == {}


def test_noise_stands_out_from_a_collection() -> None:
    sound = [text for thing in (*vars(builtins).values(), *vars(os).values()) if (text := inspect.getdoc(thing))]
    assert len(sound) > 200
    noise = "".join(random.Random(5).choices("abcdefghijklmnopqrstuvwxyz    ", k=400))
    texts = [*sound, noise, CODE, CHINESE, STORY, GERMAN]
    assert find_garbled(texts) == {len(sound): "improbable letters"}
    assert find_garbled([*sound[:30], noise, CODE]) == {}


def test_another_script_and_another_language_are_found() -> None:
    texts = [STORY] * 10 + [GERMAN, CHINESE, RUSSIAN, CODE, "42", f"{STORY} {CHINESE[:20]}"]
    assert find_foreign(texts) == {10: "German", 11: "CJK script", 12: "CYRILLIC script"}


def test_a_collection_without_a_majority_keeps_all() -> None:
    assert find_foreign([STORY, STORY, GERMAN, GERMAN, CHINESE, CHINESE]) == {}
    assert find_foreign([STORY, STORY, STORY, GERMAN, GERMAN]) == {}
    assert find_foreign([]) == {}


def test_a_chinese_collection_loses_its_english_texts_only() -> None:
    assert find_foreign([CHINESE] * 8 + [STORY, "FAQ 2", CHINESE + STORY[:60]]) == {8: "LATIN script"}
