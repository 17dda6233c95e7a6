"""Backbones against plain forward passes, one text at a time, in float64 and without caches."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax

from hybridret.decoding import END
from hybridret.errors import InputError, ModelError
from hybridret.generative import CausalBackbone, Seq2SeqBackbone, add_code_tokens
from hybridret.types import IntArray, ScoreArray

TEXTS = ["a cat", "", "the dog barks at the postman", "x"]
CODES = np.array([[0, 6, 3], [4, 2, END], [1, END, END], [3, 0, 0]])
WORDS = np.array([[4, 5, 1], [9, 1, END], [1, END, END], [30, 31, 32]])

MakeBackbone = Callable[..., Any]


def next_logits(backbone: Any, before: list[int], tokens: list[int]) -> ScoreArray:
    """Logits of what follows an input and tokens, by one forward pass over everything, in float64."""
    import torch

    model = copy.deepcopy(backbone.model).double()
    with torch.no_grad():
        if isinstance(backbone, Seq2SeqBackbone):
            begun = [model.config.decoder_start_token_id, *tokens]
            output = model(input_ids=torch.tensor([before]), decoder_input_ids=torch.tensor([begun]))
        else:
            output = model(input_ids=torch.tensor([[*before, *tokens]]))
    logits: ScoreArray = output.logits[0, -1].numpy()
    return logits


def next_log_probs(backbone: Any, text: str, prefix: list[int]) -> ScoreArray:
    """The next token's log-probabilities by one forward pass over everything, in float64."""
    firsts = [backbone.tokenizer.convert_tokens_to_ids(f"<docid:{level}:0>") for level in range(3)]
    tokens = [code if backbone.level_sizes is None else firsts[level] + code for level, code in enumerate(prefix)]
    ids = backbone.tokenizer(text)["input_ids"]
    before = ids if isinstance(backbone, Seq2SeqBackbone) else [*ids, backbone.tokenizer.eos_token_id]
    logits = next_logits(backbone, before, tokens)
    if backbone.level_sizes is not None:
        first = firsts[len(prefix)]
        logits = logits[first : first + backbone.level_sizes[len(prefix)]]
    scored: ScoreArray = log_softmax(logits)
    return scored


def expected_log_probs(backbone: Any, texts: list[str], docids: IntArray) -> ScoreArray:
    scored = np.zeros(docids.shape)
    for own, text, docid in zip(scored, texts, docids.tolist(), strict=True):
        for level, token in enumerate(docid):
            if token != END:
                own[level] = next_log_probs(backbone, text, docid[:level])[token]
    return scored


@pytest.mark.parametrize("docids", [CODES, WORDS], ids=["codes", "words"])
def test_token_log_probs_and_loss_are_those_of_a_plain_float64_pass(
    make_backbone: MakeBackbone, level_sizes: Any, shape: str, docids: IntArray
) -> None:
    backbone = make_backbone(shape, level_sizes if docids is CODES else None)
    expected = expected_log_probs(backbone, TEXTS, docids)
    found = backbone.token_log_probs(TEXTS, docids)
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=1e-5)
    assert (found.detach().numpy()[docids == END] == 0).all()
    loss = backbone.loss(TEXTS, docids)
    assert loss.item() == pytest.approx(-expected.sum() / (docids != END).sum(), abs=1e-5)
    loss.backward()
    assert all(np.isfinite(one.grad.numpy()).all() for one in backbone.model.parameters() if one.grad is not None)


def plain_text_loss(backbone: Any, before: list[int], tokens: list[int]) -> float:
    """The sum of the tokens' negative log-probabilities after others by plain float64 passes, one a token."""
    return -sum(
        float(log_softmax(next_logits(backbone, before, tokens[:at]))[token]) for at, token in enumerate(tokens)
    )


@pytest.mark.parametrize("docids", [CODES, WORDS], ids=["codes", "words"])
def test_the_other_direction_is_the_loss_of_a_plain_float64_pass(
    make_backbone: MakeBackbone, level_sizes: Any, shape: str, docids: IntArray
) -> None:
    backbone = make_backbone(shape, level_sizes if docids is CODES else None)
    end = backbone.tokenizer.eos_token_id
    total, count = 0.0, 0
    for text, docid in zip(TEXTS, docids.tolist(), strict=True):
        names = [f"<docid:{level}:{code}>" for level, code in enumerate(docid) if code != END]
        known = [code for code in docid if code != END]
        docid_tokens = known if docids is WORDS else backbone.tokenizer.convert_tokens_to_ids(names)
        tokens = [token for token in backbone.tokenizer(text)["input_ids"] if token != end] + [end]
        total += plain_text_loss(backbone, [*docid_tokens, end], tokens)
        count += len(tokens)
    found = backbone.text_loss(docids, TEXTS)
    assert found.item() == pytest.approx(total / count, abs=1e-5)
    found.backward()
    assert all(np.isfinite(one.grad.numpy()).all() for one in backbone.model.parameters() if one.grad is not None)
    with pytest.raises(InputError, match="4 texts are trained with docids of shape"):
        backbone.text_loss(docids[:2], TEXTS)


