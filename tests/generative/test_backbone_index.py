"""An index whose docids a language model writes: in memory and on disk, through every change."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from hybridret.check import check_bundle, repair_bundle
from hybridret.config import Config
from hybridret.data.off_topic import ENGLISH
from hybridret.dense import TransformerEncoder
from hybridret.docids import SchemeName, fit_scheme
from hybridret.errors import BundleError, ModelError
from hybridret.fusion import PRIOR
from hybridret.generative import BackboneDocids, LazyBackbone
from hybridret.hybrid import HybridIndex
from hybridret.store.bundle import model_digests
from hybridret.types import RETRIEVERS, Document, Hit, Queries

QUERY = "who sleeps all day"
WORDS = ["purr", "sleep", "bark", "swim", "sing", "fly", "grass", "milk", "honey", "nest", "mice", "night"]
Build = Callable[..., HybridIndex]


def corpus(n: int, seed: int = 0) -> list[Document]:
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(WORDS, 5)) for _ in range(n)]
    return [
        Document(f"{seed}-{at}", f"{text} {at}", {"title": f"{text[:8]} {at}", "n": at})
        for at, text in enumerate(texts)
    ]


@pytest.fixture
def build(make_backbone: Callable[..., Any], tiny_encoder: TransformerEncoder) -> Build:
    """Builds an index over documents whose docids a random backbone writes."""

    def make(
        documents: Sequence[Document], name: SchemeName = "rq", shape_of_one: str = "t5", path: Path | None = None
    ) -> HybridIndex:
        vectors = tiny_encoder.encode_documents([document.text for document in documents])
        tokenizer = make_backbone(shape_of_one, None).tokenizer
        scheme = fit_scheme(name, vectors, documents, 0, n_levels=3, n_codes=6, tokenizer=tokenizer)
        backbone = make_backbone(shape_of_one, scheme.level_sizes)
        docid = BackboneDocids(name, scheme, LazyBackbone(lambda: backbone))
        return HybridIndex.build(documents, tiny_encoder, Config(docid_codes=6), path, docid=docid)

    return make


def retriever(index: HybridIndex) -> BackboneDocids:
    docid = index._changes.generation.docid
    assert isinstance(docid, BackboneDocids)
    return docid


def answers(index: HybridIndex, k: int = 500, **asked: Any) -> list[Hit]:
    return index.search([QUERY], k, retrievers=("docid",), **asked)[0]


def oracle(index: HybridIndex, documents: Sequence[Document]) -> dict[str, float]:
    """The log-probability of each document's docid, by a forward pass of its own without caches, tries or beams."""
    docid = retriever(index)
    vectors = index.encoder.encode_documents([document.text for document in documents])
    docids = docid.scheme.encode(vectors, documents)
    scores = [
        float(docid.backbone.token_log_probs([QUERY], row[row >= 0][None]).detach().sum().double()) for row in docids
    ]
    return {document.doc_id: score for document, score in zip(documents, scores, strict=True)}


def assert_right(index: HybridIndex, documents: Sequence[Document], **asked: Any) -> None:
    expected, found = oracle(index, documents), answers(index, **asked)
    assert {hit.doc_id: hit.score for hit in found} == pytest.approx(expected, abs=1e-4)
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)


