"""The docid retriever of an index whose docids a language model writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hybridret.allowed import Allowed
from hybridret.decoding import END, Guide, Trie
from hybridret.docids import FILL, DocidScheme, ResidualQuantizer, SchemeName
from hybridret.errors import ModelError
from hybridret.forking import new_lock
from hybridret.generative.indexed import IndexedDocids
from hybridret.generative.language_model import LanguageModelBackbone
from hybridret.generative.retriever import GUIDED
from hybridret.generative.text_beams import backbone_beams
from hybridret.types import CodeArray, IntArray, Queries, Run, ScoreArray, Scores

N_BEAMS = 20
N_SCORED = 20
"""Candidates of other retrievers that are scored, each for a pass of the model; the others take the beam's floor."""
EXHAUSTIVE_UP_TO = 128
_BATCH = 16
assert FILL == END


class LazyBackbone:
    """A backbone that is loaded when it is first asked for, by one thread, and its tokenizer.

    Args:
        load: Loads it.
    """

    def __init__(self, load: Callable[[], LanguageModelBackbone]) -> None:
        self._load, self._lock = load, new_lock()
        self._loaded: LanguageModelBackbone | None = None

    def get(self) -> LanguageModelBackbone:
        """The backbone.

        Raises:
            ModelError: It cannot be loaded.
        """
        with self._lock:
            if self._loaded is None:
                self._loaded = self._load()
            return self._loaded

    @property
    def eos_token_id(self) -> Any:
        """The tokenizer's end token."""
        return self.get().tokenizer.eos_token_id

    def __call__(self, text: list[str], *, add_special_tokens: bool) -> Any:
        """Gives the tokens under ``input_ids``."""
        return self.get().tokenizer(text, add_special_tokens=add_special_tokens)


