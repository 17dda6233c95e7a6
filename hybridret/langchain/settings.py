"""What a call may say, and what stands where it says nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from enum import Enum
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from hybridret.errors import InputError
from hybridret.guard import Budget
from hybridret.search import check_search
from hybridret.suggestion import suggestion
from hybridret.types import RETRIEVERS

_OTHER_NAMES = {
    "top_k": "k",
    "n_results": "k",
    "limit": "k",
    "where": "filter",
    "pre_filter": "filter",
    "score_threshold": "min_score",
    "lambda_mult": "diversity",
}
"""What other stores and retrievers call these settings; ``diversity`` is 1 - ``lambda_mult``."""


class NotGiven(Enum):
    """The value of an argument that a call leaves out, where None means something."""

    NOT_GIVEN = "not given"

    def __repr__(self) -> str:
        return self.name


NOT_GIVEN = NotGiven.NOT_GIVEN


class Settings(NamedTuple):
    """How a query is answered; the attributes are the fields of ``HybridRetriever``."""

    k: int
    filter: Mapping[str, Any] | None
    weights: Mapping[str, float] | None
    min_score: float | None
    diversity: float
    time_budget: float | None
    allow_partial_results: bool
    with_scores: bool

    def checked(self) -> Settings:
        """These settings.

        Raises:
            InputError: One is out of its range; an index checks filter and weights.
        """
        for name in ("min_score", "diversity"):
            check_number(name, getattr(self, name))
        check_search([], self.k, RETRIEVERS, self.diversity, self.min_score)
        Budget(self.time_budget)
        for name in ("allow_partial_results", "with_scores"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} must be True or False, not {getattr(self, name)!r}")
        return self


def check_number(name: str, value: Any) -> None:
    """Checks that a setting is None or a number.

    Raises:
        InputError: It is not; bools and NaN are none.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, Real) or math.isnan(value)):
        raise InputError(f"{name} must be a number, not {value!r}")


def python_numbers(value: Any) -> Any:
    """A setting with Python's numbers in place of numpy's; the values of a filter are the store's to read."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {name: number.item() if isinstance(number, np.generic) else number for name, number in value.items()}
    return value


def given(**arguments: Any) -> dict[str, Any]:
    """The arguments that a call has given."""
    return {name: value for name, value in arguments.items() if value is not NOT_GIVEN}


def check_names(what: str, names: Iterable[str], possible: Iterable[str], others: Iterable[str] = ()) -> None:
    """Checks what settings or arguments are called.

    Args:
        what: What the error message calls them.
        names: The names.
        possible: The names that there are.
        others: Those that the caller has dealt with, for the error message.

    Raises:
        InputError: One is unknown.
    """
    unknown, possible = sorted(set(names) - set(possible)), sorted({*possible, *others})
    for name in unknown:
        if name in _OTHER_NAMES and _OTHER_NAMES[name] in possible:
            meant = f"; here it is {_OTHER_NAMES[name]!r}"
        else:
            meant = suggestion(name, possible)
        raise InputError(f"unknown {what} {name!r}{meant or '; there are ' + ', '.join(possible)}")
