"""What backbones made from transformers' models have in common."""

from __future__ import annotations

import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from hybridret.decoding import END, LogProbs
from hybridret.errors import InferenceError, InputError, ModelError
from hybridret.generative.adapters import base_weights, is_adapted, load_adapter, merged, with_lora
from hybridret.generative.code_tokens import add_code_tokens, code_tokens
from hybridret.generative.narrow_head import narrowed, only_tokens
from hybridret.generative.state import State
from hybridret.generative.text_tokens import ended, mean_loss, padded
from hybridret.generative.trusted import SETTINGS, without_ways_out
from hybridret.models import load_language_model
from hybridret.types import FloatArray, IntArray, ScoreArray

if TYPE_CHECKING:
    from torch import Tensor
    from typing_extensions import Self

MAX_TOKENS = 256
_BLOCK = 64
_MOST_LOGITS = 2**26
_PROBE = "The 3 quick-brown foxes, jump > over!"
_KEYS = ("backbone", "level_sizes", "max_tokens", "probe")
_MODEL, _ADAPTER = "model", "adapter"


class LanguageModelBackbone(ABC):
    """A language model that writes docids: codes as tokens added to its vocabulary, or texts in its own tokens.

    Args:
        model: A model of transformers, or one of peft around it.
        tokenizer: Its tokenizer, with an end token.
        level_sizes: How many codes each level has; the tokens must be there (``add_code_tokens``). None: docids are
            the tokenizer's own tokens.
        max_tokens: After how many tokens texts are cut.

    Raises:
        ModelError: A token that is needed is not there.
    """

    auto_class: ClassVar[str]
    task: ClassVar[str]
    pads_left: ClassVar[bool] = False

    def __init__(
        self, model: Any, tokenizer: Any, level_sizes: Sequence[int] | None, max_tokens: int = MAX_TOKENS
    ) -> None:
        self.model, self.tokenizer, self.max_tokens = model, tokenizer, max_tokens
        if tokenizer.eos_token_id is None:
            raise ModelError(f"the tokenizer of {type(model).__name__} has no end token (eos_token)")
        self._pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
        self.level_sizes: tuple[int, ...] | None = None
        self._set_levels(level_sizes)
        narrowed(model)

    @classmethod
    def from_pretrained(
        cls,
        name: str,
        level_sizes: Sequence[int] | None,
        vectors: Sequence[FloatArray] | None = None,
        seed: int = 0,
        max_tokens: int = MAX_TOKENS,
    ) -> Self:
        """Takes a pretrained model and adds the tokens of the codes.

        Args:
            name: Folder or hub id.
            level_sizes: How many codes each level has; None for docids of text.
            vectors: What the codes' rows start from; see ``add_code_tokens``.
            seed: Seed of the rows.
            max_tokens: After how many tokens texts are cut.

        Raises:
            ModelError: The model cannot be loaded or lacks an end token.
        """
        model, tokenizer = cls._pretrained(name)
        if level_sizes is not None:
            add_code_tokens(model, tokenizer, level_sizes, vectors, seed)
        return cls(model, tokenizer, level_sizes, max_tokens)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Loads what ``save`` wrote, adapters with the model under them.

        Raises:
            ModelError: The folder holds no such backbone, or a token that is needed is not there.
        """
        try:
            settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
            kind, level_sizes, max_tokens, probe = (settings[key] for key in _KEYS)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{folder} holds no backbone: {type(error).__name__}: {error}") from error
        if kind != cls.__name__:
            raise ModelError(f"{folder} holds a {kind}, not a {cls.__name__}")
        model, tokenizer = cls._pretrained(str(folder / _MODEL))
        if tokenizer(_PROBE)["input_ids"] != probe:
            raise ModelError(f"{folder / _MODEL} loads a tokenizer that reads texts otherwise than the one saved there")
        if (folder / _ADAPTER).is_dir():
            model = load_adapter(model, folder / _ADAPTER)
        return cls(model, tokenizer, level_sizes, max_tokens)

    @classmethod
    def _pretrained(cls, name: str) -> tuple[Any, Any]:
        """Loads a model, onto the fastest device, and its tokenizer."""
        return load_language_model(name, cls.auto_class)

    def save(self, folder: Path) -> None:
        """Writes the model under ``model``, as transformers loads it, and adapters beside it under ``adapter``.

        What an earlier save left there goes.
        """
        for part in (_MODEL, _ADAPTER):
            shutil.rmtree(folder / part, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        base = self.model.get_base_model() if is_adapted(self.model) else self.model
        base.save_pretrained(folder / _MODEL, state_dict=base_weights(base))
        self.tokenizer.save_pretrained(folder / _MODEL)
        without_ways_out(folder / _MODEL)
        if is_adapted(self.model):
            self.model.save_pretrained(folder / _ADAPTER, save_embedding_layers=False)
        probe = self.tokenizer(_PROBE)["input_ids"]
        settings = zip(_KEYS, (type(self).__name__, self.level_sizes, self.max_tokens, probe), strict=True)
        (folder / SETTINGS).write_text(json.dumps(dict(settings)), encoding="utf-8")

    def with_lora(self, rank: int, seed: int = 0) -> Self:
        """The same model with low-rank adapters to train; see ``adapters.with_lora``."""
        codes = [
            first + code
            for first, size in zip(self._firsts, self.level_sizes or (), strict=True)
            for code in range(size)
        ]
        return type(self)(
            with_lora(self.model, self.task, rank, codes, seed), self.tokenizer, self.level_sizes, self.max_tokens
        )

    def merged(self) -> Self:
        """A full model with the adapters' weights added in; the adapters are gone from this one."""
        return type(self)(merged(self.model), self.tokenizer, self.level_sizes, self.max_tokens)

    def add_codes(self, level_sizes: Sequence[int], vectors: Sequence[FloatArray] | None = None, seed: int = 0) -> None:
        """Adds codes, as new documents with atomic docids need them; see ``add_code_tokens``.

        Raises:
            ModelError: Adapters are there, whose rows cannot grow: merge them first.
        """
        if is_adapted(self.model):
            raise ModelError("docid tokens cannot be added under adapters: merge them first")
        add_code_tokens(self.model, self.tokenizer, level_sizes, vectors, seed)
        self._set_levels(level_sizes)
        narrowed(self.model)

    def step(self, state: State, level: int, tokens: IntArray, parents: IntArray) -> LogProbs | None:
        """Scores the tokens of a level; see ``Step``. Beams that have ended get log-probabilities of no meaning.

        Raises:
            ModelError: The model gives what is not a number.
        """
        import torch

        if self.level_sizes is not None and level >= len(self.level_sizes):
            return None
        with torch.inference_mode(), self._only(level, level + 1):
            if level == 0:
                logits = self._first(state)
            else:
                logits = self._next(state, level, *self._beams(state, level, tokens[..., None], parents))[:, -1]
            log_probs = self._normalised(logits, level, self._start(level, level + 1))
        result: LogProbs = log_probs.view(len(state.mask), -1, log_probs.shape[-1]).cpu().numpy()
        return self._checked(result)

    def ahead(self, state: State, level: int, tokens: IntArray, parents: IntArray, paths: IntArray) -> LogProbs:
        """Scores tokens that are known beforehand, several levels in one pass; see ``Ahead``.

        Raises:
            ModelError: The model gives what is not a number.
        """
        n_levels = len(paths) if self.level_sizes is None else max(0, min(len(paths), len(self.level_sizes) - level))
        scores: LogProbs = np.zeros(paths.shape, dtype=np.float32)
        widest = self.n_vocabulary if self.level_sizes is None else sum(self.level_sizes[level : level + n_levels])
        piece = max(1, _MOST_LOGITS // (tokens.size * max(1, widest)))
        own = np.tile(np.arange(tokens.shape[1]), (len(tokens), 1))
        for start in range(0, n_levels, piece):
            wanted = paths[start : min(start + piece, n_levels)]
            known = np.concatenate([tokens[None], wanted[:-1]])
            scores[start : start + piece] = self._scored(state, level + start, known, parents, wanted)
            tokens, parents = wanted[-1], own
        return self._checked(scores)

    def _scored(self, state: State, level: int, known: IntArray, parents: IntArray, wanted: IntArray) -> LogProbs:
        """Log-probabilities of wanted tokens, each after the known one. *Shapes:* (n_levels, n_queries, n_beams)."""
        import torch

        n_levels = len(wanted)
        after = torch.as_tensor(wanted.reshape(n_levels, -1, 1), device=self.model.device)
        with torch.inference_mode(), self._only(level, level + n_levels):
            logits = self._next(state, level, *self._beams(state, level, np.moveaxis(known, 0, -1), parents))
            first = self._start(level, level + n_levels)
            scored = [
                self._normalised(logits[:, at], level + at, first)
                .gather(1, own.clamp(min=0))
                .masked_fill(own == END, 0)
                for at, own in enumerate(after)
            ]
        result: LogProbs = torch.stack(scored).cpu().numpy().reshape(wanted.shape)
        return result

    def score(self, state: State, docids: IntArray) -> ScoreArray:
        """Scores given docids of each query; see ``Backbone``."""
        scores = np.zeros(docids.shape[:2])
        if not docids.size:
            return scores
        root = np.full((len(docids), 1), END), np.zeros((len(docids), 1), dtype=np.int64)
        for start in range(0, docids.shape[1], _BLOCK):
            block = docids[:, start : start + _BLOCK]
            log_probs = self.step(state, 0, *root)
            assert log_probs is not None
            tokens = block[:, :, 0]
            first = np.take_along_axis(log_probs[:, 0], np.maximum(tokens, 0), axis=1)
            rest = self.ahead(state, 1, tokens, np.zeros_like(tokens), np.moveaxis(block[:, :, 1:], -1, 0))
            scores[:, start : start + _BLOCK] = np.where(tokens == END, 0.0, first) + rest.sum(axis=0, dtype=np.float64)
        return scores

    def token_log_probs(self, texts: Sequence[str], docids: IntArray) -> Tensor:
        """Scores each token of one docid a text, with gradients; see ``Backbone`` and ``token_distributions``."""
        import torch

        wanted = torch.as_tensor(docids, device=self.model.device)
        found = self.token_distributions(texts, docids)
        scored = [each.gather(1, own[:, None].clamp(min=0)) for each, own in zip(found, wanted.T, strict=True)]
        return torch.cat(scored, dim=1).masked_fill(wanted == END, 0.0)

    def token_distributions(self, texts: Sequence[str], docids: IntArray) -> list[Tensor]:
        """Log-probabilities of all tokens at each place of one docid a text, with gradients.

        *Shape:* (n_texts, n_codes) by place, float32; of no meaning where a docid has ended.

        Raises:
            InputError: There is not one docid a text, or a docid has a token that the levels lack.
        """
        import torch

        self._check(texts, docids)
        tokens, n_levels = self._docid_tokens(torch.as_tensor(docids, device=self.model.device)), docids.shape[1]
        with self._only(0, n_levels):
            logits = self._teacher_forced(*self._inputs(texts), tokens)
        start = self._start(0, n_levels)
        return [self._normalised(logits[:, level], level, start) for level in range(n_levels)]

    def loss(self, texts: Sequence[str], docids: IntArray) -> Tensor:
        """The mean of the tokens' negative log-probabilities; see ``Backbone``."""
        return -self.token_log_probs(texts, docids).sum() / int((docids != END).sum())

    def text_loss(self, docids: IntArray, texts: Sequence[str]) -> Tensor:
        """The other direction: the mean of the negative log-probabilities of texts' tokens, and ends, after a docid.

        Args:
            docids: *Shape:* (n_texts, n_tokens), int64, filled up with ``END``.
            texts: The texts, which are cut after ``max_tokens``.

        Raises:
            InputError: There is not one docid a text, or a docid has a token that the levels lack.
        """
        import torch

        self._check(texts, docids)
        end, tokens = self.tokenizer.eos_token_id, self._docid_tokens(torch.as_tensor(docids)).tolist()
        lengths = (docids != END).sum(axis=1).tolist()
        prompts = [[*own[:length], end] for own, length in zip(tokens, lengths, strict=True)]
        wanted, there = padded([ended(own, end) for own in self._tokenized(texts)], self._pad)
        wanted, there = wanted.to(self.model.device), there.to(self.model.device)
        return mean_loss(self._teacher_forced(*self._padded(prompts), wanted), wanted, there)

    @abstractmethod
    def encode(self, texts: Sequence[str]) -> State:
        """Encodes a batch of queries, once for all steps."""

    @abstractmethod
    def _first(self, state: State) -> Tensor:
        """Logits of the first token; starts the caches anew. *Shape:* (n_queries, n_vocabulary)."""

    @abstractmethod
    def _next(self, state: State, level: int, tokens: Tensor, order: Tensor | None) -> Tensor:
        """Logits after further tokens, which join the caches.

        Args:
            state: The caches and the beams.
            level: Of the first logits; one less than how many tokens there will be.
            tokens: *Shape:* (n_queries * n_beams, n_tokens).
            order: Which beam of the level above each one continues; None where that is its own place.

        Returns:
            *Shape:* (n_queries * n_beams, n_tokens, n_vocabulary).
        """

    @abstractmethod
    def _teacher_forced(self, ids: Tensor, mask: Tensor, tokens: Tensor) -> Tensor:
        """Logits of all tokens, after inputs with their mask.

        *Shapes:* (n_texts, n_tokens, n_vocabulary), from twice (n_texts, n_input_tokens) and (n_texts, n_tokens).
        """

    @abstractmethod
    def _inputs(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Texts as the model reads them: tokens and their mask. *Shapes:* (n_texts, n_tokens), int64."""

    def _tokenized(self, texts: Sequence[str]) -> list[list[int]]:
        """Each text's tokens, cut."""
        tokens: list[list[int]] = self.tokenizer(list(texts), truncation=True, max_length=self.max_tokens)["input_ids"]
        return tokens

    def _padded(self, tokens: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        """Inputs of one length, and their mask. *Shapes:* (n_texts, n_tokens), int64."""
        ids, mask = padded(tokens, self._pad, self.pads_left)
        return ids.to(self.model.device), mask.to(self.model.device)

    def _beams(self, state: State, level: int, tokens: IntArray, parents: IntArray) -> tuple[Tensor, Tensor | None]:
        """The beams' newest tokens, and which cached beams they continue; ``state.width`` becomes theirs.

        *Shapes:* (n_queries * n_beams, n_tokens), from (n_queries, n_beams, n_tokens), and (n_queries * n_beams,).
        """
        import torch

        n_queries, width, n_tokens = tokens.shape
        order = (parents + state.width * np.arange(n_queries)[:, None]).ravel()
        stays = state.width == width and np.array_equal(order, np.arange(len(order)))
        state.width = width
        device = self.model.device
        newest = self._docid_tokens(torch.as_tensor(tokens.reshape(-1, n_tokens), device=device), level - 1)
        return newest, None if stays else torch.as_tensor(order, device=device)

    def _docid_tokens(self, codes: Tensor, level: int = 0) -> Tensor:
        """Codes of a level and those after it as tokens of the vocabulary. *Shape:* (n, n_tokens), int64, both."""
        import torch

        columns = [self._vocabulary(at, column) for at, column in enumerate(codes.T, level)]
        return torch.stack(columns, dim=1)

    def _vocabulary(self, level: int, codes: Tensor) -> Tensor:
        """A level's codes as tokens of the vocabulary, padding where a docid has ended."""
        first = 0 if self.level_sizes is None else self._firsts[level]
        return (codes + first).masked_fill(codes < 0, self._pad)

    def _normalised(self, logits: Tensor, level: int, start: int) -> Tensor:
        """Log-probabilities of all codes of a level. *Shape:* (n, n_codes), float32.

        The logits are of the whole vocabulary, or, from a narrowed model, of the tokens from ``start`` on.
        """
        if self.level_sizes is not None:
            first = self._firsts[level] - (0 if logits.shape[1] == self.n_vocabulary else start)
            logits = logits[:, first : first + self.level_sizes[level]]
        return logits.float().log_softmax(dim=-1)

    def _start(self, level: int, end: int) -> int:
        """The first token of some levels."""
        return min(self._firsts[level:end], default=0)

    def _checked(self, log_probs: LogProbs) -> LogProbs:
        if np.isnan(log_probs).any():
            raise InferenceError(f"{type(self.model).__name__} gives log-probabilities that are not numbers")
        return log_probs

    def _needed(self, mask: Tensor) -> Tensor | None:
        """A mask, None where there is no padding: attention without one is faster."""
        return None if bool(mask.all()) else mask

    def _only(self, level: int, end: int) -> Any:
        """Has the output layer work out some levels' tokens alone."""
        if self.level_sizes is None:
            return nullcontext()
        firsts, sizes = self._firsts[level:end], self.level_sizes[level:end]
        return only_tokens(min(firsts), max(first + size for first, size in zip(firsts, sizes, strict=True)))

    def _set_levels(self, level_sizes: Sequence[int] | None) -> None:
        self._firsts = [] if level_sizes is None else code_tokens(self.model, self.tokenizer, level_sizes)
        self.level_sizes = None if level_sizes is None else tuple(level_sizes)
        self.n_vocabulary: int = self.model.get_input_embeddings().weight.shape[0]

    def _check(self, texts: Sequence[str], docids: IntArray) -> None:
        if docids.ndim != 2 or len(docids) != len(texts) or not (docids != END).any():
            raise InputError(f"{len(texts)} texts are trained with docids of shape {docids.shape}, none of them empty")
        sizes = self.level_sizes or (self.n_vocabulary,) * docids.shape[1]
        if docids.shape[1] > len(sizes) or (docids < END).any() or (docids >= np.array(sizes)[: docids.shape[1]]).any():
            raise InputError(f"a docid has a token that the backbone's levels {self.level_sizes} lack")
