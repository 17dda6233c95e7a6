"""The causal backbone: a decoder-only language model continues a text by its docid."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hybridret.generative.language_model import LanguageModelBackbone
from hybridret.generative.narrow_head import logits_of
from hybridret.generative.state import State, copied
from hybridret.generative.text_tokens import ended, mean_loss

if TYPE_CHECKING:
    from torch import Tensor


class CausalBackbone(LanguageModelBackbone):
    """Any decoder-only model of transformers: text, end token, docid; see ``LanguageModelBackbone``."""

    auto_class = "AutoModelForCausalLM"
    task = "CAUSAL_LM"
    pads_left = True

    def encode(self, texts: Sequence[str]) -> State:
        """Runs the model over the texts, whose keys and values are kept."""
        import torch

        self.model.eval()
        ids, mask = self._inputs(texts)
        with torch.inference_mode(), self._only(0, 1):
            output = self.model(input_ids=ids, attention_mask=mask, use_cache=True, **self._positions(mask))
            hidden = {"last": logits_of(output, self.model)[:, -1], "cache": output.past_key_values}
        return State(mask, hidden)

    def input_loss(self, texts: Sequence[str]) -> Tensor:
        """The mean of the negative log-probabilities of texts' tokens, and ends, each after those before it."""
        ids, mask = self._inputs(texts)
        output = self.model(input_ids=ids, attention_mask=mask, use_cache=False, **self._positions(mask))
        return mean_loss(logits_of(output, self.model)[:, :-1], ids[:, 1:], mask[:, :-1])

    def _first(self, state: State) -> Tensor:
        state.width = 1
        state.cache = copied(state.encoded["cache"])
        last: Tensor = state.encoded["last"]
        return last

    def _next(self, state: State, level: int, tokens: Tensor, order: Tensor | None) -> Tensor:
        import torch

        if order is not None:
            state.cache.reorder_cache(order)
        mask = torch.cat(
            [
                state.mask.repeat_interleave(state.width, dim=0),
                tokens.new_ones(len(tokens), level - 1 + tokens.shape[1]),
            ],
            dim=1,
        )
        positions = {name: own[:, -tokens.shape[1] :] for name, own in self._positions(mask).items()}
        output = self.model(
            input_ids=tokens,
            attention_mask=self._needed(mask),
            past_key_values=state.cache,
            use_cache=True,
            **positions,
        )
        return logits_of(output, self.model)

    def _teacher_forced(self, ids: Tensor, mask: Tensor, tokens: Tensor) -> Tensor:
        import torch

        whole = torch.cat([ids, tokens[:, :-1]], dim=1)
        mask = torch.cat([mask, torch.ones_like(tokens[:, :-1])], dim=1)
        output = self.model(input_ids=whole, attention_mask=mask, use_cache=False, **self._positions(mask))
        return logits_of(output, self.model)[:, ids.shape[1] - 1 :]

    def _positions(self, mask: Tensor) -> dict[str, Tensor]:
        """Each token's place behind the padding, for models that are told. *Shape:* (n, n_tokens), int64."""
        inner = self.model.get_base_model() if hasattr(self.model, "peft_config") else self.model
        if "position_ids" not in inspect.signature(inner.forward).parameters:
            return {}
        return {"position_ids": (mask.cumsum(dim=1) - 1).clamp(min=0)}

    def _inputs(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Tokens and their mask, each text ended and filled up on the left. *Shapes:* (n, n_tokens)."""
        return self._padded([ended(own, self.tokenizer.eos_token_id) for own in self._tokenized(texts)])
