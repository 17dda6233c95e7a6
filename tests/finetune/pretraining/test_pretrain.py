"""Pretraining on bare texts really trains, by both objectives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from finetune.errors import TrainingError
from finetune.pretraining import PretrainConfig, pretrain
from hybridret.errors import InputError
from hybridret.models import load_model

TEXTS = [f"the {colour} {thing} stands in the hall" for colour in ("red", "blue", "gold") for thing in ("lamp", "tree")]


@pytest.mark.parametrize("objective", ["tsdae", "mlm"])
def test_the_loss_falls_and_the_encoder_moves(tiny_model: Path, tmp_path: Path, objective: str) -> None:
    config = PretrainConfig(objective=objective, max_steps=60, batch_size=4, learning_rate=3e-3)
    models, facts, seen = [], [], list[tuple[str, int, int]]()
    for _ in range(2):
        model = load_model(str(tiny_model))
        facts.append(pretrain(model, TEXTS, config, 1.0, 0, lambda *step: seen.append(step)))
        models.append(model)
    assert facts[0]["steps"] == 60
    assert facts[0]["last_loss"] < 0.8 * facts[0]["first_loss"]
    assert facts[0] == facts[1]
    assert seen[59] == ("pretraining", 60, 60)
    base = load_model(str(tiny_model))
    assert models[0].state_dict().keys() == base.state_dict().keys(), "no decoder is left in the model"
    for name, value in models[0].state_dict().items():
        assert torch.equal(value, models[1].state_dict()[name]), name
    moved = [name for name, value in models[0].state_dict().items() if not torch.equal(value, base.state_dict()[name])]
    assert any("layer.0" in name for name in moved)
    models[0].save(str(tmp_path / "saved"), create_model_card=False)
    before, after = models[0].encode(TEXTS), load_model(str(tmp_path / "saved")).encode(TEXTS)
    torch.testing.assert_close(torch.tensor(before), torch.tensor(after))


def test_steps_fit_the_time(tiny_model: Path) -> None:
    facts = pretrain(load_model(str(tiny_model)), TEXTS, PretrainConfig(objective="mlm", batch_size=2), 0.5, 0)
    assert 1 <= facts["steps"] < 500


def test_a_loss_that_is_no_number_is_an_error(tiny_model: Path) -> None:
    model = load_model(str(tiny_model))
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"lower pretrain\.learning_rate"):
        pretrain(model, TEXTS, PretrainConfig(objective="mlm", max_steps=2), 1.0, 0)


@pytest.mark.parametrize("settings", [{"objective": "gpt"}, {"share": 1.0}, {"masked": 0.0}])
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="pretrain"):
        PretrainConfig(**settings)
