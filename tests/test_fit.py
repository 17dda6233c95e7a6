"""The fit of the fusion to a corpus: its questions, the scores of their documents, labels, and where it is kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hybridret import HybridRetriever, fit
from hybridret.config import Config
from hybridret.dense import EmbeddingsEncoder
from hybridret.errors import BundleError, InputError
from hybridret.fusion import PRIOR, Ranker
from hybridret.fusion.calibration import USUAL
from hybridret.fusion.gate import Choice
from hybridret.hybrid import HybridIndex
from hybridret.types import Document, Queries

WORDS = [f"{first}{vowel}{last}" for first in "bdfgklmnprst" for vowel in "aeiou" for last in "nrx"]


def stories(n: int, seed: int = 0) -> list[Document]:
    """Documents of five sentences, each document about its own three words."""
    generator = np.random.default_rng(seed)
    documents = []
    for at in range(n):
        topic = generator.choice(WORDS, size=3, replace=False)
        sentences = [
            " ".join([*generator.choice(WORDS, size=4), *generator.choice(topic, size=2)]).capitalize() + "."
            for _ in range(5)
        ]
        documents.append(Document(f"s{at:03}", " ".join(sentences), {"at": at}))
    return documents


@pytest.fixture(scope="module")
def module_embeddings() -> Any:
    from tests.conftest import StubEmbeddings

    return StubEmbeddings()


@pytest.fixture(scope="module")
def encoder(module_embeddings: Any) -> EmbeddingsEncoder:
    return EmbeddingsEncoder(module_embeddings)


@pytest.fixture(scope="module")
def build(encoder: EmbeddingsEncoder) -> Callable[..., HybridIndex]:
    def build(n: int = 80, path: Path | None = None, **settings: Any) -> HybridIndex:
        config = Config(**{"docid_levels": 2, "docid_codes": 8, "depth": 20, **settings})
        return HybridIndex.build(stories(n), encoder, config, path, fit=path is None or n > 0)

    return build


@pytest.fixture(scope="module")
def fitted(build: Callable[..., HybridIndex]) -> HybridIndex:
    return build()


def test_the_fit_is_reported_and_changes_the_scores_to_probabilities(fitted: HybridIndex) -> None:
    report = fitted.info()["fusion"]
    assert report["fitted"]
    assert report["questions"] == {"sentence": 80, "span": 80}
    assert report["shipped"] in {"learned", "dense", "bm25"}
    assert report["shipped"] in report["reason"] or "learned" in report["reason"]
    hits = fitted.search([stories(80)[7].text[:30]], 10)[0]
    assert all(0 < hit.score < 1 for hit in hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_two_fits_with_one_seed_agree(build: Callable[..., HybridIndex], fitted: HybridIndex) -> None:
    again = build()
    assert again.info()["fusion"] == fitted.info()["fusion"]
    assert build(seed=1).info()["fusion"]["nDCG@10"] != fitted.info()["fusion"]["nDCG@10"]


def test_a_lifted_question_meets_its_document_as_an_index_without_the_lifted_text_would(
    encoder: EmbeddingsEncoder,
) -> None:
    """The oracle indexes the document without what was lifted; only collection statistics differ a little."""
    documents = stories(40)
    index = HybridIndex.build(documents, encoder, Config(docid_levels=2, docid_codes=8, depth=20))
    generation = index._changes.generation
    query, rest = documents[11].text.split(". ", 1)
    row = generation.ids.index(documents[11].doc_id)
    (judged,) = fit.judge(generation, [fit.Question(query, {row: 1}, rest)], encoder)
    changed = [document._replace(text=rest) if at == 11 else document for at, document in enumerate(documents)]
    oracle = HybridIndex.build(changed, encoder, Config(docid_levels=2, docid_codes=8, depth=20))
    vectors = encoder.encode_queries([query])
    queries = Queries([query], vectors)
    there = judged.gains > 0
    cosine = oracle._changes.generation.dense.score(queries, [np.array([row])])[0][0]
    spread = generation.spread
    assert judged.evidence[there, 0] == pytest.approx([(cosine - spread.mean) / spread.deviation], abs=1e-5)
    assert judged.evidence[there, 1] == pytest.approx(generation.bm25.coverage_of(query, rest))
    assert judged.singles[1][there] == pytest.approx([generation.bm25.score_text(query, rest)])
    by_oracle = oracle._changes.generation.bm25.score(queries, [np.array([row])])[0][0]
    assert judged.singles[1][there][0] == pytest.approx(by_oracle, rel=0.1)


def test_candidates_of_a_question_are_those_of_a_search(fitted: HybridIndex, encoder: EmbeddingsEncoder) -> None:
    """An unlifted question's evidence, weighed by the ranker, orders as a search does."""
    generation = fitted._changes.generation
    text = " ".join(WORDS[3:6])
    (judged,) = fit.judge(generation, [fit.Question(text, {5: 2, 6: -1})], encoder)
    hits = fitted.search([text], 10)[0]
    sums = np.sort(generation.applied_ranker.sums(judged.evidence))[::-1][:10]
    np.testing.assert_allclose(generation.applied_ranker.probabilities(sums), [hit.score for hit in hits], rtol=1e-6)
    assert judged.ideal == 2.0


