"""From settings to a teacher."""

from __future__ import annotations

from collections.abc import Callable

from finetune.teachers.config import LabelsConfig
from finetune.types import Teacher
from hybridret.errors import InputError


def make_teacher(config: LabelsConfig) -> Teacher:
    """Makes the teacher that the settings name.

    Raises:
        InputError: They name none.
        ModelError: The model cannot be loaded.
    """
    if config.teacher is None:
        raise InputError("no teacher is set: set labels.teacher")
    return _MAKERS[config.teacher](config)


def _likelihood(config: LabelsConfig) -> Teacher:
    from finetune.teachers.causal import load_likelihood_teacher

    return load_likelihood_teacher(config.model, config.normalise, config.calibrate, config.batch_size)


def _cross_encoder(config: LabelsConfig) -> Teacher:
    from finetune.teachers.cross_encoder import CrossEncoderTeacher, load_cross_encoder

    return CrossEncoderTeacher(load_cross_encoder(config.model), config.model, config.batch_size)


def _endpoint(config: LabelsConfig) -> Teacher:
    from finetune.teachers.endpoint import Endpoint
    from finetune.teachers.endpoint_teacher import EndpointTeacher

    endpoint = Endpoint(config.url, config.key_variable, config.timeout, config.retries)
    return EndpointTeacher(endpoint, config.model, config.normalise, config.calibrate, config.parallel)


_MAKERS: dict[str, Callable[[LabelsConfig], Teacher]] = {
    "likelihood": _likelihood,
    "cross-encoder": _cross_encoder,
    "endpoint": _endpoint,
}
