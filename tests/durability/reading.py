"""Readers, and writers that wait, as processes of their own, and the generations that the readers may see.

``reading.py read FOLDER`` queries without pause until the last generation is there; ``reading.py add FOLDER NAME N``
adds N documents one by one; ``reading.py hold FOLDER`` holds the write lock until a line comes.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

from changing import Change, Contents, assert_scores, bm25_scores, changed, dense_scores, encoder

from hybridret.hybrid import HybridIndex
from hybridret.store.bundle import DATABASE
from hybridret.types import RETRIEVERS, Document

COMMITS, GROUPS, GROUP = 200, 4, 5
_QUERY, _REOPENED_EVERY = "pump group water", 20


def group(number: int, version: int) -> list[Document]:
    """Documents that always change together."""
    return [
        Document(f"g{number}.{at}", f"pump group {at} v{version}", {"group": number, "version": version})
        for at in range(GROUP)
    ]


def pair(number: int) -> list[Document]:
    return [Document(f"p{number}.{at}", f"steam boiler v{number}", {"version": number}) for at in range(2)]


def first_documents() -> list[Document]:
    others = [Document(f"o{at}", f"water valve {at}", {}) for at in range(20)]
    return [document for number in range(GROUPS) for document in group(number, 0)] + others


def change(number: int) -> Change:
    """The n-th commit."""
    if number % 25 == 24:
        return Change("compact", [])
    if number % 10 == 3:
        return Change("add", pair(number))
    if number % 20 == 7:
        return Change("delete", pair(number - 4))
    return Change("upsert", group(number % GROUPS, number))


def generations() -> list[Contents]:
    """The contents before the first commit and after each."""
    start = {document.doc_id: document for document in first_documents()}
    return list(accumulate(map(change, range(1, COMMITS + 1)), changed, initial=start))


Seen = frozenset[tuple[str, str, int | None]]


def seen(documents: Sequence[Document]) -> Seen:
    """Ids, texts and versions."""
    return frozenset((document.doc_id, document.text, document.metadata.get("version")) for document in documents)


def read(folder: Path) -> None:
    """Queries without pause; each answer must be that of one generation, and none older than the one before."""
    states = generations()
    late = COMMITS // 2
    asked: list[tuple[Any, Callable[[dict[str, Any]], bool]]] = [
        (None, lambda metadata: True),
        ({"version": {"$gte": late}}, lambda metadata: metadata.get("version", -1) >= late),
        ({"version": {"$exists": False}}, lambda metadata: "version" not in metadata),
        *(({"group": number}, partial(_is_in, number)) for number in range(GROUPS)),
    ]
    views = [
        [seen([one for one in state.values() if matches(one.metadata)]) for state in states] for _, matches in asked
    ]
    index, last, whole, n_answers, numbers = HybridIndex.open(folder, encoder()), 0, 0, 0, {0}
    while whole < COMMITS:
        names = [RETRIEVERS, *([name] for name in RETRIEVERS)][n_answers % 4]
        for (filter, _), view in zip(asked, views, strict=True):
            answer = index.retrieve([_QUERY], 1000, filter, names)[0]
            found = seen([document for _, document in answer])
            assert len(found) == len(answer)
            number = next((number for number in range(last, COMMITS + 1) if view[number] == found), None)
            if number is None:
                raise AssertionError(f"after {last}, {filter}: of no generation, or of an older one: {sorted(found)}")
            last = number
            if filter is None:
                check_scores(answer, states[last])
                if last > whole:
                    print(last, flush=True)
                whole = last
                numbers.add(whole)
            n_answers += 1
        if n_answers % _REOPENED_EVERY == 0:
            index = HybridIndex.open(folder, encoder())
    index.refresh()
    assert index.ids() == set(states[-1])
    assert len(index) == len(states[-1])
    print(f"answers {n_answers} generations {len(numbers)}")


def _is_in(number: int, metadata: dict[str, Any]) -> bool:
    return metadata.get("group") == number


def check_scores(answer: list[Any], contents: Contents) -> None:
    """Checks that vectors and postings are those of the texts that were found."""
    for name, expected, tolerance in (("dense", dense_scores, 1e-5), ("bm25", bm25_scores, 1e-9)):
        if name in answer[0][0].details:
            scores = {hit.doc_id: hit.details[name].score for hit, _ in answer}
            assert_scores(scores, expected(_QUERY, contents), tolerance)


def add(folder: Path, name: str, n: str) -> None:
    index = HybridIndex.open(folder, encoder())
    print("begins", flush=True)
    for number in range(int(n)):
        index.add([Document(f"{name}{number}", f"text {number} of {name}", {})])


def hold(folder: Path) -> None:
    connection = sqlite3.connect(folder / DATABASE, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    print("held", flush=True)
    sys.stdin.readline()
    connection.execute("ROLLBACK")


if __name__ == "__main__":
    actions: dict[str, Callable[..., None]] = {"read": read, "add": add, "hold": hold}
    actions[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
