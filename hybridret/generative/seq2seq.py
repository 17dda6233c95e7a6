"""The seq2seq backbone: an encoder reads the text once, a decoder writes the docid."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hybridret.errors import ModelError
from hybridret.generative.language_model import LanguageModelBackbone
from hybridret.generative.narrow_head import logits_of
from hybridret.generative.state import State, copied

if TYPE_CHECKING:
    from torch import Tensor


class Seq2SeqBackbone(LanguageModelBackbone):
    """Any T5-, BART- or mT5-like model of transformers; see ``LanguageModelBackbone``."""

    auto_class = "AutoModelForSeq2SeqLM"
    task = "SEQ_2_SEQ_LM"

    def encode(self, texts: Sequence[str]) -> State:
        """Runs the encoder over a batch of queries."""
        import torch

        self.model.eval()
        ids, mask = self._inputs(texts)
        with torch.inference_mode():
            encoder = self.model.get_encoder()
            return State(mask, encoder(input_ids=ids, attention_mask=mask).last_hidden_state)

    @cached_property
    def _empty(self) -> Any:
        """Caches without a token; to make them, transformers copies the model's configuration, which takes long."""
        from transformers import DynamicCache

        return DynamicCache(config=self.model.config.get_text_config(decoder=True)), DynamicCache()

    def _first(self, state: State) -> Tensor:
        from transformers import EncoderDecoderCache

        state.width, state.cache = 1, EncoderDecoderCache(*map(copied, self._empty))
        state.extra = state.encoded, self._needed(state.mask), None
        logits = self._decoded(state, self._begun(len(state.mask)))[:, -1]
        encoded, mask, _ = state.extra
        state.extra = encoded, mask, copied(state.cache.cross_attention_cache)
        return logits

    def _next(self, state: State, level: int, tokens: Tensor, order: Tensor | None) -> Tensor:
        if order is not None:
            state.cache.self_attention_cache.reorder_cache(order)
        if len(state.extra[0]) != len(tokens):
            self._widen(state)
        return self._decoded(state, tokens)

    def _widen(self, state: State) -> None:
        """Gives each beam its query's encoder output, and the keys and values that the decoder made of it."""
        import torch
        from transformers import EncoderDecoderCache

        queries = torch.arange(len(state.mask), device=state.mask.device).repeat_interleave(state.width)
        own = copied(state.extra[2])
        own.reorder_cache(queries)
        state.cache = EncoderDecoderCache(state.cache.self_attention_cache, own)
        state.extra = state.encoded[queries], self._needed(state.mask[queries]), state.extra[2]

    def _decoded(self, state: State, tokens: Tensor) -> Tensor:
        """Logits after each of the tokens, which join the cache."""
        from transformers.modeling_outputs import BaseModelOutput

        encoded, mask, _ = state.extra
        output = self.model(
            encoder_outputs=BaseModelOutput(last_hidden_state=encoded),
            attention_mask=mask,
            decoder_input_ids=tokens,
            past_key_values=state.cache,
            use_cache=True,
        )
        state.cache = output.past_key_values
        return logits_of(output, self.model)

    def _teacher_forced(self, ids: Tensor, mask: Tensor, tokens: Tensor) -> Tensor:
        import torch

        shifted = torch.cat([self._begun(len(ids)), tokens[:, :-1]], dim=1)
        output = self.model(
            input_ids=ids,
            attention_mask=mask,
            decoder_input_ids=shifted,
            decoder_attention_mask=torch.ones_like(shifted),
            use_cache=False,
        )
        return logits_of(output, self.model)

    def _begun(self, n: int) -> Tensor:
        """The token that decoding starts with. *Shape:* (n, 1), int64."""
        import torch

        start = self.model.config.decoder_start_token_id
        if start is None:
            raise ModelError(f"{type(self.model).__name__} names no token to start decoding with")
        return torch.full((n, 1), int(start), device=self.model.device)

    def _inputs(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Tokens and their mask, filled up on the right; an empty text is an end token. *Shapes:* (n, n_tokens)."""
        return self._padded([own or [self.tokenizer.eos_token_id] for own in self._tokenized(texts)])
