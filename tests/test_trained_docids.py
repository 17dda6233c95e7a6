"""A trained docid decoder in an index: kept by every change, on disk and in memory."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hybridret.check import check_bundle
from hybridret.config import Config
from hybridret.dense import TransformerEncoder
from hybridret.docids import ResidualQuantizer
from hybridret.errors import BundleError, InputError, ModelError
from hybridret.fusion import EVIDENCE, PRIOR, Ranker
from hybridret.generative import CodeDecoder, DocidRetriever
from hybridret.hybrid import HybridIndex
from hybridret.models import load_model
from hybridret.types import Document, Hit, Queries

LEVELS, CODES = 2, 4
ANIMALS = ("badger", "heron", "lynx", "otter", "raven", "salmon", "weasel", "stork")
FOODS = ("barley", "clover", "honey", "millet", "pears", "rice", "salt", "turnips")


@pytest.fixture
def documents(animals: dict[str, str]) -> list[Document]:
    return [Document(name, text, {}) for name, text in animals.items()]


@pytest.fixture
def trained(documents: list[Document], tiny_encoder: TransformerEncoder) -> DocidRetriever:
    """Codebooks of the animals, and a decoder that is far from them."""
    vectors = tiny_encoder.encode_documents([document.text for document in documents])
    quantizer = ResidualQuantizer.fit(vectors, LEVELS, CODES, seed=0)
    tables = np.random.default_rng(1).normal(size=quantizer.codebooks.shape).astype(np.float32)
    return DocidRetriever(quantizer, trained=CodeDecoder(tables, np.array([2.0, 3.0], dtype=np.float32)))


@pytest.fixture
def build(
    documents: list[Document], trained: DocidRetriever, tiny_encoder: TransformerEncoder
) -> Callable[..., HybridIndex]:
    def make(path: Path | None = None) -> HybridIndex:
        config = Config(docid_levels=LEVELS, docid_codes=CODES)
        return HybridIndex.build(documents, tiny_encoder, config, path, docid=trained)

    return make


def answers(index: HybridIndex) -> list[Hit]:
    return index.search(["who sleeps all day"], 20, retrievers=("docid",))[0]


def test_scores_are_those_of_the_trained_tables(
    build: Callable[..., HybridIndex],
    trained: DocidRetriever,
    tiny_encoder: TransformerEncoder,
    animals: dict[str, str],
) -> None:
    query = tiny_encoder.encode_queries(["who sleeps all day"])
    codes = trained.quantizer.encode(tiny_encoder.encode_documents(list(animals.values())))
    expected = dict(zip(animals, trained.decoder.score(trained.decoder.log_probs(query)[0], codes), strict=True))
    found = {hit.doc_id: hit.score for hit in answers(build())}
    assert found == pytest.approx(expected)


def test_a_bundle_keeps_the_decoder_through_changes(
    build: Callable[..., HybridIndex], trained: DocidRetriever, tmp_path: Path
) -> None:
    index, other = build(tmp_path / "b"), build()
    reader = HybridIndex.open(tmp_path / "b")
    assert answers(reader) == answers(other)
    more = [Document(f"new{at}", f"a new animal with {at} legs", {}) for at in range(30)]
    for each in (index, other):
        each.add(more)
        each.delete(["cat", "new3"])
    assert answers(reader) == answers(index) == answers(other)
    for each in (index, other):
        each.compact()
    assert answers(reader) == answers(HybridIndex.open(tmp_path / "b")) == answers(other)
    facts = index.info()["docid"]
    assert (facts["trained"], facts["levels"], facts["codes"]) == (True, LEVELS + 1, CODES), "refined"
    assert {"decoder", "codebooks"} <= set(index.info()["bytes_per_document"])
    assert "decoder" in other.info()["bytes_per_document"]
    assert check_bundle(tmp_path / "b").faults == []


def test_docids_of_many_new_documents_are_refined_and_the_others_mean_what_they_did(
    build: Callable[..., HybridIndex], trained: DocidRetriever, tmp_path: Path
) -> None:
    index = build(tmp_path / "b")
    reader, before = HybridIndex.open(tmp_path / "b"), {hit.doc_id: hit.score for hit in answers(index)}
    known = len(before)
    index.add([Document(f"new{at}", f"{animal} number {at} rests", {}) for at, animal in enumerate(ANIMALS)])
    generation = index._changes.generation
    docid = generation.docid
    assert isinstance(docid, DocidRetriever)
    assert LEVELS < docid.quantizer.n_levels <= LEVELS + 2
    assert docid.quantizer.refines(trained.quantizer)
    assert not trained.quantizer.refines(docid.quantizer)
    rest = docid.quantizer.residuals(generation.dense.vectors, docid.codes)
    coarse = trained.quantizer.residuals(generation.dense.vectors, docid.codes[:, :LEVELS])
    assert (rest[known:] ** 2).sum() < 0.9 * (coarse[known:] ** 2).sum()
    assert docid.trained is not None
    np.testing.assert_array_equal(docid.trained.tables[:LEVELS], trained.decoder.tables)
    np.testing.assert_array_equal(docid.trained.scales, [2.0, 3.0, *[2.5] * (docid.quantizer.n_levels - LEVELS)])
    after = {hit.doc_id: hit.score for hit in answers(index)}
    assert set(after) == {*before, *(f"new{at}" for at in range(len(ANIMALS)))}
    assert {hit.doc_id: hit.score for hit in answers(reader)} == after, "a reader follows"
    assert check_bundle(tmp_path / "b").faults == []


def test_codebooks_that_are_fitted_after_everything_was_deleted_count_as_fitted_then(
    documents: list[Document], tiny_encoder: TransformerEncoder
) -> None:
    more = [Document(f"old{at}", f"an animal with {at} legs", {}) for at in range(60)]
    index = HybridIndex.build(more, tiny_encoder)
    index.delete([document.doc_id for document in more])
    index.compact()
    assert index._changes.generation.docid is None
    index.add(documents[:3])
    generation = index._changes.generation
    assert (generation.fitted_on, generation.fitted_at) == (3, generation.next_key)


def test_trained_docids_are_evidence_for_the_ranker(
    build: Callable[..., HybridIndex], documents: list[Document], tiny_encoder: TransformerEncoder
) -> None:
    index, plain = build(), HybridIndex.build(documents, tiny_encoder)
    for each, names in ((index, ("dense", "bm25", "docid")), (plain, ("dense", "bm25"))):
        assert each._changes.generation.evident == names
    report = index.fit({"who purrs": {"cat": 1}, "who makes honey": {"bee": 1}})
    assert report["questions"]["labelled"] == 2
    generation = index._changes.generation
    heavy = Ranker((0.0, 0.0, 0.0, 0.0, 0.0, 1.0), generation.spread)
    index._changes.set_ranker(heavy)
    alone = [hit.doc_id for hit in answers(index)]
    assert [hit.doc_id for hit in index.search(["who sleeps all day"], 20)[0]] == alone
    told = index.explain("who sleeps all day", alone[0])
    assert told["rank"] == 1
    assert told["retrievers"]["docid"]["contribution"] == pytest.approx(
        heavy.slope * told["retrievers"]["docid"]["evidence"]["docid"]
    )


def test_docids_that_fail_are_no_evidence_for_any_document(
    build: Callable[..., HybridIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of n candidates each has the docid's log-probability -log(n): 0, its highest, would raise all scores."""
    index, query = build(), "who sleeps all day"
    weighing = Ranker(
        (1.0, 2.0, 1.0, 0.5, 0.0, 1.0), index._changes.generation.spread, slope=0.5, offset=-1.0, support=0.0
    )
    index._changes.set_ranker(weighing)
    told = {hit.doc_id: index.explain(query, hit.doc_id, retrievers=["dense", "bm25"]) for hit in answers(index)}
    generation = index._changes.generation
    monkeypatch.setattr(generation.docid, "search", lambda *_: None, raising=False)
    for hit in index.search([query], 20)[0]:
        parts = told[hit.doc_id]["retrievers"]
        columns = {**parts["dense"]["evidence"], **parts["bm25"]["evidence"], "docid": -np.log(len(told))}
        columns["agreement"] = 0.0
        logit = -1.0 + 0.5 * sum(
            weight * columns[name] for name, weight in zip(EVIDENCE, weighing.weights, strict=True)
        )
        assert hit.score == pytest.approx(1 / (1 + np.exp(-logit)))
        assert list(hit.failed) == ["docid"]

    index._changes.set_ranker(Ranker((0.0, 0.0, 0.0, 0.0, 0.0, 1.0), generation.spread))
    monkeypatch.setattr(index._changes.generation.docid, "search", lambda *_: None, raising=False)
    by_rule = index.search([query], 20, retrievers=["dense", "bm25"], weights=index.config.weights)[0]
    found = index.search([query], 20)[0]
    assert [hit.doc_id for hit in found] == [hit.doc_id for hit in by_rule], "not in the order of ids"
    assert len({hit.score for hit in found}) > 1


