"""What is measured: documents, questions with judgements, and what the other splits say about the documents."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from hybridret.data.dataset import Dataset, read_dataset
from hybridret.data.readers import PYTHON_DOCS, find_source, read_corpus
from hybridret.data.tables import read_lines
from hybridret.errors import CorpusError, InputError
from hybridret.store.bundle import DATABASE
from hybridret.types import Document

SPLITS = ("train", "dev", "test")


class Collection(NamedTuple):
    """A corpus with the questions of one split.

    Attributes:
        name: What results call it.
        documents: The corpus.
        dataset: The questions.
        split: The split that they are of.
        asked: By document, how many questions of all splits it answers.
        trained: Documents that answer a train question; None where there is no train split but the measured one.
        bundle: The bundle that is measured; None: one is built.
    """

    name: str
    documents: list[Document]
    dataset: Dataset
    split: str
    asked: dict[str, int]
    trained: frozenset[str] | None
    bundle: Path | None = None

    @property
    def fingerprint(self) -> str:
        """A hash of documents, questions and judgements."""
        digest = hashlib.sha256()
        for document in self.documents:
            digest.update(repr(document).encode("utf-8", "surrogatepass"))
        digest.update(repr((self.split, self.dataset, sorted(self.asked.items()))).encode())
        if self.bundle is not None:
            digest.update((self.bundle / DATABASE).read_bytes())
        return digest.hexdigest()[:16]


def read_collection(data: str, split: str = "test", questions: str | None = None) -> Collection:
    """Reads what shall be measured.

    Args:
        data: ``python-docs``, a BEIR folder, its name in ``$HYBRIDRET_DATA``, or a bundle.
        split: Whose questions.
        questions: The BEIR folder or name whose questions a bundle is asked.

    Returns:
        The collection.

    Raises:
        CorpusError: A file is missing or a line is at fault; the message names file and line.
        InputError: A bundle is to be measured without questions.
        BundleError: The bundle cannot be opened.
    """
    source = find_source(data)
    bundle = Path(source) if (Path(source) / DATABASE).is_file() else None
    if bundle is None:
        asked_of, documents = source, read_corpus(source)
    else:
        if questions is None:
            raise InputError(f"{data} is a bundle, which holds no questions; name a dataset with --questions")
        asked_of, documents = find_source(questions), _bundled(bundle)
    present = {document.doc_id for document in documents}
    dataset = read_dataset(asked_of, split, present)
    others = {name: _split(asked_of, name, present) for name in SPLITS if name != split}
    if asked_of != PYTHON_DOCS and bundle is None:
        for name in (split, *(name for name, found in others.items() if found is not None)):
            _check_judged(Path(asked_of) / "qrels" / f"{name}.tsv", present)
    everything = [dataset, *(found for found in others.values() if found is not None)]
    counts = Counter(doc_id for found in everything for doc_id in _answering(found))
    train = others.get("train")
    trained = None if train is None else frozenset(_answering(train))
    return Collection(Path(data).name, documents, dataset, split, dict(counts), trained, bundle)


def relevant(grades: dict[str, int]) -> list[str]:
    """The documents that answer a question."""
    return [doc_id for doc_id, grade in grades.items() if grade > 0]


def _answering(dataset: Dataset) -> list[str]:
    return [doc_id for grades in dataset.qrels.values() for doc_id in relevant(grades)]


def _bundled(folder: Path) -> list[Document]:
    from hybridret.hybrid import HybridIndex

    opened = HybridIndex.open(folder)
    return opened.get(sorted(opened.ids()))


def _split(source: str, split: str, present: set[str]) -> Dataset | None:
    if source != PYTHON_DOCS and not (Path(source) / "qrels" / f"{split}.tsv").is_file():
        return None
    return read_dataset(source, split, present)


def _check_judged(path: Path, present: set[str]) -> None:
    """Sees to it that every judged document is in the corpus: a corpus cut short would measure as a bad retriever."""
    for number, line in enumerate(read_lines(path), 1):
        fields = line.rstrip("\r\n").split("\t")
        if line.strip() and not (number == 1 and fields[0] == "query-id") and fields[1] not in present:
            raise CorpusError(f"{path}:{number}: document {fields[1]!r} is not in the corpus")
