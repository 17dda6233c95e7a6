"""Mining: each source, each filter, the mix, SimANS, telemetry."""

from __future__ import annotations

import math

import numpy as np
import pytest
import rank_bm25

from finetune.labelling import denoised
from finetune.negatives import Mined, NegativesConfig, Pool, mine_negatives
from finetune.negatives.mine import mix, passes, simans, telemetry
from finetune.negatives.sources import SOURCES
from finetune.types import Question
from hybridret.bm25.tokenizer import Tokenizer
from hybridret.errors import InputError
from hybridret.types import Document

N, DIM = 80, 16


@pytest.fixture
def pool() -> Pool:
    generator = np.random.default_rng(0)
    words = [f"word{at}" for at in range(30)]
    documents = [
        Document(f"d{at}", " ".join(generator.choice(words, 12)), {"parent": f"p{at // 4}", "topic": at % 5})
        for at in range(N)
    ]
    documents[7] = documents[7]._replace(text=documents[3].text)
    questions = [
        Question(f"q{at}", " ".join(documents[at].text.split()[:4]), (f"d{at}", *(["d20"] if at == 2 else [])))
        for at in range(12)
    ]
    vectors = [generator.normal(size=(n, DIM)).astype(np.float32) for n in (N, 12)]
    vectors[1] += vectors[0][:12]
    unit = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in vectors]
    return Pool(documents, questions, unit[0], unit[1])


def config(**changes: object) -> NegativesConfig:
    settings = {"sources": {"dense": 1.0}, "count": 5, "relative_margin": None, **changes}
    return NegativesConfig(**settings)  # type: ignore[arg-type]


def brute_force(pool: Pool, at: int) -> list[int]:
    """All documents but the question's positives and their copies, nearest first."""
    positives = {pool.documents.index(each) for each in pool.documents if each.doc_id in pool.questions[at].positives}
    copies = {
        row for row, each in enumerate(pool.documents) if each.text in {pool.documents[p].text for p in positives}
    }
    scores = [float(np.dot(pool.query_vectors[at], vector)) for vector in pool.document_vectors]
    return sorted(set(range(N)) - copies, key=lambda row: -scores[row])


def test_dense_negatives_are_the_nearest_others(pool: Pool) -> None:
    for at, mined in enumerate(mine_negatives(pool, config(), 0)):
        assert mined.rows.tolist() == brute_force(pool, at)[:5]
        expected = [float(np.dot(pool.query_vectors[at], pool.document_vectors[row])) for row in mined.rows]
        assert mined.similarities.tolist() == pytest.approx(expected, abs=1e-6)


def test_copies_of_positives_are_no_negatives(pool: Pool) -> None:
    everything = mine_negatives(pool, config(count=N, ranks=(1, N)), 0)
    assert 7 not in everything[3].rows
    assert 3 not in everything[7].rows
    assert 20 not in everything[2].rows
    assert len(everything[2].rows) == N - 2


def test_ranks_are_counted_without_positives(pool: Pool) -> None:
    for at, mined in enumerate(mine_negatives(pool, config(ranks=(4, 7)), 0)):
        assert mined.rows.tolist() == brute_force(pool, at)[3:7]


def test_filters_by_similarity_and_margins(pool: Pool) -> None:
    settings = config(count=N, ranks=(1, N), similarity=(-0.1, 0.3), margin=0.2, relative_margin=0.5)
    for at, mined in enumerate(mine_negatives(pool, settings, 0)):
        positive = max(
            float(np.dot(pool.query_vectors[at], pool.document_vectors[row])) for row in pool.positives[at].tolist()
        )
        cosines = {
            row: float(np.dot(pool.query_vectors[at], pool.document_vectors[row])) for row in brute_force(pool, at)
        }
        expected = {
            row
            for row, cosine in cosines.items()
            if -0.1 <= cosine <= 0.3 and cosine < positive - 0.2 and cosine < positive * (1 - 0.5)
        }
        assert set(mined.rows.tolist()) == expected
    assert passes(np.array([0.95, 0.94]), 1.0, config(relative_margin=0.05)).tolist() == [False, True]


def test_bm25_negatives_are_rank_bm25s(pool: Pool) -> None:
    tokenizer = Tokenizer("english")
    oracle = rank_bm25.BM25Plus([tokenizer.document_terms(document.text) for document in pool.documents], delta=0)
    for at, mined in enumerate(mine_negatives(pool, config(sources={"bm25": 1.0}), 0)):
        scores = oracle.get_scores(tokenizer(pool.questions[at].text))
        order = [row for row in np.argsort(-scores, kind="stable") if row in brute_force(pool, at) and scores[row] > 0]
        assert mined.rows.tolist() == order[:5]


