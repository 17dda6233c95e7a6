"""Settings of the stage that asks a teacher."""

from __future__ import annotations

from dataclasses import dataclass

from hybridret.errors import InputError

TEACHERS = ("likelihood", "cross-encoder", "endpoint")


@dataclass(frozen=True)
class LabelsConfig:
    """Which teacher gives soft labels, and how.

    Attributes:
        teacher: "likelihood" (a causal language model), "cross-encoder" or "endpoint" (OpenAI-compatible); or none.
        model: Folder or hub id of the teacher's model; an endpoint's name of it.
        url: Base URL of the endpoint, for example http://localhost:8000/v1.
        key_variable: Environment variable that holds the endpoint's key.
        normalise: Whether log-likelihoods are divided by the answer's number of tokens.
        calibrate: Whether the answer's log-likelihood without the passage is subtracted.
        batch_size: Pairs that a local model scores at once.
        budget: Passages to score at most, those in the cache not counted; 0 sets no limit.
        timeout: Seconds to wait for the endpoint's reply.
        retries: How often a call to the endpoint is tried again, waiting twice as long each time.
        parallel: Calls to the endpoint that run at the same time.
    """

    teacher: str | None = None
    model: str = ""
    url: str = ""
    key_variable: str = "OPENAI_API_KEY"
    normalise: bool = True
    calibrate: bool = True
    batch_size: int = 16
    budget: int = 0
    timeout: float = 60.0
    retries: int = 5
    parallel: int = 4

    def __post_init__(self) -> None:
        if self.teacher is None:
            return
        if self.teacher not in TEACHERS:
            raise InputError(f"there is no teacher {self.teacher!r}; known are {', '.join(TEACHERS)}")
        if not self.model:
            raise InputError(f"the teacher {self.teacher} wants a model: set labels.model")
        if self.teacher == "endpoint" and not self.url:
            raise InputError("the teacher endpoint wants the base URL of the endpoint: set labels.url")
        for name in ("batch_size", "timeout", "parallel"):
            if getattr(self, name) <= 0:
                raise InputError(f"labels.{name} must be above 0, not {getattr(self, name)!r}")
        for name in ("budget", "retries"):
            if getattr(self, name) < 0:
                raise InputError(f"labels.{name} must be 0 or more, not {getattr(self, name)!r}")
