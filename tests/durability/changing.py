"""What the durability tests share: an encoder without a model, random changes, and a look at a bundle from outside.

Run as a script it writes: ``changing.py write FOLDER SEED N`` makes N changes and notes each one's end in FOLDER/ACK;
``changing.py crash FOLDER SEED N`` kills N writers and looks after each.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hybridret.check import check_bundle
from hybridret.config import Config
from hybridret.dense import EmbeddingsEncoder
from hybridret.hybrid import HybridIndex
from hybridret.types import RETRIEVERS, Document

ACK = "ACK"
_WORDS = [
    "pump",
    "valve",
    "reset",
    "button",
    "water",
    "steam",
    "boiler",
    "gauge",
    "lever",
    "motor",
    "belt",
    "wheel",
    "brake",
    "clutch",
    "gear",
    "axle",
]
Contents = dict[str, str]


class HashedEmbeddings:
    """Sums of one random vector a word."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        total = np.zeros(16)
        for word in [*text.split(), "[end]"]:
            seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "little")
            total += np.random.default_rng(seed).normal(size=16)
        vector: list[float] = total.tolist()
        return vector


def encoder() -> Any:
    return EmbeddingsEncoder(HashedEmbeddings())


def text_of(rng: random.Random) -> str:
    return " ".join(rng.choices(_WORDS, k=rng.randint(1, 9)))


def build(folder: Path, seed: int, n: int = 60) -> Contents:
    rng = random.Random(seed)
    contents = {f"d{number}": text_of(rng) for number in range(n)}
    documents = [Document(doc_id, text, {"words": len(text.split())}) for doc_id, text in contents.items()]
    HybridIndex.build(documents, encoder(), Config(docid_levels=3), folder)
    return contents


Change = tuple[str, dict[str, str]]


def next_change(rng: random.Random, contents: Contents, number: int) -> Change:
    """An operation and what it is done with: texts by id, empty ones for a deletion."""
    kind = rng.choice(["add", "add", "upsert", "upsert", "delete", "compact"])
    if kind == "add":
        return kind, {f"n{number}.{at}": text_of(rng) for at in range(rng.randint(1, 3))}
    present = sorted(contents)
    if kind == "upsert":
        chosen = rng.sample(present, min(2, len(present)))
        return kind, {doc_id: text_of(rng) for doc_id in [*chosen, f"u{number}"]}
    if kind == "delete":
        return kind, dict.fromkeys(rng.sample(present, min(rng.randint(1, 4), len(present))), "")
    return kind, {}


def apply(index: HybridIndex, change: Change) -> None:
    kind, texts = change
    if kind == "delete":
        index.delete(list(texts))
    elif kind == "compact":
        index.compact()
    else:
        documents = [Document(doc_id, text, {"words": len(text.split())}) for doc_id, text in texts.items()]
        index.add(documents, replace=kind == "upsert")


def changed(contents: Contents, change: Change) -> Contents:
    kind, texts = change
    if kind == "delete":
        return {doc_id: text for doc_id, text in contents.items() if doc_id not in texts}
    return contents | texts


def history(contents: Contents, seed: int, n: int) -> list[Contents]:
    """The contents before each of n changes and after the last one."""
    rng, states = random.Random(seed), [contents]
    for number in range(n):
        states.append(changed(states[-1], next_change(rng, states[-1], number)))
    return states


def look(folder: Path) -> Contents:
    """The contents of a bundle that is sound and on which all retrievers agree."""
    report = check_bundle(folder)
    assert report.faults == [], report.faults
    index = HybridIndex.open(folder, encoder())
    ids = index.ids()
    for name in RETRIEVERS:
        found = [hit.doc_id for hit in index.search(["pump water"], 10_000, retrievers=[name])[0]]
        assert len(found) == len(set(found)), name
        assert set(found) == ids, (name, set(found) ^ ids)
    return {document.doc_id: document.text for document in index.get(sorted(ids))}


def write(folder: Path, seed: int, n: int) -> None:
    contents = json.loads((folder.parent / "contents.json").read_text())
    index, rng = HybridIndex.open(folder, encoder()), random.Random(seed)
    with (folder / ACK).open("w", buffering=1) as acknowledged:
        for number in range(n):
            change = next_change(rng, contents, number)
            apply(index, change)
            contents = changed(contents, change)
            acknowledged.write("x")
            acknowledged.flush()


def crash(folder: Path, seed: int, n: int) -> None:
    """Kills n writers at random moments, looks after each, and prints how often which change was cut short."""
    rng = random.Random(seed)
    contents = build(folder, seed)
    cut, kept = Counter[str](), Counter[str]()
    for number in range(n):
        done, change = _killed_writer(folder, contents, rng.randrange(2**32), number, by_call=number % 3 != 0)
        for one in done:
            contents = changed(contents, one)
        found = look(folder)
        after = contents if change is None else changed(contents, change)
        assert found in (contents, after), f"after kill {number} in {change}: neither before nor after"
        if change is not None:
            cut[change[0]] += 1
            kept[change[0]] += found == after != contents
        contents = found
    print(json.dumps({"kills": n, "in_a_change": sum(cut.values()), "cut": cut, "kept": kept, "left": len(contents)}))


def _killed_writer(
    folder: Path, contents: Contents, seed: int, number: int, by_call: bool
) -> tuple[list[Change], Change | None]:
    """The changes that a killed writer had acknowledged, and the one that it was in."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        rng = random.Random(seed)
        index = HybridIndex.open(folder, encoder())
        if by_call:
            _kill_at_call(rng.randint(1, 12_000))
        for step in range(10_000):
            change = next_change(rng, contents, number * 10_000 + step)
            os.write(writing, json.dumps(["start", change]).encode() + b"\n")
            apply(index, change)
            contents = changed(contents, change)
            os.write(writing, b'["done"]\n')
        os._exit(1)
    os.close(writing)
    events: list[Any] = []
    with os.fdopen(reading, "rb") as lines:
        if not by_call:
            rng = random.Random(seed)
            events += [json.loads(lines.readline()) for _ in range(2 * rng.randint(0, 6) + 1)]
            until = time.perf_counter() + rng.random() * 0.02
            while time.perf_counter() < until:
                pass
            os.kill(child, signal.SIGKILL)
        events += [json.loads(line) for line in lines if line.endswith(b"\n")]
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), status
    started = [(event[1][0], event[1][1]) for event in events if event[0] == "start"]
    n_done = sum(event[0] == "done" for event in events)
    return started[:n_done], started[n_done] if n_done < len(started) else None


def _kill_at_call(n: int) -> None:
    """Has this process killed when it calls into C for the n-th time from now on."""
    left = n

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal left
        if event in ("c_call", "c_return"):
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)


if __name__ == "__main__":
    actions: dict[str, Callable[[Path, int, int], None]] = {"write": write, "crash": crash}
    actions[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
