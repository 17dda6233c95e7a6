"""The Fisher information, and weights under adapters, by their definitions."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from finetune.continual.memory import diagonal_fisher, effective_weights
from finetune.continual.train import _with_adapters
from finetune.generative.model import DocidModel
from finetune.generative.rows import Row
from hybridret.dense import TransformerEncoder
from hybridret.docids import ResidualQuantizer
from hybridret.generative import CodeDecoder


@pytest.fixture
def model(tiny_encoder: TransformerEncoder, things: Any) -> DocidModel:
    vectors = tiny_encoder.encode_documents([document.text for document in things.documents(things.old)])
    quantizer = ResidualQuantizer.fit(vectors, 3, 8, seed=0)
    return DocidModel(tiny_encoder.query_model(), CodeDecoder(quantizer.codebooks), quantizer.encode(vectors))


def test_fisher_is_the_mean_square_slope_of_drawn_docids(model: DocidModel, things: Any) -> None:
    rows = [Row(question.text, np.array([0])) for question in things.questions(things.old)]
    most, seed = 5, 3
    found = diagonal_fisher(model, rows, "", most, candidates=8192, seed=seed)
    generator, drawing = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    n_documents = len(things.old)
    generator.permutation(n_documents)
    expected: dict[str, Any] = {name: 0.0 for name, _ in model.named_parameters()}
    for at in generator.permutation(len(rows))[:most]:
        model.eval().zero_grad()
        queries = model.encode(dict(model.encoder.preprocess([rows[at].text])))
        probabilities = model.document_scores(queries, torch.arange(n_documents))[0].softmax(dim=0)
        drawn = int(torch.multinomial(probabilities.detach(), 1, generator=drawing))
        torch.log(probabilities[drawn]).backward()  # type: ignore[no-untyped-call]
        for name, weight in model.named_parameters():
            if weight.grad is not None:
                expected[name] = expected[name] + weight.grad**2 / most
    assert found["tables"].sum() > 0
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name] * torch.ones_like(value), rtol=1e-3, atol=1e-7)


def test_weights_under_adapters_are_those_of_the_merge(model: DocidModel) -> None:
    plain = effective_weights(model)
    assert set(plain) == {name for name, _ in model.named_parameters()}
    before = {name: weight.detach().clone() for name, weight in plain.items()}
    adapters = _with_adapters(model.encoder, 2, seed=0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".lora_B" in name:
                weight.normal_()
    effective = {name: weight.detach().clone() for name, weight in effective_weights(model).items()}
    assert set(effective) < set(plain)
    moved = {name for name, weight in effective.items() if not torch.equal(weight, before[name])}
    assert moved
    assert all("tables" not in name for name in moved)
    reference = copy.deepcopy(effective)
    adapters.merge_and_unload()
    merged = dict(model.named_parameters())
    for name, weight in reference.items():
        np.testing.assert_allclose(merged[name].detach(), weight, atol=1e-6)
