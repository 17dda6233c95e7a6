"""The learned fusion: where its prior weights come from, and what it gains on test questions over single retrievers.

``python -m benchmarks.fusion NAME...``. Weights are decided on train and dev splits, each collection's own ones left
out in turn; the test splits are measured once, with the weights that the package has.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.collection import read_collection
from benchmarks.peers import ensemble
from benchmarks.results import write_result
from benchmarks.significance import t_test
from benchmarks.subject import Subject
from benchmarks.synthetic import synthetic_collections
from benchmarks.systems import run
from hybridret import fit
from hybridret.config import Config
from hybridret.data.dataset import Dataset, read_dataset
from hybridret.data.lifted import LIFTERS
from hybridret.data.off_topic import ENGLISH
from hybridret.data.readers import PYTHON_DOCS, find_source, read_corpus
from hybridret.dense import make_encoder
from hybridret.display import progress_bars
from hybridret.errors import MissingExtraError
from hybridret.evaluation import measure_run
from hybridret.fit_questions import Question, lifted_questions
from hybridret.fusion import PRIOR, Ranker
from hybridret.fusion.evidence import LOWEST_WEIGHTS
from hybridret.fusion.gate import choose_trust, trusting, with_labels
from hybridret.fusion.training import Judged, fit_weights, ndcg
from hybridret.generation import Generation
from hybridret.hybrid import HybridIndex
from hybridret.types import Encoder, Progress, ScoreArray

MOST_QUESTIONS, SEED, PRIOR_STRENGTH = 500, 0, 1e-3
LABELLED, FEW, RESAMPLES, LEAST_LOSS = 300, 10, 200, 1e-9
RRF_CONSTANT, STRANGERS = 60, 50
NAMES = ("dense", "bm25")
FAR_QUESTIONS = ("faq", "descriptions")
"""Synthetic collections whose questions share hardly a word with their answers, as in no test collection here."""


class Collection(NamedTuple):
    """A collection's judged questions: per split, per kind of lifted ones, on everyday matters, and other collections'.

    ``ensemble`` is LangChain's EnsembleRetriever over the same terms and vectors, nDCG@10 of the test questions by
    ir-measures, or why it could not be run.
    """

    splits: dict[str, list[Judged]]
    lifted: dict[str, list[Judged]]
    off_topic: list[Judged]
    strangers: list[Judged]
    fit_seconds: float
    ensemble: float | str

    @property
    def deciding(self) -> list[Judged]:
        """The questions by which something may be decided."""
        return [each for split in ("train", "dev") for each in self.splits.get(split, [])]


def main() -> None:
    """Measures the collections named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collections", nargs="+", help=f"BEIR folders, names, or {PYTHON_DOCS}")
    names = parser.parse_args().collections
    encoder, found = make_encoder(), {}
    with progress_bars() as progress:
        for name in names:
            found[Path(name).name] = _collection(name, [other for other in names if other != name], encoder, progress)
        synthetic = [_synthetic(name, encoder, progress) for name in FAR_QUESTIONS]
    rows = {name: _row(each) for name, each in found.items()}
    gains = [row["gain"] for row in rows.values()]
    write_result(
        "fusion",
        {
            "prior": [round(weight, 3) for weight in _prior(list(found.values()), synthetic)],
            "prior in the package": list(PRIOR),
            "calibration": [round(number, 3) for number in _calibration(list(found.values()))],
            "left out in turn": _left_out(found, synthetic),
            "test": rows,
            "mean gain over the best single retriever": float(np.mean(gains)),
            "lowest gain": min(gains),
            "mean gain over reciprocal rank fusion": float(
                np.mean([row["hybrid"] - row["rrf"] for row in rows.values()])
            ),
            "mean gain over LangChain's ensemble": _over_ensembles(list(rows.values())),
        },
    )


def _over_ensembles(rows: Sequence[dict[str, Any]]) -> float | None:
    gains = [row["hybrid"] - row["LangChain ensemble"] for row in rows if isinstance(row["LangChain ensemble"], float)]
    return float(np.mean(gains)) if len(gains) == len(rows) else None


