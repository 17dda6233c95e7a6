"""What a model knew before it goes on: its weights, how much old questions depend on each, and its answers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from finetune.generative.model import DocidModel
from finetune.generative.rows import Row


class Memory(NamedTuple):
    """The model as it was.

    Attributes:
        model: A copy, which stays as it is.
        fisher: The diagonal of its Fisher information on old questions, by weight; empty where nothing asks for it.
        first_old: The first row that is about an old document.
    """

    model: DocidModel
    fisher: dict[str, Tensor]
    first_old: int

    @classmethod
    def of(cls, model: DocidModel, fisher: dict[str, Tensor], first_old: int) -> Memory:
        """Of a model that is about to be trained."""
        return cls(copy.deepcopy(model).eval().requires_grad_(False), fisher, first_old)


def diagonal_fisher(
    model: DocidModel, rows: Sequence[Row], prompt: str, most: int, candidates: int, seed: int
) -> dict[str, Tensor]:
    """The diagonal of the Fisher information: the mean square of each weight's derivative of ``log p(docid | text)``.

    The docid is drawn from the model's own distribution, which makes it the Fisher information proper and not the
    "empirical" one of the labels (Kunstner et al., "Limitations of the Empirical Fisher Approximation", NeurIPS 2019).

    Args:
        model: The model.
        rows: Texts about old documents.
        prompt: Text before queries.
        most: How many texts are drawn.
        candidates: Documents that the distribution is over at most.
        seed: Seed of the texts, documents and docids that are drawn.

    Returns:
        By the name of each weight of the model, a tensor of its shape.
    """
    generator, drawing = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    documents = np.sort(generator.permutation(len(model.places))[:candidates])  # type: ignore[arg-type]
    columns = torch.from_numpy(documents).to(model.tables.device)
    picked = generator.permutation(len(rows))[:most].tolist()

    def drawn(row: Row) -> Tensor:
        features = model.encoder.preprocess([row.text], prompt=prompt or None)
        kept = {name: each.to(columns.device) for name, each in features.items() if torch.is_tensor(each)}
        log_probs = functional.log_softmax(model.document_scores(model.encode(kept), columns)[0], dim=0)
        return log_probs[int(torch.multinomial(log_probs.detach().exp().cpu(), 1, generator=drawing).item())]

    return mean_square_slopes(model, [rows[at] for at in picked], drawn)


def mean_square_slopes(model: nn.Module, rows: Sequence[Row], log_prob: Callable[[Row], Tensor]) -> dict[str, Tensor]:
    """The mean square of each weight's derivative of what a function of the rows gives, the model not in training.

    Args:
        model: The model.
        rows: The rows.
        log_prob: Gives a row's log-probability, a number with gradients.

    Returns:
        By the name of each weight of the model, a tensor of its shape.
    """
    weights = dict(model.named_parameters())
    squares = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    was_training = model.training
    model.eval()
    for row in rows:
        slopes = torch.autograd.grad(log_prob(row), list(weights.values()), allow_unused=True)
        for name, slope in zip(weights, slopes, strict=True):
            if slope is not None:
                squares[name] += slope.square() / len(rows)
    model.train(was_training)
    return squares


def effective_weights(model: nn.Module) -> dict[str, Tensor]:
    """The weights that are trained, by their name before adapters came, with those of adapters added in."""
    from peft.tuners.lora import LoraLayer

    found: dict[str, Tensor] = {
        name: weight for name, weight in model.named_parameters() if weight.requires_grad and ".lora_" not in name
    }
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer):
            (adapter,) = module.active_adapters
            layer: nn.Module = module.get_base_layer()
            weight: Tensor = layer.weight  # type: ignore[assignment]
            found[f"{name}.weight"] = weight + module.get_delta_weight(adapter)  # type: ignore[attr-defined]
    return found
