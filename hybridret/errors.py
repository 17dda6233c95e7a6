"""Errors that users of the package see. Each message names what is wrong and where."""

from __future__ import annotations

import importlib
from types import ModuleType


class HybridretError(Exception):
    """Base of every error that the package raises on purpose; the command line exits with 2 on it."""


class InputError(HybridretError, ValueError):
    """An argument, a query or a document is at fault."""


class CorpusError(InputError):
    """A corpus, queries or qrels file is at fault; the message names file and line."""


class FilterError(InputError):
    """A metadata filter cannot be understood."""


class ModelError(HybridretError):
    """An embedding model cannot be found, loaded or trusted."""


class InferenceError(ModelError):
    """A model that is there fails on an input: out of memory, its service down, values that are no finite numbers."""


class BundleError(HybridretError):
    """A saved bundle is missing, damaged, locked or of a newer schema."""


class RetrievalError(HybridretError):
    """No retriever could answer, or not all could where a partial answer is refused; the message says why not."""


class MissingExtraError(HybridretError, ImportError):
    """An optional dependency is not installed; the message is the line that installs it."""


def require(module: str, extra: str) -> ModuleType:
    """Imports an optional dependency.

    Args:
        module: Name of the module, for example ``pyarrow.parquet``.
        extra: The extra of this package that installs it.

    Returns:
        The imported module.

    Raises:
        MissingExtraError: The module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingExtraError(f"{package} is not installed; run: pip install 'hybridret[{extra}]'") from error
