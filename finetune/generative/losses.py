"""Losses of docid training, by their formulas."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from finetune.dense.losses import kl_divergence
from hybridret.types import FloatArray


def listwise(logits: Tensor, targets: Tensor, out: Tensor) -> Tensor:
    """Cross-entropy of the right document among the candidates: ``-log softmax(logits)_target``, the mean over rows.

    Over docids it is the listwise loss of whole sequences, over cosines InfoNCE (van den Oord et al., 2018).

    Args:
        logits: *Shape:* (n_texts, n_candidates).
        targets: *Shape:* (n_texts,), int64, the column of each text's document.
        out: *Shape:* (n_texts, n_candidates), bool, candidates that leave a row: other right ones.
    """
    return functional.cross_entropy(logits.float().masked_fill(out, -torch.inf), targets)


def taught(scores: Sequence[Tensor], labels: Sequence[FloatArray], temperature: float) -> Tensor:
    """The divergence of docids' probabilities from soft labels, the mean over the texts with two labels or more.

    Args:
        scores: Of each text its judged documents' log-probabilities, up to a number that is the same for all.
        labels: Of each text the teacher's scores of these documents.
        temperature: Divides the labels.

    Returns:
        See ``kl_divergence``; 0 where no text has two labels.
    """
    pairs = [(own, told) for own, told in zip(scores, labels, strict=True) if len(own) > 1]
    if not pairs:
        return torch.zeros(())
    logits, teacher = (
        torch.nn.utils.rnn.pad_sequence(part, batch_first=True, padding_value=-torch.inf)
        for part in (
            [own.float() for own, _ in pairs],
            [torch.from_numpy(told).to(own.device) for own, told in pairs],
        )
    )
    return kl_divergence(logits, teacher, temperature)


def code_loss(log_probs: Tensor, codes: Tensor) -> Tensor:
    """The mean negative log-probability of docids' codes.

    Args:
        log_probs: *Shape:* (n_texts, n_levels, n_codes).
        codes: *Shape:* (n_texts, n_levels), int64.
    """
    return -log_probs.gather(2, codes[:, :, None]).mean()


def rpo(
    better: Tensor, worse: Tensor, reference_better: Tensor, reference_worse: Tensor, beta: float, likelihood: float
) -> Tensor:
    """Preference with regularisation: DPO plus a weight of the preferred one's negative log-likelihood.

    ``-log sigmoid(beta * ((b - rb) - (w - rw))) - likelihood * b``, the mean over pairs. Rafailov et al., "Direct
    Preference Optimization", NeurIPS 2023, equation 7; the likelihood term as in Pang et al., "Iterative Reasoning
    Preference Optimization", NeurIPS 2024, equation 1 (there divided by the length, as ``better`` has to be here).

    Args:
        better: *Shape:* (n_pairs,), log-probabilities of the right docids.
        worse: *Shape:* (n_pairs,), of the wrong ones.
        reference_better: *Shape:* (n_pairs,), of the right ones before preference training.
        reference_worse: *Shape:* (n_pairs,), of the wrong ones then.
        beta: Inverse temperature.
        likelihood: Weight of the likelihood.
    """
    margin = beta * ((better - reference_better) - (worse - reference_worse))
    return (-functional.logsigmoid(margin) - likelihood * better).mean()
