"""Tiny models are trained by the transformers Trainer until they know a toy corpus by heart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hybridret.docids import SchemeName, fit_scheme
from hybridret.generative import BackboneRetriever
from hybridret.types import Document, FloatArray, Queries

NAMES = [
    "cat",
    "dog",
    "fish",
    "bird",
    "cow",
    "bee",
    "ant",
    "owl",
    "fox",
    "hen",
    "pig",
    "rat",
    "bat",
    "elk",
    "cod",
    "jay",
]
DOCUMENTS = [Document(f"d{at}", f"{name} {at}", {"title": name}) for at, name in enumerate(NAMES)]
VECTORS: FloatArray = np.random.default_rng(0).normal(size=(len(NAMES), 8)).astype(np.float32)


def memorisation_rate(retriever: BackboneRetriever) -> float:
    """The share of documents that their own text finds first."""
    texts = [document.text for document in DOCUMENTS]
    runs = retriever.search(Queries(texts, VECTORS), 1, None, np.arange(len(texts)))
    return float(np.mean([run.rows[0] == row for row, run in enumerate(runs)]))


def train(retriever: BackboneRetriever, folder: Path, n_steps: int, rate: float) -> None:
    from transformers import Trainer, TrainingArguments

    backbone = retriever.backbone

    class BackboneTrainer(Trainer):
        def compute_loss(self, model: Any, inputs: dict[str, Any], **_: Any) -> Any:
            return backbone.loss(inputs["texts"], inputs["docids"].cpu().numpy())

    def collate(rows: list[int]) -> dict[str, Any]:
        import torch

        return {"texts": [DOCUMENTS[row].text for row in rows], "docids": torch.as_tensor(retriever.docids[rows])}

    settings = TrainingArguments(
        output_dir=str(folder),
        max_steps=n_steps,
        per_device_train_batch_size=len(DOCUMENTS),
        learning_rate=rate,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        remove_unused_columns=False,
        use_cpu=True,
        seed=0,
    )
    BackboneTrainer(
        backbone.model,
        settings,
        data_collator=collate,
        train_dataset=list(range(len(DOCUMENTS))),  # type: ignore[arg-type]
    ).train()


@pytest.mark.parametrize(
    ("shape_of_one", "scheme_name", "rank"),
    [("t5", "rq", 0), ("llama", "rq", 0), ("t5", "path", 0), ("llama", "atomic", 0), ("llama", "hierarchical", 8)],
)
def test_a_toy_corpus_is_memorised_to_the_last_document(
    make_backbone: Callable[..., Any], shape_of_one: str, scheme_name: SchemeName, rank: int, tmp_path: Path
) -> None:
    tokenizer = make_backbone(shape_of_one, None).tokenizer
    scheme = fit_scheme(scheme_name, VECTORS, DOCUMENTS, 0, n_levels=5, n_codes=4, tokenizer=tokenizer)
    backbone = make_backbone(shape_of_one, scheme.level_sizes)
    if rank:
        backbone = backbone.with_lora(rank)
    retriever = BackboneRetriever.of_scheme(scheme, backbone, VECTORS, DOCUMENTS)
    assert (retriever.suffixes == -1).all()
    assert memorisation_rate(retriever) < 0.5
    train(retriever, tmp_path, n_steps=80, rate=0.01)
    assert memorisation_rate(retriever) == 1.0