@pytest.mark.parametrize("name", get_args(SchemeName))
@pytest.mark.parametrize("shape_of_one", ["t5", "llama"])
def test_every_change_leaves_the_docids_of_scoring_everything(
    build: Build, tmp_path: Path, name: SchemeName, shape_of_one: str
) -> None:
    documents, more = corpus(30), corpus(12, seed=1)
    index, memory = build(documents, name, shape_of_one, tmp_path / "b"), build(documents, name, shape_of_one)
    reader = HybridIndex.open(tmp_path / "b")
    for each in (index, reader, memory):
        assert_right(each, documents)
    for each in (index, memory):
        each.add(more)
        each.delete(["0-3", "1-4"])
    left = [document for document in [*documents, *more] if document.doc_id not in ("0-3", "1-4")]
    even = [document for document in left if document.metadata["n"] % 2 == 0]
    for each in (index, reader, memory):
        assert_right(each, left)
        assert_right(each, even, filter={"n": {"$in": [document.metadata["n"] for document in even]}})
    before = answers(reader)
    for each in (index, memory):
        each.compact()
    fresh = HybridIndex.open(tmp_path / "b")
    for each in (index, reader, memory, fresh):
        assert [hit.doc_id for hit in answers(each)] == [hit.doc_id for hit in before]
        assert_right(each, left)
    assert check_bundle(tmp_path / "b").faults == []
    fresh.save(tmp_path / "copy")
    copied = HybridIndex.open(tmp_path / "copy")
    assert answers(copied) == answers(fresh)
    assert index.search(["milk honey", "bark"], 5) == copied.search(["milk honey", "bark"], 5)
    facts = copied.info()
    assert (facts["docid"]["trained"], facts["docid"]["scheme"]) == (True, name)
    assert facts["bytes_per_document"]["backbone"] > 0


def test_documents_with_the_same_docid_and_without_words_are_all_found(build: Build, tmp_path: Path) -> None:
    documents = [Document(f"d{at}", "milk", {"title": "milk"}) for at in range(9)]
    for name in get_args(SchemeName):
        index = build(documents, name, path=tmp_path / name)
        index.add([Document("wordless", "!", {}), Document("milk", "milk", {"title": "milk"})])
        found = answers(HybridIndex.open(tmp_path / name))
        assert {hit.doc_id for hit in found} == {*(f"d{at}" for at in range(9)), "wordless", "milk"}
        assert_right(index, [*documents, Document("wordless", "!", {}), Document("milk", "milk", {"title": "milk"})])


def test_a_wider_docid_widens_the_table(build: Build, tmp_path: Path) -> None:
    documents = [Document(f"d{at}", "x", {"title": word}) for at, word in enumerate(WORDS)]
    index = build(documents, "path", path=tmp_path / "b")
    long = Document("long", "x", {"title": "a title longer than any other"})
    reader = HybridIndex.open(tmp_path / "b")
    answers(reader)
    index.add([long])
    for each in (index, reader, HybridIndex.open(tmp_path / "b")):
        assert_right(each, [*documents, long])


def test_opening_and_asking_others_loads_no_language_model(
    build: Build, tmp_path: Path, run_python: Callable[..., Any]
) -> None:
    build(corpus(9), "keyword", path=tmp_path / "b")
    code = """
import sys
from pathlib import Path
from hybridret.hybrid import HybridIndex
index = HybridIndex.open(Path(sys.argv[1]))
assert index.search(["milk"], 3, retrievers=("bm25",))[0] and index.info()["docid"]["trained"]
index.delete(["0-1"])
print(*sorted({name.partition(".")[0] for name in sys.modules} & {"torch", "transformers"}))
"""
    done = run_python(code, tmp_path / "b")
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


@pytest.mark.parametrize(("name", "shape_of_one"), [("hierarchical", "t5"), ("path", "llama")])
def test_an_explanation_sums_to_the_score(build: Build, name: SchemeName, shape_of_one: str) -> None:
    index = build(corpus(20), name, shape_of_one)
    index.add([Document("twin", index.get(["0-4"])[0].text, index.get(["0-4"])[0].metadata)])
    for doc_id in ("0-4", "twin"):
        told = index.explain(QUERY, doc_id)["retrievers"]["docid"]
        assert sum(step["log_prob"] for step in told["path"]) == pytest.approx(told["score"], abs=1e-4)
        assert ("token" in told["path"][0]) == (name == "path")
        assert told["path"][0]["documents"] >= 2
    assert index.explain(QUERY, "twin")["retrievers"]["docid"]["path"][-1] == {"code": 0, "log_prob": 0.0}


