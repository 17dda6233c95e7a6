"""Texts from texts by local models, the same ones for the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hybridret.models import load_language_model

_INPUT_TOKENS = 512
_ENDLESS = 1_000_000
_TOP_K, _TOP_P = 50, 0.95


class LocalModel:
    """A sequence-to-sequence or causal language model.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        name: What caches call it.
        temperature: Of sampling (50 likeliest tokens, 95 % of the mass); 0 takes the likeliest token each time.
        new_tokens: Tokens to write at most.
        input_tokens: Tokens to read at most; what is longer is cut at its end.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        name: str,
        temperature: float = 0.0,
        new_tokens: int = 64,
        input_tokens: int = _INPUT_TOKENS,
    ) -> None:
        self._model, self._tokenizer = model, tokenizer
        self._temperature, self._new_tokens = temperature, new_tokens
        own = getattr(tokenizer, "model_max_length", None) or _ENDLESS
        self._input_tokens = min(input_tokens, own if own < _ENDLESS else input_tokens)
        self.name = f"{name}:temperature={temperature}:new={new_tokens}:input={self._input_tokens}"

    @property
    def writes_on(self) -> bool:
        """Whether the model continues its input, as causal models do."""
        return not self._model.config.is_encoder_decoder

    def __call__(self, texts: Sequence[str], seed: int) -> list[str]:
        """Writes one text for each, in one batch; together they depend on the seed and on each other."""
        import torch

        tokenizer = self._tokenizer
        tokenizer.padding_side = "left" if self.writes_on else "right"
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        inputs = tokenizer(
            list(texts), return_tensors="pt", padding=True, truncation=True, max_length=self._input_tokens
        )
        read = inputs["input_ids"].shape[1] if self.writes_on else 0
        ids, mask = inputs["input_ids"].to(self._model.device), inputs["attention_mask"].to(self._model.device)
        devices = [ids.device] if ids.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), torch.inference_mode():
            torch.manual_seed(seed)
            written = self._model.generate(input_ids=ids, attention_mask=mask, **self._settings())
        decoded: list[str] = tokenizer.batch_decode(written[:, read:], skip_special_tokens=True)
        return [" ".join(text.split()) if not self.writes_on else text.strip() for text in decoded]

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "max_new_tokens": self._new_tokens,
            "num_beams": 1,
            "do_sample": self._temperature > 0,
            "pad_token_id": self._tokenizer.pad_token_id,
        }
        if self._temperature > 0:
            settings |= {"temperature": self._temperature, "top_k": _TOP_K, "top_p": _TOP_P}
        return settings

    def chat_prompt(self, system: str, user: str) -> str:
        """A conversation in the form that the model was trained on; plain text where it has no chat template.

        What is too long is cut at the end of the user's message, where the passage is, so that what follows it, by
        which the model knows that it is asked, stays.
        """
        prompt = self._format(system, user)
        while user and (more := self._count(prompt) - self._input_tokens) > 0:
            kept = max(0.0, 1.0 - more / max(1, self._count(user)))
            user = user[: min(len(user) - 1, int(kept * len(user)))].rstrip()
            prompt = self._format(system, user)
        return prompt

    def _count(self, text: str) -> int:
        return len(self._tokenizer(text, verbose=False)["input_ids"])

    def _format(self, system: str, user: str) -> str:
        if not getattr(self._tokenizer, "chat_template", None):
            return f"{system}\n\n{user}\n\n"
        try:
            prompt = self._apply_template([{"role": "system", "content": system}, {"role": "user", "content": user}])
        except Exception:  # what a template raises where it has no system role is up to it
            prompt = ""
        if system.strip() in prompt:
            return prompt
        return self._apply_template([{"role": "user", "content": f"{system}\n\n{user}"}])

    def _apply_template(self, messages: list[dict[str, str]]) -> str:
        return str(self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))


def load_seq2seq(name: str, temperature: float) -> LocalModel:
    """Loads a sequence-to-sequence model.

    Raises:
        ModelError: It cannot be loaded.
    """
    return LocalModel(*load_language_model(name, "AutoModelForSeq2SeqLM"), name, temperature)
