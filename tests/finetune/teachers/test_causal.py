"""The likelihood equals a loop over tokens; batches, padding and cuts do not change what they must not."""

from __future__ import annotations

import logging
import math
import random
from typing import Any

import pytest

from finetune.teachers import LabelsConfig, make_teacher
from finetune.teachers.causal import LikelihoodTeacher
from finetune.teachers.endpoint import Endpoint
from finetune.teachers.endpoint_teacher import EndpointTeacher
from finetune.teachers.prompt import label, make_prompt
from hybridret.errors import InputError, ModelError

from .conftest import echoing, make_causal_model, make_tokenizer

WORDS = [f" w{number}" for number in range(60)]
FRAME = ["Passage", ":", "\n", "Question", "Answer"]
WINDOW = 96


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return make_tokenizer(FRAME + WORDS, WINDOW)


@pytest.fixture(scope="module")
def model(tokenizer: Any) -> Any:
    return make_causal_model(len(tokenizer), WINDOW)


def text(source: random.Random, length: int) -> str:
    return "".join(source.choices(WORDS, k=length)).strip()


def cases(count: int) -> tuple[list[str], list[list[str]], list[str | None]]:
    source = random.Random(4)
    questions = [text(source, source.randint(1, 8)) for _ in range(count)]
    passages = [[text(source, source.randint(1, 60)) for _ in range(source.randint(0, 4))] for _ in range(count)]
    answers = [text(source, source.randint(1, 6)) if number % 3 else None for number in range(count)]
    return questions, passages, answers


def by_loop(model: Any, tokenizer: Any, before: str, target: str) -> float:
    """The log-likelihood of a target, one token after the other."""
    import torch

    ids = [1, *tokenizer(before, add_special_tokens=False)["input_ids"]]
    total = 0.0
    for token in tokenizer(target, add_special_tokens=False)["input_ids"]:
        with torch.inference_mode():
            logits = model(torch.tensor([ids])).logits[0, -1].double()
        total += math.log(math.exp(logits[token]) / sum(math.exp(value) for value in logits.tolist()))
        ids.append(token)
    return total


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("calibrate", [False, True])
def test_labels_equal_a_loop_over_tokens(model: Any, tokenizer: Any, normalise: bool, calibrate: bool) -> None:
    questions, passages, answers = cases(9)
    teacher = LikelihoodTeacher(model, tokenizer, "tiny", normalise, calibrate)
    labels = teacher.score(questions, passages, answers)
    assert [len(own) for own in labels] == [len(own) for own in passages]
    for question, own, answer, scores in zip(questions, passages, answers, labels, strict=True):
        for passage, score in zip(own, scores, strict=True):
            if answer is None:
                before, without, target = f"Passage: {passage}\nQuestion:", "\nQuestion:", f" {question}"
            else:
                without, target = f"\nQuestion: {question}\nAnswer:", f" {answer}"
                before = f"Passage: {passage}{without}"
            expected = by_loop(model, tokenizer, before, target)
            expected -= by_loop(model, tokenizer, without, target) if calibrate else 0.0
            expected /= len(target.split()) if normalise else 1
            assert score == pytest.approx(expected, abs=1e-5)


def test_batches_do_not_change_labels(model: Any, tokenizer: Any) -> None:
    given = cases(12)
    one = LikelihoodTeacher(model, tokenizer, "tiny", batch_size=1).score(*given)
    for size in (2, 7, 64):
        many = LikelihoodTeacher(model, tokenizer, "tiny", batch_size=size).score(*given)
        for own, others in zip(one, many, strict=True):
            assert others == pytest.approx(own, abs=1e-5)


def test_a_model_that_cannot_leave_logits_out_gives_the_same(model: Any, tokenizer: Any) -> None:
    given = cases(6)
    teacher = LikelihoodTeacher(model, tokenizer, "tiny")
    expected = teacher.score(*given)
    teacher._keeps_logits = False
    for own, others in zip(expected, teacher.score(*given), strict=True):
        assert others == pytest.approx(own, abs=1e-6)