def test_it_contributes_its_beam_and_scores_few_of_the_others_candidates(build: Build) -> None:
    documents = corpus(400)
    index = build(documents)
    generation, expected = index._changes.generation, oracle(index, documents)
    queries = Queries([QUERY], index.encoder.encode_queries([QUERY]))
    runs = generation.runs(queries, generation.depths(RETRIEVERS), None)
    assert [len(runs[name][0].rows) for name in RETRIEVERS] == [100, 100, 20]
    (candidates,) = generation.candidates(queries, runs, RETRIEVERS)
    at = RETRIEVERS.index("docid")
    own, floor = set(runs["docid"][0].rows.tolist()), float(runs["docid"][0].scores.min())
    scored = set(candidates.rows[~candidates.is_floor[at]].tolist()) - own
    assert len(scored) == 20
    assert not candidates.is_floor[:at].any()
    ranks = np.where(candidates.ranks[:at] > 0, candidates.ranks[:at], 999).min(axis=0)
    places = {row: rank for row, rank in zip(candidates.rows.tolist(), ranks.tolist(), strict=True) if row not in own}
    assert max(places[row] for row in scored) <= min(rank for row, rank in places.items() if row not in scored)
    for row, score in zip(candidates.rows.tolist(), candidates.scores[at].tolist(), strict=True):
        is_exact = row in own or row in scored
        assert score == pytest.approx(expected[documents[row].doc_id] if is_exact else floor, abs=1e-4)
    exact = {documents[row].doc_id for row in own | scored}
    hits = index.search([QUERY], 20)[0]
    assert [hit.details["docid"].is_floor for hit in hits] == [hit.doc_id not in exact for hit in hits]
    assert any(hit.details["docid"].is_floor for hit in hits)
    assert len(index.search([QUERY], 50)[0]) == 50


def test_a_document_asked_for_by_name_is_scored(build: Build) -> None:
    documents = corpus(200)
    index = build(documents)
    last = answers(index)[-1]
    told = index.explain(QUERY, last.doc_id)
    assert told["retrievers"]["docid"]["score"] == pytest.approx(last.score, abs=1e-4)


def test_labels_alone_give_it_weight(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        f"The {one} animals {other} in house {at}. They {other} there."
        for at, (one, other) in enumerate((one, other) for one in WORDS for other in WORDS[:6])
    ]
    documents = [Document(f"d{at}", line, {}) for at, line in enumerate(lines)]
    index = build(documents)
    docid = retriever(index)
    asked: list[list[str]] = []
    search = docid.search
    monkeypatch.setattr(docid, "search", lambda queries, *rest: asked.append(queries.texts) or search(queries, *rest))
    report = index.fit()
    assert "labelled" not in report["questions"]
    assert not {text for texts in asked for text in texts} - set(ENGLISH)
    asked.clear()
    assert index.info()["fusion"]["weights"]["docid"] == PRIOR[-1] == 0.0
    labels = {f"which animals {other} {at}": {f"d{at}": 1} for at, other in enumerate(WORDS[:6] * 6)}
    assert index.fit(labels)["questions"]["labelled"] == 36
    assert {text for texts in asked for text in texts} - set(ENGLISH) == set(labels)


def test_a_damaged_backbone_is_found_and_not_loaded(build: Build, tmp_path: Path) -> None:
    build(corpus(9), path=tmp_path / "b")
    file = tmp_path / "b" / "backbone" / "model" / "config.json"
    file.write_text(file.read_text() + " ")
    faults = check_bundle(tmp_path / "b").faults
    assert [fault.part for fault in faults] == ["backbone"]
    assert not faults[0].is_repairable
    with pytest.raises(ModelError, match=r"config\.json is damaged: it is not the file that was saved"):
        answers(HybridIndex.open(tmp_path / "b"))


def test_a_lost_trie_is_made_again(build: Build, tmp_path: Path) -> None:
    index = build(corpus(30), "path", path=tmp_path / "b")
    index.add([Document("long", "x", {"title": "a title longer than any other"})])
    expected = answers(index)
    (file,) = (tmp_path / "b").glob("trie.*.safetensors")
    file.unlink()
    assert repair_bundle(tmp_path / "b") == ["trie"]
    assert answers(HybridIndex.open(tmp_path / "b")) == expected
    assert check_bundle(tmp_path / "b").faults == []


