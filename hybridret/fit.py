"""Fitting the fusion to a corpus: what is off topic there, whether the encoder can read it, and what labels say."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hybridret.data.lifted import LIFTERS
from hybridret.data.off_topic import detect_language, off_topic_questions
from hybridret.fit_questions import N_LIFTED, Documents, Question, draw_rows, lifted_questions, lookup_questions
from hybridret.fusion import PRIOR, PRIOR_SUPPORT, Ranker
from hybridret.fusion.calibration import fit_sigmoids
from hybridret.fusion.gate import TRUST_FACTORS, choose_trust, keeping_lookups, trusting, with_labels, with_trees
from hybridret.fusion.training import Judged, dcg, fit_calibration
from hybridret.generation import Generation
from hybridret.generative import DocidRetriever
from hybridret.ranking import top_k
from hybridret.types import Encoder, FloatArray, IntArray, Progress, Queries, Run, ScoreArray

N_FIRST_LIFTED = 40
LEAST_QUESTIONS = 30
REFIT_GROWTH, REFIT_GROWTH_OF_FEW, FEW_DOCUMENTS = 4, 2, 100
_CALIBRATED = 10
_BATCH = 64
_DEEP = 10
_COPIED, _MOST_COPIES = 0.9, 10
_LEAST_SLOPE = 0.05
_log = logging.getLogger(__name__)


def fit_ranker(
    generation: Generation,
    documents: Documents,
    encoder: Encoder,
    labelled: Sequence[Question] = (),
    progress: Progress | None = None,
) -> Ranker:
    """Fits what the fusion knows of a corpus.

    The weights are those that fit corpora at large, unless there is proof of something else. Questions lifted out of
    documents can only take trust from the encoder; labelled ones can change all weights, as long as rare terms that are
    looked up are still found first. Trained docids know the sentences of their documents by heart, which lifted
    questions are: only labelled questions say anything of them. Questions on everyday matters tell what documents
    score by chance.

    Args:
        generation: The index's state.
        documents: Gives documents by key.
        encoder: Encodes questions and what is left of documents.
        labelled: Questions with known answers; they change the ranker where ``with_labels`` finds that better.
        progress: Told how far the work is.

    Returns:
        The ranker, with its report.
    """
    generation = replace(generation, ranker=None)
    untaught = replace(generation, docid=None)
    lifted = _judge_lifted(untaught, documents, encoder, progress)
    trust = choose_trust(lifted, PRIOR)
    base = trusting(PRIOR, trust.factor)
    report = {
        "documents": generation.n_documents,
        "automatic": not labelled,
        "questions": {kind: len(each) for kind, each in lifted.items()},
        **trust.as_json(),
    }
    ranker = Ranker(base, support=PRIOR_SUPPORT * trust.factor)
    if labelled:
        judged = list(judge(generation, labelled, encoder, progress, "fusion: labelled questions"))
        ranker, told = _with_labelled(generation, documents, encoder, judged, ranker, progress)
        report["questions"]["labelled"] = len(judged)
        report |= told
    _log.info("the fusion was fitted: %s", report["reason"])
    report["language"] = _detect_language(generation, documents)
    if generation.n_documents and report["language"] is None:
        _log.warning(
            "the documents are in none of the languages that there are off-topic questions in; threshold() goes by "
            "English ones and may let much through"
        )
    off_topic = off_topic_scores(generation, encoder, ranker, report["language"])
    return replace(ranker, off_topic=off_topic, report=report)


def is_fit_due(generation: Generation) -> bool:
    """Whether an index that was fitted by itself has grown so much since that it is to be fitted again.

    That is so when it has its first documents, twice those of then up to a hundred of them, or four times from there
    on: with few documents the spread of cosines still moves, and what off-topic questions score with it.
    """
    report = {} if generation.ranker is None else generation.ranker.report
    if not report.get("automatic"):
        return False
    n_fitted = int(report["documents"])
    growth = REFIT_GROWTH_OF_FEW if n_fitted < FEW_DOCUMENTS else REFIT_GROWTH
    return generation.n_documents >= max(1, growth * n_fitted)


def _judge_lifted(
    generation: Generation, documents: Documents, encoder: Encoder, progress: Progress | None
) -> dict[str, list[Judged]]:
    """Lifted questions by kind: a first part, and all of them where that speaks against the encoder."""
    lifted = {kind: lifted_questions(generation, documents, kind) for kind in LIFTERS}
    lifted = {kind: questions for kind, questions in lifted.items() if len(questions) >= LEAST_QUESTIONS}
    judged: dict[str, list[Judged]] = {}
    for start, end in ((0, N_FIRST_LIFTED), (N_FIRST_LIFTED, N_LIFTED)):
        if start and not _speaks_against_encoder(judged):
            break
        for kind, questions in lifted.items():
            part = judge(generation, questions[start:end], encoder, progress, f"fusion: {kind} questions")
            judged.setdefault(kind, []).extend(part)
    return judged


def _speaks_against_encoder(judged: Mapping[str, Sequence[Judged]]) -> bool:
    """Whether the questions so far would be answered better with less trust in the encoder, be it by chance."""
    means = choose_trust(judged, PRIOR).means.values()
    return any(max(mean[f"{factor:g}"] for factor in TRUST_FACTORS) > mean["1"] for mean in means)


def _with_labelled(
    generation: Generation,
    documents: Documents,
    encoder: Encoder,
    judged: Sequence[Judged],
    base: Ranker,
    progress: Progress | None,
) -> tuple[Ranker, dict[str, Any]]:
    """The ranker that labelled questions make of another one, and what is reported of it."""
    seed = generation.config.seed
    weights, taken = with_labels(judged, base.weights, seed)
    share = 1.0
    if taken:
        lookups = list(
            judge(generation, lookup_questions(generation, documents), encoder, progress, "fusion: look-ups")
        )
        weights, share = keeping_lookups(lookups, weights, base.weights)
    trees = with_trees(judged, weights, seed)
    ranker = replace(base, weights=weights, trees=trees)
    told = {"labels_taken": taken, "labels_share": share, "trees": trees is not None}
    if len(judged) < LEAST_QUESTIONS:
        return ranker, told
    return _calibrated(replace(ranker, sigmoids=fit_sigmoids(judged)), judged, seed), told


def _calibrated(ranker: Ranker, questions: Sequence[Judged], seed: int) -> Ranker:
    """The ranker with scores fitted to half of the questions; the other half's give thresholds.

    A calibration by which sums hardly matter is not taken: where no candidate of the questions is right, say.
    """
    order = np.random.default_rng(seed).permutation(len(questions))
    first, second = ([questions[at] for at in half] for half in np.array_split(order, 2))
    logits, relevant = [], []
    for question in first:
        sums = ranker.sums(question.evidence, question.facts)
        top = np.argsort(-sums)[:_CALIBRATED]
        logits.append(ranker.slope * sums[top] + ranker.shift(question.evidence))
        relevant.append((question.gains[top] > 0).astype(np.float64))
    slope, offset = fit_calibration(np.concatenate(logits), np.concatenate(relevant))
    if slope * ranker.slope >= _LEAST_SLOPE:
        ranker = replace(
            ranker,
            slope=slope * ranker.slope,
            support=slope * ranker.support,
            offset=slope * ranker.offset + offset,
        )
    right = [shown_scores(ranker, question)[question.gains > 0].max(initial=0.0) for question in second]
    return replace(ranker, scores=tuple(sorted(map(float, right))))


def shown_scores(ranker: Ranker, question: Judged) -> ScoreArray:
    """What a question's candidates are shown as. *Shape:* (n_candidates,), float64."""
    return ranker.probabilities(ranker.sums(question.evidence, question.facts), ranker.shift(question.evidence))