def test_same_parent_and_category(pool: Pool) -> None:
    for source, field in (("same_parent", "parent"), ("same_category", "topic")):
        settings = config(sources={source: 1.0}, count=N, ranks=(1, N), category="topic")
        for at, mined in enumerate(mine_negatives(pool, settings, 0)):
            values = {pool.documents[row].metadata[field] for row in pool.positives[at].tolist()}
            expected = [row for row in brute_force(pool, at) if pool.documents[row].metadata[field] in values]
            assert mined.rows.tolist() == expected


def test_errors_are_what_other_retrievers_rank_above_the_positive(pool: Pool) -> None:
    found = SOURCES["errors"](pool, 20, config(), 0)
    for at, rows in enumerate(found):
        queries = pool.queries(at, at + 1)
        expected: set[int] = set()
        for retriever in (pool.bm25, pool.docid):
            run = retriever.search(queries, 20, None, pool.ties)[0].rows.tolist()
            places = [place for place, row in enumerate(run) if row in pool.positives[at]]
            expected |= set(run[: places[0]] if places else run)
        assert set(rows.tolist()) == expected
        assert len(rows) == len(expected)


def test_random_negatives_depend_on_the_seed(pool: Pool) -> None:
    settings = config(sources={"random": 1.0})
    first, again, other = (mine_negatives(pool, settings, seed) for seed in (0, 0, 1))
    assert [each.rows.tolist() for each in first] == [each.rows.tolist() for each in again]
    assert [each.rows.tolist() for each in first] != [each.rows.tolist() for each in other]


def test_simans_draws_by_its_weights(pool: Pool) -> None:
    assert simans(np.array([0.5, 0.7], dtype=np.float32), 0.6, 3.0, 0.1).tolist() == pytest.approx(
        [math.exp(-3 * (0.5 - 0.6 - 0.1) ** 2), math.exp(-3 * (0.7 - 0.6 - 0.1) ** 2)]
    )
    settings = config(simans=(40.0, 0.0), count=1, ranks=(1, 4))
    drawn = [mine_negatives(pool, settings, seed)[5].rows[0] for seed in range(400)]
    candidates = brute_force(pool, 5)[:4]
    cosines = pool.document_vectors[candidates] @ pool.query_vectors[5]
    weights = simans(cosines, float(pool.positive_similarity[5]), 40.0, 0.0)
    shares = [drawn.count(row) / 400 for row in candidates]
    assert shares == pytest.approx((weights / weights.sum()).tolist(), abs=0.08)


def test_the_mix_keeps_proportions_and_fills_up() -> None:
    first, second = np.array([1, 2, 3, 4, 5, 6]), np.array([2, 11, 12])
    assert mix([first, second], [2.0, 1.0], 6).tolist() == [1, 2, 11, 3, 4, 5], "a document counts for one source only"
    assert mix([np.array([1]), np.array([2, 3, 4, 5])], [1.0, 1.0], 4).tolist() == [1, 2, 3, 4]
    assert mix([], [], 4).tolist() == []
    assert mix([first], [1.0], 0).tolist() == []


def test_telemetry_counts() -> None:
    mined = [
        Mined(np.array([1, 2]), np.array([0.5, 0.9], dtype=np.float32)),
        Mined(np.array([3]), np.array([0.1], dtype=np.float32)),
    ]
    found = telemetry([np.array([2, 9]), np.array([3])], mined, np.array([0.8, 0.4], dtype=np.float32))
    assert found["changed"] == pytest.approx(1 / 3)
    assert found["similarity"] == pytest.approx((0.5 + 0.9 + 0.1) / 3)
    assert found["hardness"] == pytest.approx((0.5 - 0.8 + 0.9 - 0.8 + 0.1 - 0.4) / 3)
    assert found["false"] == pytest.approx(1 / 3)


def test_teacher_denoising_leaves_out_what_scores_like_an_answer() -> None:
    questions = [Question("a", "?", ("p",)), Question("b", "?", ("p",))]
    labels = {"a": {"p": 2.0, "x": 1.9, "y": 1.0, "z": 3.0}}
    negatives = {"a": ["x", "y", "z", "unscored"], "b": ["x"]}
    assert denoised(negatives, labels, questions, 0.5) == {"a": ["y", "unscored"], "b": ["x"]}
    assert denoised(negatives, labels, questions, None) == negatives


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sources": {"colbert": 1.0}}, "unknown source of negatives 'colbert'"),
        ({"sources": {"same_category": 1.0}}, "negatives.category must name"),
        ({"ranks": (5, 2)}, "two ranks from 1 up"),
        ({"count": -1}, "from 0 up"),
        ({"similarity": (0.5, 0.1)}, "the lower first"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        config(**settings)
