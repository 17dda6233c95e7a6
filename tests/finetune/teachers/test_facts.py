"""A language model trained here on templated facts labels the passage with the answer highest."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import pytest

from finetune.teachers.causal import LikelihoodTeacher
from finetune.teachers.endpoint import Endpoint
from finetune.teachers.endpoint_teacher import EndpointTeacher
from finetune.teachers.prompt import make_prompt

from .conftest import echoing, make_causal_model, make_tokenizer

VALUES = {
    "colour": ["red", "blue", "green", "black", "white", "pink", "brown", "grey"],
    "home": ["Rome", "Paris", "Oslo", "Cairo", "Lima", "Delhi", "Quito", "Kyoto"],
    "pet": ["cat", "dog", "horse", "snake", "mouse", "parrot", "goat", "duck"],
    "food": ["bread", "rice", "soup", "fish", "cheese", "beans", "fruit", "cake"],
}
NAMES = [
    f"{first}{last}" for first in ("Ann", "Bo", "Cy", "Di", "Ed", "Flo") for last in ("a", "ek", "ina", "ul", "os")
]
TEMPLATES = (
    "The {kind} of {name} is {value} .",
    "{name} likes {value} as {kind} .",
    "It is {value} , the {kind} of {name} .",
)
WINDOW, CANDIDATES, CASES = 40, 4, 500


class Case(NamedTuple):
    question: str
    answer: str
    passages: list[str]
    right: int


def fact(source: random.Random, name: str, kind: str, value: str) -> str:
    return source.choice(TEMPLATES).format(name=name, kind=kind, value=value)


def make_case(source: random.Random, names: list[str]) -> Case:
    kind = source.choice(list(VALUES))
    name, answer = source.choice(names), source.choice(VALUES[kind])
    passages = [fact(source, name, kind, answer)]
    others = [other for other in names if other != name]
    wrong = [value for value in VALUES[kind] if value != answer]
    passages.append(fact(source, source.choice(others), kind, source.choice(wrong)))
    other_kind = source.choice([other for other in VALUES if other != kind])
    passages.append(fact(source, name, other_kind, source.choice(VALUES[other_kind])))
    passages.append(fact(source, source.choice(others), other_kind, source.choice(VALUES[other_kind])))
    source.shuffle(passages)
    right = next(place for place, passage in enumerate(passages) if f" {answer} " in passage)
    return Case(f"What is the {kind} of {name} ?", answer, passages, right)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    words = " ".join((*NAMES, *VALUES, *TEMPLATES, "Passage : Question Answer What is ?")).split()
    words += [value for values in VALUES.values() for value in values]
    return make_tokenizer(["\n", *words, *(f" {word}" for word in words)], WINDOW)


@pytest.fixture(scope="module")
def model(tokenizer: Any) -> Any:
    """Trained for 150 steps of 64 facts, asked about with their passage; a fifth of the names is kept out of them."""
    import torch

    model = make_causal_model(len(tokenizer), WINDOW, width=64)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    source = random.Random(0)
    model.train()
    for _ in range(150):
        texts = []
        for _ in range(64):
            case = make_case(source, NAMES[:-6])
            prompt = make_prompt(case.question, case.passages[case.right], case.answer)
            texts.append(tokenizer(prompt.before + prompt.target, add_special_tokens=False)["input_ids"])
        longest = max(map(len, texts))
        ids = torch.tensor([[1, *text, *[0] * (longest - len(text))] for text in texts])
        answers = torch.full_like(ids, -100)
        for row, text in enumerate(texts):
            answers[row, len(text)] = ids[row, len(text)]
        loss = model(ids, attention_mask=(ids != 0).long(), labels=answers).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    source = random.Random(1)
    return [make_case(source, NAMES) for _ in range(CASES)]


def labels(teacher: Any, cases: list[Case]) -> list[list[float]]:
    found: list[list[float]] = teacher.score(
        [case.question for case in cases], [case.passages for case in cases], [case.answer for case in cases]
    )
    return found


def share_right(labels: list[list[float]], cases: list[Case]) -> float:
    return sum(own.index(max(own)) == case.right for own, case in zip(labels, cases, strict=True)) / len(cases)


@pytest.mark.slow
@pytest.mark.parametrize("calibrate", [True, False])
def test_the_passage_with_the_answer_gets_the_highest_label(
    model: Any, tokenizer: Any, cases: list[Case], calibrate: bool
) -> None:
    found = labels(LikelihoodTeacher(model, tokenizer, "facts", calibrate=calibrate, batch_size=64), cases)
    assert share_right(found, cases) >= 0.95
    single = labels(LikelihoodTeacher(model, tokenizer, "facts", calibrate=calibrate, batch_size=1), cases[:50])
    for own, others in zip(single, found, strict=False):
        assert others == pytest.approx(own, abs=1e-5)


@pytest.mark.slow
def test_the_same_through_an_endpoint(model: Any, tokenizer: Any, cases: list[Case], server: Any) -> None:
    server.answer = echoing(model, tokenizer)
    found = labels(EndpointTeacher(Endpoint(server.url), "facts", calibrate=False), cases)
    assert share_right(found, cases) >= 0.95
    local = labels(LikelihoodTeacher(model, tokenizer, "facts", calibrate=False), cases)
    for own, others in zip(local, found, strict=True):
        assert others == pytest.approx(own, abs=1e-5)


@pytest.mark.slow
def test_an_untrained_model_does_not(tokenizer: Any, cases: list[Case]) -> None:
    untrained = make_causal_model(len(tokenizer), WINDOW, width=64)
    assert share_right(labels(LikelihoodTeacher(untrained, tokenizer, "none", batch_size=64), cases), cases) < 0.6
