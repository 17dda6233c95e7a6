"""Low-rank adapters (peft) on language models that write docids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hybridret.errors import ModelError


def is_adapted(model: Any) -> bool:
    """Whether a model has adapters."""
    return hasattr(model, "peft_config")


def with_lora(model: Any, task: str, rank: int, tokens: Sequence[int], seed: int) -> Any:
    """Puts adapters on all linear layers but the output (Hu et al., "LoRA", ICLR 2022), scaled by two.

    Args:
        model: The model; its layers are wrapped.
        task: peft's name of what the model does.
        rank: Rank of the adapters.
        tokens: Tokens whose rows are trained whole, those of the docid codes: they were new; may be none.
        seed: Seed of the adapters' start.

    Returns:
        The model with adapters; only they are trained.

    Raises:
        ModelError: It has adapters already.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers.pytorch_utils import Conv1D

    if is_adapted(model):
        raise ModelError("the model has adapters already: merge them first")
    names = {id(module): name for name, module in model.named_modules()}
    tables = [model.get_input_embeddings(), model.get_output_embeddings()] if tokens else []
    if tables and tables[0].weight is tables[1].weight:
        tables = tables[:1]
    config = LoraConfig(
        task_type=task,
        r=rank,
        lora_alpha=2 * rank,
        target_modules="all-linear",
        trainable_token_indices={names[id(table)]: list(tokens) for table in tables} or None,
        fan_in_fan_out=any(isinstance(module, Conv1D) for module in model.modules()),
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return get_peft_model(model, config)


def load_adapter(model: Any, folder: Path) -> Any:
    """A model with saved adapters, which can be trained further.

    Raises:
        ModelError: The adapters are not the model's.
    """
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(model, str(folder), is_trainable=True)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(f"the adapters in {folder} cannot be loaded: {reason}") from error


def merged(model: Any) -> Any:
    """The model with its adapters' weights added in.

    Raises:
        ModelError: It has no adapters.
    """
    if not is_adapted(model):
        raise ModelError("the model has no adapters to merge")
    return model.merge_and_unload()


def base_weights(model: Any) -> dict[str, Any]:
    """The weights of a model without those of adapters that wrap its layers."""
    return {
        name.replace(".token_adapter", "").replace(".base_layer", ""): weight
        for name, weight in model.state_dict().items()
        if ".lora_" not in name and ".trainable_tokens_" not in name
    }
