"""The stage that trains docids, from the command's recipe to a bundle that grows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from finetune import Recipe, finetune
from finetune.formats import read_questions
from finetune.generative.tables import starting_tables
from finetune.recipe import changed
from hybridret import HybridRetriever
from hybridret.data.readers import read_corpus
from hybridret.docids import ResidualQuantizer
from hybridret.hybrid import HybridIndex
from hybridret.types import Document

DOCID = {
    "share": 0.5,
    "max_steps": 60,
    "levels": 3,
    "codes": 16,
    "batch_size": 8,
    "learning_rate": 1e-3,
    "precision": "fp32",
}


def run(
    domain: Any, model: Path, output: Path, resume: bool = False, gate: Any = None, labelled: bool = True, **docid: Any
) -> dict[str, Any]:
    documents = read_corpus(str(domain.folder))
    settings = {
        **domain.settings,
        "gate": {
            **domain.settings["gate"],
            "significance": 1.0,
            "hybrid_drop": None,
            "at_least": 10,
            "at_most": 20,
            **(gate or {}),
        },
        "docid": {**DOCID, **docid},
    }
    report = finetune(
        documents,
        output,
        questions=read_questions(domain.folder, documents=documents).questions if labelled else [],
        model=str(model),
        recipe=changed(Recipe(), settings, "here"),
        resume=resume,
    )
    return dict(report)


def test_a_bundle_has_what_was_trained(domain: Any, tiny_model: Path, tmp_path: Path) -> None:
    report = run(domain, tiny_model, tmp_path / "b")
    decision = report["docid"]["decision"]
    assert decision["docid"]["new"]["nDCG@10"] > decision["docid"]["old"]["nDCG@10"]
    assert decision["shipped"]
    assert decision["sentence"].startswith("Trained docids and query encoder are shipped: dense is ")
    assert decision["share"] in {1.0, 0.5}
    shares = {each["ratio"]: each["nDCG@10"] for each in report["decision"]["shares"]}
    assert list(shares)[:2] == [1.0, 0.5]
    assert report["decision"]["trials"][0]["ratio"] == max(shares, key=lambda share: shares[share])
    index = HybridIndex.open(tmp_path / "b")
    assert index.info()["docid"]["trained"]
    assert index.config.docid_levels == 3
    assert index.search(["where is the lamp of hall 0"], retrievers=("docid",))[0]
    index.add([Document("new", "the violet ship stands in hall 99", {})])
    assert "new" in {hit.doc_id for hit in index.search(["violet ship"], k=41, retrievers=("docid",))[0]}
    assert HybridRetriever.load(tmp_path / "b").invoke("where is the road of hall 1")

    again = run(domain, tiny_model, tmp_path / "b", resume=True)
    assert again["stages"]["docid"]["skipped"]
    assert again["stages"]["index"]["skipped"]


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_what_is_no_better_is_not_shipped(domain: Any, tiny_model: Path, tmp_path: Path, share: float) -> None:
    report = run(domain, tiny_model, tmp_path / "b", share=share, max_steps=1, learning_rate=0.5)
    if share:
        assert not report["docid"]["decision"]["shipped"]
    else:
        assert report["docid"] is None
    assert not HybridIndex.open(tmp_path / "b").info()["docid"]["trained"]


def test_made_questions_let_a_merge_pass_at_most(domain: Any, tiny_model: Path, tmp_path: Path) -> None:
    found = []
    for unproven in (1.0, 0.25):
        output = tmp_path / f"b{unproven}"
        gate = {"unproven": unproven, "significance": 1e-12}
        report = run(domain, tiny_model, output, gate=gate, labelled=False, max_steps=10, table_learning_rate=1e-2)
        assert report["questions"]["kind"] == "made"
        assert report["decision"]["shares"] == []
        assert report["docid"]["decision"]["share"] == unproven
        assert report["decision"]["shipped"] == "base"
        found.append(load_file(output.with_name(f"{output.name}.work") / "docid" / "docids.safetensors"))
    whole, part = found
    vectors = HybridIndex.open(output)._changes.generation.dense.vectors
    start = starting_tables(ResidualQuantizer(whole["codebooks"]), vectors)
    assert np.abs(whole["tables"] - start).max() > 1e-3
    np.testing.assert_allclose(part["tables"], start + 0.25 * (whole["tables"] - start), atol=1e-5)
    np.testing.assert_array_equal(part["codebooks"], whole["codebooks"])
