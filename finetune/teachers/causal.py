"""A causal language model as teacher: the likelihood of the answer given passage and question."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from finetune.teachers.prompt import Prompt, label, make_prompt
from hybridret.errors import InputError
from hybridret.models import load_language_model

if TYPE_CHECKING:
    import torch

_LOG = logging.getLogger(__name__)
_WINDOW = 2048
_ENDLESS = 1_000_000


class Likelihood(NamedTuple):
    """The likelihood of a target.

    Attributes:
        total: Sum of the log-probabilities of its tokens, natural logarithm.
        n_tokens: How many tokens it has.
    """

    total: float
    n_tokens: int


class _Ids(NamedTuple):
    """Token ids of a prompt, of which the last ``n_target`` are the target's."""

    ids: list[int]
    n_target: int


class LikelihoodTeacher:
    """Labels passages by how much they raise the likelihood of the answer, or of the question where there is no answer.

    Passages are cut to what the model's window leaves. A target may fill half of the window; what is longer is cut, the
    same for all passages of its question, and that is logged.

    Args:
        model: A ``transformers`` causal language model.
        tokenizer: Its tokenizer.
        name: What caches call it.
        normalise: Whether log-likelihoods are divided by the target's number of tokens.
        calibrate: Whether the log-likelihood without the passage is subtracted.
        batch_size: Pairs scored at once; it does not change the scores.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        name: str,
        normalise: bool = True,
        calibrate: bool = True,
        batch_size: int = 16,
    ) -> None:
        self._model, self._tokenizer = model.eval(), tokenizer
        self.name = f"likelihood:{name}:{model.dtype}:normalise={normalise}:calibrate={calibrate}"
        self._normalise, self._calibrate, self._batch_size = normalise, calibrate, batch_size
        self._keeps_logits = "logits_to_keep" in inspect.signature(model.forward).parameters
        self.window = _window(model, tokenizer)

    def score(
        self, questions: Sequence[str], passages: Sequence[Sequence[str]], answers: Sequence[str | None]
    ) -> list[list[float]]:
        """Scores each question's passages; see the class.

        Raises:
            InputError: A question alone does not fit into the window.
        """
        prompts: list[Prompt] = []
        for question, own, answer in zip(questions, passages, answers, strict=True):
            prompts += [make_prompt(question, passage, answer) for passage in own]
            prompts += [make_prompt(question, None, answer)] if self._calibrate else []
        found = iter(self.likelihoods(prompts))
        labels = []
        for own in passages:
            with_passage = [next(found) for _ in own]
            without = next(found).total if self._calibrate else None
            labels.append([label(each.total, without, each.n_tokens, self._normalise) for each in with_passage])
        return labels

    def likelihoods(self, prompts: Sequence[Prompt]) -> list[Likelihood]:
        """Measures targets, the shortest prompts first, in batches."""
        tokens = self._tokens(prompts)
        order = sorted(range(len(tokens)), key=lambda place: len(tokens[place].ids))
        found: list[Likelihood] = [Likelihood(0.0, 0)] * len(tokens)
        for start in range(0, len(order), self._batch_size):
            places = order[start : start + self._batch_size]
            for place, likelihood in zip(places, self._measure([tokens[place] for place in places]), strict=True):
                found[place] = likelihood
        return found

    def _measure(self, batch: list[_Ids]) -> list[Likelihood]:
        import torch

        longest = max(len(each.ids) for each in batch)
        ids = torch.zeros((len(batch), longest), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, each in enumerate(batch):
            ids[row, : len(each.ids)] = torch.tensor(each.ids)
            mask[row, : len(each.ids)] = 1
        first = min(len(each.ids) - each.n_target for each in batch) - 1
        logits = self._logits(ids, mask, first)
        found = []
        for row, each in enumerate(batch):
            start, end = len(each.ids) - each.n_target, len(each.ids)
            rows = logits[row, start - 1 - first : end - 1 - first].double().log_softmax(-1)
            chosen = rows.gather(1, ids[row, start:end, None].to(rows.device))
            found.append(Likelihood(float(chosen.sum()), each.n_target))
        return found

    def _logits(self, ids: torch.Tensor, mask: torch.Tensor, first: int) -> torch.Tensor:
        """The logits at the positions from ``first`` on. *Shape:* (batch, positions, vocabulary)."""
        import torch

        device = self._model.device
        inputs = {"input_ids": ids.to(device), "attention_mask": mask.to(device), "use_cache": False}
        with torch.inference_mode():
            if self._keeps_logits:
                kept = torch.arange(first, ids.shape[1], device=device)
                logits: torch.Tensor = self._model(**inputs, logits_to_keep=kept).logits
                return logits
            whole: torch.Tensor = self._model(**inputs).logits
            return whole[:, first:]

    def _tokens(self, prompts: Sequence[Prompt]) -> list[_Ids]:
        begin = getattr(self._tokenizer, "bos_token_id", None)
        prefix = [begin if begin is not None else self._first_token()]
        tokens, cut = [], 0
        for prompt in prompts:
            passage, rest, target = (self._ids(text) for text in prompt)
            most = self.window // 2
            cut += len(target) > most
            target = target[:most]
            room = self.window - len(prefix) - len(rest) - len(target)
            if room < 0 or not target:
                raise InputError(
                    f"a question of {len(rest)} tokens with {len(target)} of its answer does not fit into the model's "
                    f"window of {self.window}: {prompt.rest.strip()[:80]!r}"
                )
            tokens.append(_Ids([*prefix, *passage[:room], *rest, *target], len(target)))
        if cut:
            _LOG.warning("%d answers are longer than half of the model's window of %d and were cut", cut, self.window)
        return tokens

    def _ids(self, text: str) -> list[int]:
        if not text:
            return []
        ids: list[int] = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def _first_token(self) -> int:
        """What stands at the begin where the tokenizer has no token for it."""
        end = getattr(self._tokenizer, "eos_token_id", None)
        return end if end is not None else self._ids("\n")[0]


def _window(model: Any, tokenizer: Any) -> int:
    known = [getattr(model.config, "max_position_embeddings", None), getattr(tokenizer, "model_max_length", None)]
    return min((int(size) for size in known if size and size < _ENDLESS), default=_WINDOW)


def load_likelihood_teacher(
    name: str, normalise: bool = True, calibrate: bool = True, batch_size: int = 16
) -> LikelihoodTeacher:
    """Loads a causal language model, from safetensors and without running code that comes with it.

    Args:
        name: Folder or hub id.
        normalise: See ``LikelihoodTeacher``.
        calibrate: See there.
        batch_size: See there.

    Raises:
        ModelError: It cannot be loaded.
    """
    model, tokenizer = load_language_model(name, "AutoModelForCausalLM")
    return LikelihoodTeacher(model, tokenizer, name, normalise, calibrate, batch_size)
