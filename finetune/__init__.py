"""Fine-tuning the retrievers on a domain corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from finetune.continual.update import continue_training
    from finetune.pipeline import finetune
    from finetune.recipe import Recipe, read_recipe
    from finetune.types import Question

__all__ = ["Question", "Recipe", "continue_training", "finetune", "read_recipe"]
_HOMES = {
    "continue_training": "continual.update",
    "finetune": "pipeline",
    "Recipe": "recipe",
    "read_recipe": "recipe",
    "Question": "types",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"finetune.{_HOMES[name]}"), name)
