"""Ablation of docid training on one collection: equal steps, several seeds, docids alone, measured on dev questions.

``python -m benchmarks.ablation_docid NAME [--steps 60] [--batch 32] [--variants V...]``. Every variant starts from the
untouched model, has the same labelled questions and trains as many steps on batches of the same size. Where some are
named, these and the baseline are measured, and their rows join those that are there.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import docid_tables
from benchmarks.report.standalone import write_plots
from benchmarks.report.svg import lines
from benchmarks.results import FOLDER, read_result, write_result
from benchmarks.significance import t_test
from finetune.formats import read_questions
from finetune.gate.exam import MEASURES, Exam
from finetune.generative.config import TOLD, DocidConfig
from finetune.generative.decide import measure_docids
from finetune.generative.train import train_docids
from finetune.queries.config import QueriesConfig
from finetune.queries.make import make_questions
from finetune.types import Question
from hybridret.data.dataset import read_dataset
from hybridret.data.readers import find_source, read_corpus
from hybridret.dense.encoder import TransformerEncoder
from hybridret.docids import ResidualQuantizer
from hybridret.generative import CodeDecoder
from hybridret.models import DEFAULT_MODEL, load_model
from hybridret.prompts import Prompts
from hybridret.types import Document, FloatArray

TRAINED_ON, ASKED, MADE_PER_DOCUMENT, SEED = 2000, 500, 4.0, 0
NO_PROMPTS = Prompts("", "")
NAME, BASELINE = "ablation_docid", "interleaved, RQ"
Scheme = Callable[[Sequence[Document], FloatArray, int, Any], ResidualQuantizer]


def _rq(documents: Sequence[Document], vectors: FloatArray, seed: int, tokenizer: Any) -> ResidualQuantizer:
    return ResidualQuantizer.fit(vectors, *DocidConfig().rq_sizes, seed)


@dataclass(frozen=True)
class Variant:
    """What is different: training, docids, or a maker of further questions and the metadata that it weaves in."""

    config: DocidConfig = field(default_factory=DocidConfig)
    scheme: Scheme = _rq
    makers: str = ""
    fields: tuple[str, ...] = ()


VARIANTS = {
    BASELINE: Variant(),
    "without Context2ID": Variant(DocidConfig(sentences=0.0)),
    "sequential": Variant(DocidConfig(interleaved=False)),
    "with sentence-level queries": Variant(makers="sentences"),
    "with metadata-template queries": Variant(makers="templates", fields=("title",)),
    "RPO, own negatives": Variant(DocidConfig(preference=0.25)),
    "RPO, random negatives": Variant(DocidConfig(preference=0.25, preference_random=True)),
    "important documents first": Variant(DocidConfig(order="important")),
    "easy questions first": Variant(DocidConfig(order="easy")),
    "long tail oversampled": Variant(DocidConfig(long_tail=0.5)),
    "dynamic sampling": Variant(DocidConfig(dynamic=2.0)),
    "prefixes as well": Variant(DocidConfig(prefix_weight=1.0)),
    "chunks and summaries as well": Variant(DocidConfig(told=TOLD)),
    "hierarchical ids": Variant(
        scheme=lambda documents, vectors, seed, _: docid_tables.hierarchical(documents, vectors, seed)
    ),
    "atomic ids": Variant(scheme=lambda documents, vectors, *_: docid_tables.atomic(documents, vectors)),
    "keyword ids": Variant(
        scheme=lambda documents, vectors, _, tokenizer: docid_tables.keyword(documents, vectors, tokenizer)
    ),
}


PLOTTED = (
    BASELINE,
    "without Context2ID",
    "sequential",
    "important documents first",
    "easy questions first",
    "long tail oversampled",
    "dynamic sampling",
)


@dataclass(frozen=True)
class Setting:
    """What all variants share."""

    documents: Sequence[Document]
    questions: Sequence[Question]
    exam: Exam


def main() -> None:
    """Trains every variant with every seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="a collection with train and dev splits")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    arguments = parser.parse_args()
    setting = _setting(arguments.name)
    chosen = {name: each for name, each in VARIANTS.items() if name == BASELINE or name in arguments.variants}
    kept = {} if len(chosen) == len(VARIANTS) else read_result(NAME)["result"]["variants"]
    values: dict[str, list[dict[str, Any]]] = {name: [] for name in chosen}
    facts: dict[str, list[dict[str, Any]]] = {name: [] for name in chosen}
    for seed in range(arguments.seeds):
        for name, variant in chosen.items():
            measured, told = _trained(setting, variant, arguments, seed)
            values[name].append(measured)
            facts[name].append(told)
            print(f"seed {seed}, {name}: {measured['after']['nDCG@10'].mean():.4f} {told}", flush=True)
        result = {"collection": arguments.name, "steps": arguments.steps, "batch": arguments.batch, "seeds": seed + 1}
        rows = {**kept, **_rows(values, facts)}
        write_result(NAME, {**result, "questions": ASKED, "variants": rows})
        _draw(rows, FOLDER / f"{NAME}.svg")