def _collection(name: str, others: Sequence[str], encoder: Encoder, progress: Progress) -> Collection:
    source = find_source(name)
    documents = read_corpus(source)
    index = HybridIndex.build(documents, encoder, Config(), progress=progress)
    generation, store = index._changes.generation, index._changes.store
    start = time.perf_counter()
    lifted = {
        kind: list(fit.judge(generation, lifted_questions(generation, store.by_key, kind), encoder, progress))
        for kind in LIFTERS
    }
    seconds = time.perf_counter() - start
    splits = {
        split: _judged(source, split, generation, encoder, progress)
        for split in ("train", "dev", "test")
        if source == PYTHON_DOCS or Path(source, "qrels", f"{split}.tsv").is_file()
    }
    strange = [Question(text, {}) for other in others for text in _texts(other)]
    everyday = [Question(text, {}) for text in ENGLISH]
    off_topic, strangers = (list(fit.judge(generation, each, encoder, progress)) for each in (everyday, strange))
    return Collection(splits, lifted, off_topic, strangers, seconds, _ensemble(name, index, progress))


def _synthetic(name: str, encoder: Encoder, progress: Progress) -> list[Judged]:
    """A synthetic collection's judged questions."""
    (collection,) = synthetic_collections(name)
    index = HybridIndex.build(collection.documents, encoder, Config(), progress=progress)
    return _judged_dataset(collection.dataset, index._changes.generation, encoder, progress, name)


def _ensemble(name: str, index: HybridIndex, progress: Progress) -> float | str:
    """LangChain's own ensemble, side by side."""
    collection = read_collection(name)
    try:
        peer = ensemble(Subject(collection, index, Path()))
    except MissingExtraError as error:
        return str(error)
    answers = run(peer.search, collection.dataset.queries, "LangChain's ensemble", progress)
    return float(np.mean(list(measure_run(answers, collection.dataset)["nDCG@10"].values())))


def _texts(name: str) -> list[str]:
    """Some test questions of a collection."""
    source = find_source(name)
    queries = read_dataset(source, "test", {document.doc_id for document in read_corpus(source)}).queries
    return [queries[query] for query in sorted(queries)[:STRANGERS]]


def _judged(source: str, split: str, generation: Generation, encoder: Encoder, progress: Progress) -> list[Judged]:
    dataset = read_dataset(source, split, set(generation.ids))
    queries = sorted(dataset.queries)
    if split != "test" and len(queries) > MOST_QUESTIONS:
        drawn = np.random.default_rng(SEED).choice(len(queries), MOST_QUESTIONS, replace=False)
        queries = [queries[at] for at in np.sort(drawn)]
    dataset = dataset._replace(queries={query: dataset.queries[query] for query in queries})
    return _judged_dataset(dataset, generation, encoder, progress, f"{split} questions")


def _judged_dataset(
    dataset: Dataset, generation: Generation, encoder: Encoder, progress: Progress, label: str
) -> list[Judged]:
    rows = {doc_id: row for row, doc_id in enumerate(generation.ids)}
    questions = [
        Question(text, {rows[doc]: grade for doc, grade in dataset.qrels[query].items() if doc in rows})
        for query, text in dataset.queries.items()
    ]
    return list(fit.judge(generation, questions, encoder, progress, label))


def _row(each: Collection) -> dict[str, Any]:
    """One collection's test questions."""
    test, trust = each.splits["test"], choose_trust(each.lifted, PRIOR)
    weights = trusting(PRIOR, trust.factor)
    alone = {name: np.array([ndcg(one.singles[at], one) for one in test]) for at, name in enumerate(NAMES)}
    best = max(alone, key=lambda name: alone[name].mean())
    hybrid = _values(test, weights)
    row = {
        **{name: float(values.mean()) for name, values in alone.items()},
        "LangChain ensemble": each.ensemble,
        "rrf": float(np.mean([ndcg(_ranks(one), one) for one in test])),
        "no fit": float(_values(test, PRIOR).mean()),
        "hybrid": float(hybrid.mean()),
        "gain": float(hybrid.mean() - alone[best].mean()),
        "p": t_test(hybrid, alone[best]),
        "trust": trust.factor,
        "fit seconds": round(each.fit_seconds, 1),
        "abstention": _abstention(test, each, Ranker(weights)),
    }
    if each.deciding:
        row["with labels"] = _with_labels(each.deciding, test, weights, hybrid, alone[best])
    return row


def _abstention(test: Sequence[Judged], collection: Collection, ranker: Ranker) -> dict[str, float]:
    """How well the best candidate's score tells questions with an answer from others.

    The area under the ROC curve against other collections' questions; and by the threshold that a tenth of the
    questions on everyday matters passes, how many of the right answers lie below it, and how many of other collections'
    questions pass it.
    """
    from scipy.stats import mannwhitneyu

    def best(questions: Sequence[Judged]) -> ScoreArray:
        return np.array([fit.shown_scores(ranker, question).max(initial=0.0) for question in questions])

    answered = [question for question in test if question.gains.any()]
    right = np.array([fit.shown_scores(ranker, question)[question.gains > 0].max() for question in answered])
    strange = best(collection.strangers)
    fitted = replace(ranker, off_topic=tuple(sorted(best(collection.off_topic).tolist())))
    return {
        "area under the curve": float(mannwhitneyu(best(test), strange).statistic / (len(test) * len(strange))),
        "threshold": fitted.threshold(),
        "right answers missed": float((right < fitted.threshold()).mean()),
        "others let through": float((strange >= fitted.threshold()).mean()),
    }


