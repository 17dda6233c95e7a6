"""Docid codes as tokens of a language model's vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hybridret.errors import InputError, ModelError
from hybridret.types import FloatArray


def code_token(level: int, code: int) -> str:
    """The token of a code."""
    return f"<docid:{level}:{code}>"


def add_code_tokens(
    model: Any,
    tokenizer: Any,
    level_sizes: Sequence[int],
    vectors: Sequence[FloatArray] | None = None,
    seed: int = 0,
) -> None:
    """Adds those tokens that the vocabulary lacks, and rows for them to the embeddings, in and out.

    Args:
        model: The model; changed.
        tokenizer: Its tokenizer; changed.
        level_sizes: How many codes each level has.
        vectors: Per level what its codes' rows start from, *shape:* (n_codes, dimension): codebooks, or for atomic
            docids the documents' dense vectors. A random rotation brings them to the model's width, and all to the
            length that its rows have. None: the mean row, and noise.
        seed: Seed of the rotation and of the noise.

    Raises:
        InputError: The vectors are not one a code, or not finite.
    """
    import torch

    names = [code_token(level, code) for level, size in enumerate(level_sizes) for code in range(size)]
    known = tokenizer.get_vocab()
    is_new = np.array([name not in known for name in names])
    tokenizer.add_tokens([name for name, new in zip(names, is_new, strict=True) if new])
    before = model.get_input_embeddings().weight.detach().clone()
    if len(tokenizer) > len(before):
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    rows = _starting_rows(before.float().cpu().numpy(), level_sizes, vectors, seed)[is_new]
    at = tokenizer.convert_tokens_to_ids([name for name, new in zip(names, is_new, strict=True) if new])
    with torch.no_grad():
        for table in (model.get_input_embeddings(), model.get_output_embeddings()):
            table.weight[at] = torch.as_tensor(rows).to(table.weight)


def code_tokens(model: Any, tokenizer: Any, level_sizes: Sequence[int]) -> list[int]:
    """The token of each level's code 0; those of its other codes follow it.

    Raises:
        ModelError: The tokenizer or the model lacks a code's token.
    """
    firsts = []
    for level, size in enumerate(level_sizes):
        names = [code_token(level, code) for code in range(size)]
        tokens = tokenizer.convert_tokens_to_ids(names)
        known = tokenizer.get_vocab()
        missing = next((name for name in names if name not in known), None)
        if missing is not None:
            raise ModelError(f"the tokenizer lacks the docid token {missing}: add_code_tokens adds it")
        if tokens != list(range(tokens[0], tokens[0] + size)):
            raise ModelError(f"the docid tokens of level {level} do not follow each other in the tokenizer")
        n_rows = model.get_input_embeddings().weight.shape[0]
        if tokens[-1] >= n_rows:
            raise ModelError(f"the model has {n_rows} tokens and lacks the docid token {names[-1]}")
        firsts.append(tokens[0])
    return firsts


def _starting_rows(
    known: FloatArray, level_sizes: Sequence[int], vectors: Sequence[FloatArray] | None, seed: int
) -> FloatArray:
    """Starting rows of all codes. *Shape:* (n_codes of all levels, width), float32."""
    rng = np.random.default_rng(seed)
    shape = (sum(level_sizes), known.shape[1])
    if vectors is None:
        noise = rng.normal(size=shape) * known.std(axis=0)
        rows: FloatArray = (known.mean(axis=0) + noise).astype(np.float32)
        return rows
    if [len(own) for own in vectors] != list(level_sizes):
        raise InputError(f"there are {[len(own) for own in vectors]} vectors for {list(level_sizes)} codes")
    table = np.concatenate(list(vectors))
    if not np.isfinite(table).all():
        raise InputError("a vector that a docid token starts from is not finite")
    rotation = np.linalg.qr(rng.normal(size=(max(table.shape[1], shape[1]),) * 2))[0]
    turned: FloatArray = table @ rotation[: table.shape[1], : shape[1]]
    length = max(float(np.linalg.norm(turned, axis=1).mean()), float(np.finfo(np.float32).tiny))
    return (turned * float(np.linalg.norm(known, axis=1).mean() / length)).astype(np.float32)
