"""Fitting the fusion to a corpus: with questions lifted out of it, or with labelled ones on top; and the gate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from hybridret.data.lifted import LIFTERS
from hybridret.errors import InputError
from hybridret.fusion import PRIOR, Ranker
from hybridret.fusion.calibration import fit_sigmoids
from hybridret.fusion.gate import choose, with_labels, with_trees
from hybridret.fusion.training import Judged, dcg, fit_calibration, fit_weights
from hybridret.generation import Generation
from hybridret.generative import DocidRetriever
from hybridret.ranking import top_k
from hybridret.types import Document, Encoder, FloatArray, IntArray, Progress, Queries, Run

N_LIFTED = 100
LEAST_QUESTIONS = 30
STRENGTH = 0.02
_CALIBRATED = 10
_BATCH = 64
_DEEP = 10


class Question(NamedTuple):
    """A question to fit to.

    Attributes:
        text: The question.
        grades: Grade by row of the documents that answer it.
        rest: What is left of the one document that it was lifted out of; None: it was not lifted.
    """

    text: str
    grades: Mapping[int, int]
    rest: str | None = None


def fit_ranker(
    generation: Generation,
    documents: Callable[[Sequence[int]], Mapping[int, Document]],
    encoder: Encoder,
    labelled: Sequence[Question] = (),
    progress: Progress | None = None,
) -> Ranker:
    """Fits how far to trust each retriever.

    Trained docids know the sentences of their documents by heart, which lifted questions are: only labelled questions
    say anything of them.

    Args:
        generation: The index's state.
        documents: Gives documents by key.
        encoder: Encodes questions and what is left of documents.
        labelled: Questions with known answers; they change the ranker where ``with_labels`` finds that better.
        progress: Told how far the work is.

    Returns:
        The ranker that the gate lets pass, with its report.
    """
    generation = replace(generation, ranker=None)
    untaught = replace(generation, docid=None)
    lifted = {kind: lifted_questions(generation, documents, kind) for kind in LIFTERS}
    lifted = {kind: questions for kind, questions in lifted.items() if len(questions) >= LEAST_QUESTIONS}
    steps = [*lifted, *(["labelled"] if labelled else [])]
    judged: dict[str, list[Judged]] = {}
    for kind in steps:
        asked, state = (labelled, generation) if kind == "labelled" else (lifted[kind], untaught)
        judged[kind] = list(judge(state, asked, encoder, progress, f"fusion: {kind} questions"))
    groups = [judged[kind] for kind in lifted]
    weights = fit_weights(groups, PRIOR, STRENGTH)
    own, taken = judged.get("labelled", []), False
    if own:
        weights, taken = with_labels(own, weights, generation.config.seed)
    telling, state = ([own], generation) if len(own) >= LEAST_QUESTIONS else (groups, untaught)
    choice = choose(telling, weights, generation.config.seed, state.evident)
    base = Ranker(weights) if choice.name == "learned" else Ranker.single(choice.name)
    trees = with_trees(own, weights, generation.config.seed) if choice.name == "learned" else None
    base = replace(base, trees=trees, sigmoids=fit_sigmoids([each for group in telling for each in group]))
    counts = {kind: len(each) for kind, each in judged.items()}
    report = {"questions": counts, "labels_taken": taken, "trees": trees is not None, **choice.as_json()}
    return _calibrated(base, telling, generation, report)


def labelled_questions(
    questions: Mapping[str, Mapping[str, int]],
    generation: Generation,
    keys_of: Callable[[Sequence[str]], Mapping[str, int]],
) -> list[Question]:
    """Labelled questions whose documents are rows of the index; questions without any are left out.

    Args:
        questions: Text to grade by document id.
        generation: The index's state.
        keys_of: Gives keys by document id.

    Raises:
        InputError: A grade is no whole number, or no question is left.
    """
    made = []
    for text, grades in questions.items():
        if not all(isinstance(grade, int) for grade in grades.values()):
            raise InputError(f"the grades of question {text!r} must be whole numbers")
        keys = keys_of(list(grades))
        rows = {row: grades[doc_id] for doc_id, key in keys.items() for row in generation.rows_of([key]).tolist()}
        if text.strip() and any(grade > 0 for grade in rows.values()):
            made.append(Question(text, rows))
    if questions and not made:
        raise InputError("no labelled question has a document that is in the index")
    return made


def _calibrated(base: Ranker, groups: list[list[Judged]], generation: Generation, report: dict[str, Any]) -> Ranker:
    """The ranker with probabilities fitted to half of the questions; the other half's give thresholds."""
    questions = [each for group in groups for each in group]
    spread = generation.spread
    if len(questions) < LEAST_QUESTIONS:
        return replace(base, spread=spread, report=report)
    order = np.random.default_rng(generation.config.seed).permutation(len(questions))
    first, second = ([questions[at] for at in half] for half in np.array_split(order, 2))
    sums, relevant = [], []
    for each in first:
        found = base.sums(each.evidence, each.facts)
        top = np.argsort(-found)[:_CALIBRATED]
        sums.append(found[top])
        relevant.append((each.gains[top] > 0).astype(np.float64))
    slope, offset = fit_calibration(np.concatenate(sums), np.concatenate(relevant))
    made = replace(base, spread=spread, slope=slope, offset=offset, report=report)
    right = [
        float(made.probabilities(base.sums(each.evidence, each.facts)[each.gains > 0]).max())
        if each.gains.any()
        else 0.0
        for each in second
    ]
    return replace(made, scores=tuple(sorted(right)))


def lifted_questions(
    generation: Generation, documents: Callable[[Sequence[int]], Mapping[int, Document]], kind: str
) -> list[Question]:
    """Questions lifted out of documents in random order until there are enough."""
    generator = np.random.default_rng([generation.config.seed, sorted(LIFTERS).index(kind)])
    rows = generator.permutation(np.flatnonzero(generation.alive))
    questions: list[Question] = []
    for start in range(0, len(rows), _BATCH):
        keys = generation.keys[rows[start : start + _BATCH]].tolist()
        found = documents(sorted(keys))
        for row, key in zip(rows[start : start + _BATCH].tolist(), keys, strict=True):
            lifted = LIFTERS[kind](found[key].text, generator) if key in found else None
            if lifted is not None:
                questions.append(Question(lifted.query, {row: 1}, lifted.rest))
            if len(questions) == N_LIFTED:
                return questions
    return questions


def judge(
    generation: Generation,
    questions: Sequence[Question],
    encoder: Encoder,
    progress: Progress | None = None,
    label: str = "fusion",
) -> Iterator[Judged]:
    """Asks the retrievers that the ranker looks at questions, and judges their candidates.

    A lifted question's own document is scored without what was lifted: its text, taken out, has to be encoded again.

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
            yield _judged(generation, question, one, own, replaced)
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
) -> Judged:
    names = generation.evident
    depths = generation.depths(names)
    if replaced is not None:
        runs = {name: _with_score(run, replaced[0], replaced[1][name], generation.ties) for name, run in runs.items()}
    runs = {name: Run(run.rows[: depths[name]], run.scores[: depths[name]]) for name, run in runs.items()}
    candidates = generation.candidates(query, {name: [run] for name, run in runs.items()}, names)[0]
    coverage = generation.bm25.coverage(question.text, candidates.rows)
    if replaced is not None:
        row, scores = replaced
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


def _with_score(run: Run, row: int, score: float, ties: IntArray) -> Run:
    """A run in which a row has another score."""
    others = run.rows != row
    rows, scores = np.append(run.rows[others], row), np.append(run.scores[others], score)
    return top_k(scores, len(rows), ties, rows)
