"""Whitening: the matrix, the layer in a model, the decision, and the stage from a recipe to a bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from finetune import Recipe, finetune
from finetune.gate import GateConfig
from finetune.recipe import changed
from finetune.whitening import WhitenConfig
from finetune.whitening.decide import decide_whitening
from finetune.whitening.layer import through, whitened, whitening_matrix
from hybridret import HybridRetriever
from hybridret.data.readers import read_corpus
from hybridret.errors import InputError
from hybridret.hybrid import HybridIndex
from hybridret.models import load_model
from hybridret.types import Document


def spread(n: int = 2000) -> Any:
    """Vectors whose variances fall from 4 to 1/4 along random axes, and those axes."""
    generator = np.random.default_rng(1)
    axes, _ = np.linalg.qr(generator.normal(size=(8, 8)))
    deviations = np.geomspace(2.0, 0.5, 8)
    return (generator.normal(size=(n, 8)) * deviations @ axes.T).astype(np.float32), axes, deviations


def test_full_strength_makes_all_directions_alike_and_half_takes_the_root() -> None:
    vectors, axes, deviations = spread(200_000)
    whole = vectors @ whitening_matrix(vectors, 1.0)
    np.testing.assert_allclose(np.cov(whole.T) / np.cov(whole.T)[0, 0], np.eye(8), atol=0.02)
    half = whitening_matrix(vectors, 0.5)
    wanted = deviations**-0.5
    np.testing.assert_allclose(np.diag(axes.T @ half @ axes), wanted / wanted.mean(), rtol=0.02)
    np.testing.assert_allclose(half, half.T, atol=1e-6)


def test_strength_0_and_equal_documents_change_nothing() -> None:
    vectors, *_ = spread()
    np.testing.assert_allclose(whitening_matrix(vectors, 0.0), np.eye(8), atol=1e-6)
    np.testing.assert_array_equal(whitening_matrix(np.tile(vectors[:1], (5, 1)), 1.0), np.eye(8))
    assert np.isfinite(whitening_matrix(vectors[:3], 1.0)).all(), "fewer documents than dimensions"


@pytest.mark.parametrize("normalised", [True, False])
def test_the_layer_in_a_model_is_the_matrix_on_its_vectors(tiny_model: Path, tmp_path: Path, normalised: bool) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize

    model = load_model(str(tiny_model))
    kept = [module for module in model if not isinstance(module, Normalize)]
    model = SentenceTransformer(modules=[*kept, Normalize()] if normalised else kept, device="cpu")
    texts = ["a red lamp", "the blue road leads home", "nothing at all"]
    vectors = np.asarray(model.encode(texts, normalize_embeddings=True))
    matrix = whitening_matrix(np.random.default_rng(0).normal(size=(50, vectors.shape[1])).astype(np.float32), 0.7)
    layered = whitened(model, matrix)
    layered.save(str(tmp_path / "m"), create_model_card=False)
    for each in (layered, load_model(str(tmp_path / "m"))):
        found = np.asarray(each.encode(texts, normalize_embeddings=True))
        np.testing.assert_allclose(found, through(matrix, vectors), atol=1e-6)
        assert isinstance(each[-1], Normalize) == normalised
    assert torch.equal(next(model.parameters()), next(layered.parameters()))


def test_the_best_strength_that_passes_is_taken() -> None:
    old = np.linspace(0.2, 0.8, 50)
    noise = np.random.default_rng(0).normal(0, 0.05, 50)

    def values(scores: Any) -> Any:
        return {"nDCG@10": np.asarray(scores), "Recall@10": np.asarray(scores)}

    def decided(gains: dict[float, float], general: float = 0.5) -> Any:
        def ask(strength: float) -> Any:
            return values(old + noise + gains[strength]), values([general] * 5)

        return decide_whitening(values(old), values([0.5] * 5), list(gains), ask, GateConfig())

    assert decided({0.2: 0.04, 0.4: 0.06, 0.6: 0.05}).strength == 0.4
    assert decided({0.2: -0.1, 0.4: 0.0}).strength == 0.0
    assert decided({0.2: 0.1}, general=0.4).strength == 0.0, "general questions were forgotten"
    assert decided({0.2: 0.05}).sentence().startswith("Its vectors are whitened by 0.2: better on held-out")
    assert "are not whitened (0.2: no better" in decided({0.2: -0.1}).sentence()
    single, several = decided({0.2: 0.02}), decided({0.2: 0.02, 0.4: 0.0})
    assert several.trials[0.2].p == pytest.approx(min(1.0, 2 * single.trials[0.2].p)), "Bonferroni"


def run(domain: Any, model: Path, output: Path, **more: Any) -> dict[str, Any]:
    """A run whose gate lets everything pass that is better by any amount."""
    settings = {
        **domain.settings,
        "dense": {**domain.settings["dense"], "max_steps": 2, "ance_every": 0, "negatives": 0},
        "gate": {**domain.settings["gate"], "significance": 1.0, "at_least": 2, "at_most": 20},
        **more,
    }
    documents = read_corpus(str(domain.folder))
    return dict(finetune(documents, output, model=str(model), recipe=changed(Recipe(), settings, "here"), resume=True))


def test_a_whitened_model_is_in_the_bundle(domain: Any, tiny_model: Path, tmp_path: Path) -> None:
    report = run(domain, tiny_model, tmp_path / "b", whiten={"strengths": [0.6, 1.0]})
    decision = report["whitening"]
    assert [each["strength"] for each in decision["trials"]] == [0.3, 0.5], "gate.unproven of them"
    assert decision["strength"]
    taken = next(each for each in decision["trials"] if each["strength"] == decision["strength"])
    assert report["gain"]["nDCG@10"]["after"] == taken["new"]["nDCG@10"]
    index = HybridIndex.open(tmp_path / "b")
    matrix = np.load(tmp_path / "b.work" / "whiten" / "whitening.npy")
    layered = load_model(str(tmp_path / "b" / "dense"))
    assert [type(module).__name__ for module in layered][-2:] == ["Dense", "Normalize"]
    np.testing.assert_allclose(layered[-2].linear.weight.detach().numpy(), matrix, atol=1e-7)
    document = read_corpus(str(domain.folder))[0]
    assert index.search([document.text], retrievers=("dense",))[0][0].score == pytest.approx(1.0, abs=0.01)
    index.add([Document("new", "a violet ship far away", {})])
    assert HybridRetriever.load(tmp_path / "b").invoke("violet ship far away")

    again = run(domain, tiny_model, tmp_path / "b", whiten={"strengths": [0.6, 1.0]})
    assert again["stages"]["whiten"]["skipped"]
    assert again["stages"]["index"]["skipped"]
    without = run(domain, tiny_model, tmp_path / "b", whiten={"strengths": []})
    assert without["whitening"] is None
    assert without["stages"]["gate"]["skipped"]
    assert not without["stages"]["index"]["skipped"]
    modules = json.loads((tmp_path / "b" / "dense" / "modules.json").read_text())
    assert not [each for each in modules if each["type"].endswith("Dense")]


def test_docids_are_trained_on_top(domain: Any, tiny_model: Path, tmp_path: Path) -> None:
    docid = {"share": 0.5, "max_steps": 5, "levels": 3, "codes": 16, "batch_size": 8, "precision": "fp32"}
    report = run(domain, tiny_model, tmp_path / "b", whiten={"strengths": [1.0]}, docid=docid)
    assert report["whitening"]["strength"] == 0.5
    assert report["docid"]["decision"]["dense"]["old"]["nDCG@10"] == report["gain"]["nDCG@10"]["after"]
    queries = load_model(str(tmp_path / "b.work" / "docid" / "model"))
    assert "Dense" in [type(module).__name__ for module in queries]


@pytest.mark.parametrize("strength", [0.0, -0.5, 1.5])
def test_a_strength_that_is_none(strength: float) -> None:
    with pytest.raises(InputError, match=r"whiten\.strengths must lie above 0 and be at most 1"):
        WhitenConfig((strength,))