class BackboneDocids(IndexedDocids):
    """Decodes docids of any scheme by a trained backbone, one docid a document.

    Every score is a pass of the model, so that it contributes its beam and scores few of what others found.

    Args:
        name: The scheme's name.
        scheme: Gives new documents their docids.
        backbone: The model; it is not loaded before it is needed.
        codes: *Shape:* (n_rows, n_tokens), int32, filled up with ``END``; by default of no rows.
        suffixes: *Shape:* (n_rows,), int32; see ``assign_suffixes``.
        base: The trie of the first rows; by default of all.
    """

    beam = N_BEAMS
    is_trained = True

    def __init__(
        self,
        name: SchemeName,
        scheme: DocidScheme,
        backbone: LazyBackbone,
        codes: CodeArray | None = None,
        suffixes: CodeArray | None = None,
        base: Trie | None = None,
    ) -> None:
        n_tokens = len(scheme.level_sizes or ())
        no_codes: CodeArray = np.zeros((0, n_tokens), dtype=np.int32)
        no_suffixes: CodeArray = np.zeros(0, dtype=np.int32)
        super().__init__(
            scheme, no_codes if codes is None else codes, no_suffixes if suffixes is None else suffixes, base
        )
        self.written_scheme = self._name = name
        self.lazy = backbone
        self._kept: tuple[list[str], list[Any]] | None = None

    @property
    def frozen(self) -> Mapping[str, object]:
        """The scheme; the backbone lies in a folder."""
        return {"scheme": self.scheme}

    def _over(self, codes: CodeArray, suffixes: CodeArray, base: Trie | None) -> BackboneDocids:
        return BackboneDocids(self._name, self.scheme, self.lazy, codes, suffixes, base)

    def with_backbone(self, backbone: LazyBackbone) -> BackboneDocids:
        """The same rows under another model that writes docids of the same scheme."""
        return BackboneDocids(self._name, self.scheme, backbone, self.codes, self.suffixes, self._base)

    def _fitting(self, codes: CodeArray) -> CodeArray:
        sizes = self.scheme.level_sizes
        if sizes is not None and codes.shape[1] != len(sizes):
            raise ValueError("the docids have another length than the scheme's")
        highest = np.iinfo(np.int32).max if sizes is None else np.array(sizes)
        if len(codes) and (codes[:, :1] < 0).any():
            raise ValueError("a docid is empty")
        if (codes < END).any() or (codes >= highest).any():
            raise ValueError("a docid has a code that the scheme lacks")
        return codes.astype(np.int32)

    @cached_property
    def backbone(self) -> LanguageModelBackbone:
        """The model.

        Raises:
            ModelError: It cannot be loaded, or writes other docids than these.
        """
        backbone = self.lazy.get()
        if backbone.level_sizes != self.scheme.level_sizes:
            raise ModelError(
                f"the backbone writes docids of levels {backbone.level_sizes}, the scheme has {self.scheme.level_sizes}"
            )
        if backbone.level_sizes is None and self.codes.max(initial=0) >= backbone.n_vocabulary:
            raise ModelError(f"a docid has a token that the backbone's vocabulary of {backbone.n_vocabulary} lacks")
        return backbone

    def search(
        self, queries: Queries, k: int, allowed: Allowed | None, ties: IntArray, guides: Sequence[Run] | None = None
    ) -> list[Run]:
        """Finds the k rows of the likeliest docids by beam search, exactly where few are allowed; see the base."""
        n_allowed = len(self.codes) if allowed is None else allowed.count
        n_beams = n_allowed if n_allowed <= max(k, EXHAUSTIVE_UP_TO) else max(k, N_BEAMS)
        if not n_beams:
            return [Run(np.zeros(0, dtype=np.int64), np.zeros(0)) for _ in queries.texts]
        runs: list[Run] = []
        states: list[Any] = []
        for start in range(0, len(queries.texts), _BATCH):
            texts = queries.texts[start : start + _BATCH]
            states.append(self.backbone.encode(texts))
            guide = None if guides is None else Guide.of_runs(guides[start : start + _BATCH], GUIDED)
            runs += backbone_beams(
                self.backbone, states[-1], len(texts), self.tries, n_beams, self._alive(allowed), ties, guide
            )
        self._kept = queries.texts, states
        return [Run(run.rows[:k], run.scores[:k]) for run in runs]

    def score(self, queries: Queries, rows: list[IntArray]) -> list[ScoreArray]:
        """Scores given rows of each query by the log-probability of their docids."""
        kept, self._kept = self._kept, None
        states = kept[1] if kept is not None and kept[0] is queries.texts else None
        scores: list[ScoreArray] = []
        for at, start in enumerate(range(0, len(rows), _BATCH)):
            asked = rows[start : start + _BATCH]
            n_most = max(map(len, asked))
            if not n_most:
                scores += [np.zeros(0) for _ in asked]
                continue
            table = np.zeros((len(asked), n_most), dtype=np.int64)
            for own, given in zip(table, asked, strict=True):
                own[: len(given)] = given
            texts = queries.texts[start : start + _BATCH]
            state = self.backbone.encode(texts) if states is None else states[at]
            found = self.backbone.score(state, self.codes[table].astype(np.int64))
            scores += [own[: len(given)] for own, given in zip(found, asked, strict=True)]
        return scores

    def score_pooled(self, queries: Queries, pools: list[IntArray], runs: Mapping[str, Sequence[Run]]) -> list[Scores]:
        """Takes the scores of its own beam, scores the best of the others' rows, and gives the rest the beam's floor.

        Rows that are in no run, which were asked for by name, are scored first.
        """
        others = [[own[at] for name, own in runs.items() if name != "docid"] for at in range(len(pools))]
        asked = [
            _best_others(pool, own.rows, found) for pool, own, found in zip(pools, runs["docid"], others, strict=True)
        ]
        scored = self.score(queries, asked)
        return [_assembled(*each) for each in zip(pools, runs["docid"], asked, scored, strict=True)]

    def explain(self, queries: Queries, row: int) -> list[dict[str, Any]]:
        """A row's docid, token by token, with log-probabilities; of a docid that is a text, the words."""
        import torch

        docid = self.codes[row : row + 1].astype(np.int64)
        with torch.inference_mode():
            log_probs = self.backbone.token_log_probs(queries.texts[:1], docid)[0].tolist()
        path = self._path(row, log_probs)
        if self.scheme.level_sizes is None:
            for step in path[: int((docid >= 0).sum())]:
                step["token"] = self.backbone.tokenizer.decode([step["code"]])
        return path

    def facts(self, n_codes: int) -> dict[str, Any]:
        """The scheme, and the sizes of its levels; null where docids are texts. Codes are clamped for rq alone."""
        sizes = self.scheme.level_sizes
        clamped = isinstance(self.scheme, ResidualQuantizer) and self.scheme.n_codes < n_codes
        return {"scheme": self._name, "level_sizes": None if sizes is None else list(sizes), "codes_clamped": clamped}

    def save(self, folder: Path) -> None:
        """Writes the backbone."""
        self.backbone.save(folder)


def _best_others(pool: IntArray, own: IntArray, runs: Sequence[Run]) -> IntArray:
    """Of the pooled rows that are not its own, those that others put highest. *Shape:* (at most 20,), ascending."""
    rows = np.setdiff1d(pool, own)
    places = np.zeros(len(rows), dtype=np.int64)
    for run in runs:
        at = np.searchsorted(rows, run.rows)
        inside = at < len(rows)
        inside[inside] = rows[at[inside]] == run.rows[inside]
        here = np.flatnonzero(inside) + 1
        known = places[at[inside]]
        places[at[inside]] = np.where(known > 0, np.minimum(known, here), here)
    return np.sort(rows[np.argsort(places, kind="stable")[:N_SCORED]])


def _assembled(pool: IntArray, own: Run, asked: IntArray, scored: ScoreArray) -> Scores:
    """The scores of all pooled rows, of which some have none."""
    known = own.scores if len(own.scores) else scored
    values = np.full(len(pool), known.min(initial=np.inf) if len(known) else 0.0)
    is_floor = np.ones(len(pool), dtype=np.bool_)
    inside = np.isin(own.rows, pool)
    for rows, scores in ((own.rows[inside], own.scores[inside]), (asked, scored)):
        at = np.searchsorted(pool, rows)
        values[at], is_floor[at] = scores, False
    return Scores(values, is_floor)
