"""A causal language model behind an endpoint as teacher."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from typing import Any

from finetune.teachers.causal import Likelihood
from finetune.teachers.endpoint import Endpoint, EndpointError
from finetune.teachers.prompt import Prompt, label, make_prompt

_PASSAGE_CHARACTERS = 6000


class EndpointTeacher:
    """Labels passages as ``LikelihoodTeacher`` does, by an endpoint's log-probabilities of the prompt's tokens.

    It calls ``/completions`` with ``echo`` and ``logprobs``, as vLLM and other servers of open models offer; a chat
    endpoint cannot do it. The model's window is not known here: the first 6,000 characters of a passage are sent, and
    what still does not fit, such as a very long answer, the endpoint refuses.

    Args:
        endpoint: Where to ask.
        model: The endpoint's name of the model.
        normalise: Whether log-likelihoods are divided by the target's number of tokens.
        calibrate: Whether the log-likelihood without the passage is subtracted.
        parallel: Calls at the same time.
    """

    def __init__(
        self, endpoint: Endpoint, model: str, normalise: bool = True, calibrate: bool = True, parallel: int = 4
    ) -> None:
        self._endpoint, self._model = endpoint, model
        self._normalise, self._calibrate, self._parallel = normalise, calibrate, parallel
        self.name = f"endpoint:{endpoint.url}:{model}:normalise={normalise}:calibrate={calibrate}"

    def score(
        self, questions: Sequence[str], passages: Sequence[Sequence[str]], answers: Sequence[str | None]
    ) -> list[list[float]]:
        """Scores each question's passages.

        Raises:
            EndpointError: The endpoint fails, or gives no log-probabilities of the prompt.
        """
        prompts: list[Prompt] = []
        for question, own, answer in zip(questions, passages, answers, strict=True):
            prompts += [make_prompt(question, passage[:_PASSAGE_CHARACTERS], answer) for passage in own]
            prompts += [make_prompt(question, None, answer)] if self._calibrate else []
        with ThreadPoolExecutor(self._parallel) as threads:
            found = iter(list(threads.map(self.likelihood, prompts)))
        labels = []
        for own in passages:
            with_passage = [next(found) for _ in own]
            without = next(found).total if self._calibrate else None
            labels.append([label(each.total, without, each.n_tokens, self._normalise) for each in with_passage])
        return labels

    def likelihood(self, prompt: Prompt) -> Likelihood:
        """Asks for one target."""
        text = prompt.before + prompt.target
        body = {"model": self._model, "prompt": text, "max_tokens": 1, "echo": True, "logprobs": 1, "temperature": 0}
        reply = self._endpoint.post("completions", body)
        tokens, values, starts = self._parts(reply, text)
        total, count = 0.0, 0
        for token, value, start in zip(tokens, values, starts, strict=True):
            if start + len(token) <= len(prompt.before) or start >= len(text):
                continue
            if not isinstance(value, int | float) or not math.isfinite(value) or value > 0:
                raise EndpointError(f"{self._endpoint.url} gave {value!r} as log-probability of the token {token!r}")
            total, count = total + value, count + 1
        if not count:
            raise EndpointError(f"{self._endpoint.url} gave no token for the end of the prompt, {prompt.target!r}")
        return Likelihood(total, count)

    def _parts(self, reply: dict[str, Any], text: str) -> tuple[list[str], list[Any], list[int]]:
        """Tokens, log-probabilities, and where in the prompt each token begins."""
        tokens, values, starts = self._fields(reply)
        joined = "".join(tokens)
        if (lead := joined.find(text)) >= 0:
            return tokens, values, list(accumulate(map(len, tokens), initial=-lead))[:-1]
        if starts is None:
            raise EndpointError(f"{self._endpoint.url} does not echo the prompt's tokens, but {joined[:200]!r}")
        return tokens, values, starts

    def _fields(self, reply: dict[str, Any]) -> tuple[list[str], list[Any], list[int] | None]:
        try:
            found = reply["choices"][0]["logprobs"]
            tokens, values, starts = found["tokens"], found["token_logprobs"], found.get("text_offset")
            if len(tokens) == len(values) and all(isinstance(token, str) for token in tokens):
                is_whole = isinstance(starts, list) and len(starts) == len(tokens)
                return tokens, values, starts if is_whole else None
        except (KeyError, IndexError, TypeError, AttributeError):
            pass
        raise EndpointError(
            f"{self._endpoint.url} gives no log-probabilities of the prompt (choices[0].logprobs.tokens and "
            f"token_logprobs): {str(reply)[:200]}"
        )