@pytest.mark.parametrize("causal", ["llama", "gpt2"])
def test_the_loss_of_the_text_itself_is_that_of_a_plain_float64_pass(make_backbone: MakeBackbone, causal: str) -> None:
    backbone = make_backbone(causal)
    total, count = 0.0, 0
    for text in TEXTS:
        tokens = [*backbone.tokenizer(text)["input_ids"], backbone.tokenizer.eos_token_id]
        total += plain_text_loss(backbone, tokens[:1], tokens[1:])
        count += len(tokens) - 1
    assert backbone.input_loss(TEXTS).item() == pytest.approx(total / count, abs=1e-5)


@pytest.mark.parametrize("is_text", [False, True], ids=["codes", "words"])
def test_cached_stepping_equals_uncached(
    make_backbone: MakeBackbone, level_sizes: Any, shape: str, is_text: bool
) -> None:
    backbone = make_backbone(shape, None if is_text else level_sizes)
    rng = np.random.default_rng(0)
    padded, alone = backbone.encode(TEXTS[:3]), backbone.encode(TEXTS[:1])
    for state, n in ((padded, 3), (padded, 3), (alone, 1)):
        prefixes: list[list[list[int]]] = [[[]] for _ in range(n)]
        tokens, parents = np.full((n, 1), END), np.zeros((n, 1), dtype=np.int64)
        for level, width in enumerate((4, 3, 3)):
            log_probs = backbone.step(state, level, tokens, parents)
            assert log_probs.dtype == np.float32
            for text, own, scored in zip(TEXTS, prefixes, log_probs, strict=False):
                for prefix, row in zip(own, scored, strict=True):
                    np.testing.assert_allclose(row, next_log_probs(backbone, text, prefix), atol=1e-5)
            parents = rng.integers(0, log_probs.shape[1], (n, width))
            if level == 0:
                parents[:] = 0
            tokens = rng.integers(0, 4 if is_text else level_sizes[level], (n, width))
            prefixes = [
                [[*own[parent], token] for parent, token in zip(whose, new, strict=True)]
                for own, whose, new in zip(prefixes, parents.tolist(), tokens.tolist(), strict=True)
            ]
    if not is_text:
        assert backbone.step(state, 3, tokens, parents) is None