def _detect_language(generation: Generation, documents: Documents) -> str | None:
    """The language of a sample of the documents, where it is known."""
    sample = documents(sorted(generation.keys[draw_rows(generation, "language")[:_BATCH]].tolist()))
    return detect_language(document.text for document in sample.values())


def off_topic_scores(
    generation: Generation, encoder: Encoder, ranker: Ranker, language: str | None
) -> tuple[float, ...]:
    """What the best documents of questions on everyday matters score under a ranker, ascending."""
    if not generation.n_documents:
        return ()
    questions = [Question(text, {}) for text in off_topic_questions(language)]
    judged = judge(generation, questions, encoder)
    return tuple(sorted(float(shown_scores(ranker, question).max(initial=0.0)) for question in judged))


def judge(
    generation: Generation,
    questions: Sequence[Question],
    encoder: Encoder,
    progress: Progress | None = None,
    label: str = "fusion",
) -> Iterator[Judged]:
    """Asks the retrievers that the ranker looks at questions, and judges their candidates.

    A lifted question's own document is scored without what was lifted: its text, taken out, has to be encoded again.
    Other documents that hold what was lifted, as copies, versions and overlapping chunks do, are left out. A question
    that more than ten of them hold, as pages made from a template do, is passed over.

    Args:
        generation: The index's state.
        questions: The questions.
        encoder: Encodes them.
        progress: Told how far the work is.
        label: What progress calls it.
    """
    for start in range(0, len(questions), _BATCH):
        asked = questions[start : start + _BATCH]
        texts = [question.text for question in asked]
        queries = Queries(texts, encoder.encode_queries(texts))
        rests = [question.rest for question in asked if question.rest is not None]
        vectors: Iterator[FloatArray] = iter(encoder.encode_documents(rests) if rests else ())
        depths = {name: depth + 1 for name, depth in generation.depths(generation.evident).items()}
        runs = generation.runs(queries, depths, generation.living)
        for at, question in enumerate(asked):
            one = Queries([question.text], queries.vectors[at : at + 1])
            own = {name: runs[name][at] for name in generation.evident}
            replaced = None
            if question.rest is not None:
                (row,) = question.grades
                replaced = (row, _scores_without(generation, question, queries.vectors[at], next(vectors)))
            judged = _judged(generation, question, one, own, replaced)
            if judged is not None:
                yield judged
        if progress is not None:
            progress(label, min(start + _BATCH, len(questions)), len(questions))


