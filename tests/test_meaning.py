"""What tokens and codes stand for, against slow counts of the same."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hybridret import HybridRetriever
from hybridret.bm25 import Tokenizer
from hybridret.config import Config
from hybridret.dense import EmbeddingsEncoder
from hybridret.display import explanation_table
from hybridret.hybrid import HybridIndex
from hybridret.meaning import MOST_TOKENS, query_tokens, without_each
from hybridret.types import Document
from tests.conftest import TEXTS


@pytest.fixture
def index(embeddings: Any) -> HybridIndex:
    documents = [Document(doc_id, text, {"legs": 4}) for doc_id, text in TEXTS.items()]
    documents += [Document(f"{doc_id}2", f"{text} every {doc_id}", {"legs": 4}) for doc_id, text in TEXTS.items()]
    return HybridIndex.build(documents, EmbeddingsEncoder(embeddings), Config(docid_levels=3, docid_codes=4))


def test_tokens_are_words_and_single_characters_of_chinese() -> None:
    assert query_tokens("Who's there, os.path?") == ["Who's", "there,", "os.path?"]
    assert query_tokens("pump 水泵!") == ["pump", "水", "泵", "!"]
    assert without_each("a b a") == ["b a", "a  a", "a b"]
    assert without_each("水泵") == ["泵", "水"]
    assert without_each("alone") == []
    assert len(query_tokens("a " * 100)) == len(without_each("a " * 100)) == MOST_TOKENS


@pytest.mark.parametrize("query", ["who makes honey from flowers", "honey honey", "honey"])
def test_a_token_adds_what_is_lost_without_it(index: HybridIndex, query: str) -> None:
    encoder, text = index.encoder, TEXTS["bee"]
    document = encoder.encode_documents([text])[0]
    told = index.explain(query, "bee")["retrievers"]["dense"]
    words = query.split()
    cosine = float(encoder.encode_queries([query])[0] @ document)
    expected = [cosine]
    if len(words) > 1:
        others = [" ".join(words[:at] + words[at + 1 :]) for at in range(len(words))]
        expected = [cosine - float(encoder.encode_queries([other])[0] @ document) for other in others]
    assert [token["token"] for token in told["tokens"]] == words
    assert [token["contribution"] for token in told["tokens"]] == pytest.approx(expected, abs=1e-6)
    assert told["score"] == pytest.approx(cosine, abs=1e-6)


def slow_meanings(index: HybridIndex, doc_id: str, ids: set[str]) -> list[dict[str, Any]]:
    """Counts words of the documents that share a docid's beginning, one by one."""
    tokenizer, paths = Tokenizer(), {}
    for other in sorted(ids):
        path = index.explain("x", other, retrievers=["docid"])["retrievers"]["docid"]["path"]
        paths[other] = [step["code"] for step in path][:3]
    texts = {document.doc_id: document.text for document in index.get(sorted(index.ids()))}
    frequencies = Counter(term for text in texts.values() for term in set(tokenizer(text)))
    idf = {term: math.log((len(texts) + 1) / n) for term, n in frequencies.items()}
    meanings = []
    for level in range(3):
        group = [other for other in paths if paths[other][: level + 1] == paths[doc_id][: level + 1]]
        weights: dict[str, float] = defaultdict(float)
        for other in group:
            for term, count in Counter(tokenizer(texts[other])).items():
                weights[term] += (1 + math.log(count)) * idf[term]
        meanings.append({"documents": len(group), "weights": weights})
    return meanings


