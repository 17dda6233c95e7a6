"""Which prompts a model gets, by whatever name it goes, and in which precision models are loaded."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

from finetune.teachers.causal import load_likelihood_teacher
from hybridret.dense import make_encoder
from hybridret.errors import InputError, ModelError
from hybridret.generative import backbone_kind
from hybridret.hybrid import HybridIndex
from hybridret.models import load_language_model, load_model
from hybridret.prompts import BGE_PROMPTS, TASK_PROMPTS, Prompts, choose_prompts, origins_of, pooling_of
from hybridret.types import Document

INSTRUCT = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "
BGE = BGE_PROMPTS["en"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("BAAI/bge-small-en-v1.5", BGE),
        ("/cache/models--BAAI--bge-small-en-v1.5/snapshots/5c38ec7c405e", BGE),
        ("C:\\models\\bge-base-en", BGE),
        ("BAAI/bge-large-zh-v1.5", BGE_PROMPTS["zh"]),
        ("BAAI/bge-large-zh-noinstruct", Prompts("", "")),
        ("BAAI/bge-m3", Prompts("", "")),
        ("BAAI/llm-embedder", TASK_PROMPTS["qa"]),
        ("intfloat/e5-base-v2", Prompts("query: ", "passage: ")),
        ("intfloat/multilingual-e5-small", Prompts("query: ", "passage: ")),
        ("intfloat/multilingual-e5-large-instruct", Prompts(INSTRUCT, "")),
        ("nomic-ai/nomic-embed-text-v1.5", Prompts("search_query: ", "search_document: ")),
        ("mixedbread-ai/mxbai-embed-large-v1", BGE),
        ("Qwen/Qwen3-Embedding-0.6B", Prompts(INSTRUCT, "")),
        ("thenlper/gte-base", Prompts("", "")),
        ("sentence-transformers/all-MiniLM-L6-v2", Prompts("", "")),
    ],
)
def test_a_family_shows_in_any_part_of_a_name(name: str, expected: Prompts) -> None:
    assert choose_prompts(name, {"query": "", "document": ""}) == expected
    assert choose_prompts("somewhere", {}, origins=[name]) == expected


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({"query": "q: ", "document": "d: "}, Prompts("q: ", "d: ")),
        ({"query": "q: ", "passage": "p: "}, Prompts("q: ", "p: ")),
        ({"retrieval.query": "q: ", "retrieval.passage": "p: "}, Prompts("q: ", "p: ")),
        ({"search_query": "q: ", "search_document": "p: "}, Prompts("q: ", "p: ")),
        ({"s2p_query": "q: ", "s2s_query": "x"}, Prompts("q: ", "")),
        ({"query": "", "document": ""}, BGE),
    ],
)
def test_a_models_own_prompts_come_before_its_familys(own: dict[str, str], expected: Prompts) -> None:
    assert choose_prompts("BAAI/bge-small-en", own) == expected
    assert choose_prompts("BAAI/bge-small-en", own, query_prompt="mine: ").query == "mine: "
    assert choose_prompts("BAAI/bge-small-en", own, task="qa") == TASK_PROMPTS["qa"]
    with pytest.raises(InputError, match="unknown task"):
        choose_prompts("x", own, task="nothing")


def pooled(model: Path, folder: Path, pooling: str) -> Path:
    tiny = SentenceTransformer(str(model), device="cpu")
    tiny[0].auto_model.save_pretrained(folder / "raw")
    tiny.tokenizer.save_pretrained(folder / "raw")
    transformer = Transformer(str(folder / "raw"))
    made = SentenceTransformer(modules=[transformer, Pooling(32, pooling), Normalize()], device="cpu")
    made.save(str(folder / "bge-small-en-v1.5"), create_model_card=False)
    return folder / "bge-small-en-v1.5"


def test_a_folder_an_object_and_a_copy_get_the_same_prompts(
    tiny_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = pooled(tiny_model, tmp_path, "cls")
    cached = tmp_path / "models--BAAI--bge-small-en-v1.5" / "snapshots" / "5c38ec7c"
    shutil.copytree(folder, cached)
    loaded = SentenceTransformer(str(folder), device="cpu")
    assert pooling_of(loaded) == "cls"
    assert any("bge-small-en" in name for name in origins_of(loaded))
    for model in (str(folder), str(cached), loaded):
        encoder: Any = make_encoder(model)
        assert encoder.prompts == BGE
    documents = [Document("a", "one text", {}), Document("b", "another", {})]
    HybridIndex.build(documents, make_encoder(str(folder)), path=tmp_path / "bundle", fit=False)
    assert HybridIndex.open(tmp_path / "bundle").info()["prompts"] == {"query": BGE.query, "document": ""}
    other = pooled(tiny_model, tmp_path / "other", "mean")
    encoder = make_encoder(str(other))
    assert encoder.prompts == Prompts("", "")
    assert "but pools otherwise (mean)" in caplog.text


def test_models_that_give_no_vectors_of_texts_are_refused_or_named(
    tiny_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pooled(tiny_model, tmp_path, "mean")
    bare = tmp_path / "raw"
    assert load_model(str(bare)).dtype == torch.float32
    assert "has no modules.json" in caplog.text
    config = json.loads((bare / "config.json").read_text())
    (bare / "config.json").write_text(json.dumps({**config, "architectures": ["BertForSequenceClassification"]}))
    with pytest.raises(ModelError, match="is a classifier or cross-encoder"):
        load_model(str(bare))


@pytest.mark.parametrize("shape", ["llama", "t5"])
def test_language_models_are_trained_and_asked_in_full_precision(
    language_model_folder: Callable[[str], Path], shape: str
) -> None:
    folder = language_model_folder(shape)
    kind = "AutoModelForCausalLM" if shape == "llama" else "AutoModelForSeq2SeqLM"
    model, _ = load_language_model(str(folder), kind)
    model.to(torch.bfloat16).save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["dtype"] == "bfloat16"
    loaded, _ = load_language_model(str(folder), kind)
    assert {weight.dtype for weight in loaded.parameters()} == {torch.float32}
    backbone = backbone_kind(str(folder)).from_pretrained(str(folder), [4])
    assert {weight.dtype for weight in backbone.model.parameters()} == {torch.float32}
    if shape == "llama":
        teacher = load_likelihood_teacher(str(folder))
        assert "float32" in teacher.name
        alone = teacher.score(["where"], [["here it is"]], ["there"])[0][0]
        together = teacher.score(["where", "why"], [["here it is"], ["because it is so " * 5]], ["there", "so"])[0][0]
        assert alone == pytest.approx(together, abs=1e-4)
