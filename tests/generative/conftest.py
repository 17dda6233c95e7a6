"""Tiny random language models of several shapes, and a tokenizer of letters."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any

import pytest

SEQ2SEQ = ("t5", "t5-unscaled", "bart")
SHAPES = (*SEQ2SEQ, "llama", "gpt2")
LEVEL_SIZES = (5, 7, 4)
_PIECES = ["<pad>", "</s>", "<unk>", "<s>", *string.ascii_lowercase, *string.digits, " ", ",", ">"]
_WIDTH = 16


def make_tokenizer(*, ends: bool) -> Any:
    """Letters as tokens; texts end with the end token where ``ends``, as those of T5 do."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({piece: at for at, piece in enumerate(_PIECES)}, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.decoder = decoders.Fuse()
    if ends:
        tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", bos_token="<s>"
    )


def make_model(shape: str, seed: int = 0) -> Any:
    """A random model, its weights large enough for its log-probabilities to differ."""
    import torch
    import transformers

    torch.manual_seed(seed)
    size, ids = len(_PIECES), {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 3}
    if shape.startswith("t5"):
        config = transformers.T5Config(
            vocab_size=size, d_model=_WIDTH, d_kv=8, d_ff=32, num_layers=2, num_heads=2, dropout_rate=0.0,
            tie_word_embeddings=shape == "t5", initializer_factor=0.7, decoder_start_token_id=0, **ids,
        )  # fmt: skip
        return transformers.T5ForConditionalGeneration(config).eval()
    if shape == "bart":
        config = transformers.BartConfig(
            vocab_size=size, d_model=_WIDTH, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=64,
            dropout=0.0, init_std=0.3, decoder_start_token_id=1, forced_eos_token_id=None, **ids,
        )  # fmt: skip
        model = transformers.BartForConditionalGeneration(config).eval()
        model.final_logits_bias += torch.randn(model.final_logits_bias.shape)
        return model
    if shape == "llama":
        config = transformers.LlamaConfig(
            vocab_size=size, hidden_size=_WIDTH, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=1, max_position_embeddings=64, initializer_range=0.3, tie_word_embeddings=False, **ids,
        )  # fmt: skip
        return transformers.LlamaForCausalLM(config).eval()
    config = transformers.GPT2Config(
        vocab_size=size, n_embd=_WIDTH, n_layer=2, n_head=2, n_positions=64, initializer_range=0.3, resid_pdrop=0.0,
        embd_pdrop=0.0, attn_pdrop=0.0, **ids,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config).eval()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test that takes ``shape`` with a model of each shape."""
    if "shape" in metafunc.fixturenames:
        metafunc.parametrize("shape", SHAPES)


@pytest.fixture
def level_sizes() -> tuple[int, ...]:
    """How many codes each level of the code backbones has."""
    return LEVEL_SIZES


@pytest.fixture
def make_backbone() -> Callable[..., Any]:
    """Makes a backbone of a shape, for code docids by default."""

    def make(shape: str, level_sizes: Any = LEVEL_SIZES, vectors: Any = None, seed: int = 0) -> Any:
        from hybridret.generative import CausalBackbone, Seq2SeqBackbone, add_code_tokens

        model, tokenizer = make_model(shape, seed), make_tokenizer(ends=shape in SEQ2SEQ)
        if level_sizes is not None:
            add_code_tokens(model, tokenizer, level_sizes, vectors, seed)
        kind = Seq2SeqBackbone if shape in SEQ2SEQ else CausalBackbone
        return kind(model, tokenizer, level_sizes)

    return make