@pytest.mark.parametrize("most_logits", [1, 2**26], ids=["in pieces", "at once"])
def test_looking_ahead_scores_and_goes_on_as_single_steps_do(
    make_backbone: MakeBackbone, shape: str, most_logits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hybridret.generative.language_model._MOST_LOGITS", most_logits)
    rng = np.random.default_rng(1)
    backbone = make_backbone(shape, (5, 5, 5, 5, 5))
    state = backbone.encode(TEXTS)
    own, root = np.tile(np.arange(3), (4, 1)), (np.full((4, 1), END), np.zeros((4, 1), dtype=np.int64))
    first, second = rng.integers(0, 5, (2, 4, 3))
    paths, parents = rng.integers(0, 5, (2, 4, 3)), rng.integers(0, 3, (4, 3))
    paths[:, 1, 1] = END

    def begin() -> None:
        backbone.step(state, 0, *root)
        backbone.step(state, 1, first, np.zeros_like(first))

    begin()
    scored, tokens, come_from = [], second, parents
    for level, path in enumerate(paths, 2):
        log_probs = backbone.step(state, level, tokens, come_from)
        picked = np.take_along_axis(log_probs, np.maximum(path, 0)[..., None], axis=2)[..., 0]
        scored.append(np.where(path == END, 0.0, picked))
        tokens, come_from = path, own
    last = backbone.step(state, 4, paths[-1], own)
    begin()
    np.testing.assert_allclose(backbone.ahead(state, 2, second, parents, paths), scored, atol=1e-5)
    there = paths[-1] != END
    np.testing.assert_allclose(backbone.step(state, 4, paths[-1], own)[there], last[there], atol=1e-5)


def test_probabilities_of_a_level_sum_to_one_and_ended_beams_do_no_harm(
    make_backbone: MakeBackbone, level_sizes: Any, shape: str
) -> None:
    backbone = make_backbone(shape)
    state = backbone.encode(TEXTS)
    tokens, parents = np.full((4, 1), END), np.zeros((4, 1), dtype=np.int64)
    for level, size in enumerate(level_sizes):
        log_probs = backbone.step(state, level, tokens, parents)
        assert log_probs.shape == (4, 1 if level == 0 else 2, size)
        np.testing.assert_allclose(np.exp(log_probs).sum(axis=2), 1, rtol=1e-5)
        tokens, parents = np.array([[END, 1]] * 4), np.array([[0, 0 if level == 0 else 1]] * 4)


def test_score_sums_token_log_probs(make_backbone: MakeBackbone, shape: str) -> None:
    backbone = make_backbone(shape)
    every = np.repeat(CODES[None], 4, axis=0)
    state = backbone.encode(TEXTS)
    for _ in range(2):
        scores = backbone.score(state, every)
        for column, docid in enumerate(CODES):
            expected = expected_log_probs(backbone, TEXTS, np.repeat(docid[None], 4, axis=0)).sum(axis=1)
            np.testing.assert_allclose(scores[:, column], expected, atol=1e-4)
    many = np.tile(every, (1, 40, 1))
    np.testing.assert_allclose(backbone.score(state, many), np.tile(scores, (1, 40)), atol=1e-5)
    assert backbone.score(state, every[:, :0]).shape == (4, 0)


def test_a_saved_backbone_scores_the_same(make_backbone: MakeBackbone, shape: str, tmp_path: Path) -> None:
    backbone = make_backbone(shape)
    backbone.save(tmp_path / "one")
    loaded = type(backbone).load(tmp_path / "one")
    assert loaded.level_sizes == backbone.level_sizes
    np.testing.assert_array_equal(
        loaded.token_log_probs(TEXTS, CODES).detach(), backbone.token_log_probs(TEXTS, CODES).detach()
    )


@pytest.mark.parametrize("width", [8, 16, 40])
def test_code_rows_start_from_vectors_and_keep_their_angles(make_backbone: MakeBackbone, width: int) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(30, width)).astype(np.float32)
    backbone = make_backbone("llama", (30,), [vectors])
    first = backbone.tokenizer.convert_tokens_to_ids("<docid:0:0>")
    tables = [backbone.model.get_input_embeddings(), backbone.model.get_output_embeddings()]
    for table in tables:
        rows = table.weight.detach().numpy()[first:]
        known = np.linalg.norm(tables[0].weight.detach().numpy()[:first], axis=1).mean()
        assert np.linalg.norm(rows, axis=1).mean() == pytest.approx(known, rel=1e-4)
        if width <= 16:
            unit, own = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (rows, vectors))
            np.testing.assert_allclose(unit @ unit.T, own @ own.T, atol=1e-5)


@pytest.mark.parametrize("shape_of_one", ["t5", "llama"])
def test_new_atomic_documents_get_new_rows_and_old_ones_keep_theirs(
    make_backbone: MakeBackbone, shape_of_one: str
) -> None:
    vectors = np.random.default_rng(1).normal(size=(9, 16)).astype(np.float32)
    backbone = make_backbone(shape_of_one, (6,), [vectors[:6]])
    before = backbone.step(backbone.encode(TEXTS), 0, *np.zeros((2, 4, 1), dtype=np.int64))
    backbone.add_codes((9,), [vectors])
    after = backbone.step(backbone.encode(TEXTS), 0, *np.zeros((2, 4, 1), dtype=np.int64))
    assert after.shape == (4, 1, 9)
    np.testing.assert_allclose(after[:, :, :6] - after[:, :, :1], before - before[:, :, :1], atol=1e-5)
    assert np.isfinite(backbone.loss(TEXTS[:2], np.array([[8], [0]])).item())


def test_two_starts_with_one_seed_agree(make_backbone: MakeBackbone) -> None:
    one, again, other = (make_backbone("t5", seed=seed).model.get_input_embeddings().weight for seed in (1, 1, 2))
    assert (one == again).all()
    assert not (one == other).all()


def test_a_vocabulary_padded_beyond_the_tokenizer_is_used_not_grown(make_backbone: MakeBackbone) -> None:
    plain = make_backbone("t5", None)
    plain.model.resize_token_embeddings(500, mean_resizing=False)
    add_code_tokens(plain.model, plain.tokenizer, (5, 7, 4))
    assert plain.model.get_input_embeddings().weight.shape[0] == 500
    backbone = Seq2SeqBackbone(plain.model, plain.tokenizer, (5, 7, 4))
    expected = expected_log_probs(backbone, TEXTS, CODES)
    np.testing.assert_allclose(backbone.token_log_probs(TEXTS, CODES).detach(), expected, atol=1e-5)