def edited(folder: Path, file: str, **changes: Any) -> None:
    path = folder / "model" / file
    known = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(known | changes))


def indexed_elsewhere(folder: Path) -> None:
    """Weights in pieces, one of which lies outside."""
    weights = folder / "model" / "model.safetensors"
    shutil.copy(weights, folder.parent.parent / "outside.safetensors")
    weights.unlink()
    edited(folder, "model.safetensors.index.json", weight_map={"shared.weight": "../../../outside.safetensors"})


HOSTILE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "code": (lambda folder: edited(folder, "config.json", auto_map={"AutoConfig": "evil.C"}), "sets auto_map"),
    "code of the tokenizer": (
        lambda folder: edited(folder, "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.T", None]}),
        "sets auto_map",
    ),
    "a file with code": (lambda folder: (folder / "model" / "evil.py").write_text("x"), r"evil\.py is no file"),
    "pickled weights": (
        lambda folder: (folder / "model" / "pytorch_model.bin").write_bytes(b"x"),
        "bin is no file of a saved language model",
    ),
    "another model under adapters": (
        lambda folder: edited(folder, "adapter_config.json", base_model_name_or_path="/elsewhere", peft_type="LORA"),
        "adapter_config",
    ),
    "adapters": (lambda folder: (folder / "adapter").mkdir(), "adapter is no"),
    "a vocabulary elsewhere": (
        lambda folder: edited(folder, "tokenizer_config.json", vocab_file="/etc/passwd"),
        "sets vocab_file",
    ),
    "a kernel to fetch": (
        lambda folder: edited(folder, "config.json", _attn_implementation="someone/kernel"),
        "sets _attn_implementation",
    ),
    "weights elsewhere": (indexed_elsewhere, "names weights outside it"),
    "no settings": (lambda folder: (folder / "docid.json").write_text("[]"), "holds no backbone"),
    "an unknown kind": (lambda folder: (folder / "docid.json").write_text('{"backbone": "Evil"}'), "holds no backbone"),
    "other levels": (
        lambda folder: (folder / "docid.json").write_text(
            (folder / "docid.json").read_text().replace("[6, 6, 6]", "[6, 6]")
        ),
        r"writes docids of levels \(6, 6\)",
    ),
    "deep nesting": (lambda folder: (folder / "model" / "config.json").write_text("[" * 10**5), r"config\.json"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_backbone_is_refused_before_it_is_loaded(build: Build, tmp_path: Path, what: str) -> None:
    build(corpus(30), path=tmp_path / "b")
    change, message = HOSTILE[what]
    change(tmp_path / "b" / "backbone")
    index = HybridIndex.open(tmp_path / "b")
    index._changes.state.backbone_files.clear()
    index._changes.state.backbone_files.update(model_digests(tmp_path / "b" / "backbone"))
    with pytest.raises(ModelError, match=message):
        answers(index)


def test_a_link_in_the_backbone_is_refused(build: Build, tmp_path: Path) -> None:
    build(corpus(9), path=tmp_path / "b")
    weights = tmp_path / "b" / "backbone" / "model" / "model.safetensors"
    weights.rename(tmp_path / "weights")
    weights.symlink_to(tmp_path / "weights")
    with pytest.raises(BundleError, match="is a link"):
        answers(HybridIndex.open(tmp_path / "b"))


def test_a_scheme_without_its_name_or_arrays_is_refused(build: Build, tmp_path: Path) -> None:
    index = build(corpus(9), path=tmp_path / "b")
    store, state = index._changes.store, index._changes.state.as_json()
    for change in (
        {"scheme": None},
        {"scheme": "magic"},
        {"scheme": "keyword"},
        {"files": {**state["files"], "scheme": []}},
    ):
        with store.transaction():
            store.state = {**state, **change}
        with pytest.raises(BundleError, match="damaged"):
            HybridIndex.open(tmp_path / "b")
