"""LoRA adapters on backbones: trained, saved, loaded, merged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hybridret.errors import ModelError

TEXTS = ["a cat", "", "the dog barks"]
DOCIDS = np.array([[0, 6, 3], [4, 2, -1], [1, 1, 1]])

MakeBackbone = Callable[..., Any]


def log_probs(backbone: Any) -> Any:
    backbone.model.eval()
    return backbone.token_log_probs(TEXTS, DOCIDS).detach().numpy()


def trained(backbone: Any) -> Any:
    import torch

    optimizer = torch.optim.AdamW([one for one in backbone.model.parameters() if one.requires_grad], lr=0.02)
    for _ in range(5):
        optimizer.zero_grad()
        backbone.loss(TEXTS, DOCIDS).backward()
        optimizer.step()
    return backbone


@pytest.mark.parametrize("is_text", [False, True], ids=["codes", "words"])
def test_adapters_are_saved_loaded_and_merged(
    make_backbone: MakeBackbone, level_sizes: Any, shape: str, is_text: bool, tmp_path: Path
) -> None:
    sizes = None if is_text else level_sizes
    before = log_probs(make_backbone(shape, sizes))
    backbone = make_backbone(shape, sizes).with_lora(4)
    np.testing.assert_allclose(log_probs(backbone), before, atol=1e-6)
    adapted = log_probs(trained(backbone))
    assert adapted.sum() > before.sum() + 1
    backbone.save(tmp_path / "adapted")

    loaded = type(backbone).load(tmp_path / "adapted")
    np.testing.assert_allclose(log_probs(loaded), adapted, atol=1e-6)
    with loaded.model.disable_adapter():
        np.testing.assert_allclose(log_probs(loaded), before, atol=1e-5)
    assert log_probs(trained(loaded)).sum() > adapted.sum()

    merged = type(backbone).load(tmp_path / "adapted").merged()
    np.testing.assert_allclose(log_probs(merged), adapted, atol=1e-5)
    merged.save(tmp_path / "adapted")
    assert not (tmp_path / "adapted" / "adapter").exists()
    np.testing.assert_allclose(log_probs(type(backbone).load(tmp_path / "adapted")), adapted, atol=1e-5)
    np.testing.assert_allclose(log_probs(merged.with_lora(2)), adapted, atol=1e-5)


def test_only_adapters_and_docid_rows_are_trained(make_backbone: MakeBackbone, shape: str) -> None:
    backbone = make_backbone(shape).with_lora(4)
    names = [name for name, one in backbone.model.named_parameters() if one.requires_grad]
    assert any(".lora_A." in name for name in names)
    rows = [name for name in names if ".lora_" not in name]
    assert rows
    assert all("trainable_tokens_delta" in name for name in rows)


def test_cached_steps_under_adapters_score_as_one_pass(make_backbone: MakeBackbone, shape: str) -> None:
    backbone = trained(make_backbone(shape).with_lora(4))
    expected = log_probs(backbone).sum(axis=1)
    scores = backbone.score(backbone.encode(TEXTS), np.repeat(DOCIDS[None], 3, axis=0))
    np.testing.assert_allclose(np.diag(scores), expected, atol=1e-4)


def test_adapters_are_not_stacked_nor_grown_nor_merged_twice(make_backbone: MakeBackbone) -> None:
    backbone = make_backbone("t5")
    with pytest.raises(ModelError, match="no adapters to merge"):
        backbone.merged()
    adapted = backbone.with_lora(2)
    with pytest.raises(ModelError, match="has adapters already"):
        adapted.with_lora(2)
    with pytest.raises(ModelError, match="merge them first"):
        adapted.add_codes((6, 7, 4))


def test_adapters_of_another_model_are_refused(make_backbone: MakeBackbone, tmp_path: Path) -> None:
    make_backbone("t5").with_lora(2).save(tmp_path)
    (tmp_path / "adapter" / "adapter_model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot be loaded"):
        type(make_backbone("t5")).load(tmp_path)


def test_adapters_start_from_their_seed(make_backbone: MakeBackbone) -> None:
    one, again, other = (
        [
            weight.detach().numpy()
            for name, weight in make_backbone("llama").with_lora(2, seed).model.named_parameters()
            if ".lora_A." in name
        ]
        for seed in (1, 1, 2)
    )
    assert all(np.array_equal(left, right) for left, right in zip(one, again, strict=True))
    assert not any(np.array_equal(left, right) for left, right in zip(one, other, strict=True))
