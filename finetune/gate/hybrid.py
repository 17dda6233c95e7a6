"""What users call is asked as well: dense and bm25, fused as an index does that was fitted to no labels."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np

from finetune.gate.decide import HYBRID
from finetune.gate.exam import Exam, encoded, graded, measure_vectors
from finetune.gate.general import everyday_questions
from hybridret.bm25 import BM25Retriever, Tokenizer
from hybridret.config import Config
from hybridret.data.clean import has_text
from hybridret.dense import DenseRetriever
from hybridret.fusion import Ranker
from hybridret.fusion.evidence import Spread
from hybridret.generation import Generation
from hybridret.types import Encoder, FloatArray, Progress, Queries, ScoreArray

_NAMES = ("dense", "bm25")
_DEPTH, _CHANCE = 100, 100


class HybridExam:
    """An exam put to models alone and in the hybrid.

    Docids have no part in it: they weigh nothing until labels come, whose fit sees for itself that they help.

    Args:
        exam: The questions.
        language: Of the bm25 stemmer.
        base: The model before training, by which a trained one's cosines are read (see ``match_spread``).
    """

    def __init__(self, exam: Exam, language: str, base: Encoder) -> None:
        self.exam, self._language, self._base = exam, language, base

    def measure(self, encoder: Encoder, progress: Progress | None = None) -> dict[str, ScoreArray]:
        """Measures a model.

        Args:
            encoder: The model.
            progress: Told how far encoding is.

        Returns:
            By measure of the model alone, and by ``HYBRID``, the value of each question. *Shape:* (n_questions,),
            float64.
        """
        chance = encoder.encode_queries(everyday_questions())
        return self.measure_vectors(*encoded(encoder, self.exam, progress), chance)

    def measure_vectors(self, queries: FloatArray, documents: FloatArray, chance: FloatArray) -> dict[str, ScoreArray]:
        """Measures vectors of the exam's questions and documents, and of everyday questions; see ``measure``.

        *Shapes:* (n_questions, dimension), (n_documents, dimension), (n_everyday, dimension), all float32.
        """
        values = measure_vectors(self.exam, queries, documents)
        return {**values, HYBRID: self.measure_fused(queries, documents, chance)["nDCG@10"]}

    def measure_fused(self, queries: FloatArray, documents: FloatArray, chance: FloatArray) -> dict[str, ScoreArray]:
        """Measures the hybrid alone, by the measures of a model alone; see ``measure_vectors``."""
        state = self._over(documents)
        spread, by_chance = self._before
        spread = match_spread(spread, by_chance, cosines_by_chance(state, chance)) or state.spread
        state = replace(state, ranker=Ranker(spread=spread))
        asked = Queries(list(self.exam.queries.values()), queries)
        runs = state.runs(asked, state.depths(_NAMES), state.living)
        candidates = state.candidates(asked, runs, _NAMES)
        fused = [
            state.fuse(text, each, _NAMES, None, _DEPTH)[0] for text, each in zip(asked.texts, candidates, strict=True)
        ]
        return graded(self.exam, fused)

    def found_by_words(self, depth: int) -> set[int]:
        """Positions of the documents that bm25 finds first for some question, so many for each."""
        asked = Queries(list(self.exam.queries.values()), np.zeros((len(self.exam.queries), 0), dtype=np.float32))
        state = self._words
        return {row for run in state.runs(asked, {"bm25": depth}, state.living)["bm25"] for row in run.rows.tolist()}

    @cached_property
    def _before(self) -> tuple[Spread, ScoreArray]:
        """The spread of the base model's cosines, and those that it finds by chance."""
        state = self._over(self._base.encode_documents([document.text for document in self.exam.documents]))
        chance = self._base.encode_queries(everyday_questions())
        return state.spread, cosines_by_chance(state, chance)

    @cached_property
    def _words(self) -> Generation:
        """The exam's documents as an index without vectors."""
        documents = self.exam.documents
        state = Generation.empty(Config(language=self._language, index="flat"))
        bm25 = BM25Retriever(Tokenizer(self._language)).appended([document.text for document in documents])
        have_text = np.array([has_text(document.text) for document in documents], dtype=np.bool_)
        ids = [document.doc_id for document in documents]
        return state.grown(np.arange(len(ids)), ids, have_text, state.dense, bm25, None)

    def _over(self, vectors: FloatArray) -> Generation:
        """The exam's documents as an index."""
        return replace(self._words, dense=DenseRetriever(vectors, "flat"))


def cosines_by_chance(state: Generation, queries: FloatArray) -> ScoreArray:
    """Cosines of the best documents of questions that they do not answer.

    Args:
        state: The index.
        queries: *Shape:* (n_questions, dimension), float32, of questions on everyday matters.

    Returns:
        *Shape:* (n,), float64.
    """
    asked = Queries([""] * len(queries), queries)
    runs = state.runs(asked, {"dense": _CHANCE}, state.living)["dense"]
    return np.concatenate([run.scores for run in runs])


def match_spread(spread: Spread, before: ScoreArray, after: ScoreArray) -> Spread | None:
    """The spread by which a trained model's cosines say as much as the untrained one's did.

    Training moves questions and documents towards each other, and by the spread between documents any question then
    seems answered. So both models are asked questions on everyday matters, whose best documents are found by chance:
    these cosines, standardised, are to have the same mean and deviation.

    Args:
        spread: The untrained model's.
        before: *Shape:* (n,), float64, its cosines found by chance.
        after: *Shape:* (m,), float64, the trained model's.

    Returns:
        None where either are all alike.
    """
    if not before.std() or not after.std():
        return None
    deviation = spread.deviation * after.std() / before.std()
    return Spread(float(after.mean() - (before.mean() - spread.mean) / spread.deviation * deviation), float(deviation))