def test_a_ranker_lives_in_its_bundle(
    build: Callable[..., HybridIndex], encoder: EmbeddingsEncoder, tmp_path: Path, fitted: HybridIndex
) -> None:
    made = build(path=tmp_path / "bundle")
    opened = HybridIndex.open(tmp_path / "bundle", encoder)
    assert opened.info()["fusion"] == made.info()["fusion"] == fitted.info()["fusion"]
    query = [" ".join(WORDS[10:13])]
    assert opened.search(query, 5) == made.search(query, 5)
    opened.add([Document("new", "Entirely new.", {})])
    made.refresh()
    assert made.info()["fusion"] == fitted.info()["fusion"]
    opened.compact()
    opened.save(tmp_path / "copy")
    copied = HybridIndex.open(tmp_path / "copy", encoder)
    assert copied.info()["fusion"] == fitted.info()["fusion"]
    assert copied.search(query, 5) == opened.search(query, 5)


def test_another_reader_takes_a_new_ranker_up(encoder: EmbeddingsEncoder, tmp_path: Path) -> None:
    config = Config(docid_levels=2, docid_codes=8, depth=20)
    writer = HybridIndex.build(stories(60), encoder, config, tmp_path / "bundle")
    reader = HybridIndex.open(tmp_path / "bundle", encoder)
    query = [" ".join(WORDS[10:13])]
    before = reader.search(query, 5)
    assert not reader.info()["fusion"]["fitted"]
    writer.fit()
    assert reader.search(query, 5) == writer.search(query, 5) != before


