"""The stage of a recipe that trains a language model to write docids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import load_file, save_file

from finetune.gate import Exam, measure
from finetune.gate.decide import DECIDING, Trial, trial
from finetune.generative.backbone_train import train_backbone
from finetune.generative.config import DocidConfig
from finetune.generative.decide import measure_docids, measure_written
from finetune.generative.rows import Row, question_rows, sentence_rows
from finetune.labelling import Labels
from finetune.splitting import held_out_exam, in_words
from hybridret.docids import (
    AtomicIds,
    DocidScheme,
    ResidualQuantizer,
    assign_suffixes,
    fit_scheme,
    load_scheme,
    usage,
)
from hybridret.generative import (
    BackboneDocids,
    CodeDecoder,
    LanguageModelBackbone,
    LazyBackbone,
    backbone_kind,
    load_backbone,
)
from hybridret.types import Document, Encoder, FloatArray, IntArray, Progress

if TYPE_CHECKING:
    from finetune.stages import Run as FineTuning

_SCHEME, _BACKBONE = "scheme.safetensors", "backbone"


def train_and_decide(run: FineTuning, folder: Path, seconds: float) -> dict[str, Any]:
    """Fits a scheme to the documents as the index will hold them, trains, and compares.

    Args:
        run: The fine-tuning run, up to its gate.
        folder: Gets the scheme, the backbone, and training's checkpoints.
        seconds: Time for training.

    Returns:
        The facts of training, ``codes`` (how docids use theirs), and ``decision``.
    """
    config, seed = run.recipe.docid, run.recipe.seed
    vectors = run.shipped.encode_documents([document.text for document in run.documents], run.progress)
    scheme, backbone = fit_backbone(config, run.documents, vectors, seed, run.progress)
    docids = scheme.encode(vectors, run.documents)
    owners = owners_of(run.texts, run.documents)
    held_out = [each.text for each in run.split.held_out]
    asked, told = owned(run.split.train, run.texts, owners, held_out, config.told, run.docid_labels)
    facts = train_backbone(backbone, docids, asked, told, config, folder / "training", seconds, seed, run.progress)
    shipped = backbone.merged() if config.lora_rank else backbone
    shipped.save(folder / _BACKBONE)
    save_file(scheme.arrays(), folder / _SCHEME)
    exam = _indexed(held_out_exam(run.texts, run.split.held_out), run.documents, owners)
    docid = BackboneDocids(config.scheme, scheme, LazyBackbone(lambda: shipped)).joined(
        docids, assign_suffixes(docids, docids[:0], docids[:0, 0])
    )
    report = usage(docids, scheme.level_sizes)
    return {
        **facts,
        "codes": {"problems": report.problems, "collided": report.collided, "level_sizes": scheme.level_sizes},
        "decision": compare(docid, vectors, run.shipped, exam, run),
    }


def load_trained(run: FineTuning, folder: Path) -> tuple[Encoder, BackboneDocids]:
    """What the stage left: the shipped encoder as it is, and a docid retriever to fill."""
    name = run.recipe.docid.scheme
    lazy = LazyBackbone(lambda: load_backbone(folder / _BACKBONE))
    return run.shipped, BackboneDocids(name, load_scheme(name, load_file(folder / _SCHEME), lazy), lazy)


def fit_backbone(
    config: DocidConfig, documents: Sequence[Document], vectors: FloatArray, seed: int, progress: Progress | None
) -> tuple[DocidScheme, LanguageModelBackbone]:
    """The scheme of a configuration, and its backbone with the codes as tokens, which start from what they stand for.

    Args:
        config: Settings.
        documents: The corpus.
        vectors: *Shape:* (n_documents, dimension), float32.
        seed: Seed of everything random.
        progress: Told how far the work is.

    Raises:
        ModelError: The backbone cannot be loaded, or lacks a token that is needed.
        InputError: The scheme does not fit the corpus.
    """
    backbone = backbone_kind(config.backbone).from_pretrained(config.backbone, None)
    levels, codes = config.rq_sizes if config.scheme == "rq" else (config.levels, config.codes)
    scheme = fit_scheme(
        config.scheme, vectors, documents, seed, levels, codes, backbone.tokenizer, config.path_fields, None, progress
    )
    if scheme.level_sizes is not None:
        backbone.add_codes(scheme.level_sizes, starting_vectors(scheme), seed)
    return scheme, backbone.with_lora(config.lora_rank, seed) if config.lora_rank else backbone


def starting_vectors(scheme: DocidScheme) -> list[FloatArray] | None:
    """What the tokens of a scheme's codes start from, by level; None where a code stands for nothing by itself."""
    if isinstance(scheme, ResidualQuantizer):
        return list(scheme.codebooks)
    return [scheme.vectors] if isinstance(scheme, AtomicIds) else None


