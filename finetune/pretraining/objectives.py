"""What a model learns from bare texts: to restore damaged ones from their vectors, or to guess masked words."""

from __future__ import annotations

from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from torch.nn import functional

from finetune.pretraining.config import PretrainConfig
from hybridret.errors import InputError

_NO_LABEL = -100


class Tsdae(nn.Module):
    """TSDAE: a decoder restores a text from nothing but the vector of a copy that lost most of its words.

    Wang et al., "TSDAE: Using Transformer-based Sequential Denoising Auto-Encoder for Unsupervised Sentence Embedding
    Learning", 2021, section 3. Loss and tying of encoder and decoder are sentence-transformers' own.

    Args:
        model: The bi-encoder.
        config: Share of deleted words, length of texts.
        decoder: A folder with the transformer's weights, which the decoder starts from.
    """

    def __init__(self, model: SentenceTransformer, config: PretrainConfig, decoder: str) -> None:
        super().__init__()
        from sentence_transformers.sentence_transformer.losses import DenoisingAutoEncoderLoss

        self._config, self._model, self._window = config, model, window(model, config)
        transformer: Any = model[0]
        name = transformer.model.config._name_or_path
        transformer.model.config._name_or_path = decoder
        try:
            self.loss = DenoisingAutoEncoderLoss(model, tie_encoder_decoder=True)
        except ValueError as error:
            raise InputError(f"pretrain.objective tsdae: this kind of model cannot decode ({error})") from error
        finally:
            transformer.model.config._name_or_path = name

    def forward(self, texts: list[str], generator: torch.Generator) -> Tensor:
        """The reconstruction loss of a batch of texts."""
        damaged = [self._damage(text, generator) for text in texts]
        features = [self._tokens(damaged), self._tokens(texts)]
        loss: Tensor = self.loss(features, None)
        return loss

    def _damage(self, text: str, generator: torch.Generator) -> str:
        words = text.split()
        kept = torch.rand(len(words), generator=generator) >= self._config.deleted
        if not kept.any() and words:
            kept[torch.randint(len(words), (1,), generator=generator)] = True
        return " ".join(word for word, keep in zip(words, kept.tolist(), strict=True) if keep)

    def _tokens(self, texts: list[str]) -> dict[str, Tensor]:
        found: Any = self._model.tokenizer(
            texts, padding=True, truncation=True, max_length=self._window, return_tensors="pt"
        )
        return {key: value.to(self._model.device) for key, value in found.items()}


class MaskedWords(nn.Module):
    """RetroMAE-style masked words: guessed from their context and, by a small decoder, from the text's vector.

    Xiao et al., "RetroMAE: Pre-Training Retrieval-oriented Language Models Via Masked Auto-Encoder", 2022, section 3,
    with one simplification: the decoder is one transformer layer over the vector and the heavily masked text. Words are
    predicted by the input embeddings, for bi-encoders come without a head.

    Args:
        model: The bi-encoder.
        config: Share of masked tokens, length of texts.
    """

    def __init__(self, model: SentenceTransformer, config: PretrainConfig) -> None:
        super().__init__()
        self._config, self.model, self._window = config, model, window(model, config)
        transformer: Any = model[0]
        self._embeddings: Any = [transformer.model.get_input_embeddings()]
        width = self._embeddings[0].weight.shape[1]
        heads = int(getattr(transformer.model.config, "num_attention_heads", 1))
        self.transform = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.decoder = nn.TransformerEncoderLayer(width, heads, 4 * width, batch_first=True)
        self.positions = nn.Embedding(config.max_tokens + 1, width)
        self.to(model.device)
        if model.tokenizer.mask_token_id is None and model.tokenizer.unk_token_id is None:
            raise InputError("pretrain.objective mlm: the model's tokenizer has no token to mask words with")

    def forward(self, texts: list[str], generator: torch.Generator) -> Tensor:
        """The sum of both guessing losses of a batch of texts."""
        tokens: Any = self.model.tokenizer(
            texts, padding=True, truncation=True, max_length=self._window, return_tensors="pt"
        ).to(self.model.device)
        light, light_labels = self._masked(tokens, self._config.masked, generator)
        out = self.model({"input_ids": light, "attention_mask": tokens["attention_mask"]})
        heavy, heavy_labels = self._masked(tokens, (1 + self._config.masked) / 2, generator)
        vectors = out["sentence_embedding"][:, None]
        hidden = torch.cat([vectors, self._embeddings[0](heavy)], dim=1)
        hidden = hidden + self.positions.weight[: hidden.shape[1]]
        padding = functional.pad(tokens["attention_mask"] == 0, (1, 0))
        decoded = self.decoder(hidden, src_key_padding_mask=padding)[:, 1:]
        return self._guess(out["token_embeddings"], light_labels) + self._guess(decoded, heavy_labels)

    def _guess(self, hidden: Tensor, labels: Tensor) -> Tensor:
        asked = labels != _NO_LABEL
        scores = self.transform(hidden[asked]) @ self._embeddings[0].weight.T
        return functional.cross_entropy(scores, labels[asked]) if asked.any() else hidden.sum() * 0.0

    def _masked(self, tokens: Any, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        ids, tokenizer = tokens["input_ids"], self.model.tokenizer
        special = torch.isin(ids, torch.tensor(tokenizer.all_special_ids, device=ids.device))
        chosen = (torch.rand(ids.shape, generator=generator).to(ids.device) < share) & ~special
        mask = tokenizer.mask_token_id if tokenizer.mask_token_id is not None else tokenizer.unk_token_id
        return ids.masked_fill(chosen, mask), ids.masked_fill(~chosen, _NO_LABEL)


def window(model: SentenceTransformer, config: PretrainConfig) -> int:
    """Tokens after which texts are cut: the settings' limit or the model's, whichever is lower."""
    return min(config.max_tokens, int(model.max_seq_length or config.max_tokens))
