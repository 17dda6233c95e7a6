"""Retrieval by backbones: beam search against scoring every docid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest

from hybridret.allowed import Allowed
from hybridret.decoding import END, Guide
from hybridret.docids import SchemeName, fit_scheme
from hybridret.generative import BackboneRetriever
from hybridret.types import Document, FloatArray, IntArray, Queries, Run

N_ROWS = 40
TIES = np.random.default_rng(1).permutation(N_ROWS)

MakeBackbone = Callable[..., Any]


def queries(*texts: str) -> Queries:
    return Queries(list(texts or ("a cat", "", "the dog barks")), np.zeros((0, 0), dtype=np.float32))


def random_codes(n: int, level_sizes: tuple[int, ...], seed: int) -> IntArray:
    return np.random.default_rng(seed).integers(0, level_sizes, (n, len(level_sizes)))


def random_words(n: int, seed: int) -> IntArray:
    """Ragged docids of letters that end with the end token, 1."""
    rng = np.random.default_rng(seed)
    docids = np.full((n, 5), END)
    for docid in docids:
        length = rng.integers(0, 5)
        docid[:length], docid[length] = rng.integers(4, 9, length), 1
    return docids


def scored_all(retriever: BackboneRetriever, asked: Queries, mask: Any, k: int, ties: IntArray) -> list[Run]:
    """Every docid's score by one forward pass over all of it, the best of each document's."""
    docids = retriever.docids
    lengths = [max(1, int((docid != END).sum())) ** retriever.length_power for docid in docids]
    runs = []
    for text in asked.texts:
        log_probs = retriever.backbone.token_log_probs([text] * len(docids), docids).detach().numpy()
        best = np.full(len(ties), -np.inf)
        for score, owner, length in zip(log_probs.sum(axis=1), retriever.owners, lengths, strict=True):
            best[owner] = max(best[owner], score / length)
        rows = np.flatnonzero(np.ones(len(ties), dtype=np.bool_) if mask is None else mask)
        rows = rows[np.lexsort((ties[rows], -np.round(best[rows], 4)))][:k]
        runs.append(Run(rows, best[rows]))
    return runs


def assert_same(found: list[Run], expected: list[Run]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)
        assert one.rows.tolist() == other.rows.tolist()


@pytest.mark.parametrize("is_text", [False, True], ids=["codes", "words"])
def test_beam_search_finds_what_scoring_every_docid_finds(
    make_backbone: MakeBackbone, level_sizes: Any, shape: str, is_text: bool
) -> None:
    backbone = make_backbone(shape, None if is_text else level_sizes)
    docids = random_words(N_ROWS, 2) if is_text else random_codes(N_ROWS, level_sizes, 2)
    for length_power in (0.0, 1.0):
        retriever = BackboneRetriever(backbone, docids, length_power=length_power)
        for mask in (None, np.arange(N_ROWS) % 3 == 0):
            allowed = None if mask is None else Allowed(mask)
            found = retriever.search(queries(), N_ROWS, allowed, TIES)
            assert_same(found, scored_all(retriever, queries(), mask, N_ROWS, TIES))


def test_of_several_docids_the_likeliest_counts(make_backbone: MakeBackbone, level_sizes: Any) -> None:
    owners = np.concatenate([np.arange(N_ROWS), np.random.default_rng(3).integers(0, N_ROWS, 30)])
    retriever = BackboneRetriever(make_backbone("t5"), random_codes(70, level_sizes, 4), owners)
    mask = np.arange(N_ROWS) % 2 == 0
    for allowed in (None, Allowed(mask)):
        expected = scored_all(retriever, queries(), None if allowed is None else mask, 7, TIES)
        assert_same(retriever.search(queries(), 7, allowed, TIES), expected)
    rows = [np.array([5, 0, 39]), np.array([], dtype=np.int64), np.array([7])]
    every = scored_all(retriever, queries(), None, N_ROWS, TIES)
    for own, scores, run in zip(rows, retriever.score(queries(), rows), every, strict=True):
        by_row = dict(zip(run.rows.tolist(), run.scores.tolist(), strict=True))
        np.testing.assert_allclose(scores, [by_row[row] for row in own.tolist()], atol=1e-4)


@pytest.mark.parametrize("length_power", [0.0, 0.5])
def test_score_is_what_search_reports(make_backbone: MakeBackbone, shape: str, length_power: float) -> None:
    retriever = BackboneRetriever(make_backbone(shape, None), random_words(N_ROWS, 5), length_power=length_power)
    asked = queries()
    runs = retriever.search(asked, 10, None, TIES)
    for run, scores in zip(runs, retriever.score(asked, [run.rows for run in runs]), strict=True):
        np.testing.assert_allclose(scores, run.scores, atol=1e-4)
    assert [len(scores) for scores in retriever.score(asked, [np.zeros(0, dtype=np.int64)] * 3)] == [0, 0, 0]


@pytest.mark.parametrize("n_allowed", [0, 1, 7, 30])
def test_few_beams_find_only_allowed_rows_and_k_of_them(
    make_backbone: MakeBackbone, level_sizes: Any, monkeypatch: pytest.MonkeyPatch, n_allowed: int
) -> None:
    monkeypatch.setattr("hybridret.generative.backbone_retriever.EXHAUSTIVE_UP_TO", 0)
    monkeypatch.setattr("hybridret.generative.backbone_retriever.N_BEAMS", 2)
    owners = np.repeat(np.arange(N_ROWS), 2)
    retriever = BackboneRetriever(make_backbone("llama"), random_codes(2 * N_ROWS, level_sizes, 6), owners)
    mask = np.zeros(N_ROWS, dtype=np.bool_)
    mask[np.random.default_rng(7).choice(N_ROWS, n_allowed, replace=False)] = True
    for run in retriever.search(queries(), 5, Allowed(mask), TIES):
        assert len(set(run.rows.tolist())) == len(run.rows) == min(5, n_allowed)
        assert mask[run.rows].all()
        assert (np.diff(run.scores) <= 0).all()


def test_a_guide_reaches_rows_that_few_beams_miss(
    make_backbone: MakeBackbone, level_sizes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners = np.concatenate([np.arange(N_ROWS), np.arange(10)])
    retriever = BackboneRetriever(make_backbone("bart"), random_codes(50, level_sizes, 8), owners)
    asked = queries(*"abcdefghijklmnopqrst")
    every = [Run(run.rows[:1], run.scores[:1]) for run in retriever.search(asked, N_ROWS, None, TIES)]
    monkeypatch.setattr("hybridret.generative.backbone_retriever.EXHAUSTIVE_UP_TO", 0)
    monkeypatch.setattr("hybridret.generative.backbone_retriever.N_BEAMS", 1)
    plain = retriever.search(asked, 1, None, TIES)
    assert any(one.rows[0] != other.rows[0] for one, other in zip(plain, every, strict=True))
    guide = Guide(np.array([[run.rows[0], -1] for run in every]), np.tile([99.0, 0.0], (20, 1)))
    assert_same(retriever.search(asked, 1, None, TIES, guide), every)


def test_appended_rows_are_found_and_old_docids_stay(make_backbone: MakeBackbone) -> None:
    docids = random_words(N_ROWS, 9)
    narrow = docids[(docids[:, 3] == END)][:, :3]
    retriever = BackboneRetriever(make_backbone("t5", None), narrow)
    grown = retriever.appended(docids).appended(narrow[:2])
    n_rows = len(narrow) + N_ROWS + 2
    assert np.array_equal(grown.docids[: len(narrow), :3], narrow)
    assert np.array_equal(grown.suffixes[: len(narrow)], retriever.suffixes)
    assert len(np.unique(np.column_stack([grown.docids, grown.suffixes]), axis=0)) == n_rows
    ties = np.random.default_rng(2).permutation(n_rows)
    found = grown.search(queries(), n_rows, None, ties)
    assert_same(found, scored_all(grown, queries(), None, n_rows, ties))


@pytest.mark.parametrize("name", get_args(SchemeName))
def test_every_scheme_is_decoded(make_backbone: MakeBackbone, name: SchemeName) -> None:
    rng = np.random.default_rng(10)
    texts = ["".join(rng.choice(list("abcde "), 12)) for _ in range(N_ROWS)]
    documents = [Document(f"d{at}", text, {"title": text[:4]}) for at, text in enumerate(texts)]
    vectors: FloatArray = rng.normal(size=(N_ROWS, 8)).astype(np.float32)
    tokenizer = make_backbone("t5", None).tokenizer
    scheme = fit_scheme(name, vectors, documents, 0, n_levels=4, n_codes=4, tokenizer=tokenizer)
    retriever = BackboneRetriever.of_scheme(scheme, make_backbone("t5", scheme.level_sizes), vectors, documents)
    found = retriever.search(queries(), N_ROWS, None, TIES)
    assert_same(found, scored_all(retriever, queries(), None, N_ROWS, TIES))


def test_no_rows_and_no_queries_find_nothing(make_backbone: MakeBackbone) -> None:
    backbone, none = make_backbone("t5"), np.zeros(0, dtype=np.int64)
    empty = BackboneRetriever(backbone, np.zeros((0, 3), dtype=np.int64))
    assert [len(run.rows) for run in empty.search(queries(), 5, None, none)] == [0, 0, 0]
    one = BackboneRetriever(backbone, np.array([[0, 1, 2]]))
    assert one.search(Queries([], np.zeros((0, 0), dtype=np.float32)), 5, None, np.zeros(1, dtype=np.int64)) == []
    assert one.search(queries("a"), 5, None, np.zeros(1, dtype=np.int64))[0].rows.tolist() == [0]


@pytest.mark.parametrize("owners", [[0], [0, 0, 2], [0, 1]])
def test_owners_that_do_not_fit_are_refused(make_backbone: MakeBackbone, owners: list[int]) -> None:
    with pytest.raises(ValueError, match="owner"):
        BackboneRetriever(make_backbone("t5"), np.array([[0, 1, 2]] * 3), np.array(owners))