def owners_of(texts: Sequence[Document], documents: Sequence[Document]) -> IntArray:
    """The document of the index that each training text is. *Shape:* (n_texts,), int64."""
    place = {document.doc_id: row for row, document in enumerate(documents)}
    return np.array([place[text.doc_id] for text in texts], dtype=np.int64)


def owned(
    questions: Sequence[Any],
    texts: Sequence[Document],
    owners: IntArray,
    held_out: Sequence[str],
    kinds: Sequence[str],
    labels: Labels | None = None,
) -> tuple[list[Row], list[Row]]:
    """Questions and sentences about training texts, as rows about the index's documents.

    Args:
        questions: What to train on.
        texts: The training texts.
        owners: *Shape:* (n_texts,), int64, whose they are.
        held_out: Questions to compare on: a sentence that became one is not learned by heart.
        kinds: What documents are told by.
        labels: Soft labels by question and training text.
    """
    kept = {in_words(text) for text in held_out}
    asked, told = question_rows(questions, texts, labels), sentence_rows(texts, kinds)
    told = [row for row in told if in_words(row.text) not in kept]
    asked, told = (
        [row._replace(documents=owners[row.documents], judged=owners[row.judged]) for row in rows]
        for rows in (asked, told)
    )
    return asked, told


def _indexed(exam: Exam, documents: Sequence[Document], owners: IntArray) -> Exam:
    """The exam over the index's documents instead of the training texts."""
    of = {text.doc_id: documents[row].doc_id for text, row in zip(exam.documents, owners.tolist(), strict=True)}
    qrels = {
        query: {of[name]: grade for name, grade in grades.items() if name in of} for query, grades in exam.qrels.items()
    }
    return exam._replace(documents=documents, qrels=qrels)


def compare(
    docid: BackboneDocids, vectors: FloatArray, encoder: Encoder, exam: Exam, run: FineTuning
) -> dict[str, Any]:
    """Compares the trained docids, alone, with untrained ones of the code decoder, and with dense.

    They are shipped all the same: they are what was asked for, dense stays as it is, and in the hybrid they have no
    weight but what held-out labels give them.

    Args:
        docid: The trained retriever over the exam's documents.
        vectors: *Shape:* (n_documents, dimension), float32, their vectors.
        encoder: The shipped encoder.
        exam: Held-out questions.
        run: The fine-tuning run.
    """
    queries = encoder.encode_queries(list(exam.queries.values()))
    quantizer = ResidualQuantizer.fit(vectors, *DocidConfig().rq_sizes, run.recipe.seed)
    before = measure_docids(vectors, queries, quantizer, CodeDecoder(quantizer.codebooks), exam)
    found: Trial = trial(1.0, before, measure_written(docid, queries, exam), None, None, 1, run.recipe.gate)
    dense = float(measure(encoder, exam)[DECIDING].mean())
    return {
        "shipped": True,
        "sentence": (
            f"The docids of {run.recipe.docid.backbone} are shipped, as they were asked for; the fusion decides their "
            f"weight. Alone they are, against untrained docids, {found.reason}; dense has {dense:.3f}."
        ),
        "docid": found._asdict(),
        "dense": dense,
    }
