"""Ablation of contrastive training on one collection: equal time, several seeds, measured on dev questions.

``python -m benchmarks.ablation_dense NAME [--seconds 75] [--seeds 3]``. Every variant starts from the same model and
trains on the same questions; the teacher is a cross-encoder trained here, on other questions.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import write_result
from benchmarks.significance import t_test
from finetune.dense.config import DenseConfig
from finetune.dense.train import train_dense
from finetune.formats import read_questions
from finetune.gate.exam import Exam, measure
from finetune.labelling import Labels, soft_labels
from finetune.negatives import Pool, mine_negatives
from finetune.negatives.ance import AnceRefresh
from finetune.negatives.config import NegativesConfig
from finetune.teachers.config import LabelsConfig
from finetune.types import Question
from hybridret.data.dataset import read_dataset
from hybridret.data.readers import find_source, read_corpus
from hybridret.dense.encoder import TransformerEncoder
from hybridret.models import DEFAULT_MODEL, load_model
from hybridret.prompts import Prompts
from hybridret.types import Document

TRAINED_ON, ASKED, TAUGHT, TAUGHT_NEGATIVES, SEED = 2000, 500, 500, 3, 0
NO_PROMPTS = Prompts("", "")
MINING = NegativesConfig(sources={"bm25": 1.0}, count=8)
BASE = DenseConfig(learning_rate=1e-4, batch_size=32)
BASELINE = "in-batch negatives only"
VARIANTS = {
    BASELINE: BASE,
    "1 bm25 negative": replace(BASE, negatives=1),
    "4 bm25 negatives": replace(BASE, negatives=4),
    "8 bm25 negatives": replace(BASE, negatives=8),
    "1 negative, ANCE every 10 steps": replace(BASE, negatives=1, ance_every=10),
    "4 negatives, soft labels (KL)": replace(BASE, negatives=4, distillation="kl"),
    "4 negatives, soft labels (stabilised)": replace(BASE, negatives=4, distillation="stabilised"),
    "batch of 128": replace(BASE, batch_size=128),
}


@dataclass(frozen=True)
class Setting:
    """What all variants share."""

    documents: Sequence[Document]
    questions: Sequence[Question]
    negatives: Mapping[str, list[str]]
    labels: Labels
    exam: Exam


def main() -> None:
    """Trains every variant with every seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="a collection with train and dev splits")
    parser.add_argument("--seconds", type=float, default=75.0, help="time for the training of one variant")
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        setting = _setting(arguments.name, Path(folder))
        untrained = measure(_encoder(load_model(DEFAULT_MODEL)), setting.exam)["nDCG@10"]
        values: dict[str, list[Any]] = {name: [] for name in VARIANTS}
        steps: dict[str, list[int]] = {name: [] for name in VARIANTS}
        for seed in range(arguments.seeds):
            for name, config in VARIANTS.items():
                measured, taken = _trained(setting, config, arguments.seconds, seed)
                values[name].append(measured)
                steps[name].append(taken)
                print(f"seed {seed}, {name}: {measured.mean():.4f} after {taken} steps", flush=True)
    baseline = np.mean(values[BASELINE], axis=0)
    rows = {}
    for name, runs in values.items():
        mean = np.mean(runs, axis=0)
        rows[name] = {
            "nDCG@10": float(mean.mean()),
            "by seed": [round(float(run.mean()), 4) for run in runs],
            "steps": steps[name],
            "p": t_test(mean, baseline),
        }
    result = {"collection": arguments.name, "seconds": arguments.seconds, "untrained": float(untrained.mean())}
    write_result("ablation_dense", {**result, "questions": len(baseline), "variants": rows})


