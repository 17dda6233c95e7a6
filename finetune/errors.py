"""Errors of fine-tuning that users see."""

from __future__ import annotations

from hybridret.errors import HybridretError


class TrainingError(HybridretError):
    """Training cannot go on; the message says why, what was kept and what to do."""
