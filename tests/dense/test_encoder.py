"""Encoders: what the model sees, what comes out, and what a bundle keeps of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from hybridret.dense import EmbeddingsEncoder, TransformerEncoder, make_encoder
from hybridret.errors import InputError, ModelError
from hybridret.prompts import TASK_PROMPTS

BF16_TOLERANCE = 2e-2


def seen_by(encoder: TransformerEncoder, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes each text, prompt included, that reaches the tokenizer; not the prompts alone, whose length is taken."""
    seen: list[str] = []
    first: Any = encoder.model[0]
    preprocess = first.preprocess

    def noting(inputs: list[str], prompt: str | None = None, **rest: Any) -> Any:
        seen.extend((prompt or "") + text for text in inputs if text not in encoder.prompts)
        return preprocess(inputs, prompt=prompt, **rest)

    monkeypatch.setattr(first, "preprocess", noting)
    return seen


def test_vectors_are_float32_of_unit_length_in_the_order_given(tiny_encoder: TransformerEncoder) -> None:
    texts = ["a", "a much longer text than the others", "mid size"]
    vectors = tiny_encoder.encode_documents(texts)
    assert vectors.dtype == np.float32
    assert vectors.shape == (3, 32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)
    for text, vector in zip(texts, vectors, strict=True):
        np.testing.assert_allclose(tiny_encoder.encode_documents([text])[0], vector, atol=BF16_TOLERANCE)


def test_different_texts_have_different_vectors(tiny_encoder: TransformerEncoder) -> None:
    vectors = tiny_encoder.encode_queries(["cats", "dogs", "zebras run"])
    assert (vectors @ vectors.T)[np.triu_indices(3, 1)].max() < 0.99


def test_a_text_without_a_prompt_is_the_same_as_query_and_as_document(tiny_encoder: TransformerEncoder) -> None:
    assert np.array_equal(tiny_encoder.encode_queries(["cats"]), tiny_encoder.encode_documents(["cats"]))


@pytest.mark.parametrize("task", sorted(TASK_PROMPTS))
def test_the_model_sees_the_prompts_of_the_task(tiny_model: Path, monkeypatch: pytest.MonkeyPatch, task: str) -> None:
    encoder = make_encoder(tiny_model, task=task)
    assert isinstance(encoder, TransformerEncoder)
    seen = seen_by(encoder, monkeypatch)
    encoder.encode_queries(["cats"])
    encoder.encode_documents(["dogs"])
    assert seen == [TASK_PROMPTS[task].query + "cats", TASK_PROMPTS[task].document + "dogs"]


def test_prompts_change_the_vector_as_writing_them_before_the_text_does(tiny_model: Path) -> None:
    prompted = make_encoder(tiny_model, query_prompt="find: ")
    plain = make_encoder(tiny_model)
    np.testing.assert_allclose(
        prompted.encode_queries(["cats"]), plain.encode_queries(["find: cats"]), atol=BF16_TOLERANCE
    )
    assert np.abs(prompted.encode_queries(["cats"]) - plain.encode_queries(["cats"])).max() > BF16_TOLERANCE


def test_progress_ends_at_the_number_of_texts(tiny_encoder: TransformerEncoder) -> None:
    told: list[tuple[str, int, int]] = []
    tiny_encoder.encode_documents(["a", "b", "c"], lambda *report: told.append(report))
    assert told[-1] == ("encoding", 3, 3)


def test_tokens_beyond_the_window_are_counted_prompt_and_special_tokens_included(tiny_model: Path) -> None:
    plain, prompted = make_encoder(tiny_model), make_encoder(tiny_model, document_prompt="abcde ")
    assert plain.max_tokens == 64
    texts = ["a" * 10, "b" * 62, "c" * 63, "d" * 100]
    assert plain.count_cut_tokens(texts).tolist() == [0, 0, 1, 38]
    assert prompted.count_cut_tokens(texts).tolist() == [0, 5, 6, 43]
    assert plain.count_cut_tokens([]).tolist() == []


def test_text_beyond_the_window_does_not_change_the_vector(tiny_encoder: TransformerEncoder) -> None:
    vectors = tiny_encoder.encode_documents(["d " * 62, "d " * 62 + "x " * 500])
    np.testing.assert_allclose(vectors[0], vectors[1], atol=BF16_TOLERANCE)


