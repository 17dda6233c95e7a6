"""Docid training on a tiny model: it learns, resumes, repeats itself, and scores as the decoder will."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from finetune.errors import TrainingError
from finetune.generative.asking import difficulties, encoded_queries, own_mistakes
from finetune.generative.config import DocidConfig
from finetune.generative.model import DocidModel
from finetune.generative.rows import question_rows
from finetune.generative.train import TrainedDocids, table_rate, train_docids
from finetune.generative.trainer import DocidTrainer, docid_log_probs, prefix_loss
from finetune.labelling import Labels
from finetune.types import Question
from hybridret.dense import TransformerEncoder
from hybridret.docids import ResidualQuantizer
from hybridret.errors import InputError
from hybridret.generative import CodeDecoder
from hybridret.types import Document, FloatArray
from tests.finetune.words import WORDS

SETTINGS: dict[str, Any] = {
    "max_steps": 100,
    "levels": 3,
    "codes": 8,
    "batch_size": 8,
    "learning_rate": 3e-3,
    "table_learning_rate": 3e-2,
    "precision": "fp32",
}


class Toy:
    """Twelve documents of unlike words, and two questions each."""

    def __init__(self, encoder: TransformerEncoder) -> None:
        self.encoder = encoder
        self.documents = [Document(word, f"The {word} has number {at}.", {}) for at, word in enumerate(WORDS)]
        self.questions = [
            Question(f"{word}{number}", f"{ask} {word}", (word,))
            for word in WORDS
            for number, ask in enumerate(("where is the", "show me a"))
        ]
        self.vectors: FloatArray = encoder.encode_documents([document.text for document in self.documents])
        self.quantizer = ResidualQuantizer.fit(self.vectors, 3, 8, seed=0)

    def train(self, folder: Path, labels: Labels | None = None, **settings: Any) -> tuple[Any, TrainedDocids]:
        model = copy.deepcopy(self.encoder._original)
        config = DocidConfig(**{**SETTINGS, **settings})
        trained = train_docids(
            model, self.quantizer, self.documents, self.vectors, self.questions, config, folder, seed=1, labels=labels
        )
        return model, trained

    def right(self, model: Any, decoder: CodeDecoder) -> float:
        """The share of questions whose document has the likeliest docid."""
        queries = TransformerEncoder(model, "toy", self.encoder.prompts).encode_queries(
            [question.text for question in self.questions]
        )
        codes = self.quantizer.encode(self.vectors)
        best = [decoder.score(one, codes).argmax() for one in decoder.log_probs(queries)]
        wanted = [WORDS.index(question.positives[0]) for question in self.questions]
        return float(np.mean(np.array(best) == wanted))


@pytest.fixture
def toy(tiny_encoder: TransformerEncoder) -> Toy:
    return Toy(tiny_encoder)


def same(one: Any, other: Any) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(first, second) for first, second in pairs)


def test_training_learns_and_two_runs_agree(toy: Toy, tmp_path: Path) -> None:
    model, trained = toy.train(tmp_path / "a")
    before = toy.right(toy.encoder._original, CodeDecoder(toy.quantizer.codebooks))
    assert toy.right(model, trained.decoder) > max(0.9, before)
    assert trained.facts["memorised"]["before"] == 1.0
    assert trained.facts["losses"][-1] < trained.facts["losses"][0]
    again, other = toy.train(tmp_path / "b")
    assert same(model, again)
    np.testing.assert_array_equal(trained.decoder.tables, other.decoder.tables)
    np.testing.assert_array_equal(trained.decoder.scales, other.decoder.scales)


@pytest.mark.parametrize("dynamic", [0.0, 2.0])
def test_an_interrupted_run_resumes_to_the_same_weights(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dynamic: float
) -> None:
    model, trained = toy.train(tmp_path / "whole", preference=0.25, dynamic=dynamic)
    compute = DocidTrainer.compute_loss

    def stop_at(step: int) -> None:
        def stopping(trainer: Any, *args: Any, **kwargs: Any) -> Any:
            if (trainer.state.global_step + (100 if trainer.mistakes is not None else 0)) == step:
                raise KeyboardInterrupt
            return compute(trainer, *args, **kwargs)

        monkeypatch.setattr(DocidTrainer, "compute_loss", stopping)

    for step in (31, 112):
        stop_at(step)
        with pytest.raises(KeyboardInterrupt):
            toy.train(tmp_path / "cut", preference=0.25, dynamic=dynamic)
    monkeypatch.setattr(DocidTrainer, "compute_loss", compute)
    resumed, other = toy.train(tmp_path / "cut", preference=0.25, dynamic=dynamic)
    assert other.facts["curve"] == trained.facts["curve"]
    assert trained.facts["mistakes"] == other.facts["mistakes"] > 0
    assert same(model, resumed)
    np.testing.assert_array_equal(trained.decoder.tables, other.decoder.tables)


def test_the_memorisation_rate_is_marked_each_tenth_and_rises(toy: Toy, tmp_path: Path) -> None:
    curve = toy.train(tmp_path)[1].facts["curve"]
    assert [step for step, *_ in curve] == list(range(10, 101, 10))
    assert curve[-1][1] > curve[0][1]
    assert all(0 <= rate <= 1 for _, *rates in curve for rate in rates)


def test_training_ends_early_where_enough_is_memorised(toy: Toy, tmp_path: Path) -> None:
    whole = toy.train(tmp_path / "whole")[1].facts["curve"]
    enough = sorted(min(rates) for _, *rates in whole)[len(whole) // 2]
    expected = next(step for step, *rates in whole if min(rates) >= enough)
    cut = toy.train(tmp_path / "cut", stop_at=enough)[1].facts["curve"]
    assert cut == [point for point in whole if point[0] <= expected]


@pytest.mark.parametrize("settings", [{"order": "easy"}, {"order": "important"}, {"long_tail": 1.0}, {"dynamic": 1.0}])
def test_every_curriculum_learns(toy: Toy, tmp_path: Path, settings: dict[str, Any]) -> None:
    before = toy.right(toy.encoder._original, CodeDecoder(toy.quantizer.codebooks))
    model, trained = toy.train(tmp_path, **settings)
    assert toy.right(model, trained.decoder) > before + 0.3


def test_difficulty_is_the_number_of_documents_before_the_right_one(toy: Toy) -> None:
    decoder = CodeDecoder(toy.quantizer.codebooks)
    model = DocidModel(copy.deepcopy(toy.encoder._original), decoder, toy.quantizer.encode(toy.vectors))
    rows = question_rows(toy.questions, toy.documents)
    queries = encoded_queries(model, [row.text for row in rows], "").detach().numpy()
    codes = toy.quantizer.encode(toy.vectors)
    found = difficulties(model, rows, "").tolist()
    for own, row, log_probs in zip(found, rows, decoder.log_probs(queries), strict=True):
        ahead = decoder.score(log_probs, codes) - decoder.score(log_probs, codes[row.documents[:1]])
        assert (ahead > 1e-4).sum() <= own <= (ahead > -1e-4).sum() - 1


def test_scores_in_training_are_those_of_the_decoder_but_for_a_number_a_query(toy: Toy) -> None:
    rng = np.random.default_rng(0)
    tables = rng.normal(size=toy.quantizer.codebooks.shape).astype(np.float32)
    decoder = CodeDecoder(tables, np.array([3.0, 2.0, 5.0], dtype=np.float32))
    codes = toy.quantizer.encode(toy.vectors)
    model = DocidModel(copy.deepcopy(toy.encoder._original), decoder, codes)
    queries = torch.nn.functional.normalize(
        torch.tensor(rng.normal(size=(4, tables.shape[2])).astype(np.float32)), dim=1
    )
    expected = np.array([decoder.score(one, codes) for one in decoder.log_probs(queries.numpy())])
    everything = torch.arange(12)
    with torch.no_grad():
        found = model.document_scores(queries, everything).numpy()
        exact = docid_log_probs(model, queries, everything.expand(4, -1)).numpy()
    np.testing.assert_allclose(exact, expected, rtol=1e-5)
    np.testing.assert_allclose(found - found[:, :1], expected - expected[:, :1], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(model.codes(everything).numpy(), codes)
    np.testing.assert_allclose(model.decoder().scales, decoder.scales, rtol=1e-6)


def test_the_prefix_loss_is_a_listwise_loss_of_each_length(toy: Toy) -> None:
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 3, size=(12, 5))
    decoder = CodeDecoder(rng.normal(size=(5, 3, 4)).astype(np.float32), np.full(5, 2.0, dtype=np.float32))
    model = DocidModel(copy.deepcopy(toy.encoder._original), decoder, codes)
    queries = torch.tensor(rng.normal(size=(6, 4)).astype(np.float32))
    candidates, targets = np.arange(1, 12), rng.integers(0, 11, size=6)
    out = rng.random((6, 11)) < 0.2
    out[np.arange(6), targets] = False
    log_probs, losses = decoder.log_probs(queries.numpy()), []
    for length in (1, 2, 4):
        for text, target in enumerate(targets.tolist()):
            prefix = codes[candidates[target], :length]
            scores = {
                at: sum(float(log_probs[text, level, codes[document, level]]) for level in range(length))
                for at, document in enumerate(candidates.tolist())
                if at == target or not (out[text, at] or (codes[document, :length] == prefix).all())
            }
            losses.append(np.log(sum(np.exp(score) for score in scores.values())) - scores[target])
    found = prefix_loss(model, queries, *(torch.from_numpy(each) for each in (candidates, targets, out)))
    assert found.item() == pytest.approx(np.mean(losses), rel=1e-5)
    one = DocidModel(copy.deepcopy(toy.encoder._original), CodeDecoder(decoder.tables[:1]), codes[:, :1])
    none = prefix_loss(one, queries, *(torch.from_numpy(each) for each in (candidates, targets, out)))
    assert none.item() == 0


def test_prefixes_are_learned_beside_whole_docids(toy: Toy, tmp_path: Path) -> None:
    before = toy.right(toy.encoder._original, CodeDecoder(toy.quantizer.codebooks))
    model, trained = toy.train(tmp_path, prefix_weight=1.0)
    assert toy.right(model, trained.decoder) > before + 0.3


def test_documents_without_questions_are_likelier_where_priors_are_kept_out(toy: Toy, tmp_path: Path) -> None:
    """A question of words that were never seen says nothing: what it is answered with is what training prefers."""
    toy.questions = [question for question in toy.questions if WORDS.index(question.positives[0]) < 6]

    def others(weight: float) -> float:
        model, trained = toy.train(tmp_path / f"{weight}", prior_weight=weight, sentences=0.1)
        queries = TransformerEncoder(model, "toy", toy.encoder.prompts).encode_queries(["where is it", "show me one"])
        codes = toy.quantizer.encode(toy.vectors)
        scores = np.array([trained.decoder.score(one, codes) for one in trained.decoder.log_probs(queries)])
        likely = np.exp(scores - scores.max(axis=1, keepdims=True))
        return float((likely[:, 6:].sum(axis=1) / likely.sum(axis=1)).mean())

    without, half, whole = (others(weight) for weight in (0.0, 0.5, 1.0))
    assert without < half < whole
    assert whole > 2 * without


def test_soft_labels_move_docids(toy: Toy, tmp_path: Path) -> None:
    """The teacher holds the document after the right one for far likelier than any other that it judged."""
    labels = {
        question.query_id: {WORDS[(WORDS.index(question.positives[0]) + by) % 12]: 4.0 * (by == 1) for by in (1, 2, 3)}
        for question in toy.questions
    }

    def followers_first(model: Any, decoder: CodeDecoder) -> float:
        queries = TransformerEncoder(model, "toy", toy.encoder.prompts).encode_queries(
            [question.text for question in toy.questions]
        )
        codes, found = toy.quantizer.encode(toy.vectors), []
        for question, log_probs in zip(toy.questions, decoder.log_probs(queries), strict=True):
            right = WORDS.index(question.positives[0])
            found.append(decoder.score(log_probs, codes)[[(right + by) % 12 for by in (1, 2, 3)]].argmax() == 0)
        return float(np.mean(found))

    model, trained = toy.train(tmp_path / "without")
    assert followers_first(model, trained.decoder) < 0.7
    model, trained = toy.train(tmp_path / "with", labels, teacher_weight=3.0, candidates=10)
    assert followers_first(model, trained.decoder) > 0.9


def test_own_mistakes_pair_the_right_document_with_each_better_ranked_one(toy: Toy) -> None:
    codes = toy.quantizer.encode(toy.vectors)
    model = DocidModel(copy.deepcopy(toy.encoder._original), CodeDecoder(toy.quantizer.codebooks), codes)
    rows = question_rows(toy.questions, toy.documents)
    mistakes = own_mistakes(model, rows, "", DocidConfig(**SETTINGS), seed=0)
    queries = toy.encoder.encode_queries([row.text for row in rows])
    scores = [model.decoder().score(one, codes) for one in model.decoder().log_probs(queries)]
    asked = set(mistakes.row.tolist())
    for at, row in enumerate(rows):
        right = int(row.documents[0])
        better = np.flatnonzero(scores[at] > scores[at][right] + 1e-3)
        own = mistakes.wrong[mistakes.row == at]
        assert (at in asked) == bool(len(own))
        assert set(better[np.argsort(-scores[at][better])][:7].tolist()) <= set(own.tolist())
        assert len(own) <= 8
        assert (mistakes.right[mistakes.row == at] == right).all()
    drawn = own_mistakes(model, rows, "", DocidConfig(**SETTINGS, preference_random=True), seed=0)
    assert drawn.row.tolist() == mistakes.row.tolist()
    assert drawn.wrong.tolist() != mistakes.wrong.tolist()


def test_a_sample_of_many_documents_is_compared(toy: Toy, tmp_path: Path) -> None:
    model, trained = toy.train(tmp_path / "few", candidates=10)
    assert toy.right(model, trained.decoder) > 0.8


def test_bad_input_is_told(toy: Toy, tmp_path: Path) -> None:
    arguments = (toy.documents, toy.vectors, toy.questions, DocidConfig(**SETTINGS), tmp_path / "x")
    with pytest.raises(InputError, match="not those that the codebooks were fitted to"):
        train_docids(toy.encoder._original, toy.quantizer, toy.documents, toy.vectors[:, :5], *arguments[2:])
    lost = [Question("q", "where?", ("nowhere",))]
    with pytest.raises(InputError, match="no question whose document"):
        train_docids(toy.encoder._original, toy.quantizer, *arguments[:2], lost, *arguments[3:])
    with pytest.raises(TrainingError, match=r"step \d+ of docid training is nan"):
        toy.train(tmp_path / "nan", learning_rate=1e30)
    with pytest.raises(TrainingError, match="no time to train docids"):
        toy.train(tmp_path / "late", max_steps=0)


def test_tables_move_as_fast_as_documents_are_asked_for() -> None:
    assert table_rate(n_questions=4000, n_documents=100) == 3e-4
    assert table_rate(n_questions=200, n_documents=100) == pytest.approx(3e-4 * 2 / 20)
    assert table_rate(n_questions=1, n_documents=100) == 1e-5