def test_an_endpoint_gives_the_same_labels(model: Any, tokenizer: Any, server: Any) -> None:
    given = cases(6)
    server.answer = echoing(model, tokenizer)
    expected = LikelihoodTeacher(model, tokenizer, "tiny").score(*given)
    labels = EndpointTeacher(Endpoint(server.url), "tiny").score(*given)
    for own, others in zip(expected, labels, strict=True):
        assert others == pytest.approx(own, abs=1e-5)
    assert {request["model"] for _, request, _ in server.calls} == {"tiny"}


def test_the_label_as_a_formula() -> None:
    assert label(-6.0, None, 3, False) == -6.0
    assert label(-6.0, None, 3, True) == -6.0 / 3
    assert label(-6.0, -9.0, 3, True) == (-6.0 - -9.0) / 3
    prompt = make_prompt(" who? ", "text", " me ")
    assert (prompt.before, prompt.target) == ("Passage: text\nQuestion: who?\nAnswer:", " me")


def test_a_long_passage_is_cut_to_the_window(model: Any, tokenizer: Any) -> None:
    source = random.Random(1)
    long = text(source, 500)
    teacher = LikelihoodTeacher(model, tokenizer, "tiny", calibrate=False, normalise=False)
    (label,) = teacher.score(["w1 w2"], [[long]], ["w3 w4"])[0]
    frame = 1 + len(["Passage", ":"]) + len(["\n", "Question", ":", " w1", " w2", "\n", "Answer", ":"]) + 2
    shown = " ".join(long.split()[: WINDOW - frame])
    expected = by_loop(model, tokenizer, f"Passage: {shown}\nQuestion: w1 w2\nAnswer:", " w3 w4")
    assert label == pytest.approx(expected, abs=1e-5)


def test_an_answer_longer_than_the_window_is_cut_and_told(
    model: Any, tokenizer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    source = random.Random(2)
    long = text(source, 300)
    teacher = LikelihoodTeacher(model, tokenizer, "tiny", calibrate=False, normalise=False)
    with caplog.at_level(logging.WARNING):
        labels = teacher.score(["w1", "w1"], [["w5 w6"], ["w5"]], [long, "w3"])
    assert "1 answers are longer than half of the model's window of 96 and were cut" in caplog.text
    kept = " " + " ".join(long.split()[: WINDOW // 2])
    assert labels[0][0] == pytest.approx(
        by_loop(model, tokenizer, "Passage: w5 w6\nQuestion: w1\nAnswer:", kept), abs=1e-5
    )
    with pytest.raises(InputError, match=r"a question of 206 tokens with 1 of its answer does not fit .* window of 96"):
        teacher.score([text(source, 200)], [["w5"]], ["w3"])


def test_a_model_is_loaded_by_name(model: Any, tokenizer: Any, tmp_path: Any) -> None:
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    teacher = make_teacher(LabelsConfig(teacher="likelihood", model=str(tmp_path), batch_size=3))
    assert str(tmp_path) in teacher.name
    for own, others in zip(
        LikelihoodTeacher(model, tokenizer, "tiny").score(*cases(3)), teacher.score(*cases(3)), strict=True
    ):
        assert others == pytest.approx(own, abs=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"teacher": "oracle", "model": "x"}, "there is no teacher 'oracle'; known are likelihood, "),
        ({"teacher": "likelihood"}, "the teacher likelihood wants a model"),
        ({"teacher": "endpoint", "model": "x"}, "the teacher endpoint wants the base URL"),
        ({"teacher": "likelihood", "model": "x", "batch_size": 0}, "labels.batch_size must be above 0"),
        ({"teacher": "likelihood", "model": "x", "budget": -1}, "labels.budget must be 0 or more"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        LabelsConfig(**settings)


def test_no_teacher_and_no_model(tmp_path: Any) -> None:
    with pytest.raises(InputError, match="no teacher is set"):
        make_teacher(LabelsConfig())
    with pytest.raises(ModelError, match="cannot be loaded"):
        make_teacher(LabelsConfig(teacher="likelihood", model=str(tmp_path)))
    with pytest.raises(ModelError, match="cannot be loaded"):
        make_teacher(LabelsConfig(teacher="cross-encoder", model=str(tmp_path)))
