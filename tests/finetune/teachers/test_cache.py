"""Scores are asked for once, within the budget, and survive failures; cross-encoders."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from finetune.teachers import CachedTeacher, LabelsConfig, make_teacher
from finetune.teachers.cross_encoder import CrossEncoderTeacher
from hybridret.errors import HybridretError, ModelError


class CountingTeacher:
    """Scores a passage by its length; fails after a number of passages."""

    def __init__(self, name: str = "counting", fails_after: float = math.inf) -> None:
        self.name, self.fails_after = name, fails_after
        self.seen: list[tuple[str, str, str | None]] = []

    def score(
        self, questions: Sequence[str], passages: Sequence[Sequence[str]], answers: Sequence[str | None]
    ) -> list[list[float]]:
        for question, own, answer in zip(questions, passages, answers, strict=True):
            self.seen += [(question, passage, answer) for passage in own]
        if len(self.seen) > self.fails_after:
            raise HybridretError("the teacher fell ill")
        return [[float(len(passage)) for passage in own] for own in passages]


def test_each_pair_is_asked_for_once(tmp_path: Path) -> None:
    teacher = CountingTeacher()
    given = (["q1", "q2"], [["a", "bb", "a"], ["a"]], ["x", None])
    expected = [[1.0, 2.0, 1.0], [1.0]]
    path = tmp_path / "cache" / "scores.sqlite"
    assert CachedTeacher(teacher, path).score(*given) == expected
    assert teacher.seen == [("q1", "a", "x"), ("q1", "bb", "x"), ("q2", "a", None)]
    again = CachedTeacher(teacher, path)
    assert again.score(*given) == expected
    assert again.asked == 0
    assert len(teacher.seen) == 3
    again.score(["q1"], [["a"]], ["y"])
    again.score(["q2"], [["a"]], [""])
    assert len(teacher.seen) == 5
    CachedTeacher(CountingTeacher("other"), path).score(*given)
    assert CachedTeacher(teacher, path).score([], [], []) == []


def test_the_budget_is_kept_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    teacher = CountingTeacher()
    questions = [f"q{number}" for number in range(40)]
    cached = CachedTeacher(teacher, tmp_path / "scores.sqlite", budget=50)
    with caplog.at_level(logging.WARNING):
        scores = cached.score(questions, [["a", "bb", "ccc"]] * 40, [None] * 40)
    assert scores[:16] == [[1.0, 2.0, 3.0]] * 16
    assert all(math.isnan(score) for own in scores[16:] for score in own)
    assert len(teacher.seen) == cached.asked == 48
    assert cached.unscored == 24 * 3
    assert "budget of 50 passages is spent: 72 passages have no score" in caplog.text
    more = CachedTeacher(teacher, tmp_path / "scores.sqlite", budget=60)
    assert not any(math.isnan(score) for own in more.score(questions[:36], [["a", "bb", "ccc"]] * 36, [None] * 36) for score in own)  # fmt: skip  # noqa: E501


def test_scores_survive_a_teacher_that_fails(tmp_path: Path) -> None:
    questions = [f"q{number}" for number in range(40)]
    given = (questions, [["a", "bb"]] * 40, [None] * 40)
    with pytest.raises(HybridretError, match="the teacher fell ill"):
        CachedTeacher(CountingTeacher(fails_after=70), tmp_path / "scores.sqlite").score(*given)
    teacher = CountingTeacher()
    assert CachedTeacher(teacher, tmp_path / "scores.sqlite").score(*given) == [[1.0, 2.0]] * 40
    assert len(teacher.seen) == 80 - 64


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    cached = CachedTeacher(CountingTeacher(), tmp_path / "s", progress=lambda *step: told.append(step))
    cached.score([f"q{number}" for number in range(20)], [["a"]] * 20, [None] * 20)
    assert told == [("asking the teacher", 16, 20), ("asking the teacher", 20, 20)]


def test_what_is_no_cache_is_told(tmp_path: Path) -> None:
    path = tmp_path / "scores.sqlite"
    path.write_text("this is no database, but long enough to be read as one " * 30)
    with pytest.raises(HybridretError, match=r"scores.sqlite cannot be used as a cache of scores"):
        CachedTeacher(CountingTeacher(), path).score(["q"], [["a"]], [None])


def test_a_score_that_is_no_number_is_told(tmp_path: Path) -> None:
    class Ill(CountingTeacher):
        def score(self, questions: Any, passages: Any, answers: Any) -> list[list[float]]:
            return [[math.nan for _ in own] for own in passages]

    with pytest.raises(HybridretError, match="the teacher counting gave nan as a score"):
        CachedTeacher(Ill(), tmp_path / "s").score(["q"], [["a"]], [None])


@pytest.fixture(scope="module")
def cross_encoder_folder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-encoder of random weights over the tiny model's configuration."""
    return save_cross_encoder(tiny_model, tmp_path_factory.mktemp("cross-encoder"), 1)


def save_cross_encoder(tiny_model: Path, folder: Path, outputs: int) -> Path:
    import torch
    from transformers import AutoConfig, AutoTokenizer, BertForSequenceClassification

    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(tiny_model, num_labels=outputs)
    BertForSequenceClassification(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(folder)
    return folder


def test_a_cross_encoder_gives_raw_scores_of_single_pairs(cross_encoder_folder: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    teacher = make_teacher(LabelsConfig(teacher="cross-encoder", model=str(cross_encoder_folder), batch_size=2))
    questions, passages = ["who purrs", "who barks"], [["cats purr", "dogs bark", "a cat that sleeps"], ["dogs"]]
    scores = teacher.score(questions, passages, [None, None])
    model = AutoModelForSequenceClassification.from_pretrained(cross_encoder_folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(cross_encoder_folder)
    for question, own, found in zip(questions, passages, scores, strict=True):
        for passage, score in zip(own, found, strict=True):
            with torch.inference_mode():
                expected = model(**tokenizer(question, passage, return_tensors="pt")).logits.item()
            assert score == pytest.approx(expected, abs=1e-5)
    assert teacher.score(["q"], [[]], [None]) == [[]]


def test_a_classifier_is_no_teacher(tiny_model: Path, tmp_path: Path) -> None:
    from sentence_transformers import CrossEncoder

    classifier = CrossEncoder(str(save_cross_encoder(tiny_model, tmp_path, 3)))
    with pytest.raises(ModelError, match="gives 3 scores for a pair; one is wanted"):
        CrossEncoderTeacher(classifier, "classifier")