def test_a_saved_model_keeps_full_precision_prompts_and_vectors(tiny_model: Path, tmp_path: Path) -> None:
    encoder = make_encoder(tiny_model, query_prompt="find: ", document_prompt="text: ")
    encoder.save(tmp_path / "saved")
    loaded = SentenceTransformer(str(tmp_path / "saved"), local_files_only=True)
    assert loaded.prompts["query"] == "find: "
    assert loaded.prompts["document"] == "text: "
    original = SentenceTransformer(str(tiny_model), local_files_only=True)
    assert "query" not in {name for name, prompt in original.prompts.items() if prompt}
    for name, weight in original.state_dict().items():
        assert np.array_equal(weight.numpy(), loaded.state_dict()[name].numpy()), name
    again = make_encoder(tmp_path / "saved")
    assert np.array_equal(again.encode_queries(["cats"]), encoder.encode_queries(["cats"]))


def test_a_sentence_transformer_object_is_taken_and_left_as_it_is(tiny_model: Path, tmp_path: Path) -> None:
    model = SentenceTransformer(str(tiny_model), local_files_only=True)
    prompts, dtype = dict(model.prompts), model.dtype
    encoder = make_encoder(model, task="qa")
    encoder.encode_queries(["cats"])
    encoder.save(tmp_path / "saved")
    assert (model.prompts, model.dtype) == (prompts, dtype)


def test_langchain_embeddings_are_brought_to_unit_length(embeddings: Any) -> None:
    encoder = make_encoder(embeddings)
    assert isinstance(encoder, EmbeddingsEncoder)
    assert encoder.name == "langchain:StubEmbeddings"
    assert encoder.max_tokens is None
    vectors = encoder.encode_documents(["cats purr", "dogs"])
    wanted = np.array(embeddings.embed_documents(["cats purr", "dogs"]))
    np.testing.assert_allclose(vectors, wanted / np.linalg.norm(wanted, axis=1, keepdims=True), atol=1e-6)
    assert encoder.count_cut_tokens(["cats", "dogs"]).tolist() == [0, 0]


def test_zero_vectors_of_foreign_embeddings_stay_zero(embeddings: Any) -> None:
    embeddings.embed_query = lambda text: [0.0] * 32
    assert not make_encoder(embeddings).encode_queries(["cats"]).any()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(embeddings: Any, value: float) -> None:
    embeddings.embed_query = lambda text: [value] * 32
    with pytest.raises(ModelError, match="not a finite number"):
        make_encoder(embeddings).encode_queries(["cats"])


def test_prompts_for_foreign_embeddings_are_refused(embeddings: Any) -> None:
    with pytest.raises(InputError, match="prompts"):
        make_encoder(embeddings, task="qa")


@pytest.mark.parametrize("model", [7, object(), ["name"]])
def test_an_object_that_is_no_model_is_refused(model: object) -> None:
    with pytest.raises(ModelError, match="no embedding model"):
        make_encoder(model)


@pytest.mark.model
def test_the_packaged_model_puts_like_texts_near_each_other(packaged_model: str) -> None:
    encoder = make_encoder(packaged_model)
    query = encoder.encode_queries(["which animal purrs?"])
    cat, car = encoder.encode_documents(["Cats purr when they are happy.", "The car needs new tyres."])
    assert query.shape == (1, 384)
    assert float(query[0] @ cat) > float(query[0] @ car) + 0.2


def test_a_model_without_window_or_transformer_encodes_and_counts_nothing_cut() -> None:
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "cats": 1, "purr": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    weights = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    encoder = make_encoder(SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)]))
    assert encoder.max_tokens is None
    assert encoder.count_cut_tokens(["cats " * 1000]).tolist() == [0]
    assert encoder.encode_documents(["cats", "purr"]).shape == (2, 8)


def test_counting_leaves_the_tokenizer_that_encodes_alone(tiny_model: Path) -> None:
    encoder = make_encoder(tiny_model)
    before = encoder.encode_documents(["a " * 500])
    encoder.count_cut_tokens(["b " * 500])
    assert isinstance(encoder, TransformerEncoder)
    assert encoder.model.preprocess(["a " * 500])["input_ids"].shape[1] == encoder.max_tokens
    assert np.array_equal(encoder.encode_documents(["a " * 500]), before)
