"""What decoding docids costs beside the query encoder's pass, and beside transformers' constrained generation."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BartConfig, BartForConditionalGeneration, PreTrainedTokenizerFast
from transformers.generation.logits_process import PrefixConstrainedLogitsProcessor

from benchmarks.results import write_result
from hybridret.decoding import LogProbs, Trie, beam_search
from hybridret.decoding.forest import Forest
from hybridret.generative import Seq2SeqBackbone, add_code_tokens
from hybridret.models import fast_dtype
from hybridret.types import IntArray

N_DOCUMENTS, N_LEVELS, N_CODES, N_BEAMS, K = 100_000, 8, 256, 20, 10
VOCABULARIES = {"of T5's size": 32_128, "small": 1_000}
QUERY_WORDS, WARM_UP, ROUNDS, REPEATS = 12, 10, 60, 5
_SPECIAL = ("<pad>", "</s>", "<unk>")


def main() -> None:
    """Times single warm queries on one thread, all systems in turn, over random docids."""
    torch.set_num_threads(1)
    codes = np.random.default_rng(0).integers(0, N_CODES, (N_DOCUMENTS, N_LEVELS), dtype=np.uint8)
    trie = Trie(codes)
    size = {f"{n_levels} levels": _bytes_a_document(n_levels) for n_levels in (N_LEVELS, 2 * N_LEVELS)}
    found: dict[str, Any] = {}
    for name, vocabulary in VOCABULARIES.items():
        firsts = [vocabulary + level * N_CODES for level in range(N_LEVELS)]
        allowed = prefix_function(codes + np.array(firsts))
        times = timed_decoding(make_backbone(vocabulary), trie, allowed)
        constraint = _constraint(trie, firsts, allowed)
        found[name] = {"vocabulary": vocabulary + N_LEVELS * N_CODES, **times, **constraint}
        found[name]["held"] = {
            "decoding at most 2x the encoder": times["decoding/encoder"] <= 2,
            "bookkeeping at most .25x the encoder": times["bookkeeping/encoder"] <= 0.25,
            "3x faster than generate": times["generate/ours"] >= 3,
            "constraint 20x faster than a dict trie": constraint["dict/ours"] >= 20,
        }
    shape = {"documents": N_DOCUMENTS, "levels": N_LEVELS, "codes": N_CODES, "beams": N_BEAMS, "k": K}
    write_result(
        "decode_cost",
        {
            **shape,
            "precision": str(_dtype()),
            "load_average": os.getloadavg()[0],
            "by_vocabulary": found,
            "bytes_a_document": size,
            "at most 100 bytes a document": max(size.values()) <= 100,
        },
    )


def timed_decoding(backbone: Seq2SeqBackbone, trie: Trie, allowed: Callable[..., list[int]]) -> dict[str, float]:
    """Encoding, decoding, bookkeeping and generation; medians in milliseconds."""
    rng = np.random.default_rng(1)
    ties = np.arange(trie.n_leaves)
    tables = rng.normal(size=(N_LEVELS, N_BEAMS, N_CODES)).astype(np.float32) - 6
    settings = {"num_beams": N_BEAMS, "num_return_sequences": K, "max_new_tokens": N_LEVELS, "min_new_tokens": N_LEVELS}
    times: dict[str, list[float]] = {name: [] for name in ("encoder", "decoding", "bookkeeping", "generate")}
    for _ in range(WARM_UP + ROUNDS):
        query = " ".join(f"w{word}" for word in rng.integers(0, 900, QUERY_WORDS))
        inputs = backbone.tokenizer([query], return_tensors="pt")
        state = backbone.encode([query])

        def generate() -> Any:
            with torch.inference_mode():
                return backbone.model.generate(**inputs, **settings, prefix_allowed_tokens_fn=allowed)

        times["encoder"].append(_milliseconds(lambda: backbone.encode([query])))
        step, ahead = partial(backbone.step, state), partial(backbone.ahead, state)
        times["decoding"].append(_milliseconds(lambda: _search(trie, step, ties, ahead)))
        times["bookkeeping"].append(_milliseconds(lambda: _search(trie, _given(tables), ties)))
        times["generate"].append(_milliseconds(generate))
    result = {f"{name}_ms": median(own[WARM_UP:]) for name, own in times.items()}
    encoder, decoding = result["encoder_ms"], result["decoding_ms"]
    return result | {
        "decoding/encoder": decoding / encoder,
        "bookkeeping/encoder": result["bookkeeping_ms"] / encoder,
        "generate/ours": result["generate_ms"] / (encoder + decoding),
    }


def _constraint(trie: Trie, firsts: list[int], allowed: Callable[..., list[int]]) -> dict[str, float]:
    """Which tokens may follow, for all beams and levels of one search; medians in milliseconds."""
    forest = Forest([trie], [None])
    calls: list[tuple[Callable[..., Any], int, Any]] = []
    prefixes: list[IntArray] = []
    tables = np.random.default_rng(2).normal(size=(N_LEVELS, N_BEAMS, N_CODES)) - 6

    def noted(own: Callable[..., Any]) -> Callable[..., Any]:
        def call(_: Forest, level: int, nodes: Any) -> Any:
            calls.append((own, level, nodes))
            return own(forest, level, nodes)

        return call

    def step(level: int, tokens: IntArray, parents: IntArray) -> LogProbs:
        last = tokens[0] + (firsts[level - 1] if level else 1)
        prefixes.append(np.column_stack([*([prefixes[-1][parents[0]]] if level else []), last]))
        return tables[None, level, : tokens.shape[1]]

    with (
        patch.object(Forest, "straight", noted(Forest.straight)),
        patch.object(Forest, "branches", noted(Forest.branches)),
    ):
        _search(trie, step, np.arange(trie.n_leaves))
    processor = PrefixConstrainedLogitsProcessor(allowed, num_beams=N_BEAMS)
    sent = [torch.as_tensor(np.resize(own, (N_BEAMS, own.shape[1]))) for own in prefixes]
    scores = torch.zeros(N_BEAMS, firsts[-1] + N_CODES)
    times: dict[str, list[float]] = {"constraint": [], "dict_constraint": []}
    for _ in range(WARM_UP + ROUNDS):
        systems: dict[str, Callable[[], Any]] = {
            "constraint": lambda: [own(forest, level, nodes) for own, level, nodes in calls],
            "dict_constraint": lambda: [processor(own, scores) for own in sent],
        }
        for name, call in systems.items():
            times[name].append(_milliseconds(lambda: [call() for _ in range(REPEATS)]) / REPEATS)
    result = {f"{name}_ms": median(own[WARM_UP:]) for name, own in times.items()}
    return result | {"dict/ours": result["dict_constraint_ms"] / result["constraint_ms"]}


def make_backbone(vocabulary: int) -> Seq2SeqBackbone:
    """An encoder of MiniLM's size under one narrow decoder layer, random."""
    torch.manual_seed(0)
    words = [*_SPECIAL, *(f"w{at}" for at in range(vocabulary - len(_SPECIAL)))]
    made = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token=_SPECIAL[2]))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    named: Any = dict(zip(("pad_token", "eos_token", "unk_token"), _SPECIAL, strict=True))
    tokenizer: Any = PreTrainedTokenizerFast(tokenizer_object=made, **named)  # type: ignore[no-untyped-call]
    config = BartConfig(
        vocab_size=vocabulary,
        d_model=384,
        encoder_layers=6,
        encoder_attention_heads=12,
        encoder_ffn_dim=1536,
        decoder_layers=1,
        decoder_attention_heads=4,
        decoder_ffn_dim=384,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=1,
        decoder_start_token_id=1,
        forced_eos_token_id=None,
    )
    model: Any = BartForConditionalGeneration(config)
    add_code_tokens(model, tokenizer, [N_CODES] * N_LEVELS)
    return Seq2SeqBackbone(model.to(_dtype()), tokenizer, [N_CODES] * N_LEVELS)


