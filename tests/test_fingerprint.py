"""A bundle takes the encoder that it was made with, and no other one."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from hybridret.config import Config
from hybridret.dense import TransformerEncoder
from hybridret.dense.encoder import EmbeddingsEncoder
from hybridret.errors import InputError, ModelError
from hybridret.hybrid import HybridIndex
from hybridret.types import Document
from tests.conftest import TEXTS, StubEmbeddings

DOCUMENTS = [Document(name, text, {}) for name, text in TEXTS.items()]
CONFIG = Config(docid_levels=2, docid_codes=4)


class Contrary(StubEmbeddings):
    """As many dimensions, other vectors."""

    def _embed(self, text: str) -> list[float]:
        return super()._embed(text[::-1])


def _built(path: Path) -> Path:
    HybridIndex.build(DOCUMENTS, EmbeddingsEncoder(StubEmbeddings()), CONFIG, path)
    return path


def test_another_model_of_equal_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Contrary is not .* \(langchain:StubEmbeddings\): .*'cat'.* stored"):
        HybridIndex.open(_built(tmp_path / "bundle"), EmbeddingsEncoder(Contrary()))


def test_another_dimension_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it gives 16 dimensions and the index has 32"):
        HybridIndex.open(_built(tmp_path / "bundle"), EmbeddingsEncoder(StubEmbeddings(16)))


def test_the_same_model_is_taken_and_trained_further_refused(tiny_encoder: TransformerEncoder, tmp_path: Path) -> None:
    HybridIndex.build(DOCUMENTS, tiny_encoder, CONFIG, tmp_path / "bundle")
    assert HybridIndex.open(tmp_path / "bundle", tiny_encoder).search(["purr"], 1)[0]
    trained = copy.deepcopy(tiny_encoder.model)
    torch.manual_seed(0)
    for weights in trained.parameters():
        weights.data += 0.2 * torch.randn_like(weights)
    with pytest.raises(InputError, match="is not the encoder"):
        HybridIndex.open(tmp_path / "bundle", TransformerEncoder(trained, "trained", tiny_encoder.prompts))


def test_the_first_document_that_is_left_is_looked_at(tmp_path: Path) -> None:
    path, stub = _built(tmp_path / "bundle"), StubEmbeddings()
    HybridIndex.open(path, EmbeddingsEncoder(stub)).delete(["cat"])
    HybridIndex.open(path, EmbeddingsEncoder(stub))
    assert stub.batches == [[TEXTS["cat"]], [TEXTS["dog"]]]


def test_an_empty_bundle_takes_any(tmp_path: Path) -> None:
    HybridIndex.build([], EmbeddingsEncoder(StubEmbeddings()), CONFIG, tmp_path / "bundle")
    index = HybridIndex.open(tmp_path / "bundle", EmbeddingsEncoder(Contrary()))
    assert index.add(DOCUMENTS) == list(TEXTS)


def test_an_encoder_that_is_down_is_looked_at_when_it_is_needed(tmp_path: Path) -> None:
    path, contrary = _built(tmp_path / "bundle"), Contrary()

    def down() -> None:
        raise OSError("no route to host")

    contrary.before = down
    index = HybridIndex.open(path, EmbeddingsEncoder(contrary))
    assert index.search(["cats purr"], 1, retrievers=["bm25"])[0][0].doc_id == "cat"
    with pytest.raises(ModelError, match="Contrary cannot encode: no route to host"):
        index.add([Document("new", "text", {})])
    contrary.before = lambda: None
    with pytest.raises(InputError, match="is not the encoder"):
        index.add([Document("new", "text", {})])


def test_a_bundle_that_takes_its_place_with_another_encoder(tmp_path: Path) -> None:
    path = _built(tmp_path / "bundle")
    index = HybridIndex.open(path, EmbeddingsEncoder(StubEmbeddings()))
    HybridIndex.build(DOCUMENTS, EmbeddingsEncoder(Contrary()), CONFIG, path)
    with pytest.raises(InputError, match="StubEmbeddings is not the encoder"):
        index.search(["cats purr"], 1)