def _scores_without(
    generation: Generation, question: Question, query: FloatArray, vector: FloatArray
) -> dict[str, float]:
    """What each retriever gives a document without what was lifted out of it. *Shapes:* (dimension,) both."""
    scores = {
        "dense": float(query.astype(np.float64) @ vector),
        "bm25": generation.bm25.score_text(question.text, question.rest or ""),
    }
    if "docid" in generation.evident:
        assert isinstance(generation.docid, DocidRetriever)
        scores["docid"] = generation.docid.score_vector(query, vector)
    return scores


def _judged(
    generation: Generation,
    question: Question,
    query: Queries,
    runs: dict[str, Run],
    replaced: tuple[int, dict[str, float]] | None,
) -> Judged | None:
    """One question's candidates; none where so many documents hold what was lifted that it asks for none of them."""
    names = generation.evident
    depths = generation.depths(names)
    if replaced is not None:
        row, scores = replaced
        before = len(runs["bm25"].rows)
        runs = {name: _without_copies(generation, question.text, run, row) for name, run in runs.items()}
        if before - len(runs["bm25"].rows) > _MOST_COPIES:
            return None
        runs = {name: _with_score(run, row, scores[name], generation.ties) for name, run in runs.items()}
    runs = {name: Run(run.rows[: depths[name]], run.scores[: depths[name]]) for name, run in runs.items()}
    candidates = generation.candidates(query, {name: [run] for name, run in runs.items()}, names)[0]
    coverage = generation.bm25.coverage(question.text, candidates.rows)
    if replaced is not None:
        there = candidates.rows == row
        for position, name in enumerate(names):
            candidates.scores[position, there] = scores[name]
        coverage[there] = generation.bm25.coverage_of(question.text, question.rest or "")
    order = np.argsort(generation.ties[candidates.rows])
    table = generation.evidence(question.text, candidates, names, coverage)
    gains = np.array([max(0, question.grades.get(row, 0)) for row in candidates.rows.tolist()], dtype=np.float64)
    singles = np.where(candidates.ranks > 0, candidates.scores, -np.inf)
    best = np.sort([grade for grade in question.grades.values() if grade > 0])[::-1][:_DEEP]
    ideal, facts = dcg(np.asarray(best, dtype=np.float64)), generation.query_facts(question.text)
    return Judged(table[order], gains[order], ideal, singles[:, order], facts)


def _without_copies(generation: Generation, question: str, run: Run, row: int) -> Run:
    """A run without other documents that hold the lifted question: nearly all of its words by their idf."""
    copied = (generation.bm25.coverage(question, run.rows) >= _COPIED) & (run.rows != row)
    return Run(run.rows[~copied], run.scores[~copied])


def _with_score(run: Run, row: int, score: float, ties: IntArray) -> Run:
    """A run in which a row has another score."""
    others = run.rows != row
    rows, scores = np.append(run.rows[others], row), np.append(run.scores[others], score)
    return top_k(scores, len(rows), ties, rows)