@pytest.mark.parametrize("kind", [Seq2SeqBackbone, CausalBackbone])
def test_missing_docid_tokens_are_refused(make_backbone: MakeBackbone, kind: type) -> None:
    plain = make_backbone("t5" if kind is Seq2SeqBackbone else "llama", None)
    with pytest.raises(ModelError, match="the tokenizer lacks the docid token <docid:0:0>"):
        kind(plain.model, plain.tokenizer, (5, 7))
    plain.tokenizer.add_tokens([f"<docid:0:{code}>" for code in range(5)])
    with pytest.raises(ModelError, match=r"the model has \d+ tokens and lacks the docid token <docid:0:4>"):
        kind(plain.model, plain.tokenizer, (5,))
    plain.tokenizer.add_tokens(["<docid:1:1>", "<docid:1:0>"])
    plain.model.resize_token_embeddings(len(plain.tokenizer), mean_resizing=False)
    with pytest.raises(ModelError, match="level 1 do not follow each other"):
        kind(plain.model, plain.tokenizer, (3, 2))


def test_a_tokenizer_without_an_end_and_a_model_without_a_start_are_refused(make_backbone: MakeBackbone) -> None:
    plain = make_backbone("t5", None)
    plain.model.config.decoder_start_token_id = None
    with pytest.raises(ModelError, match="names no token to start decoding with"):
        plain.loss(["a"], np.array([[4]]))
    plain.tokenizer.eos_token = None
    with pytest.raises(ModelError, match="has no end token"):
        Seq2SeqBackbone(plain.model, plain.tokenizer, None)


@pytest.mark.parametrize(
    "docids",
    [np.array([[5, 0, 0]]), np.array([[0, 0, 0, 0]]), np.array([[-2]]), np.array([[END]]), np.array([[0], [1]])],
    ids=["code", "levels", "negative", "empty", "two"],
)
def test_docids_that_do_not_fit_are_refused(make_backbone: MakeBackbone, docids: IntArray) -> None:
    with pytest.raises(InputError, match="docid"):
        make_backbone("t5").loss(["a"], docids)


def test_vectors_that_do_not_fit_are_refused(make_backbone: MakeBackbone) -> None:
    with pytest.raises(InputError, match=r"there are \[2\] vectors for \[3\] codes"):
        make_backbone("t5", (3,), [np.zeros((2, 4), dtype=np.float32)])
    with pytest.raises(InputError, match="not finite"):
        make_backbone("t5", (2,), [np.full((2, 4), np.nan, dtype=np.float32)])


def test_a_model_that_gives_no_numbers_is_named(make_backbone: MakeBackbone, shape: str) -> None:
    import torch

    backbone = make_backbone(shape)
    with torch.no_grad():
        backbone.model.get_output_embeddings().weight[:] = np.nan
    with pytest.raises(ModelError, match="not numbers"):
        backbone.step(backbone.encode(TEXTS), 0, *np.zeros((2, 4, 1), dtype=np.int64))


def test_folders_that_hold_no_such_backbone_are_refused(make_backbone: MakeBackbone, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no backbone"):
        Seq2SeqBackbone.load(tmp_path)
    make_backbone("t5").save(tmp_path / "t5")
    with pytest.raises(ModelError, match="holds a Seq2SeqBackbone, not a CausalBackbone"):
        CausalBackbone.load(tmp_path / "t5")
    with pytest.raises(ModelError, match="cannot be loaded"):
        CausalBackbone.from_pretrained(str(tmp_path / "none"), None)
    make_backbone("llama").tokenizer.save_pretrained(tmp_path / "t5" / "model")
    with pytest.raises(ModelError, match="reads texts otherwise"):
        Seq2SeqBackbone.load(tmp_path / "t5")
    (tmp_path / "t5" / "model" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be loaded"):
        Seq2SeqBackbone.load(tmp_path / "t5")


def test_a_pretrained_folder_gets_the_tokens_it_needs(make_backbone: MakeBackbone, tmp_path: Path) -> None:
    plain = make_backbone("llama", None)
    plain.save(tmp_path)
    backbone = CausalBackbone.from_pretrained(str(tmp_path / "model"), (5, 7, 4), seed=3)
    assert backbone.level_sizes == (5, 7, 4)
    np.testing.assert_allclose(
        backbone.token_log_probs(TEXTS, CODES).detach(), expected_log_probs(backbone, TEXTS, CODES), atol=1e-5
    )