def _rows(values: Mapping[str, list[Any]], facts: Mapping[str, list[Any]]) -> dict[str, dict[str, Any]]:
    """Means over seeds, and the paired test of their questions against the baseline's."""
    baseline = np.mean([run["after"]["nDCG@10"] for run in values[BASELINE]], axis=0)
    rows = {}
    for name, runs in values.items():
        mean = np.mean([run["after"]["nDCG@10"] for run in runs], axis=0)
        rows[name] = {
            "untrained": float(np.mean([run["before"]["nDCG@10"].mean() for run in runs])),
            **{shown: float(np.mean([run["after"][shown].mean() for run in runs])) for shown in MEASURES},
            "by seed": [round(float(run["after"]["nDCG@10"].mean()), 4) for run in runs],
            "p": t_test(mean, baseline),
            "seconds": [told["seconds"] for told in facts[name]],
            "memorised": facts[name][0]["memorised"],
            "curve": facts[name][0]["curve"],
        }
    return rows


def _draw(rows: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Running memorisation rates of the first seed over steps, by questions and by sentences."""
    drawings = []
    for at, title in ((1, "questions answered"), (2, "sentences memorised")):
        curves = [
            (name, [(float(point[0]), float(point[at])) for point in rows[name]["curve"] if point[at]])
            for name in PLOTTED
        ]
        drawings.append(lines([each for each in curves if each[1]], "steps", title, f"Running rate of {title} by step"))
    write_plots(drawings, path)


def _setting(name: str) -> Setting:
    source = find_source(name)
    documents = read_corpus(source)
    generator = np.random.default_rng(SEED)
    labelled = read_questions(source, documents=documents).questions
    drawn = [labelled[at] for at in generator.permutation(len(labelled))[:TRAINED_ON]]
    dev = read_dataset(source, "dev", {document.doc_id for document in documents})
    asked = sorted(dev.queries)
    asked = [asked[at] for at in generator.permutation(len(asked))[:ASKED]]
    exam = Exam("dev", documents, {query: dev.queries[query] for query in asked}, {q: dev.qrels[q] for q in asked})
    return Setting(documents, drawn, exam)


def _trained(
    setting: Setting, variant: Variant, arguments: argparse.Namespace, seed: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    model: Any = load_model(DEFAULT_MODEL)
    vectors = _encoder(model).encode_documents([document.text for document in setting.documents])
    quantizer = variant.scheme(setting.documents, vectors, seed, model.tokenizer)
    asked = list(setting.exam.queries.values())
    untrained = CodeDecoder(quantizer.codebooks)
    before = measure_docids(vectors, _encoder(model).encode_queries(asked), quantizer, untrained, setting.exam)
    questions, start = [*setting.questions, *_made(setting, variant, seed)], time.monotonic()
    config = replace(variant.config, max_steps=arguments.steps, batch_size=arguments.batch)
    with tempfile.TemporaryDirectory() as folder:
        trained = train_docids(model, quantizer, setting.documents, vectors, questions, config, Path(folder), seed=seed)
    after = measure_docids(vectors, _encoder(model).encode_queries(asked), quantizer, trained.decoder, setting.exam)
    told = {
        "seconds": round(time.monotonic() - start, 1),
        "memorised": trained.facts["memorised"],
        "curve": [(step, *(round(rate, 3) for rate in rates)) for step, *rates in trained.facts["curve"]],
    }
    return {"before": before, "after": after}, told


def _made(setting: Setting, variant: Variant, seed: int) -> list[Question]:
    if not variant.makers:
        return []
    config = QueriesConfig(makers={variant.makers: 1.0}, per_document=MADE_PER_DOCUMENT, metadata_fields=variant.fields)
    return make_questions(setting.documents, config, seed)


def _encoder(model: Any) -> TransformerEncoder:
    return TransformerEncoder(model, DEFAULT_MODEL, NO_PROMPTS)


if __name__ == "__main__":
    main()
