"""Tiny language models, and what an OpenAI-compatible server says of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Answer = Callable[[str, dict[str, Any]], tuple[int, dict[str, str], str]]
"""Answers a path and a request with status, headers and body."""


def make_tokenizer(words: list[str], window: int) -> Any:
    """A tokenizer of whole words and single punctuation marks, with offsets and a begin token."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = ["<pad>", "<s>", "<unk>", *dict.fromkeys(words)]
    tokenizer = Tokenizer(models.WordLevel({piece: at for at, piece in enumerate(pieces)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r" ?[A-Za-z0-9]+|\n|[^\w\s]|\s"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=window, pad_token="<pad>", bos_token="<s>", unk_token="<unk>"
    )


def make_causal_model(vocabulary: int, window: int, width: int = 32, layers: int = 2, heads: int = 4) -> Any:
    """A causal language model of random weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=window,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=None,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config).eval()


def echoing(model: Any, tokenizer: Any) -> Answer:
    """Answers completions with the log-probabilities of the prompt's tokens, from one forward pass."""
    import torch

    def answer(path: str, request: dict[str, Any]) -> tuple[int, dict[str, str], str]:
        if path != "/v1/completions" or not (request["echo"] and request["logprobs"]):
            return 404, {}, "not here"
        text = request["prompt"]
        encoded = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)
        ids = torch.tensor([[1, *encoded["input_ids"]]])
        with torch.inference_mode():
            logs = model(ids).logits[0].double().log_softmax(-1)
        values = [logs[at, token].item() for at, token in enumerate(ids[0, 1:].tolist())]
        tokens = ["<s>", *(text[start:end] for start, end in encoded["offset_mapping"]), " next"]
        fields = {"tokens": tokens, "token_logprobs": [None, *values, -1.0]}
        return 200, {}, json.dumps({"choices": [{"text": text + " next", "logprobs": fields}]})

    return answer
