"""Which backbone a pretrained or saved language model makes, and whether a saved one can be trusted."""

from __future__ import annotations

import json
from pathlib import Path

from hybridret.errors import ModelError
from hybridret.generative.causal import CausalBackbone
from hybridret.generative.language_model import LanguageModelBackbone
from hybridret.generative.seq2seq import Seq2SeqBackbone
from hybridret.generative.trusted import SETTINGS, trust_faults

_KINDS: dict[str, type[LanguageModelBackbone]] = {each.__name__: each for each in (Seq2SeqBackbone, CausalBackbone)}


def backbone_kind(name: str) -> type[LanguageModelBackbone]:
    """Seq2seq or causal, as the model's configuration says.

    Args:
        name: Folder or hub id of a transformers model.

    Raises:
        ModelError: There is no such model.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelError(f"the language model {name!r} cannot be loaded: {reason}") from error
    return Seq2SeqBackbone if config.is_encoder_decoder else CausalBackbone


def load_backbone(folder: Path) -> LanguageModelBackbone:
    """Loads a backbone that lies in a bundle, whole and without adapters, running and fetching nothing.

    Args:
        folder: What ``LanguageModelBackbone.save`` wrote.

    Raises:
        ModelError: The folder holds no such backbone, or a file that none has, or one names code or other files.
    """
    try:
        kind = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))["backbone"]
        found = _KINDS[kind]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder} holds no backbone: {type(error).__name__}: {error}") from error
    for fault in trust_faults(folder):
        raise ModelError(f"the folder {folder} holds no backbone that can be trusted: {fault}")
    return found.load(folder)
