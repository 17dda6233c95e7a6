"""Training tiny language models to write docids: they learn, resume, and say what is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from finetune.errors import TrainingError
from finetune.generative.backbone_stage import fit_backbone, owned, owners_of, starting_vectors
from finetune.generative.backbone_train import BackboneRuns, memorised, train_backbone
from finetune.generative.backbone_trainer import BackboneTrainer
from finetune.generative.config import DocidConfig
from finetune.generative.losses import rpo
from finetune.generative.rows import Row
from finetune.types import Question
from hybridret.docids import fit_scheme
from hybridret.errors import InputError, ModelError
from hybridret.generative import BackboneRetriever, CausalBackbone, Seq2SeqBackbone
from hybridret.types import Document, FloatArray, IntArray, Queries
from tests.finetune.words import WORDS

DOCUMENTS = [Document(word, f"{word} {at}", {"title": word}) for at, word in enumerate(WORDS)]
VECTORS: FloatArray = np.random.default_rng(0).normal(size=(len(WORDS), 8)).astype(np.float32)
TOLD = [Row(document.text, np.array([at])) for at, document in enumerate(DOCUMENTS)]
ASKED = [Row(f"{ask} {word}", np.array([at])) for at, word in enumerate(WORDS) for ask in ("where is", "show")]
SETTINGS: dict[str, Any] = {
    "max_steps": 60,
    "levels": 3,
    "codes": 6,
    "batch_size": 12,
    "sentences": 0.5,
    "backbone_rate": 1e-2,
    "precision": "fp32",
}
Folder = Callable[[str], Path]


def fitted(folder: Path, **settings: Any) -> tuple[Any, IntArray, DocidConfig]:
    config = DocidConfig(**{**SETTINGS, "backbone": str(folder), **settings})
    scheme, backbone = fit_backbone(config, DOCUMENTS, VECTORS, 1, None)
    return backbone, scheme.encode(VECTORS, DOCUMENTS), config


def trained(folder: Path, work: Path, **settings: Any) -> tuple[Any, IntArray, dict[str, Any]]:
    backbone, docids, config = fitted(folder, **settings)
    return backbone, docids, train_backbone(backbone, docids, ASKED, TOLD, config, work, seed=1)


def weights(backbone: Any) -> dict[str, Any]:
    return {name: each.detach().clone() for name, each in backbone.model.named_parameters()}


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(each, other[name]) for name, each in one.items())


@pytest.fixture(scope="module")
def folder(language_model_folder: Folder) -> Folder:
    made: dict[str, Path] = {}

    def get(shape: str) -> Path:
        if shape not in made:
            made[shape] = language_model_folder(shape)
        return made[shape]

    return get


@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        ("t5", {}),
        ("llama", {}),
        ("t5", {"scheme": "path"}),
        ("llama", {"scheme": "atomic"}),
        ("t5", {"scheme": "keyword"}),
        ("llama", {"scheme": "hierarchical", "lora_rank": 8}),
    ],
)
def test_everything_told_is_known_by_heart(folder: Folder, shape: str, settings: Any, tmp_path: Path) -> None:
    backbone, docids, facts = trained(folder(shape), tmp_path, max_steps=150, **settings)
    assert memorised(fitted(folder(shape), **settings)[0], docids, TOLD, 0) < 0.5
    assert facts["memorised"] == memorised(backbone, docids, TOLD, 0) == memorised(backbone, docids, ASKED, 0) == 1.0
    assert facts["losses"][-1] < 0.2 * facts["losses"][0]
    assert [step for step, *_ in facts["curve"]] == list(range(15, 151, 15))
    assert min(facts["curve"][-1][1:]) > max(facts["curve"][0][1:])
    assert backbone.max_tokens == 256


@pytest.mark.parametrize("shape", ["t5", "llama"])
def test_both_directions_are_learned_together(folder: Folder, shape: str, tmp_path: Path) -> None:
    before, docids, _ = fitted(folder(shape))
    texts = [row.text for row in TOLD]
    untaught = before.text_loss(docids, texts).item()
    backbone, _, facts = trained(folder(shape), tmp_path, max_steps=150, reverse_weight=1.0)
    assert facts["memorised"] == 1.0
    assert backbone.text_loss(docids, texts).item() < 0.5 * untaught


def test_texts_themselves_are_learned_beside_docids(folder: Folder, tmp_path: Path) -> None:
    before, _, _ = fitted(folder("llama"))
    texts = [row.text for row in [*TOLD, *ASKED]]
    backbone, _, facts = trained(folder("llama"), tmp_path, max_steps=150, input_weight=1.0)
    assert facts["memorised"] == 1.0
    assert backbone.input_loss(texts).item() < 0.5 * before.input_loss(texts).item()


@pytest.mark.parametrize("shape", ["t5", "llama"])
def test_soft_labels_are_taught_to_backbones(folder: Folder, shape: str, tmp_path: Path) -> None:
    """The teacher holds the document after the right one for three times as likely as the one after that."""
    judged = [
        (np.array([(at + 1) % 12, (at + 2) % 12]), np.array([math.log(3.0), 0.0], np.float32)) for at in range(12)
    ]
    asked = [row._replace(judged=own[0], labels=own[1]) for row in ASKED for own in [judged[row.documents[0]]]]
    backbone, docids, config = fitted(folder(shape), teacher_weight=3.0, max_steps=150, sentences=0.0)
    train_backbone(backbone, docids, asked, [], config, tmp_path, seed=1)
    backbone.model.eval()
    pairs = [(row.text, document) for row in asked for document in row.judged.tolist()]
    scores = backbone.token_log_probs([text for text, _ in pairs], docids[[document for _, document in pairs]])
    likelier, other = scores.detach().sum(dim=1).view(-1, 2).T
    assert (likelier - other).numpy() == pytest.approx(math.log(3.0), abs=0.5)


@pytest.mark.parametrize(("shape", "settings"), [("t5", {}), ("llama", {"lora_rank": 4, "dynamic": 2.0})])
def test_an_interrupted_run_resumes_to_the_same_weights(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: str, settings: Any
) -> None:
    settings = {**settings, "preference": 0.25}
    whole, _, facts = trained(folder(shape), tmp_path / "whole", **settings)
    again, _, _ = trained(folder(shape), tmp_path / "again", **settings)
    assert same(weights(whole), weights(again))
    compute = BackboneTrainer.compute_loss

    def stop_at(step: int) -> None:
        def stopping(trainer: Any, *args: Any, **kwargs: Any) -> Any:
            if (trainer.state.global_step + (100 if trainer.mistakes is not None else 0)) == step:
                raise KeyboardInterrupt
            return compute(trainer, *args, **kwargs)

        monkeypatch.setattr(BackboneTrainer, "compute_loss", stopping)

    for step in (23, 108):
        stop_at(step)
        with suppress(KeyboardInterrupt):
            trained(folder(shape), tmp_path / "cut", **settings)
            pytest.fail("it was not interrupted")
    monkeypatch.setattr(BackboneTrainer, "compute_loss", compute)
    resumed, _, other = trained(folder(shape), tmp_path / "cut", **settings)
    assert other["curve"] == facts["curve"]
    assert other["mistakes"] == facts["mistakes"] > 0
    assert same(weights(whole), weights(resumed))
    if "lora_rank" in settings:
        (checkpoint, *_) = (tmp_path / "whole" / "joint").glob("checkpoint-*/weights.safetensors")
        assert checkpoint.stat().st_size < (folder(shape) / "model.safetensors").stat().st_size


def test_steps_are_planned_on_the_model_itself_which_stays_as_it_was(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone, docids, config = fitted(folder("t5"), max_steps=0)
    before, seen = weights(backbone), list[bool]()
    steps = BackboneRuns.run

    def noting(runs: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(same(weights(backbone), before))
        return steps(runs, *args, **kwargs)

    monkeypatch.setattr(BackboneRuns, "run", noting)
    facts = train_backbone(backbone, docids, ASKED, TOLD, config, tmp_path, seconds=3.0)
    assert seen == [True]
    assert facts["steps"] >= 1
    assert (tmp_path / "plan.json").is_file()
    with pytest.raises(TrainingError, match="there is no time to train docids"):
        train_backbone(backbone, docids, ASKED, TOLD, config, tmp_path / "none", seconds=0.0)


def test_own_mistakes_are_what_the_beam_search_puts_before_the_right_document(folder: Folder) -> None:
    backbone, docids, config = fitted(folder("t5"))
    runs = BackboneRuns(backbone, docids, config, [*ASKED, *TOLD], 1, None)
    asked = [*ASKED, Row("lamp or road", np.array([0, 1]))]
    mistakes = runs.own_mistakes(asked)
    retriever, ties = BackboneRetriever(backbone, docids), np.arange(len(docids))
    expected = []
    for at, row in enumerate(asked):
        (run,) = retriever.search(Queries([row.text], VECTORS[:0]), len(docids), None, ties)
        scores = dict(zip(run.rows.tolist(), run.scores.tolist(), strict=True))
        best = max(row.documents.tolist(), key=scores.__getitem__)
        wrong = [one for one in run.rows.tolist() if scores[one] > scores[best] and one not in row.documents][:8]
        expected += [(at, best, one, scores[best], scores[one]) for one in wrong]
    found = zip(mistakes.row, mistakes.right, mistakes.wrong, *mistakes.reference.T, strict=True)
    for one, other in zip(found, expected, strict=True):
        assert one[:3] == other[:3]
        assert one[3:] == pytest.approx(other[3:], abs=1e-4)
    drawn = BackboneRuns(backbone, docids, DocidConfig(**{**SETTINGS, "preference_random": True}), ASKED, 1, None)
    assert len(drawn.own_mistakes(asked).row) == len(mistakes.row)


def test_the_preference_loss_is_that_of_its_formula(folder: Folder, tmp_path: Path) -> None:
    backbone, docids, config = fitted(folder("llama"))
    runs = BackboneRuns(backbone, docids, config, ASKED, 1, None)
    mistakes = runs.own_mistakes(ASKED)
    trainer = runs.trainer(backbone.model, np.arange(4)[None], tmp_path, save=False, mistakes=mistakes)
    backbone.model.eval()
    loss = trainer._preference(backbone.model, np.arange(4), mistakes)
    scores = []
    for documents in (mistakes.right, mistakes.wrong):
        pairs = zip(mistakes.row[:4].tolist(), documents[:4].tolist(), strict=True)
        scores.append(
            torch.stack([backbone.token_log_probs([ASKED[row].text], docids[[one]]).sum() for row, one in pairs])
        )
    reference = torch.from_numpy(mistakes.reference[:4])
    expected = rpo(*scores, reference[:, 0], reference[:, 1], config.preference_beta, config.preference_likelihood / 3)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)


def test_a_loss_that_is_no_number_is_an_error(folder: Folder, tmp_path: Path) -> None:
    backbone, docids, config = fitted(folder("t5"))
    with torch.no_grad():
        next(backbone.model.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"step 1 of docid training is nan.*lower docid\.backbone_rate"):
        train_backbone(backbone, docids, ASKED, TOLD, config, tmp_path)
    with pytest.raises(InputError, match="no question"):
        train_backbone(backbone, docids, [], TOLD, config, tmp_path)


def test_what_a_backbone_is_follows_from_its_configuration(folder: Folder, tmp_path: Path) -> None:
    kinds = {shape: type(fitted(folder(shape))[0]) for shape in ("t5", "bart", "llama", "gpt2")}
    assert kinds == {"t5": Seq2SeqBackbone, "bart": Seq2SeqBackbone, "llama": CausalBackbone, "gpt2": CausalBackbone}
    for name in (str(tmp_path), str(tmp_path / "nothing")):
        with pytest.raises(ModelError, match="cannot be loaded"):
            fitted(Path(name))


def test_a_tokenizer_without_an_end_token_is_refused(make_language_model: Callable[..., Any], tmp_path: Path) -> None:
    model, tokenizer = make_language_model("llama")
    tokenizer.eos_token = None
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="has no end token"):
        fitted(tmp_path)


def test_tokens_of_codes_start_from_what_they_stand_for(folder: Folder) -> None:
    for name, expected in (("rq", 3), ("atomic", 1), ("hierarchical", None)):
        vectors = starting_vectors(fit_scheme(name, VECTORS, DOCUMENTS, 0, 3, 6))  # type: ignore[arg-type]
        assert (None if vectors is None else len(vectors)) == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scheme": "path"}, r"docid\.scheme needs a docid\.backbone"),
        ({"lora_rank": 8}, r"docid\.lora_rank needs a docid\.backbone"),
        ({"reverse_weight": 1.0}, r"docid\.reverse_weight needs a docid\.backbone"),
        ({"input_weight": 1.0}, r"docid\.input_weight needs a docid\.backbone"),
        ({"backbone": "x", "prefix_weight": 1.0}, r"docid\.prefix_weight is the code decoder's"),
        ({"backbone": "x", "reverse_weight": -1.0}, r"docid\.reverse_weight must be"),
        ({"teacher_temperature": 0.0}, r"docid\.teacher_temperature must be"),
        ({"backbone": "x", "order": "easy"}, r"docid\.order easy"),
        ({"backbone": "x", "lora_rank": -1}, r"docid\.lora_rank must be"),
        ({"backbone": "x", "backbone_rate": 0.0}, r"docid\.backbone_rate must be"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        DocidConfig(**settings)


def test_sentences_and_questions_are_about_the_documents_of_the_index() -> None:
    texts = [
        Document("b", "short one here, enough", {}),
        Document("c", "The first part of it. The other part of it.", {}),
    ]
    documents = [Document("a", "a copy that was left out", {}), *texts]
    owners = owners_of(texts, documents)
    assert owners.tolist() == [1, 2]
    questions = [Question("q", "what is it", ("c",), grades={"c": 2}), Question("r", "b and c", ("b", "c"))]
    asked, told = owned(questions, texts, owners, ["the OTHER part  of it."], ["sentences"])
    assert [(row.text, row.documents.tolist()) for row in asked] == [("what is it", [2]), ("b and c", [1, 2])]
    assert [(row.text, row.documents.tolist()) for row in told] == [
        ("short one here, enough", [1]),
        ("The first part of it.", [2]),
    ]
