"""ANCE: what is mined in mid-training is what a brute-force search with the weights of that moment finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import TrainerCallback

from finetune.dense.config import DenseConfig
from finetune.dense.train import train_dense
from finetune.negatives.ance import AnceRefresh
from finetune.negatives.config import NegativesConfig
from finetune.types import Question
from hybridret.prompts import Prompts
from hybridret.types import Document


def test_mined_negatives_equal_brute_force_with_the_weights_of_the_moment(
    load_tiny: Callable[..., Any], corpus: list[Document], questions: list[Question], small: DenseConfig, tmp_path: Path
) -> None:
    mining = NegativesConfig(sources={"dense": 1.0}, count=3, relative_margin=None)
    texts, asked = [document.text for document in corpus], [question.text for question in questions]
    compared: list[int] = []

    class Checked(AnceRefresh):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            before = [rows.tolist() for rows in self._table.negatives]
            super().on_step_end(args, state, control, **kwargs)
            after = [rows.tolist() for rows in self._table.negatives]
            if state.global_step % 4 or state.global_step == state.max_steps:
                assert before == after
                return
            fresh = load_tiny()
            fresh.load_state_dict(self._model.state_dict())
            documents = fresh.encode([f"D: {text}" for text in texts], normalize_embeddings=True)
            queries = fresh.encode([f"Q: {text}" for text in asked], normalize_embeddings=True)
            for at, found in enumerate(after):
                scores = [float(np.dot(queries[at], vector)) for vector in documents]
                scores[at] = -np.inf
                best = sorted(range(len(texts)), key=lambda row: -scores[row])[:3]
                assert [scores[row] for row in found] == pytest.approx([scores[row] for row in best], abs=1e-5)
            compared.append(state.global_step)

    def refresher(table: Any, model: Any) -> TrainerCallback:
        return Checked(table, model, corpus, Prompts("Q: ", "D: "), mining, 4, 0, "fp32")

    config = replace(small, ance_every=4)
    trained = train_dense(
        load_tiny(), corpus, questions, config, tmp_path, prompts=Prompts("Q: ", "D: "), seconds=60, seed=0,
        refresher=refresher,
    )  # fmt: skip
    assert compared == [4, 8]
    facts = [entry for entry in trained.history if "ance_changed" in entry]
    assert [entry["step"] for entry in facts] == [4, 8]
    assert facts[0]["ance_changed"] == 1.0, "there were none before"
    assert 0 < facts[1]["ance_changed"] < 1
    assert all(0 <= entry["ance_false"] <= 1 and -1 <= entry["ance_similarity"] <= 1 for entry in facts)
