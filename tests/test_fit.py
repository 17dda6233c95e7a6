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
from hybridret.data.off_topic import ENGLISH
from hybridret.dense import EmbeddingsEncoder
from hybridret.errors import BundleError, InputError
from hybridret.fit_questions import Question, lifted_questions, lookup_questions
from hybridret.fusion import PRIOR, Ranker
from hybridret.fusion.calibration import USUAL
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
    assert set(report["questions"]) == {"sentence", "span"}
    assert all(40 <= n <= 80 for n in report["questions"].values())
    assert report["trust"] in {1.0, 0.5, 0.25, 0.1}
    assert "weight" in report["reason"]
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
    (judged,) = fit.judge(generation, [Question(query, {row: 1}, rest)], encoder)
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
    (judged,) = fit.judge(generation, [Question(text, {5: 2, 6: -1})], encoder)
    hits = fitted.search([text], 10)[0]
    sums = np.sort(generation.applied_ranker.sums(judged.evidence))[::-1][:10]
    shift = generation.applied_ranker.shift(judged.evidence)
    np.testing.assert_allclose(
        generation.applied_ranker.probabilities(sums, shift), [hit.score for hit in hits], rtol=1e-6
    )
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


def test_an_index_is_fitted_again_as_it_grows(
    encoder: EmbeddingsEncoder, build: Callable[..., HybridIndex], tmp_path: Path
) -> None:
    """One that began empty ends where one ends that was built at once, and can then give a threshold."""
    config = Config(docid_levels=2, docid_codes=8, depth=20)
    grown = HybridIndex.build([], encoder, config, tmp_path / "bundle", fit=True)
    with pytest.raises(InputError, match="cannot be had from 0 off-topic questions"):
        grown.threshold()
    fitted_on = []
    for document in stories(130):
        grown.add([document])
        assert 0 < grown.threshold() <= 0.9
        fitted_on.append(grown.info()["fusion"]["documents"])
    assert fitted_on == [1] + [2] * 2 + [4] * 4 + [8] * 8 + [16] * 16 + [32] * 32 + [64] * 64 + [128] * 3
    at_once = build(120)
    grown.delete([document.doc_id for document in stories(130)[120:]])
    grown.fit()
    assert grown.info()["fusion"]["weights"] == at_once.info()["fusion"]["weights"]
    assert grown.threshold() == pytest.approx(at_once.threshold())


def test_what_labels_have_fitted_is_not_fitted_again(build: Callable[..., HybridIndex]) -> None:
    index = build(8)
    index.fit({" ".join(stories(8)[at].text.split()[:3]): {f"s{at:03}": 1} for at in range(5)})
    index.add(stories(60)[8:])
    assert index.info()["fusion"]["documents"] == 8