@pytest.mark.parametrize("doc_id", ["bee", "cat2", "owl"])
def test_a_code_stands_for_the_words_of_the_documents_that_share_it(index: HybridIndex, doc_id: str) -> None:
    path = index.explain("honey", doc_id)["retrievers"]["docid"]["path"]
    tokenizer = Tokenizer()
    slow = slow_meanings(index, doc_id, index.ids())
    assert any(meaning["documents"] > 1 for meaning in slow)
    for step, expected in zip(path[:3], slow, strict=True):
        assert step["documents"] == expected["documents"]
        assert len(step["keyphrases"]) == 3
        weights = [expected["weights"][tokenizer(word)[0]] for word in step["keyphrases"]]
        assert weights == pytest.approx(sorted(expected["weights"].values(), reverse=True)[:3])
    for suffix in path[3:]:
        assert set(suffix) == {"code", "log_prob"}


def test_what_a_filter_hides_gives_no_code_a_meaning(retriever: HybridRetriever) -> None:
    index = retriever.index
    secrets = [Document(f"s{at}", TEXTS["cat"] + " zanzibar" * 3, {"tenant": "other"}) for at in range(3)]
    index.add(secrets)
    filtered = index.explain("cats", "cat", {"tenant": {"$exists": False}})["retrievers"]["docid"]["path"]
    assert "zanzibar" not in str(filtered)
    assert all(step["documents"] <= 8 for step in filtered if "documents" in step)
    open_to_all = index.explain("cats", "s0", None)["retrievers"]["docid"]["path"]
    assert "zanzibar" in str(open_to_all)
    index.delete(["s1", "s2"])
    assert index.explain("cats", "s0")["retrievers"]["docid"]["path"][-1].get("documents", 1) == 1


def test_chinese_documents_have_keyphrases_too(make_embeddings: Callable[..., Any]) -> None:
    documents = [Document("a", "水泵 重启", {}), Document("b", "filter weight", {}), Document("c", "spare gaskets", {})]
    index = HybridIndex.build(documents, EmbeddingsEncoder(make_embeddings()), Config(docid_levels=2))
    path = index.explain("水泵", "a")["retrievers"]["docid"]["path"]
    assert set(path[1]["keyphrases"]) <= {"水泵", "重启"}


def test_an_index_without_dense_in_play_encodes_no_parts(embeddings: Any, index: HybridIndex) -> None:
    embeddings.batches.clear()
    index.explain("who makes honey", "bee", retrievers=["docid", "bm25"])
    assert embeddings.batches == [["who makes honey"]]
    assert "tokens" not in index.explain("who makes honey", "bee", retrievers=["bm25"])["retrievers"]["bm25"]


@pytest.mark.parametrize("settings", [{}, {"weights": {"dense": 1, "bm25": 1}}, {"retrievers": ["docid"]}])
def test_an_explanation_is_told_in_words(index: HybridIndex, settings: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console(width=200)
    reason = index.explain("who makes honey", "bee", **settings)
    with console.capture() as shown:
        console.print(explanation_table(reason))
    text = shown.get()
    assert f"bee: rank {reason['rank']} of 16 candidates, score {reason['score']:.3f}" in text
    for name, part in reason["retrievers"].items():
        assert name in text
        assert f"{part['score']:.3f}" in text
    assert ", ".join(reason["retrievers"]["docid"]["path"][0]["keyphrases"]) in text
    if "dense" in reason["retrievers"]:
        best = max(reason["retrievers"]["dense"]["tokens"], key=lambda token: abs(token["contribution"]))
        assert f"tokens: {best['token']} {best['contribution']:+.3f}" in text
        assert "terms: " in text


def test_a_real_model_is_explained_as_it_scores(tiny_encoder: Any, tmp_path: Path) -> None:
    documents = [Document(doc_id, text, {}) for doc_id, text in TEXTS.items()]
    index = HybridIndex.build(documents, tiny_encoder, path=tmp_path / "bundle")
    hit = index.search(["who makes honey"], 1)[0][0]
    told = index.explain("who makes honey", hit.doc_id)
    assert told["score"] == pytest.approx(hit.score, abs=1e-9)
    assert [token["token"] for token in told["retrievers"]["dense"]["tokens"]] == ["who", "makes", "honey"]