def _setting(name: str, folder: Path) -> Setting:
    source = find_source(name)
    documents = read_corpus(source)
    known = {document.doc_id for document in documents}
    generator = np.random.default_rng(SEED)
    labelled = read_questions(source, documents=documents).questions
    drawn = [labelled[at] for at in generator.permutation(len(labelled))[: TRAINED_ON + TAUGHT]]
    questions, taught = drawn[:TRAINED_ON], drawn[TRAINED_ON:]
    negatives = _mined(documents, drawn)
    teacher = _teacher(documents, taught, negatives, folder / "teacher")
    nearest = {question.query_id: negatives[question.query_id][:4] for question in questions}
    labels = soft_labels(
        questions, documents, nearest, LabelsConfig(teacher="cross-encoder", model=str(teacher)), folder
    )
    dev = read_dataset(source, "dev", known)
    asked = sorted(dev.queries)
    asked = [asked[at] for at in generator.permutation(len(asked))[:ASKED]]
    exam = Exam("dev", documents, {query: dev.queries[query] for query in asked}, {q: dev.qrels[q] for q in asked})
    return Setting(documents, questions, negatives, labels, exam)


def _mined(documents: Sequence[Document], questions: Sequence[Question]) -> dict[str, list[str]]:
    encoder = _encoder(load_model(DEFAULT_MODEL))
    vectors = encoder.encode_documents([document.text for document in documents])
    pool = Pool(documents, questions, vectors, encoder.encode_queries([question.text for question in questions]))
    return {
        question.query_id: [documents[row].doc_id for row in each.rows.tolist()]
        for question, each in zip(questions, mine_negatives(pool, MINING, SEED), strict=True)
    }


def _teacher(
    documents: Sequence[Document], questions: Sequence[Question], negatives: Mapping[str, list[str]], folder: Path
) -> Path:
    """A cross-encoder that tells answers from bm25's negatives."""
    from datasets import Dataset
    from sentence_transformers.cross_encoder import (
        CrossEncoder,
        CrossEncoderTrainer,
        CrossEncoderTrainingArguments,
    )
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

    texts = {document.doc_id: document.text for document in documents}
    rows: dict[str, list[Any]] = {"question": [], "document": [], "label": []}
    for question in questions:
        for at, name in enumerate([question.positives[0], *negatives[question.query_id][:TAUGHT_NEGATIVES]]):
            rows["question"].append(question.text)
            rows["document"].append(texts[name])
            rows["label"].append(float(at == 0))
    base = folder / "base"
    first: Any = load_model(DEFAULT_MODEL)[0]
    first.auto_model.save_pretrained(base)
    first.tokenizer.save_pretrained(base)
    model = CrossEncoder(str(base), num_labels=1, device="cpu")
    arguments = CrossEncoderTrainingArguments(
        output_dir=str(folder / "run"),
        num_train_epochs=1,
        per_device_train_batch_size=16,
        learning_rate=1e-4,
        warmup_steps=20,
        seed=SEED,
        bf16=True,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
    )
    CrossEncoderTrainer(model, arguments, Dataset.from_dict(rows), loss=BinaryCrossEntropyLoss(model)).train()
    model.save_pretrained(str(folder / "model"))
    return folder / "model"


def _trained(setting: Setting, config: DenseConfig, seconds: float, seed: int) -> tuple[Any, int]:
    model = load_model(DEFAULT_MODEL)

    def refresher(table: Any, trained: Any) -> Any:
        mining = replace(MINING, sources={"dense": 1.0})
        return AnceRefresh(table, trained, setting.documents, NO_PROMPTS, mining, config.ance_every, seed)

    with tempfile.TemporaryDirectory() as folder:
        trained = train_dense(
            model,
            setting.documents,
            setting.questions,
            config,
            Path(folder),
            prompts=NO_PROMPTS,
            seconds=seconds,
            seed=seed,
            negatives=setting.negatives if config.negatives else None,
            teacher=setting.labels if config.distillation else None,
            refresher=refresher,
        )
    return measure(_encoder(model), setting.exam)["nDCG@10"], trained.steps


def _encoder(model: Any) -> TransformerEncoder:
    return TransformerEncoder(model, DEFAULT_MODEL, NO_PROMPTS)


if __name__ == "__main__":
    main()
