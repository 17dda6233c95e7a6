"""Whether a trained query encoder and decoder are better than what was there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from finetune.gate import Exam, GateConfig, HybridExam, measure
from finetune.gate.decide import DECIDING, HYBRID, Values, hurts_hybrid, trial
from finetune.gate.exam import graded
from hybridret.docids import ResidualQuantizer
from hybridret.generative import BackboneDocids, CodeDecoder, refine_codes
from hybridret.ranking import top_k
from hybridret.types import Encoder, FloatArray, Progress, Queries

_BOTH = 2
_ALIKE = 1e-3
"""By how much the docids of altered documents may say less of their vectors (mean squared error) than others'."""
FOUND = 20
"""Docids that a language model is asked for."""


class Pair:
    """Queries through one encoder, documents through another.

    Args:
        queries: Encodes queries.
        documents: Encodes documents.
    """

    def __init__(self, queries: Encoder, documents: Encoder) -> None:
        self.encode_queries, self.encode_documents = queries.encode_queries, documents.encode_documents


def measure_docids(
    vectors: FloatArray, queries: FloatArray, quantizer: ResidualQuantizer, decoder: CodeDecoder, exam: Exam
) -> Values:
    """Measures docids alone, all documents' being scored.

    Documents that lack the words of the question about them were not among those that the codebooks were fitted to, and
    where these were few their codes are those of the whole documents, words and all. So they get further codes, as
    documents that are added later do, until their docids say as much of their vectors as others' (``refine_codes``).

    Args:
        vectors: *Shape:* (n_documents, dimension), float32, of the exam's documents.
        queries: *Shape:* (n_questions, dimension), float32, of its questions.
        quantizer: Gives the documents their codes.
        decoder: Scores them.
        exam: The questions.

    Returns:
        By measure the value of each question. *Shape:* (n_questions,), float64.
    """
    codes, ties = quantizer.encode(vectors), np.arange(len(vectors))
    altered = np.array([document.doc_id in exam.altered for document in exam.documents])
    if altered.any():
        refinement = refine_codes(quantizer, codes, vectors, altered, 0, quantizer.n_levels, _ALIKE)
        if refinement is not None:
            further, more = refinement
            decoder, codes = decoder.refined(further.codebooks), np.concatenate([codes, more], axis=1)
    runs = [top_k(decoder.score(decoder.log_probs(query[None])[0], codes), 100, ties) for query in queries]
    return graded(exam, runs)


def measure_written(docid: BackboneDocids, queries: FloatArray, exam: Exam) -> Values:
    """Measures docids that a language model writes, alone, by beam search.

    Args:
        docid: The docids of the exam's documents.
        queries: *Shape:* (n_questions, dimension), float32, of its questions.
        exam: The questions.

    Returns:
        By measure the value of each question. *Shape:* (n_questions,), float64.
    """
    asked = Queries(list(exam.queries.values()), queries)
    return graded(exam, docid.search(asked, FOUND, None, np.arange(len(exam.documents))))


def decide_docids(
    base: Encoder,
    trained: Encoder,
    decoder: CodeDecoder,
    quantizer: ResidualQuantizer,
    exam: Exam,
    general: Exam | None,
    config: GateConfig,
    language: str,
    tried: int = 1,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Compares dense and docids before and after training, on held-out questions.

    The trained query encoder serves both, so both count: it is shipped where one of the two is better by a paired
    t-test (Bonferroni: p times two for each that was tried), the mean of neither falls, nor that of the hybrid, and
    general questions are not forgotten.

    Args:
        base: Encoder of documents, and of queries before training.
        trained: Encoder of queries after training.
        decoder: The trained decoder.
        quantizer: The codebooks.
        exam: Held-out questions.
        general: General questions; None: they are not asked.
        config: What is asked for.
        language: Of the bm25 stemmer.
        tried: From how many this trained one was chosen by these questions, for Bonferroni.
        progress: Told how far encoding is.

    Returns:
        ``shipped``, ``sentence``, and the trials of ``dense`` and ``docid`` as JSON can hold them.
    """
    vectors = base.encode_documents([document.text for document in exam.documents], progress)
    texts = list(exam.queries.values())
    before, after = base.encode_queries(texts), trained.encode_queries(texts)
    pair: Any = Pair(trained, base)
    old_general = None if general is None else measure(base, general)
    new_general = None if general is None else measure(pair, general)
    hybrid = HybridExam(exam, language, base)
    dense = trial(1.0, hybrid.measure(base), hybrid.measure(pair), old_general, new_general, _BOTH * tried, config)
    untrained = measure_docids(vectors, before, quantizer, CodeDecoder(quantizer.codebooks), exam)
    values = measure_docids(vectors, after, quantizer, decoder, exam)
    docid = trial(1.0, untrained, values, old_general, new_general, _BOTH * tried, config)
    trials: Sequence[Any] = (dense, docid)
    kept = all(each.new[DECIDING] >= each.old[DECIDING] for each in trials)
    kept = kept and not hurts_hybrid(dense.old, dense.new, config)
    shipped = kept and any(each.passed for each in trials)
    done = "shipped" if shipped else "not shipped"
    return {
        "shipped": shipped,
        "sentence": (
            f"Trained docids and query encoder are {done}: dense is {dense.reason}; docid is {docid.reason}; "
            f"the hybrid has {dense.old[HYBRID]:.3f} before and {dense.new[HYBRID]:.3f} after."
        ),
        "dense": dense._asdict(),
        "docid": docid._asdict(),
    }
