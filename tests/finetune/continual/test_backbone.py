"""A bundle whose docids a tiny language model writes goes on learning."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from finetune import Recipe, continue_training
from finetune.continual.backbone_trainer import ContinualBackboneTrainer, backbone_fisher
from finetune.continual.losses import token_distillation
from finetune.gate.merge import merge_into
from finetune.generative.backbone_stage import fit_backbone
from finetune.generative.backbone_train import train_backbone
from finetune.generative.config import DocidConfig
from finetune.generative.rows import question_rows, sentence_rows
from hybridret.check import check_bundle
from hybridret.dense import TransformerEncoder
from hybridret.errors import ModelError
from hybridret.generative import BackboneDocids, BackboneRetriever, LazyBackbone, load_backbone
from hybridret.hybrid import HybridIndex
from hybridret.types import FloatArray, Queries
from tests.finetune.continual.test_update import ANYTHING, fingerprint, right

DOCID: dict[str, Any] = {"levels": 4, "codes": 6, "batch_size": 12, "sentences": 0.5, "precision": "fp32"}
Make = Callable[..., Path]


@pytest.fixture
def make_written(
    tiny_encoder: TransformerEncoder, language_model_folder: Callable[[str], Path], things: Any, tmp_path: Path
) -> Make:
    """Builds a bundle of the old things, whose docids a model of some shape has learned in so many steps."""

    def make(name: str = "b", shape: str = "t5", steps: int = 1) -> Path:
        documents = things.documents(things.old)
        vectors = tiny_encoder.encode_documents([document.text for document in documents])
        model = str(language_model_folder(shape))
        config = DocidConfig(**DOCID, backbone=model, max_steps=steps, backbone_rate=1e-2)
        fitted, backbone = fit_backbone(config, documents, vectors, 0, None)
        asked, told = question_rows(things.questions(things.old), documents), sentence_rows(documents)
        train_backbone(backbone, fitted.encode(vectors, documents), asked, told, config, tmp_path / f"{name}.first")
        docid = BackboneDocids(config.scheme, fitted, LazyBackbone(lambda: backbone))
        HybridIndex.build(documents, tiny_encoder, path=tmp_path / name, docid=docid)
        return tmp_path / name

    return make


def go_on(bundle: Path, things: Any, recipe: Recipe, labelled: bool = True, resume: bool = False) -> dict[str, Any]:
    questions = things.questions([*things.old, *things.new]) if labelled else []
    documents = things.documents(things.new)
    return dict(continue_training(bundle, documents, questions=questions, recipe=recipe, resume=resume))


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["t5", "llama"])
def test_the_language_model_learns_new_documents_and_keeps_the_old_ones(
    make_written: Make, recipe: Callable[..., Recipe], things: Any, shape: str
) -> None:
    bundle = make_written(shape=shape, steps=150)
    naive = bundle.with_name("naive")
    HybridIndex.open(bundle).save(naive)
    reader, before = HybridIndex.open(bundle), fingerprint(bundle)
    held = {"replay": 0.4, "backbone_rate": 5e-3, "ewc": 0.01}
    report = go_on(bundle, things, recipe(continual=ANYTHING | held, docid={**DOCID, "max_steps": 150}))
    assert report["ratio"] == 1.0
    assert report["questions"]["new"] == {"train": 18 + 12, "held_out": 6, "kind": "labelled"}
    assert right(bundle, things, things.new) > 0.3, "of which one in eighteen would be right by chance"
    free = ANYTHING | held | {"replay": 0.0, "ewc": 0.0, "distillation": 0.0}
    go_on(naive, things, recipe(continual=free, docid={**DOCID, "max_steps": 150}))
    assert right(bundle, things, things.old) > right(naive, things, things.old) + 0.2
    row = report["updates"][0]
    assert all(was == now for side in ("old", "new") for was, now in row[side]["dense"].values())
    assert check_bundle(bundle).faults == []
    after = fingerprint(bundle)
    kept = [name for name in before if name.startswith("dense/")]
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    texts = [document.text for document in things.documents(things.new)]
    reader.refresh()
    assert reader.search(texts, 18) == HybridIndex.open(bundle).search(texts, 18), "an open reader follows"


@pytest.mark.parametrize("rank", [0, 2])
def test_two_runs_agree_and_an_interrupted_one_ends_alike(
    make_written: Make, recipe: Callable[..., Recipe], things: Any, monkeypatch: pytest.MonkeyPatch, rank: int
) -> None:
    settings = recipe(continual={"lora_rank": rank, **ANYTHING}, docid={**DOCID, "max_steps": 6})
    compute, found = ContinualBackboneTrainer.compute_loss, []

    def stopping(trainer: Any, *args: Any, **kwargs: Any) -> Any:
        if trainer.state.global_step == 4:
            raise KeyboardInterrupt
        return compute(trainer, *args, **kwargs)

    for name in ("one", "other", "stopped"):
        bundle = make_written(name)
        if name == "stopped":
            with monkeypatch.context() as patch:
                patch.setattr(ContinualBackboneTrainer, "compute_loss", stopping)
                with pytest.raises(KeyboardInterrupt):
                    go_on(bundle, things, settings)
        go_on(bundle, things, settings, resume=name == "stopped")
        found.append({name: own for name, own in fingerprint(bundle).items() if name.startswith("backbone/")})
        adapter = bundle.with_name(f"{name}.update") / "training" / "training" / "adapter"
        assert adapter.is_dir() == bool(rank)
    assert found[0] == found[1] == found[2]


def test_half_of_the_new_weights_are_shipped_without_labels(
    make_written: Make, recipe: Callable[..., Recipe], things: Any
) -> None:
    bundle = make_written()
    before = load_backbone(bundle / "backbone").model.state_dict()
    report = go_on(bundle, things, recipe(continual=ANYTHING, docid={**DOCID, "max_steps": 3}), labelled=False)
    assert report["ratio"] == 0.5
    trained = load_backbone(bundle.with_name("b.update") / "training" / "backbone").model.state_dict()
    after = load_backbone(bundle / "backbone").model.state_dict()
    for name, value in after.items():
        torch.testing.assert_close(value, (before[name] + trained[name]) / 2, rtol=0, atol=1e-6)
    assert any(not torch.equal(trained[name], before[name]) for name in after)


def test_old_questions_hold_the_weights(make_written: Make, recipe: Callable[..., Recipe], things: Any) -> None:
    """The farther the weights are from the old ones, by what old questions make of them, the dearer."""
    moved = {}
    for ewc in (0.0, 1e5):
        bundle = make_written(f"b{ewc:g}")
        before = dict(load_backbone(bundle / "backbone").model.named_parameters())
        settings = {"ewc": ewc, "distillation": 0.0, "backbone_rate": 1e-3}
        go_on(bundle, things, recipe(continual=ANYTHING | settings, docid={**DOCID, "max_steps": 20}))
        after = dict(load_backbone(bundle / "backbone").model.named_parameters())
        moved[ewc] = sum(float((after[name] - before[name]).detach().square().sum()) for name in before)
    assert moved[1e5] < 0.7 * moved[0.0]


def test_models_that_gain_nothing_are_not_shipped(
    make_written: Make, recipe: Callable[..., Recipe], things: Any
) -> None:
    bundle = make_written()
    before = fingerprint(bundle / "backbone")
    wild = {"backbone_rate": 1e-12, "tolerance": 0.0}
    report = go_on(bundle, things, recipe(continual=wild, docid={**DOCID, "max_steps": 1}, gate={"ratios": []}))
    assert report["ratio"] == 0.0
    assert "nothing is gained" in report["sentence"]
    assert fingerprint(bundle / "backbone") == before
    assert len(HybridIndex.open(bundle)) == len(things.old) + len(things.new)


def test_a_damaged_backbone_is_not_trained(make_written: Make, recipe: Callable[..., Recipe], things: Any) -> None:
    bundle = make_written()
    (damaged,) = (bundle / "backbone").rglob("*.safetensors")
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    with pytest.raises(ModelError, match=r"model.safetensors is damaged: it is not the file that was saved"):
        go_on(bundle, things, recipe(continual=ANYTHING, docid={**DOCID, "max_steps": 1}))


def test_fisher_is_the_mean_square_slope_of_drawn_docids(make_written: Make, things: Any) -> None:
    bundle, most, seed = make_written(), 4, 3
    index = HybridIndex.open(bundle)
    docids = index._changes.generation.docid.codes.astype(np.int64)  # type: ignore[union-attr]
    backbone = load_backbone(bundle / "backbone")
    rows = question_rows(things.questions(things.old), things.documents(things.old))
    found = backbone_fisher(backbone, docids, rows, most, seed)
    generator, nothing = np.random.default_rng(seed), np.zeros((0, 0), dtype=np.float32)
    expected: dict[str, FloatArray] = {}
    for at in generator.permutation(len(rows))[:most]:
        queries = Queries([rows[at].text], nothing)
        (run,) = BackboneRetriever(backbone, docids).search(queries, 20, None, np.arange(len(docids)))
        weights = [math.exp(score) for score in run.scores]
        drawn = generator.choice(run.rows, p=np.array(weights) / sum(weights))
        backbone.model.zero_grad()
        (-backbone.loss([rows[at].text], docids[drawn][None]) * (docids[drawn] >= 0).sum()).backward()
        for name, weight in backbone.model.named_parameters():
            if weight.grad is not None:
                expected[name] = expected.get(name, np.float32(0)) + weight.grad.numpy() ** 2 / most
    assert sum(float(each.sum()) for each in found.values()) > 0
    for name, value in found.items():
        np.testing.assert_allclose(value, np.broadcast_to(expected.get(name, 0), value.shape), rtol=1e-3, atol=1e-9)


def test_distillation_is_the_mean_divergence_of_the_tokens_that_are_there() -> None:
    rng = np.random.default_rng(0)
    old, new = ([rng.normal(size=(3, n_codes)) for n_codes in (4, 5)] for _ in range(2))
    there = np.array([[True, True], [True, False], [True, False]])
    divergences = []
    for was, now, own in zip(old, new, there.T, strict=True):
        p, q = (np.exp(each) / np.exp(each).sum(axis=1, keepdims=True) for each in (was, now))
        divergences += [
            sum(p[row, at] * math.log(p[row, at] / q[row, at]) for at in range(p.shape[1]))
            for row in np.flatnonzero(own)
        ]
    found = token_distillation(*([torch.tensor(each) for each in side] for side in (old, new)), torch.tensor(there))
    assert len(divergences) == 4
    assert math.isclose(found.item(), np.mean(divergences), rel_tol=1e-12)


def test_weights_that_are_used_twice_are_merged_once(make_language_model: Callable[..., Any]) -> None:
    """T5's word table is its encoder's, its decoder's and its output's."""
    (base, _), (new, _) = make_language_model("t5", 0), make_language_model("t5", 1)
    assert len(dict(new.named_parameters())) < len(new.state_dict())
    before = {name: weight.detach().clone() for name, weight in new.named_parameters()}
    old = dict(base.named_parameters())
    merge_into(new, base, 0.25)
    for name, weight in new.named_parameters():
        torch.testing.assert_close(weight, 0.75 * old[name] + 0.25 * before[name])
