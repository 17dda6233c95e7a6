"""What the benchmark's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.collection import Collection, read_collection


@pytest.fixture
def zoo(beir_folder: Path) -> Path:
    """The animals without the question that nothing answers, with a train split."""
    qrels = beir_folder / "qrels"
    rows = (qrels / "test.tsv").read_text(encoding="utf-8").replace("q4\tcar\t1\n", "")
    (qrels / "test.tsv").write_text(rows, encoding="utf-8")
    (qrels / "train.tsv").write_text("query-id\tcorpus-id\tscore\nq4\tcat\t1\n", encoding="utf-8")
    return beir_folder


@pytest.fixture
def collection(zoo: Path) -> Collection:
    return read_collection(str(zoo))
