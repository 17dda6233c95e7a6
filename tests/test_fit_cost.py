"""What a fit costs those who bring their own model: said beforehand, and bounded."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from hybridret import HybridRetriever, HybridVectorStore
from hybridret.errors import InputError
from hybridret.fit import LEAST_QUESTIONS
from hybridret.fit_cost import texts_of_fit
from tests.conftest import TEXTS, StubEmbeddings

SUBJECTS = [f"{animal} of valley {number}" for number in range(15) for animal in TEXTS]
PROSE = [
    f"The {name} sleeps in its old den all day. At night the {name} looks for food and water." for name in SUBJECTS
]


def n_encoded(embeddings: StubEmbeddings) -> int:
    return sum(map(len, embeddings.batches))


def test_with_embeddings_the_log_and_info_say_that_nothing_is_fitted(
    embeddings: StubEmbeddings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        retriever = HybridRetriever.from_texts(PROSE, embedding=embeddings)
    (message,) = [each.getMessage() for each in caplog.records]
    assert "not fitted to these 120 documents" in message
    assert f"fit=True encodes at most {texts_of_fit(len(PROSE))} texts more" in message
    assert n_encoded(embeddings) == len(PROSE)
    fusion = retriever.info()["fusion"]
    assert not fusion["fitted"]
    assert fusion["texts_that_a_fit_encodes"] == texts_of_fit(len(PROSE))


@pytest.mark.parametrize("given", [{"fit": False}, {"fit": True}, {"fit_texts": 200}])
def test_who_has_decided_is_told_nothing(
    embeddings: StubEmbeddings, caplog: pytest.LogCaptureFixture, given: dict[str, Any]
) -> None:
    with caplog.at_level(logging.WARNING):
        HybridRetriever.from_texts(PROSE, embedding=embeddings, **given)
        HybridRetriever.from_texts(PROSE[: LEAST_QUESTIONS - 1], embedding=embeddings)
    assert caplog.records == []


@pytest.mark.parametrize("max_texts", [None, 168, 171, 200, 847, 848, 10_000])
@pytest.mark.parametrize("how", ["from_texts", "fit", "store"])
def test_a_fit_encodes_no_more_texts_than_it_may(
    embeddings: StubEmbeddings, tmp_path: Path, max_texts: int | None, how: str
) -> None:
    bound: dict[str, Any] = {} if max_texts is None else {"fit_texts": max_texts}
    if how == "fit":
        retriever = HybridRetriever.from_texts(PROSE, embedding=embeddings, fit=False)
        retriever.fit(**bound)
    elif how == "store":
        retriever = HybridVectorStore.from_texts(PROSE, embeddings, path=tmp_path / "b", fit=True, **bound).retriever
    else:
        retriever = HybridRetriever.from_texts(PROSE, embedding=embeddings, **(bound or {"fit": True}))
    spent = n_encoded(embeddings) - len(PROSE) - (1 if how == "store" else 0)  # a bundle looks whether it is the model
    assert 0 < spent <= texts_of_fit(len(PROSE), max_texts)
    assert spent <= (848 if max_texts is None else max_texts)
    fusion = retriever.info()["fusion"]
    assert fusion["fitted"]
    assert sum(fusion["questions"].values()) > 0


def test_a_bound_that_does_not_bind_changes_nothing(make_embeddings: Any) -> None:
    one, other = (
        HybridRetriever.from_texts(PROSE, ids=SUBJECTS, embedding=make_embeddings(), **given).info()["fusion"]
        for given in ({"fit": True}, {"fit_texts": 848})
    )
    assert other.pop("max_texts") == 848
    assert one == other


@pytest.mark.parametrize("max_texts", [0, 167, -1, True, 200.0, "200"])
def test_too_few_texts_for_a_fit_are_refused_before_anything_is_encoded(
    embeddings: StubEmbeddings, max_texts: Any
) -> None:
    with pytest.raises(InputError, match="needs 168 texts or more"):
        HybridRetriever.from_texts(PROSE, embedding=embeddings, fit_texts=max_texts)
    assert n_encoded(embeddings) == 0
    with pytest.raises(InputError, match="needs 168 texts or more"):
        HybridRetriever.from_texts([], embedding=embeddings).fit(fit_texts=max_texts)
