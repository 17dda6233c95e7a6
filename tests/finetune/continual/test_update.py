"""A bundle goes on learning: what it learns, keeps, reports, and refuses."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finetune import Recipe, continue_training
from finetune.continual.trainer import ContinualTrainer
from hybridret.changes import Changes
from hybridret.check import check_bundle
from hybridret.errors import BundleError, InputError
from hybridret.hybrid import HybridIndex
from hybridret.types import Document

ANYTHING = {"tolerance": None}
PLACES = {
    "copy": "hybridret.changes.Changes._write_copy",
    "state": "hybridret.changes.model_digests",
    "exchange": "hybridret.store.folders._swap",
}


def fingerprint(bundle: Path) -> dict[str, str]:
    """Every file of a bundle by its content."""
    return {
        str(path.relative_to(bundle)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(bundle.rglob("*"))
        if path.is_file()
    }


def right(bundle: Path, things: Any, words: list[str], retriever: str = "docid") -> float:
    """The share of questions about some words that are answered first."""
    index = HybridIndex.open(bundle)
    questions = things.questions(words)
    answers = index.search([each.text for each in questions], 1, retrievers=(retriever,))
    return float(np.mean([hits[0].doc_id in each.positives for hits, each in zip(answers, questions, strict=True)]))


def test_a_bundle_learns_its_new_documents_keeps_the_old_ones_and_tells(
    make_bundle: Callable[..., Path], recipe: Callable[..., Recipe], things: Any
) -> None:
    bundle = make_bundle()
    reader, before = HybridIndex.open(bundle), Changes.open(bundle).generation
    texts = [document.text for document in things.documents(things.old)]
    vectors = reader.encoder.encode_documents(texts)
    everything = [*things.old, *things.new]
    learning = {"replay": 0.5, "learning_rate": 5e-3, "ewc": 0.01}
    settings = recipe(continual=ANYTHING | learning, docid={"max_steps": 300, "batch_size": 16})
    was = right(bundle, things, things.old)
    report = continue_training(
        bundle, things.documents(things.new), questions=things.questions(everything), recipe=settings
    )
    assert report["ratio"] == 1.0
    assert right(bundle, things, things.new) > 0.3, "of which one in eighteen would be right by chance"
    assert right(bundle, things, things.old) >= was
    assert report["questions"]["new"] == {"train": 18 + 12, "held_out": 6, "kind": "labelled"}
    (row,) = HybridIndex.open(bundle).info()["updates"]
    assert row["new"]["docid"]["Recall@10"][1] >= row["new"]["docid"]["Recall@10"][0]
    assert report["updates"] == [row]
    assert check_bundle(bundle).faults == []
    after = Changes.open(bundle).generation
    assert before.docid is not None
    assert after.docid is not None
    assert after.docid.quantizer.refines(before.docid.quantizer)
    np.testing.assert_array_equal(after.dense.vectors[: len(vectors)], before.dense.vectors)
    reader.refresh()
    assert len(reader) == len(everything), "an open reader follows"
    np.testing.assert_allclose(reader.encoder.encode_documents(texts), vectors, atol=1e-6)

    more = things.documents(["falcon", "ribbon"])
    again = continue_training(bundle, more, questions=things.questions(["falcon", "ribbon"]), recipe=settings)
    assert [each["batch"] for each in again["updates"]] == [1, 2]


@pytest.mark.parametrize(("trained", "rank"), [(False, 0), (True, 2)])
def test_two_runs_agree(
    make_bundle: Callable[..., Path], recipe: Callable[..., Recipe], things: Any, trained: bool, rank: int
) -> None:
    found = []
    for name in ("one", "other"):
        bundle = make_bundle(name, trained)
        settings = recipe(continual={"lora_rank": rank, **ANYTHING}, docid={"max_steps": 5})
        questions = things.questions([*things.old, *things.new])
        continue_training(bundle, things.documents(things.new), questions=questions, recipe=settings)
        files = fingerprint(bundle)
        found.append({name: value for name, value in files.items() if name.endswith(".safetensors")})
        adapter = bundle.with_name(f"{name}.update") / "training" / "training" / "adapter"
        assert adapter.is_dir() == bool(rank)
    assert found[0] == found[1]
    assert any(name.startswith("decoder.") for name in found[0])
    assert HybridIndex.open(bundle).info()["docid"]["trained"]


def test_without_labels_questions_are_made_and_half_of_the_new_weights_are_the_most(
    make_bundle: Callable[..., Path], recipe: Callable[..., Recipe], things: Any
) -> None:
    bundle = make_bundle()
    settings = recipe(docid={"max_steps": 3}, continual=ANYTHING)
    report = continue_training(bundle, things.documents(things.new), recipe=settings)
    assert report["questions"]["old"]["kind"] == report["questions"]["new"]["kind"] == "made"
    assert report["ratio"] == 0.5
    assert len(HybridIndex.open(bundle)) == len(things.old) + len(things.new)


def test_models_that_forget_are_not_shipped_and_documents_stay(
    make_bundle: Callable[..., Path], recipe: Callable[..., Recipe], things: Any
) -> None:
    bundle = make_bundle()
    continue_training(bundle, things.documents(things.new[:2]), recipe=recipe(docid={"max_steps": 1}))
    decoder = fingerprint(bundle)
    wild = {"learning_rate": 5.0, "ewc": 0.0, "distillation": 0.0, "tolerance": 0.0}
    report = continue_training(
        bundle,
        things.documents(things.new[2:]),
        questions=things.questions([*things.old, *things.new]),
        recipe=recipe(continual=wild, docid={"max_steps": 10}, gate={"ratios": []}),
    )
    assert report["ratio"] == 0.0
    assert report["sentence"].startswith("The old models are kept (100% new: ")
    row = report["updates"][-1]
    assert all(was == now for side in ("old", "new") for values in row[side].values() for was, now in values.values())
    after = fingerprint(bundle)
    kept = [name for name in decoder if name.startswith(("dense/", "decoder.", "codebooks."))]
    assert {name: after[name] for name in kept} == {name: decoder[name] for name in kept}
    assert len(HybridIndex.open(bundle)) == len(things.old) + len(things.new)


@pytest.mark.parametrize("moment", ["training", *PLACES])
def test_a_run_that_dies_leaves_the_old_models_and_resumes(
    make_bundle: Callable[..., Path],
    recipe: Callable[..., Recipe],
    things: Any,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    bundle = make_bundle()
    questions, new = things.questions([*things.old, *things.new]), things.documents(things.new)
    settings = recipe(continual=ANYTHING, docid={"max_steps": 6})
    models = {name: value for name, value in fingerprint(bundle).items() if name.startswith(("dense/", "decoder."))}

    def die(*arguments: Any, **named: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if moment == "training":
            compute = ContinualTrainer.compute_loss

            def stopping(trainer: Any, *args: Any, **kwargs: Any) -> Any:
                return die() if trainer.state.global_step == 4 else compute(trainer, *args, **kwargs)

            patch.setattr(ContinualTrainer, "compute_loss", stopping)
        else:
            patch.setattr(PLACES[moment], die)
        with pytest.raises(KeyboardInterrupt):
            continue_training(bundle, new, questions=questions, recipe=settings)
    assert check_bundle(bundle).faults == []
    index = HybridIndex.open(bundle)
    assert len(index) == len(things.old) + len(things.new), "the documents were added before"
    assert index.info()["updates"] == []
    files = fingerprint(bundle)
    assert {name: files.get(name) for name in models} == models
    assert sorted(path.name for path in bundle.parent.iterdir() if path.name.startswith(".b-")) == []

    with pytest.raises(InputError, match="6 of 6 new documents have ids that the bundle has already"):
        continue_training(bundle, new, questions=questions, recipe=settings)
    resumed = continue_training(bundle, new, questions=questions, recipe=settings, resume=True)
    whole = make_bundle("whole")
    continue_training(whole, new, questions=questions, recipe=settings)
    trained = [name for name in fingerprint(whole) if name.startswith("dense/") and name.endswith(".safetensors")]
    assert len(trained) == 2
    assert {name: fingerprint(bundle)[name] for name in trained} == {name: fingerprint(whole)[name] for name in trained}
    done = continue_training(bundle, new, questions=questions, recipe=settings, resume=True)
    assert {**done, "seconds": 0} == {**resumed, "seconds": 0}, "what is done is not done again"


def test_a_bundle_that_another_process_replaced_is_left_alone(
    make_bundle: Callable[..., Path], recipe: Callable[..., Recipe], things: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, other = make_bundle(), make_bundle("other")
    taken = Changes.retrain

    def replaced(changes: Changes, *arguments: Any) -> None:
        HybridIndex.open(other).save(bundle)
        taken(changes, *arguments)

    monkeypatch.setattr(Changes, "retrain", replaced)
    with pytest.raises(BundleError, match="was replaced by another bundle meanwhile"):
        continue_training(
            bundle, things.documents(things.new), recipe=recipe(continual=ANYTHING, docid={"max_steps": 2})
        )
    assert len(HybridIndex.open(bundle)) == len(things.old)


def test_documents_that_come_during_training_are_kept(
    make_bundle: Callable[..., Path], recipe: Callable[..., Recipe], things: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_bundle()
    taken = Changes.retrain

    def meanwhile(changes: Changes, *arguments: Any) -> None:
        HybridIndex.open(bundle).add([Document("late", "a comet passes by", {})])
        taken(changes, *arguments)

    monkeypatch.setattr(Changes, "retrain", meanwhile)
    continue_training(bundle, things.documents(things.new), recipe=recipe(continual=ANYTHING, docid={"max_steps": 2}))
    index = HybridIndex.open(bundle)
    assert len(index) == len(things.old) + len(things.new) + 1
    assert "late" in {hit.doc_id for hit in index.search(["comet"], 30, retrievers=("docid",))[0]}


def test_what_cannot_go_on_is_told(
    make_bundle: Callable[..., Path], recipe: Callable[..., Recipe], things: Any, tmp_path: Path, embeddings: Any
) -> None:
    HybridIndex.build(things.documents(things.old), _foreign(embeddings), path=tmp_path / "foreign")
    with pytest.raises(InputError, match="was built with langchain:StubEmbeddings, which a bundle cannot hold"):
        continue_training(tmp_path / "foreign", things.documents(things.new), recipe=recipe())
    with pytest.raises(BundleError, match="is not a hybridret bundle"):
        continue_training(tmp_path / "nowhere", things.documents(things.new), recipe=recipe())
    bundle = make_bundle()
    with pytest.raises(InputError, match="there are no new documents"):
        continue_training(bundle, [], recipe=recipe())
    known = things.documents(things.old[:2])
    with pytest.raises(InputError, match=r"2 of 2 new documents have ids .* such as 'lamp', 'road'"):
        continue_training(bundle, known, recipe=recipe())
    with pytest.raises(InputError, match="1 of 1 new documents have ids"):
        continue_training(bundle, [Document("lamp", "another text", {})], recipe=recipe(), resume=True)
    assert len(HybridIndex.open(bundle)) == len(things.old)


def _foreign(embeddings: Any) -> Any:
    from hybridret.dense import make_encoder

    return make_encoder(embeddings)
