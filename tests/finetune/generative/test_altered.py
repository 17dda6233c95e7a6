"""Documents without the words of the questions lifted out of them, in docid training and in what decides on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from finetune.gate.exam import Exam, measure_vectors
from finetune.generative.altered import Altered, alter_documents
from finetune.generative.decide import measure_docids
from finetune.generative.model import DocidModel
from finetune.generative.rows import question_rows
from finetune.types import Question
from hybridret.dense import TransformerEncoder
from hybridret.docids import ResidualQuantizer
from hybridret.generative import CodeDecoder
from hybridret.generative.code_decoder import SCALE
from hybridret.types import Document, FloatArray
from tests.finetune.words import WORDS


def unit(vectors: FloatArray) -> FloatArray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_untrained_docids_find_altered_documents_as_well_as_their_vectors_do() -> None:
    generator = np.random.default_rng(0)
    whole = unit(generator.standard_normal((400, 64)))
    asked = np.arange(0, 400, 2)
    queries = unit(whole[asked] + 0.2 * generator.standard_normal((200, 64)))
    known = whole.copy()
    known[asked] = unit(whole[asked] - 0.3 * queries)
    documents = [Document(f"d{at}", f"text {at}", {}) for at in range(400)]
    exam = Exam(
        "exam",
        documents,
        {f"q{at}": f"question {at}" for at in asked},
        {f"q{at}": {f"d{at}": 1} for at in asked},
        frozenset(f"d{at}" for at in asked),
    )
    quantizer = ResidualQuantizer.fit(whole, 24, 256, 0)
    untrained = CodeDecoder(quantizer.codebooks)
    dense = measure_vectors(exam, queries, known)["nDCG@10"].mean()
    docid = measure_docids(known, queries, quantizer, untrained, exam)["nDCG@10"].mean()
    leaking = measure_docids(known, queries, quantizer, untrained, exam._replace(altered=frozenset()))["nDCG@10"].mean()
    assert abs(docid - dense) <= 0.01
    assert leaking > dense + 0.1


def test_a_lifted_question_is_compared_with_its_document_without_its_words(tiny_encoder: TransformerEncoder) -> None:
    documents = [Document(word, f"The {word} has number {at}.", {}) for at, word in enumerate(WORDS[:8])]
    questions = [
        Question(f"lifted {word}", word, (word,), source="sentences", positive_text=f"The thing has number {at}.")
        for at, word in enumerate(WORDS[:4])
    ] + [Question("given", WORDS[5], (WORDS[5],))]
    vectors = tiny_encoder.encode_documents([document.text for document in documents])
    shorter = tiny_encoder.encode_documents([each.positive_text or "" for each in questions[:4]])
    altered = Altered({each.query_id: at for at, each in enumerate(questions[:4])}, shorter)
    alterations = altered.alterations(questions, documents, vectors)
    rows = question_rows(questions, documents, None, alterations.places)
    exact = ResidualQuantizer(vectors[None])  # a code for each document: its docid is its vector
    model = DocidModel(tiny_encoder.query_model(), CodeDecoder(exact.codebooks), exact.encode(vectors), alterations)
    queries = torch.from_numpy(tiny_encoder.encode_queries([row.text for row in rows]))
    everything = np.arange(8)
    turned = model.altered(queries, rows, everything)
    scores = (model.document_scores(queries, torch.from_numpy(everything)) + model.mean_scale * turned).detach().numpy()
    lacking = vectors.copy()
    lacking[:4] = shorter
    np.testing.assert_allclose(scores[:4], SCALE * queries[:4].numpy() @ lacking.T, atol=1e-3)
    np.testing.assert_allclose(scores[4], SCALE * queries[4].numpy() @ vectors.T, atol=1e-3)


def test_what_other_documents_lack_is_drawn_and_its_own_is_not(tiny_encoder: TransformerEncoder) -> None:
    documents = [Document("a", "one two", {}), Document("b", "three four", {})]
    texts = {"a0": "two", "a1": "one", "b0": "four", "b1": "three"}
    questions = [Question(name, text, (name[0],), source="s", positive_text=text) for name, text in texts.items()]
    vectors = tiny_encoder.encode_documents([document.text for document in documents])
    shorter = tiny_encoder.encode_documents(list(texts.values()))
    altered = Altered({name: at for at, name in enumerate(texts)}, shorter)
    alterations = altered.alterations(questions, documents, vectors)
    rows = question_rows(questions, documents, None, alterations.places)
    codes = np.zeros((2, 1), dtype=np.uint8)
    model = DocidModel(tiny_encoder.query_model(), CodeDecoder(vectors[None, :1]), codes, alterations)
    queries = torch.from_numpy(tiny_encoder.encode_queries([row.text for row in rows]))
    changes = queries.numpy() @ (shorter - vectors[[0, 0, 1, 1]]).T
    drawn = set()
    for seed in range(20):
        turned = model.altered(queries, rows, np.arange(2), np.random.default_rng(seed)).numpy()
        np.testing.assert_allclose(turned[np.arange(4), [0, 0, 1, 1]], np.diag(changes), atol=1e-5)
        drawn.add(min((2, 3), key=lambda at: abs(turned[0, 1] - changes[0, at])))
    assert drawn == {2, 3}


def test_as_many_documents_are_altered_as_there_is_time_for_and_a_run_goes_on_with_the_same(
    tiny_encoder: TransformerEncoder, tmp_path: Path
) -> None:
    lifted = [Question(f"s{at}", f"text {at}", ("d",), source="s", positive_text=f"rest {at}") for at in range(300)]
    given = Question("q", "where", ("d",))
    usable, altered = alter_documents([*lifted, given], tiny_encoder, tmp_path, 0.0)
    assert [each.query_id for each in usable] == [*(f"s{at}" for at in range(256)), "q"]
    assert altered.vectors.shape == (256, tiny_encoder.encode_queries(["a"]).shape[1])
    again, stored = alter_documents([*lifted, given], tiny_encoder, tmp_path, float("inf"))
    assert again == usable
    assert dict(stored.places) == dict(altered.places)
    everything, _ = alter_documents([*lifted, given], tiny_encoder, tmp_path / "other", float("inf"))
    assert everything == [*lifted, given]