def test_lifted_questions_say_nothing_of_docids_that_know_them_by_heart(
    build: Callable[..., HybridIndex], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hybridret.fit.LEAST_QUESTIONS", 1)
    lines = [f"The {animal} of house {at} likes {food}." for at, (animal, food) in enumerate(product(ANIMALS, FOODS))]
    index = build()
    index.add([Document(f"s{at}", " ".join(lines[at : at + 4]), {}) for at in range(0, len(lines), 4)])
    report = index.fit()
    assert report["questions"]["sentence"] + report["questions"].get("span", 0) > 1
    assert {"dense", "bm25", "1"} <= set(report["nDCG@10"]["sentence"])
    assert not any("docid" in means for means in report["nDCG@10"].values())
    ranker = index._changes.generation.applied_ranker
    assert ranker.weights[EVIDENCE.index("docid")] == PRIOR[EVIDENCE.index("docid")]


def test_a_document_that_is_not_in_the_index_scores_as_if_it_were(
    trained: DocidRetriever, documents: list[Document], tiny_encoder: TransformerEncoder
) -> None:
    vectors = tiny_encoder.encode_documents([document.text for document in documents])
    query = tiny_encoder.encode_queries(["who purrs"])
    (scores,) = trained.appended(vectors).score(Queries(["who purrs"], query), [np.arange(len(documents))])
    assert [trained.score_vector(query[0], vector) for vector in vectors] == pytest.approx(scores.tolist())


def test_a_damaged_decoder_is_found(build: Callable[..., HybridIndex], tmp_path: Path) -> None:
    build(tmp_path / "b")
    (file,) = (tmp_path / "b").glob("decoder.*.safetensors")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(BundleError, match="decoder"):
        HybridIndex.open(tmp_path / "b")
    assert [fault.part for fault in check_bundle(tmp_path / "b").faults] == ["decoder"]


@pytest.mark.parametrize(
    ("tables", "scales"),
    [
        (np.zeros((2, 4, 3)), np.ones(3)),
        (np.full((2, 4, 3), np.nan), np.ones(2)),
        (np.zeros((2, 4, 3)), np.array([1.0, np.inf])),
        (np.zeros((2, 4)), np.ones(2)),
    ],
)
def test_tables_that_cannot_be_are_refused(tables: Any, scales: Any) -> None:
    with pytest.raises(ValueError, match=r"do not fit|not finite"):
        CodeDecoder(tables.astype(np.float32), scales.astype(np.float32))


def test_a_decoder_of_other_codebooks_is_refused(trained: DocidRetriever) -> None:
    with pytest.raises(ValueError, match="does not fit the codebooks"):
        trained.with_decoder(CodeDecoder(np.zeros((LEVELS, CODES + 1, 32), dtype=np.float32)))


def test_codebooks_of_another_encoder_are_refused(
    documents: list[Document], tiny_encoder: TransformerEncoder, tmp_path: Path
) -> None:
    codebooks = np.ones((LEVELS, CODES, 5), dtype=np.float32)
    other = DocidRetriever(ResidualQuantizer(codebooks), trained=CodeDecoder(codebooks))
    with pytest.raises(InputError, match="fitted to 5 dimensions: another embedding model"):
        HybridIndex.build(documents, tiny_encoder, path=tmp_path / "b", docid=other)
    assert list(tmp_path.iterdir()) == []


def test_queries_go_through_a_model_of_their_own(
    documents: list[Document], tiny_encoder: TransformerEncoder, tmp_path: Path
) -> None:
    import copy

    import torch
    from sentence_transformers import SentenceTransformer

    queries = copy.deepcopy(tiny_encoder._original)
    with torch.no_grad():
        for weight in queries.parameters():
            weight.mul_(1.1)
    both = tiny_encoder.with_query_model(queries)
    alone = TransformerEncoder(queries, "tiny", tiny_encoder.prompts)
    texts = ["who purrs", "bees"]
    np.testing.assert_allclose(both.encode_queries(texts), alone.encode_queries(texts), atol=1e-6)
    np.testing.assert_allclose(both.encode_documents(texts), tiny_encoder.encode_documents(texts), atol=1e-6)
    assert np.abs(both.encode_queries(texts) - tiny_encoder.encode_queries(texts)).max() > 0.01
    assert both.count_cut_tokens(["long " * 200]) == tiny_encoder.count_cut_tokens(["long " * 200])

    index = HybridIndex.build(documents, both, path=tmp_path / "b")
    opened = HybridIndex.open(tmp_path / "b")
    assert index.search(texts) == opened.search(texts)
    loaded = SentenceTransformer(str(tmp_path / "b" / "dense"), device="cpu")
    np.testing.assert_allclose(loaded.encode_query(texts), both.encode_queries(texts), atol=2e-2)
    np.testing.assert_allclose(loaded.encode_document(texts), both.encode_documents(texts), atol=2e-2)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("sentence_transformers.base.modules.normalize.Normalize", "os.system"),
        ("query_0_Transformer", "../query_0_Transformer"),
    ],
)
def test_a_router_may_name_modules_of_sentence_transformers_inside_its_folder_alone(
    tiny_encoder: TransformerEncoder, tmp_path: Path, old: str, new: str
) -> None:
    import copy

    folder = tmp_path / "model"
    tiny_encoder.with_query_model(copy.deepcopy(tiny_encoder._original)).save(folder)
    assert load_model(str(folder)).get_embedding_dimension() == 32
    file = folder / "router_config.json"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(ModelError, match=r"router_config\.json names a (module|path)"):
        load_model(str(folder))
