"""The loss of a step: what is masked, and that GradCache's gradient is the whole batch's."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers.sentence_transformer.losses import MatryoshkaLoss

from finetune.dense.loss import RetrievalLoss, Targets, excluded, first_copies
from finetune.dense.table import TrainingTable
from finetune.types import Question
from hybridret.errors import InputError
from hybridret.types import Document


def targets(teacher: bool = True) -> Targets:
    """Six queries, ten documents; the fourth and fifth documents read the same."""
    ids = torch.tensor([0, 1, 2, 3, 3, 5, 6, 7, 8, 9])
    candidates = torch.tensor([[0, 6, 7], [1, 8, -1], [2, 9, 6], [3, 7, 0], [5, 1, 2], [6, 0, 9]])
    known = torch.tensor([[0, 7], [1, -1], [2, -1], [3, -1], [5, -1], [6, 9]])
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(6, 3, generator=generator).masked_fill(candidates < 0, -math.inf)
    return Targets(ids, candidates, known, ids.clone(), scores if teacher else None)


def gradients(model: Any, loss: torch.nn.Module, labels: Targets) -> tuple[float, dict[str, torch.Tensor]]:
    queries = [f"what is {word}" for word in ("red", "blue river", "gold", "iron ship", "bread and fish", "song")]
    documents = [f"the {word} of number {at * at}" for at, word in enumerate(["hill", "lamp road", "a", "b", "b"] * 2)]
    features = [model.preprocess(texts) for texts in (queries, documents)]
    model.zero_grad()
    value = loss(features, labels)
    value.backward()
    return value.item(), {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}


@pytest.mark.parametrize("margin", [None, 0.05])
@pytest.mark.parametrize("distillation", [None, "kl", "stabilised", "margin_mse"])
@pytest.mark.parametrize("matryoshka", [False, True])
def test_gradcache_gives_the_gradient_of_the_whole_batch(
    load_tiny: Callable[..., Any], distillation: str | None, margin: float | None, matryoshka: bool
) -> None:
    model = load_tiny(0.0, "float64").train()
    found = []
    for size, cached in ((64, matryoshka), (3, False), (1, True)):
        inner = RetrievalLoss(
            model,
            0.1,
            distillation=distillation,
            false_negative_margin=margin,
            mini_batch_size=size,
            always_cached=cached,
        )
        loss = MatryoshkaLoss(model, inner, [32, 16]) if matryoshka else inner
        found.append(gradients(model, loss, targets()))
    for value, grads in found[1:]:
        assert value == pytest.approx(found[0][0], abs=1e-9)
        assert grads.keys() == found[0][1].keys()
        for name, grad in grads.items():
            torch.testing.assert_close(grad, found[0][1][name], atol=1e-9, rtol=1e-7)


def test_texts_in_runs_of_like_length_give_the_gradient_of_the_whole_batch(
    load_tiny: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_tiny(0.0, "float64").train()
    found = []
    for run in (1000, 3):
        monkeypatch.setattr("finetune.dense.loss._CPU_RUN", run)
        found.append(gradients(model, RetrievalLoss(model, 0.1), targets(False)))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-9)
    for name, grad in found[0][1].items():
        torch.testing.assert_close(grad, found[1][1][name], atol=1e-9, rtol=1e-7)


def test_gradcache_replays_dropout(load_tiny: Callable[..., Any]) -> None:
    """With one micro-batch a column the random numbers are drawn alike, so that dropout gives the same gradient too."""
    model = load_tiny(0.1, "float64").train()
    found = []
    for cached in (False, True):
        torch.manual_seed(5)
        found.append(gradients(model, RetrievalLoss(model, 0.1, always_cached=cached), targets(False)))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-9)
    for name, grad in found[0][1].items():
        torch.testing.assert_close(grad, found[1][1][name], atol=1e-9, rtol=1e-7)


def test_the_sum_of_losses_is_weighed(load_tiny: Callable[..., Any]) -> None:
    model = load_tiny(0.0, "float64").eval()

    def value(**settings: Any) -> float:
        return gradients(model, RetrievalLoss(model, 0.1, **settings), targets())[0]

    contrastive = value()
    distilled = value(contrastive_weight=0.0, distillation="kl")
    assert value(contrastive_weight=2.0, distillation="kl", distillation_weight=0.5) == pytest.approx(
        2 * contrastive + 0.5 * distilled
    )


def test_info_nce_over_the_batch_equals_a_loop(load_tiny: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    queries, documents = (torch.nn.functional.normalize(torch.randn(n, 8, dtype=torch.float64), dim=1) for n in (6, 10))
    labels = targets(False)
    cosines = (queries @ documents.T).tolist()
    margin, temperature, total = 0.1, 0.2, 0.0
    for query, row in enumerate(cosines):
        positive = labels.candidates[query, 0].item()
        known = set(labels.known[query].tolist())
        terms = []
        for document, cosine in enumerate(row):
            copy = labels.document_ids[document].item() in labels.document_ids[:document].tolist()
            false = document != positive and (
                labels.origins[document].item() in known or cosine > row[positive] + margin
            )
            if not copy and not false:
                terms.append(math.exp(cosine / temperature))
        total -= math.log(math.exp(row[positive] / temperature) / sum(terms))
    loss = RetrievalLoss(load_tiny(), temperature, false_negative_margin=margin)
    assert loss.calculate_loss([[queries], [documents]], labels).item() == pytest.approx(total / 6, abs=1e-9)


def test_known_positives_copies_and_too_similar_documents_leave_the_contrast() -> None:
    labels = targets()
    similarities = torch.zeros(6, 10)
    similarities[1, 8], similarities[2, 2], similarities[2, 9] = 0.2, 0.5, 0.55
    out = excluded(similarities, labels, 0.1)
    assert out[0].nonzero().flatten().tolist() == [4, 7]
    assert out[1].nonzero().flatten().tolist() == [4, 8]
    assert out[2].nonzero().flatten().tolist() == [4]
    assert not out.gather(1, labels.candidates[:, :1]).any()
    assert not excluded(similarities, labels, None)[1, 8]
    assert first_copies(labels.document_ids).tolist() == [0, 1, 2, 3, 3, 5, 6, 7, 8, 9]


def test_bad_settings_are_refused(load_tiny: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="unknown distillation 'mse'; known are kl, stabilised, margin_mse"):
        RetrievalLoss(load_tiny(), distillation="mse")
    with pytest.raises(InputError, match="nothing to train"):
        RetrievalLoss(load_tiny(), contrastive_weight=0.0)


def test_a_batch_has_each_text_once_and_a_stand_in_for_its_document(
    corpus: list[Document], questions: list[Question]
) -> None:
    questions[1] = questions[1]._replace(positive_text="without the question", negatives=("d0", "d7"))
    questions[0] = questions[0]._replace(negatives=("d1", "d7"), positives=("d0", "d5"))
    table = TrainingTable(corpus, questions, 2, 0)
    assert [(pair.question, pair.positive) for pair in table.pairs[:3]] == [(0, 0), (0, 5), (1, 1)]
    batch = table.batch([0, 2], 0)
    assert batch.documents == [corpus[0].text, corpus[1].text, corpus[7].text, "without the question"]
    assert batch.candidates.tolist() == [[0, 1, 2], [3, 0, 2]]
    assert table.original(batch.document_ids).tolist() == [0, 1, 7, 1]
    assert [known.tolist() for known in batch.known] == [[0, 5], [1]]


def test_negatives_are_drawn_by_seed_step_and_row(corpus: list[Document], questions: list[Question]) -> None:
    questions = [question._replace(negatives=tuple(f"d{at}" for at in range(20, 40))) for question in questions[:10]]
    table = TrainingTable(corpus, questions, 4, 0)
    drawn = [table.batch([3], step).document_ids.tolist() for step in (0, 1, 0)]
    assert drawn[0] == drawn[2] != drawn[1]
    table.set_negatives([np.array([at, 50], dtype=np.int64) for at in range(10)])
    assert table.batch([3], 0).document_ids.tolist() == [3, 50], "a positive is no negative"


def test_a_question_without_a_positive_is_refused(corpus: list[Document], questions: list[Question]) -> None:
    with pytest.raises(InputError, match="question 'q3' has no positive"):
        TrainingTable(corpus, [questions[3]._replace(positives=("gone",))], 1, 0)
    with pytest.raises(InputError, match="no question to train on"):
        TrainingTable(corpus, [], 1, 0)
