"""Reading labelled questions in whichever format they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from finetune.cleaning.normal import content_hash, exact_form, normal_form
from finetune.formats.beir import read_beir
from finetune.formats.flag_embedding import read_flag_embedding
from finetune.formats.llama_index import FIELDS, load_object, read_llama_index
from finetune.formats.pairs import ANCHORS, ANSWERS, read_answers, read_dpr, read_named, read_triplets
from finetune.formats.problems import Problem, first_errors
from finetune.formats.records import Parsed, Passage, Record
from finetune.formats.tevatron import read_tevatron
from finetune.types import Question
from hybridret.data.judgements import QUERY_ID_FIELDS, QUERY_TEXT_FIELDS, find_judgements, find_queries
from hybridret.data.tables import record_reader
from hybridret.errors import CorpusError
from hybridret.types import Document


class LabelledSet(NamedTuple):
    """Labelled questions and what came with them.

    Attributes:
        questions: The questions; ids of those without one are ``FILE:LINE``.
        documents: Passages that the files bring along and the corpus does not hold.
        scores: A teacher's scores, by query id and document id.
        prompts: Text before questions, by task.
        problems: What cleaning has to mend; there are no others.
    """

    questions: list[Question]
    documents: list[Document]
    scores: dict[str, dict[str, float]]
    prompts: dict[str, str]
    problems: list[Problem]


def read_questions(
    queries: str | Path,
    qrels: str | Path | None = None,
    answers: str | Path | None = None,
    documents: Iterable[Document] = (),
    split: str = "train",
) -> LabelledSet:
    """Reads labelled questions.

    Args:
        queries: A BEIR folder; a file of queries, which needs ``qrels``; or a file of labels as FlagEmbedding,
            Tevatron, LlamaIndex, DPR or sentence-transformers have it, or of questions and answers. Which one it is
            shows in its fields.
        qrels: Judgements of a BEIR queries file; questions without one are ignored.
        answers: Written answers to a BEIR queries file.
        documents: The corpus. A passage that stands in it, by id or by its words, becomes that document.
        split: Which judgements of a BEIR folder to read.

    Returns:
        The questions.

    Raises:
        CorpusError: A file is missing, of no known format, or holds records that cannot be used; the message names file
            and line of the first ones. ``lint`` tells all.
    """
    documents = list(documents)
    labelled = _assemble(_parse(queries, qrels, answers, split), documents)
    if any(problem.fatal for problem in labelled.problems):
        raise CorpusError(first_errors(labelled.problems))
    if not labelled.questions:
        raise CorpusError(f"{queries} holds no labelled question")
    if documents:
        _check_known(queries, labelled, documents)
    return labelled


def _check_known(queries: str | Path, labelled: LabelledSet, documents: Sequence[Document]) -> None:
    """Refuses labels none of which names a document of the corpus."""
    known = {document.doc_id for document in [*documents, *labelled.documents]}
    known |= {document.parent for document in documents if document.parent is not None}
    named = [name for question in labelled.questions for name in question.positives]
    if not known.intersection(named):
        raise CorpusError(
            f"{queries}: none of its {len(labelled.questions)} labelled questions names a document of the corpus: they "
            f"name {named[0]!r}, the corpus has {documents[0].doc_id!r}; --id-field says which field of the corpus is "
            "the id"
        )


def lint(
    queries: str | Path,
    qrels: str | Path | None = None,
    answers: str | Path | None = None,
    documents: Iterable[Document] = (),
    split: str = "train",
) -> list[Problem]:
    """Checks labelled questions; the arguments are those of ``read_questions``.

    Returns:
        All problems, in the order of the file: records that cannot be used (a field missing or of the wrong type, empty
        texts, scores of the wrong number, an id given twice), and what cleaning mends (positives that are negatives,
        documents that the corpus does not hold).

    Raises:
        CorpusError: A file is missing, is not JSON, or of no known format.
    """
    return _assemble(_parse(queries, qrels, answers, split), documents).problems


def _parse(queries: str | Path, qrels: str | Path | None, answers: str | Path | None, split: str) -> Parsed:
    path = Path(queries)
    if path.is_dir():
        own_answers = path / "answers.jsonl"
        return read_beir(
            find_queries(path),
            Path(qrels) if qrels is not None else find_judgements(path, split),
            Path(answers) if answers is not None else own_answers if own_answers.is_file() else None,
        )
    if qrels is not None:
        if (kind := _kind_of(path, _fields(path))) is not None:
            raise CorpusError(f"{path} holds labels by itself ({kind[0]}); judgements (--qrels) belong to bare queries")
        return read_beir(path, Path(qrels), None if answers is None else Path(answers))
    fields = _fields(path)
    kind = _kind_of(path, fields)
    if kind is not None:
        if answers is not None:
            raise CorpusError(f"{path} holds labels by itself ({kind[0]}); answers (--answers) belong to bare queries")
        return kind[1](path)
    if fields & set(QUERY_ID_FIELDS) and fields & set(QUERY_TEXT_FIELDS):
        raise CorpusError(f"{path} holds queries without labels: give the judgements (--qrels) as well")
    known = "; ".join(", ".join(sorted(needed)) for needed, _ in [(frozenset(("_id", "text")), None), *_READERS])
    found = ", ".join(sorted(fields)) or "none"
    raise CorpusError(f"{path} is of no known format: its fields are {found}; known are {known}")


_READERS: tuple[tuple[frozenset[str], Callable[[Path], Parsed]], ...] = (
    (frozenset(("query", "pos")), read_flag_embedding),
    (frozenset(("query", "positive_passages")), read_tevatron),
    (frozenset(FIELDS), read_llama_index),
    (frozenset(("query_id", "positive_document_ids")), read_named),
    (frozenset(("question", "positive_ctxs")), read_dpr),
    *((frozenset((name, "positive")), read_triplets) for name in ANCHORS),
    *((frozenset((name, answer)), read_answers) for name in ("question", "query") for answer in ANSWERS),
)
"""What reads a file of labels, by the fields of its first record."""


def _kind_of(path: Path, fields: set[str]) -> tuple[str, Callable[[Path], Parsed]] | None:
    return next(((", ".join(sorted(needed)), reader) for needed, reader in _READERS if needed <= fields), None)


def _fields(path: Path) -> set[str]:
    content = load_object(path) if path.suffix.lower() == ".json" else None
    if content is None:
        reader = record_reader(path)
        _, content = (0, {}) if reader is None else next(reader(path), (0, {}))
    return {str(name).lower() for name in content}


def _assemble(parsed: Parsed, documents: Iterable[Document]) -> LabelledSet:
    labelled = LabelledSet([], [], {}, {}, [])
    library = _Library(documents)
    places: dict[str, str] = {}
    for record in parsed:
        if isinstance(record, Problem):
            labelled.problems.append(record)
            continue
        query_id = record.query_id or Path(record.place).name
        if query_id in places:
            message = f"query id {query_id!r} is given twice, first at {places[query_id]}"
            labelled.problems.append(Problem(record.place, message))
            continue
        places[query_id] = record.place
        _add(record, query_id, library, labelled)
    labelled.documents.extend(library.added)
    return labelled


def _add(record: Record, query_id: str, library: _Library, labelled: LabelledSet) -> None:
    positives, negatives = (
        [library.find(passage, record.place, labelled.problems) for passage in passages]
        for passages in (record.positives, record.negatives)
    )
    for name in dict.fromkeys(positives):
        if name in negatives:
            message = f"document {name!r} is a positive and a negative of query {query_id!r}"
            labelled.problems.append(Problem(record.place, message, fatal=False))
    if record.scores:
        labelled.scores[query_id] = dict(zip(positives + negatives, record.scores, strict=True))
    if record.prompt is not None and labelled.prompts.setdefault(record.task, record.prompt) != record.prompt:
        message = f"task {record.task!r} has another prompt before: {labelled.prompts[record.task]!r}"
        labelled.problems.append(Problem(record.place, message, fatal=False))
    labelled.questions.append(
        Question(
            query_id,
            record.text,
            tuple(dict.fromkeys(positives)),
            tuple(dict.fromkeys(negatives)),
            record.answer,
            task=record.task,
            grades={name: grade for name, grade in zip(positives, record.grades, strict=False) if grade > 1},
        )
    )


class _Library:
    """Documents by id and by text; grows by passages that a file brings along.

    A passage is the document with the very same text. Only where none has it, and one document alone differs from it in
    nothing but case, quotes and punctuation after words, is it that document.
    """

    def __init__(self, documents: Iterable[Document]) -> None:
        self.added: list[Document] = []
        self._forms: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self._alike: dict[str, str | None] = {}
        self._parents: set[str] = set()
        for document in documents:
            form = content_hash(normal_form(document.text))
            self._ids.setdefault(content_hash(exact_form(document.text)), document.doc_id)
            self._alike[form] = None if form in self._alike else document.doc_id
            self._forms[document.doc_id] = form
            if document.parent is not None:
                self._parents.add(document.parent)
        self._has_corpus = bool(self._ids)

    def find(self, passage: Passage, place: str, problems: list[Problem]) -> str:
        """The id of a passage's document."""
        name, text = passage
        if text is None:
            if self._has_corpus and name not in self._forms and name not in self._parents:
                problems.append(Problem(place, f"document {name!r} is not in the corpus", fatal=False))
            return str(name)
        key, form = content_hash(exact_form(text)), content_hash(normal_form(text))
        if name is not None and name in self._forms:
            if self._forms[name] != form:
                problems.append(Problem(place, f"document {name!r} has another text before", fatal=False))
            return name
        there = self._ids.get(key) or self._alike.get(form)
        if there is not None:
            return there
        name = f"passage-{key[:16]}" if name is None else name
        self.added.append(Document(name, text, {}))
        self._ids[key] = name
        self._forms[name] = form
        return name