def _dtype() -> torch.dtype:
    return fast_dtype(torch.device("cpu"))


def _search(trie: Trie, step: Any, ties: IntArray, ahead: Any = None) -> IntArray:
    return beam_search([trie], step, 1, N_BEAMS, [None], ties, ahead=ahead)[0].rows[:K]


def _given(tables: Any) -> Callable[..., LogProbs]:
    """A model that costs nothing."""
    return lambda level, tokens, _: tables[None, level, : tokens.shape[1]]


def prefix_function(docids: IntArray) -> Callable[..., list[int]]:
    """``prefix_allowed_tokens_fn`` over nested dicts, as it is usually written."""
    root: dict[int, Any] = {}
    for docid in docids.tolist():
        node = root
        for token in docid:
            node = node.setdefault(token, {})

    def allowed(_: int, sent: torch.Tensor) -> list[int]:
        node = root
        for token in sent.tolist()[1:]:
            node = node.get(token, {})
        return list(node)

    return allowed


def _bytes_a_document(n_levels: int) -> float:
    """Codes, suffixes and trie of random docids."""
    codes = np.random.default_rng(3).integers(0, N_CODES, (N_DOCUMENTS, n_levels), dtype=np.uint8)
    suffixes = np.full(N_DOCUMENTS, -1, dtype=np.int32)
    trie = Trie(codes, suffixes)
    return (codes.nbytes + suffixes.nbytes + trie.nbytes) / N_DOCUMENTS


def _milliseconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


if __name__ == "__main__":
    main()