def _with_labels(
    pool: Sequence[Judged], test: Sequence[Judged], weights: Sequence[float], hybrid: ScoreArray, best: ScoreArray
) -> dict[str, Any]:
    """What labelled questions change: many of them once, ten of them many times."""
    generator = np.random.default_rng(SEED)
    n_labelled = min(LABELLED, len(pool))
    drawn = [pool[at] for at in generator.choice(len(pool), n_labelled, replace=False)]
    many, taken = with_labels(drawn, weights, SEED)
    values = _values(test, many) if taken else hybrid
    worse = 0
    for seed in range(RESAMPLES):
        few = [pool[at] for at in generator.choice(len(pool), FEW, replace=False)]
        fitted, changed = with_labels(few, weights, seed)
        worse += changed and float(_values(test, fitted).mean()) < float(hybrid.mean()) - LEAST_LOSS
    return {
        "questions": n_labelled,
        "taken": taken,
        "nDCG@10": float(values.mean()),
        "gain": float(values.mean() - best.mean()),
        "ten labels worse than none": worse / RESAMPLES,
    }


def _prior(collections: Sequence[Collection], synthetic: Sequence[Sequence[Judged]]) -> tuple[float, ...]:
    """Weights from nothing: every collection's deciding questions count alike."""
    groups = [*(each.deciding for each in collections if each.deciding), *synthetic]
    return fit_weights(groups, (0.0,) * len(PRIOR), PRIOR_STRENGTH, LOWEST_WEIGHTS)


def _calibration(collections: Sequence[Collection]) -> tuple[float, ...]:
    """Slope, support and offset by which the best candidates' scores tell deciding questions from off-topic ones.

    By logistic regression on the sum by the package's prior and the topicality; both kinds of questions count alike, as
    do all collections but those that the encoder cannot read.
    """
    from sklearn.linear_model import LogisticRegression

    rows, is_real, shares = list[list[float]](), list[int](), list[float]()
    for each in collections:
        if not each.deciding or choose_trust(each.lifted, PRIOR).factor < 1:
            continue
        for questions, real in ((each.deciding, 1), (each.off_topic + each.strangers, 0)):
            for question in questions:
                topicality = Ranker(support=1.0, offset=0.0).shift(question.evidence)
                rows.append([float((question.evidence @ np.array(PRIOR)).max(initial=0.0)), topicality])
                is_real.append(real)
                shares.append(0.5 / len(questions))
    model = LogisticRegression(C=1e6, max_iter=5000).fit(np.array(rows), is_real, sample_weight=shares)
    return (*model.coef_[0].tolist(), float(model.intercept_[0]))


def _left_out(found: dict[str, Collection], synthetic: Sequence[Sequence[Judged]]) -> dict[str, dict[str, Any]]:
    """Each collection's deciding questions, or else its test ones, with a prior that has not seen them."""
    rows = {}
    for name, each in found.items():
        prior = _prior([other for called, other in found.items() if called != name], synthetic)
        trust = choose_trust(each.lifted, prior)
        asked = each.deciding or each.splits["test"]
        best = max(np.mean([ndcg(one.singles[at], one) for one in asked]) for at in range(len(NAMES)))
        rows[name] = {
            "prior alone": float(_values(asked, prior).mean() - best),
            "fitted": float(_values(asked, trusting(prior, trust.factor)).mean() - best),
            "trust": trust.factor,
        }
    return rows


def _values(questions: Sequence[Judged], weights: Sequence[float]) -> ScoreArray:
    return np.array([ndcg(each.evidence @ np.array(weights), each) for each in questions])


def _ranks(one: Judged) -> ScoreArray:
    """Reciprocal rank fusion of dense and bm25, as ensemble retrievers do it."""
    total = np.zeros(len(one.gains))
    for scores in one.singles:
        order = np.argsort(-scores, kind="stable")
        ranks = np.empty(len(order))
        ranks[order] = np.arange(1, len(order) + 1)
        total += np.where(scores > -np.inf, 1 / (RRF_CONSTANT + ranks), 0.0)
    return total


if __name__ == "__main__":
    main()