def test_a_second_fit_forgets_the_first(
    encoder: EmbeddingsEncoder, build: Callable[..., HybridIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index that was fitted when it was half as large ends where one ends that is fitted once."""
    monkeypatch.setattr("hybridret.fit.choose", lambda *_: Choice("learned", {}, 0.0, ""))
    config = Config(docid_levels=2, docid_codes=8, depth=20)
    grown = HybridIndex.build(stories(80)[:40], encoder, config, fit=True)
    half = grown._changes.generation.ranker
    grown.add(stories(80)[40:])
    assert grown._changes.generation.ranker == half
    grown.fit()
    once, twice = build(80)._changes.generation.ranker, grown._changes.generation.ranker
    assert once is not None
    assert twice is not None
    assert twice.spread == once.spread
    assert twice.scores == pytest.approx(once.scores)
    assert twice.weights == pytest.approx(once.weights)


def test_a_damaged_ranker_is_named(encoder: EmbeddingsEncoder, tmp_path: Path) -> None:
    config = Config(docid_levels=2, docid_codes=8)
    index = HybridIndex.build(stories(40), encoder, config, tmp_path / "bundle")
    index._changes.set_ranker(Ranker(weights=(1.0,)))
    with pytest.raises(BundleError, match="ranker has numbers that cannot be"):
        HybridIndex.open(tmp_path / "bundle", encoder)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_too_few_documents_leave_the_weights_that_fit_corpora_at_large(
    build: Callable[..., HybridIndex], n: int
) -> None:
    index = build(n)
    report = index.info()["fusion"]
    assert report["questions"] == {}
    assert list(report["weights"].values()) == pytest.approx(list(PRIOR), abs=1e-3)
    with pytest.raises(InputError, match="cannot be had from 0"):
        index.threshold()


def test_a_threshold_leaves_most_right_documents_in(fitted: HybridIndex) -> None:
    threshold = fitted.threshold(0.2)
    scores = fitted._changes.generation.applied_ranker.scores
    assert np.mean([score < threshold for score in scores]) <= 0.2
    retriever = HybridRetriever(index=fitted, min_score=threshold)
    assert all(answer.first_score >= threshold for answer in retriever.answers([" ".join(WORDS[:3])])[0])


def test_labels_that_contradict_the_fit_change_it(encoder: EmbeddingsEncoder) -> None:
    """The tenth hit is labelled as the right one, question after question."""
    documents = stories(60)
    index = HybridIndex.build(documents, encoder, Config(docid_levels=2, docid_codes=8, depth=20), fit=True)
    before = index.info()["fusion"]["nDCG@10"]
    labelled = {}
    for at in range(60):
        query = " ".join(np.random.default_rng(at).choice(WORDS, size=3))
        worst = index.search([query], 20)[0][9]
        labelled[query] = {worst.doc_id: 1}
    report = index.fit(labelled)
    assert report["questions"]["labelled"] == 60
    assert report["labels_taken"]
    assert index.info()["fusion"]["nDCG@10"] != before


def test_bad_labels_are_refused(fitted: HybridIndex) -> None:
    with pytest.raises(InputError, match="no labelled question has a document that is in the index"):
        fitted.fit({"who": {"nobody": 1}})
    with pytest.raises(InputError, match="grades of question 'who' must be whole numbers"):
        fitted.fit({"who": {"s001": "much"}})  # type: ignore[dict-item]


def test_rules_need_no_ranker_and_given_weights_weigh_probabilities_of_relevance(
    encoder: EmbeddingsEncoder, fitted: HybridIndex
) -> None:
    ruled = HybridIndex.build(stories(80), encoder, Config(docid_levels=2, docid_codes=8, depth=20, fusion="convex"))
    weights = {"dense": 0.3, "bm25": 0.7}
    query = [" ".join(WORDS[20:24])]
    generation = fitted._changes.generation
    sigmoids, spread = {**USUAL, **generation.applied_ranker.sigmoids}, generation.applied_ranker.spread
    assert spread is not None
    hits = fitted.search(query, 5, weights=weights)[0]
    for hit in hits:
        z = (hit.details["dense"].score - spread.mean) / spread.deviation
        share = hit.details["bm25"].score / generation.bm25.ceiling(query[0])
        dense, bm25 = sigmoids["dense"], sigmoids["bm25"]
        wanted = 0.3 / (1 + math.exp(-dense.slope * z - dense.offset))
        wanted += 0.7 / (1 + math.exp(-bm25.slope * share - bm25.offset))
        assert hit.score == pytest.approx(wanted, abs=1e-9)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert ruled.info()["fusion"] == {"rule": "convex", "weights": {"dense": 0.55, "bm25": 0.45, "docid": 0.0}}
    assert fitted.search(query, 5, retrievers=["bm25"]) == ruled.search(query, 5, retrievers=["bm25"])