def test_a_fit_that_fails_leaves_what_was_added(
    build: Callable[..., HybridIndex], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    index = build(8)
    monkeypatch.setattr("hybridret.hybrid.fit_ranker", lambda *_: 1 / 0)
    index.add(stories(60)[8:])
    assert len(index) == 60
    assert "could not be fitted to the new documents: ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("seed", [0, 1])
def test_the_order_of_the_documents_changes_nothing(encoder: EmbeddingsEncoder, seed: int) -> None:
    """Documents come as they are, and in reverse: questions, decisions and thresholds are the same."""
    config = Config(docid_levels=2, docid_codes=8, depth=20, seed=seed)
    forth = HybridIndex.build(stories(50), encoder, config, fit=True)
    back = HybridIndex.build(stories(50)[::-1], encoder, config, fit=True)
    reports = [index.info()["fusion"] for index in (forth, back)]
    assert reports[0] == reports[1]
    assert forth.threshold() == pytest.approx(back.threshold())


def test_copies_change_no_decision_and_are_not_taken_for_wrong_answers(encoder: EmbeddingsEncoder) -> None:
    """The questions lifted where every document stands three times are judged as where it stands once."""
    config = Config(docid_levels=2, docid_codes=8, depth=200)
    once = HybridIndex.build(stories(60), encoder, config)._changes
    copied = [document._replace(doc_id=f"{document.doc_id}-{copy}") for document in stories(60) for copy in range(3)]
    thrice = HybridIndex.build(copied, encoder, config)._changes
    for kind in ("sentence", "span"):
        asked = lifted_questions(once.generation, once.store.by_key, kind)[:20]
        row_of = {doc_id: row for row, doc_id in enumerate(thrice.generation.ids)}
        again = [
            question._replace(grades={row_of[f"{once.generation.ids[row]}-1"]: 1})
            for question in asked
            for row in question.grades
        ]
        pairs = zip(
            fit.judge(once.generation, asked, encoder), fit.judge(thrice.generation, again, encoder), strict=True
        )
        for one, other in pairs:
            ranks = [np.argsort(np.argsort(-judged.singles[0]))[judged.gains > 0].tolist() for judged in (one, other)]
            assert 3 * ranks[0][0] - 2 <= ranks[1][0] <= 3 * ranks[0][0] + 2
        texts = {question.text for question in lifted_questions(once.generation, once.store.by_key, kind)}
        assert {question.text for question in lifted_questions(thrice.generation, thrice.store.by_key, kind)} == texts


def test_what_stands_on_every_page_asks_for_none(encoder: EmbeddingsEncoder) -> None:
    footer = "Kin sur far bur dal min tos per."
    pages = [document._replace(text=f"{document.text} {footer}") for document in stories(40)]
    changes = HybridIndex.build(pages, encoder, Config(docid_levels=2, docid_codes=8, depth=20))._changes
    rest = pages[7].text.replace(footer, "")
    assert list(fit.judge(changes.generation, [Question(footer, {7: 1}, rest)], encoder)) == []
    question, rest = rest.split(". ", 1)
    assert len(list(fit.judge(changes.generation, [Question(question, {7: 1}, rest)], encoder))) == 1


def test_looked_up_terms_are_rare_and_all_that_hold_them_are_right(fitted: HybridIndex) -> None:
    generation, store = fitted._changes.generation, fitted._changes.store
    for question in lookup_questions(generation, store.by_key):
        (term,) = set(generation.bm25.tokenizer(question.text))
        holding = {
            row
            for row, key in enumerate(generation.keys.tolist())
            if term in generation.bm25.tokenizer(store.by_key([key])[key].text)
        }
        assert set(question.grades) == holding
        assert 1 <= len(holding) <= 2


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
    with pytest.raises(InputError, match="cannot be had from 0 labelled questions"):
        index.threshold(missed=0.1)
    if n:
        assert 0 < index.threshold() < 1
    else:
        with pytest.raises(InputError, match="cannot be had from 0 off-topic questions"):
            index.threshold()


def test_a_threshold_keeps_most_off_topic_questions_out(fitted: HybridIndex) -> None:
    """Of the questions on everyday matters that the threshold was made of, the share that was asked for passes."""
    for share in (0.1, 0.3):
        threshold = fitted.threshold(share)
        best = [hits[0].score for hits in fitted.search(list(ENGLISH), 1)]
        assert sum(score >= threshold for score in best) == int(share * (len(ENGLISH) + 1)) - 1
    retriever = HybridRetriever(index=fitted, min_score=fitted.threshold())
    assert retriever.invoke(stories(80)[3].text[:40])


def test_labels_that_contradict_the_fit_change_it(encoder: EmbeddingsEncoder) -> None:
    """What dense ranks first is labelled as the right one, question after question; the encoder was in doubt."""
    documents = stories(60)
    index = HybridIndex.build(documents, encoder, Config(docid_levels=2, docid_codes=8, depth=20), fit=True)
    before = index.info()["fusion"]["weights"]
    labelled = {}
    for at in range(60):
        query = " ".join(np.random.default_rng(at).choice(WORDS, size=3))
        labelled[query] = {index.search([query], 1, retrievers=["dense"])[0][0].doc_id: 1}
    report = index.fit(labelled)
    assert report["questions"]["labelled"] == 60
    assert report["labels_taken"]
    assert index.info()["fusion"]["weights"]["cosine"] > before["cosine"]
    assert not report["automatic"]
    assert 0 <= index.threshold(missed=0.2) <= 1


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
    sigmoids, spread = {**USUAL, **generation.applied_ranker.sigmoids}, generation.spread
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
