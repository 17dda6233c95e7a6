"""What takes the place of weights that fit corpora at large: only what is proven."""

from __future__ import annotations

import numpy as np
import pytest

from hybridret.fusion import EVIDENCE, PRIOR
from hybridret.fusion.gate import choose_trust, keeping_lookups, trusting, with_labels
from hybridret.fusion.training import Judged

N_CANDIDATES = 15
DENSE, BOTH = np.array([1.0, 0, 0, 0, 0, 0]), np.array([1.0, 0, 1.0, 0, 0, 0])


def question(generator: np.random.Generator, truth: np.ndarray, noise: float = 0.2) -> Judged:
    table = generator.normal(size=(N_CANDIDATES, len(EVIDENCE)))
    gains = np.zeros(N_CANDIDATES)
    gains[np.argmax(table @ truth + noise * generator.normal(size=N_CANDIDATES))] = 1.0
    return Judged(table, gains, 1.0, np.stack([table[:, 0], table[:, 2]]))


def lifted(seed: int, n: int, dense: float, bm25: float) -> list[Judged]:
    """Questions whose right candidate stands out by so many deviations of its cosine and by so much of bm25."""
    generator, made = np.random.default_rng(seed), []
    for _ in range(n):
        cosine, share = generator.normal(size=N_CANDIDATES), generator.random(N_CANDIDATES) / 2
        cosine[0] += dense
        share[0] += bm25
        table = np.column_stack([cosine, share, share, share / share.sum(), cosine * share, np.zeros(N_CANDIDATES)])
        made.append(Judged(table, np.eye(N_CANDIDATES)[0], 1.0, np.stack([cosine, share])))
    return made


def test_less_trust_takes_the_same_part_of_all_that_goes_by_cosines() -> None:
    assert trusting((1.0, 2.0, 3.0, 4.0, 5.0, 6.0), 0.25) == (0.25, 2.0, 3.0, 4.0, 1.25, 6.0)


def test_an_encoder_that_cannot_read_the_corpus_loses_trust() -> None:
    trust = choose_trust({"sentence": lifted(0, 100, 0.0, 0.3), "span": lifted(1, 100, 0.0, 0.3)}, PRIOR)
    assert trust.factor < 1
    assert trust.means["span"]["0.1"] > trust.means["span"]["1"] > trust.means["span"]["dense"]
    assert "beyond doubt" in trust.reason


@pytest.mark.parametrize("dense", [2.0, 3.0])
@pytest.mark.parametrize("bm25", [0.0, 0.3])
def test_an_encoder_that_can_read_it_keeps_its_trust_however_bm25_fares(dense: float, bm25: float) -> None:
    assert choose_trust({"sentence": lifted(2, 200, dense, bm25)}, PRIOR).factor == 1


@pytest.mark.parametrize("n", [1, 3])
def test_few_questions_prove_nothing(n: int) -> None:
    assert choose_trust({"sentence": lifted(0, n, 0.0, 0.1)}, PRIOR).factor == 1


def test_questions_that_nobody_answers_say_nothing() -> None:
    """The right one is last by all evidence, and still less of the cosine would rank it better."""
    silent = lifted(4, 200, -9.0, -0.5)
    trust = choose_trust({"span": silent}, PRIOR)
    assert (trust.factor, trust.silent) == (1.0, ("span",))
    assert "No retriever answers" in trust.reason
    assert "No questions could be lifted" in choose_trust({}, PRIOR).reason
    mixed = choose_trust({"span": silent, "sentence": lifted(0, 200, 0.0, 0.3)}, PRIOR)
    assert mixed.silent == ("span",)
    assert mixed.factor < 1


def test_rare_terms_stay_first_whatever_labels_say() -> None:
    """Weights of the cosine alone find half of the look-ups; they are drawn back until 98 % are found."""
    lookups = lifted(5, 200, 1.5, 1.0)
    weights, share = keeping_lookups(lookups, (5.0, 0, 0, 0, 0, 0), PRIOR)
    first = np.mean([np.argmax(each.evidence @ np.array(weights)) == 0 for each in lookups])
    assert first >= 0.98
    assert share < 1
    np.testing.assert_allclose(weights, np.array(PRIOR) + share * (np.array([5.0, 0, 0, 0, 0, 0]) - np.array(PRIOR)))


def test_weights_that_keep_rare_terms_first_stay_and_so_do_all_without_look_ups() -> None:
    assert keeping_lookups(lifted(6, 50, 0.0, 0.5), (0, 9.0, 0, 0, 0, 0), PRIOR) == ((0, 9.0, 0, 0, 0, 0), 1.0)
    assert keeping_lookups([], (5.0, 0, 0, 0, 0, 0), PRIOR) == ((5.0, 0, 0, 0, 0, 0), 1.0)


def test_no_label_makes_a_retrievers_finding_speak_against_a_document() -> None:
    generator = np.random.default_rng(7)
    against = [question(generator, -BOTH) for _ in range(200)]
    weights, taken = with_labels(against, (1.0, 1.0, 1.0, 1.0, -1.0, 0.0), 0)
    assert taken
    assert min(weights[:4]) >= 0


def test_many_labels_change_the_weights_where_these_are_wrong() -> None:
    generator = np.random.default_rng(2)
    questions = [question(generator, BOTH) for _ in range(200)]
    weights, taken = with_labels(questions, DENSE.tolist(), 0)
    assert taken
    assert weights[2] > 0.5


def test_labels_change_nothing_where_the_weights_are_right() -> None:
    generator = np.random.default_rng(3)
    questions = [question(generator, BOTH, 0.0) for _ in range(100)]
    right = tuple((8 * BOTH).tolist())
    assert with_labels(questions, right, 0) == (right, False)


@pytest.mark.parametrize("n", [1, 2, 10])
def test_few_labels_seldom_make_the_ranker_worse(n: int) -> None:
    generator = np.random.default_rng(4)
    right = tuple((2 * BOTH).tolist())
    changed = sum(with_labels([question(generator, BOTH, 1.0) for _ in range(n)], right, seed)[1] for seed in range(60))
    assert changed <= 6
