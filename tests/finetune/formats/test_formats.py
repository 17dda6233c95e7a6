"""Each format gives the same questions; lint names file, line and fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finetune.cleaning.chunks import split_corpus
from finetune.formats import LabelledSet, lint, problems_text, read_questions
from finetune.types import Question
from hybridret.errors import CorpusError
from hybridret.types import Chunk, Document

TEXTS = {"cat": "Cats purr", "dog": "Dogs bark", "bee": "Bees hum"}
CORPUS = [Document(name, text, {}) for name, text in TEXTS.items()]
Write = Callable[..., Path]


def flag_embedding(write: Write, folder: Path, **changes: Any) -> Path:
    record = {"query": "who purrs", "pos": ["Cats  purr."], "neg": ["Dogs bark", "Ants crawl"]} | changes
    return write(folder / "train.jsonl", {"query": "who hums", "pos": ["Bees hum"], "neg": []}, record)


def tevatron(write: Write, folder: Path, **changes: Any) -> Path:
    record = {
        "query_id": "1",
        "query": "who purrs",
        "positive_passages": [{"docid": "cat", "title": "", "text": "Cats purr"}],
        "negative_passages": [{"docid": "ant", "title": "Ants", "text": "crawl"}],
    } | changes
    return write(folder / "train.jsonl", record)


def llama_index(folder: Path, **changes: Any) -> Path:
    content = {
        "queries": {"1": "who purrs", "2": "who hums"},
        "corpus": {"node-a": "Cats purr", "node-b": "Bees hum", "node-c": "Ants crawl"},
        "relevant_docs": {"1": ["node-a"], "2": ["node-b", "node-c"]},
        "mode": "text",
    } | changes
    path = folder / "dataset.json"
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
    return path


def beir(write: Write, folder: Path, qrels: str = "1\tcat\t1\n1\tdog\t0\n3\tbee\t2\n") -> Path:
    texts = {"1": "who purrs", "2": "", "3": "who hums"}
    write(folder / "queries.jsonl", *({"_id": name, "text": text} for name, text in texts.items()))
    (folder / "qrels").mkdir()
    (folder / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\n" + qrels, encoding="utf-8")
    write(folder / "answers.jsonl", {"_id": "1", "answers": ["cats", "felines"]})
    return folder


def test_beir_folder(write_jsonl: Write, tmp_path: Path) -> None:
    expected = LabelledSet(
        [
            Question("1", "who purrs", ("cat",), ("dog",), "cats"),
            Question("3", "who hums", ("bee",), grades={"bee": 2}),
        ],
        [],
        {},
        {},
        [],
    )
    folder = beir(write_jsonl, tmp_path)
    assert read_questions(folder, documents=CORPUS) == expected
    files = (folder / "queries.jsonl", folder / "qrels" / "train.tsv", folder / "answers.jsonl")
    assert read_questions(*files, documents=CORPUS) == expected
    (folder / "qrels" / "train.trec").write_text("1 0 cat 1\n1 0 dog 0\n3 0 bee 2\n", encoding="utf-8")
    assert read_questions(files[0], folder / "qrels" / "train.trec", files[2], documents=CORPUS) == expected


def test_flag_embedding(write_jsonl: Write, tmp_path: Path) -> None:
    path = flag_embedding(
        write_jsonl, tmp_path, pos_scores=[0.9], neg_scores=[0.5, -1], prompt="Find: ", type="symmetric_sts"
    )
    found = read_questions(path, documents=CORPUS)
    (ant,) = found.documents
    assert ant.text == "Ants crawl"
    assert found.questions == [
        Question("train.jsonl:1", "who hums", ("bee",)),
        Question("train.jsonl:2", "who purrs", ("cat",), ("dog", ant.doc_id), task="symmetric_sts"),
    ]
    assert found.scores == {"train.jsonl:2": {"cat": 0.9, "dog": 0.5, ant.doc_id: -1.0}}
    assert found.prompts == {"symmetric_sts": "Find: "}


def test_flag_embedding_without_a_corpus_brings_its_own(write_jsonl: Write, tmp_path: Path) -> None:
    found = read_questions(flag_embedding(write_jsonl, tmp_path))
    assert [document.text for document in found.documents] == ["Bees hum", "Cats  purr.", "Dogs bark", "Ants crawl"]
    assert found.questions[0].positives == (found.documents[0].doc_id,)
    assert read_questions(flag_embedding(write_jsonl, tmp_path)) == found


def test_tevatron(write_jsonl: Write, tmp_path: Path) -> None:
    found = read_questions(tevatron(write_jsonl, tmp_path), documents=CORPUS)
    assert found.questions == [Question("1", "who purrs", ("cat",), ("ant",))]
    assert found.documents == [Document("ant", "Ants crawl", {})]


def test_llama_index(tmp_path: Path) -> None:
    found = read_questions(llama_index(tmp_path), documents=CORPUS)
    assert found.questions == [Question("1", "who purrs", ("cat",)), Question("2", "who hums", ("bee", "node-c"))]
    assert found.documents == [Document("node-c", "Ants crawl", {})]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"query": ""}, ":2: query is empty"),
        ({"query": 7}, ":2: query must be a string, not int 7"),
        ({"pos": []}, ":2: pos is empty"),
        ({"pos": None}, ":2: pos is missing"),
        ({"pos": "Cats purr"}, ":2: pos must be a list, not str 'Cats purr'"),
        ({"neg": ["Dogs bark", " "]}, r":2: neg\[1\] is empty"),
        ({"pos_scores": [1, 2], "neg_scores": [1, 2]}, ":2: pos_scores has 2 scores for 1 passages"),
        ({"pos_scores": [1], "neg_scores": [1]}, ":2: neg_scores has 1 scores for 2 passages"),
        ({"pos_scores": ["high"], "neg_scores": [1, 2]}, ":2: pos_scores must hold finite numbers, not str 'high'"),
        ({"pos_scores": [float("nan")], "neg_scores": [1, 2]}, ":2: pos_scores must hold finite numbers"),
        ({"pos_scores": [1]}, ":2: of pos_scores and neg_scores there is only one"),
        ({"type": 3}, ":2: type must be a string, not int 3"),
    ],
)
def test_faults_of_flag_embedding(write_jsonl: Write, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = flag_embedding(write_jsonl, tmp_path, **changes)
    with pytest.raises(CorpusError, match=message):
        read_questions(path, documents=CORPUS)
    assert [problem.fatal for problem in lint(path, documents=CORPUS)] == [True]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"query_id": None}, ":1: query_id must be a string, not NoneType None"),
        ({"positive_passages": []}, ":1: positive_passages is empty"),
        ({"negative_passages": ["Ants"]}, r":1: negative_passages\[0\] must be an object"),
        ({"positive_passages": [{"docid": "cat", "text": ""}]}, r":1: positive_passages\[0\].text is empty"),
        ({"positive_passages": [{"text": "Cats"}]}, r":1: positive_passages\[0\].docid must be a string"),
    ],
)
def test_faults_of_tevatron(write_jsonl: Write, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read_questions(tevatron(write_jsonl, tmp_path, **changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"queries": {"1": "who purrs", "2": " "}}, "query '2': the query is empty"),
        ({"queries": {"1": "who purrs"}}, "query '2': is in relevant_docs but not in queries"),
        ({"relevant_docs": {"1": ["node-a"]}}, "query '2': relevant_docs is missing"),
        ({"relevant_docs": {"1": ["node-a"], "2": ["node-x"]}}, "query '2': document 'node-x' is not in corpus"),
        ({"corpus": []}, "corpus must be an object"),
    ],
)
def test_faults_of_llama_index(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read_questions(llama_index(tmp_path, **changes))


@pytest.mark.parametrize(
    ("qrels", "message"),
    [
        ("1\tcat\n", "train.tsv:2: query id, document id and grade are wanted, not '1.tcat'"),
        ("1\tcat\tgood\n", "train.tsv:2: the grade must be a whole number, not 'good'"),
        ("9\tcat\t1\n", "train.tsv:2: query '9' is not in .*queries.jsonl"),
        ("2\tcat\t1\n", "queries.jsonl:2: text is empty"),
        ("1\tcat\t1\n1\tcat\t0\n", "train.tsv:3: query '1' and document 'cat' are judged twice, differently"),
        ("1\tcat\t0\n", "holds no labelled question"),
    ],
)
def test_faults_of_beir(write_jsonl: Write, tmp_path: Path, qrels: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read_questions(beir(write_jsonl, tmp_path, qrels), documents=CORPUS)


def test_a_query_id_given_twice(write_jsonl: Write, tmp_path: Path) -> None:
    record = json.loads(tevatron(write_jsonl, tmp_path).read_text())
    path = write_jsonl(tmp_path / "two.jsonl", record, record | {"query": "who else"})
    with pytest.raises(CorpusError, match=r"two.jsonl:2: query id '1' is given twice, first at .*two.jsonl:1"):
        read_questions(path)
    folder = beir(write_jsonl, tmp_path / "beir")
    write_jsonl(folder / "queries.jsonl", *({"_id": name, "text": "who purrs"} for name in "1131"))
    with pytest.raises(CorpusError, match=r"queries.jsonl:2: query id '1' is given twice; .*queries.jsonl:4"):
        read_questions(folder, documents=CORPUS)


def test_what_cleaning_mends_is_told_and_read(write_jsonl: Write, tmp_path: Path) -> None:
    path = flag_embedding(write_jsonl, tmp_path, neg=["Cats purr", "Dogs bark"])
    found = read_questions(path, documents=CORPUS)
    assert found.questions[1].negatives == ("cat", "dog")
    problems = lint(path, documents=CORPUS)
    assert problems == found.problems
    assert problems_text(problems) == (
        f"{path}:2: warning: document 'cat' is a positive and a negative of query 'train.jsonl:2'\n0 errors, 1 warnings"
    )
    folder = beir(write_jsonl, tmp_path / "beir", "1\tcat\t1\n1\tcow\t1\n3\tbee\t0\n")
    assert [problem.message for problem in lint(folder, documents=CORPUS)] == [
        "document 'cow' is not in the corpus",
        "query '3' has no judgement above 0",
    ]
    moved = tevatron(write_jsonl, tmp_path, positive_passages=[{"docid": "cat", "text": "Cats meow"}])
    assert [problem.message for problem in lint(moved, documents=CORPUS)] == ["document 'cat' has another text before"]


def test_two_prompts_of_one_task_are_told(write_jsonl: Write, tmp_path: Path) -> None:
    record = {"query": "who purrs", "pos": ["Cats purr"], "prompt": "Find: "}
    path = write_jsonl(tmp_path / "train.jsonl", record, record | {"prompt": "Seek: "})
    (problem,) = lint(path)
    assert problem.message == "task 'retrieval' has another prompt before: 'Find: '"


def test_lint_tells_all_faults_and_reading_the_first(write_jsonl: Write, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "train.jsonl", *({"query": "", "pos": ["x"]} for _ in range(7)))
    assert len(lint(path)) == 7
    assert problems_text(lint(path)).endswith("7 errors, 0 warnings")
    with pytest.raises(CorpusError, match=r"train.jsonl:5: query is empty; and 2 more$"):
        read_questions(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"question": "who"}\n', "no known format: its fields are question; known are _id, text; pos, query;"),
        ("", "no known format: its fields are none"),
        ('{"query": "a", "pos": ["b"]}\n{"query"\n', ":2: not JSON"),
        ("[]\n", ":1: a JSON object is wanted, not list"),
        ('{"_id": "1", "text": "who"}\n', "queries without labels: give the judgements"),
    ],
)
def test_files_of_no_known_format(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(CorpusError, match=message):
        read_questions(path)
    with pytest.raises(CorpusError, match="cannot be read"):
        read_questions(tmp_path / "missing.jsonl")


def test_qrels_belong_to_beir_queries(write_jsonl: Write, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"holds labels by itself \(pos, query\)"):
        read_questions(flag_embedding(write_jsonl, tmp_path), tmp_path / "qrels.tsv")


@pytest.mark.data
def test_the_judgements_of_a_collection_equal_those_of_its_dataset(data_folder: Path) -> None:
    from hybridret.data.dataset import read_dataset
    from hybridret.data.readers import read_corpus

    corpus = read_corpus(str(data_folder / "scifact"))
    found = read_questions(data_folder / "scifact", documents=corpus)
    dataset = read_dataset(str(data_folder / "scifact"), "train", {document.doc_id for document in corpus})
    assert {question.query_id: question.text for question in found.questions} == dataset.queries
    assert {question.query_id: set(question.positives) for question in found.questions} == {
        query: set(grades) for query, grades in dataset.qrels.items()
    }


NAMED = {name: f"Sorting a list in {name} is done with a function." for name in ("C", "C#", "C++")}


@pytest.mark.parametrize("has_corpus", [True, False])
def test_a_label_by_text_is_the_document_with_that_very_text(
    has_corpus: bool, write_jsonl: Write, tmp_path: Path
) -> None:
    texts = NAMED | {"list": "ls -l", "long list": "ls -L", "warm": "5 degrees", "cold": "-5 degrees"}
    records = [{"query": f"what of {name}", "pos": [f" {text}  "], "neg": []} for name, text in texts.items()]
    documents = [Document(name, text, {}) for name, text in texts.items()]
    read = read_questions(write_jsonl(tmp_path / "train.jsonl", *records), documents=documents if has_corpus else ())
    of = {document.doc_id: document.text.strip() for document in [*documents, *read.documents]}
    assert [of[question.positives[0]] for question in read.questions] == list(texts.values())
    assert len(read.documents) == (0 if has_corpus else len(texts))


def test_a_label_by_text_is_the_one_document_that_differs_in_case_and_punctuation_alone(
    write_jsonl: Write, tmp_path: Path
) -> None:
    documents = [Document("purr", "Cats purr.", {}), Document("l", "ls -l", {}), Document("L", "ls -L", {})]
    records = [{"query": text, "pos": [text], "neg": []} for text in ("cats PURR", "LS -L", "ls -l")]
    read = read_questions(write_jsonl(tmp_path / "train.jsonl", *records), documents=documents)
    (added,) = read.documents
    assert added.text == "LS -L"
    assert [question.positives for question in read.questions] == [("purr",), (added.doc_id,), ("l",)]


def test_labels_that_name_nothing_in_the_corpus_are_refused(write_jsonl: Write, tmp_path: Path) -> None:
    folder = beir(write_jsonl, tmp_path)
    others = [Document(str(at), text, {}) for at, text in enumerate(TEXTS.values())]
    with pytest.raises(
        CorpusError, match=r"none of its 2 labelled questions names a document .*'cat', the corpus has '0'"
    ):
        read_questions(folder, documents=others)


def test_a_label_of_a_file_goes_to_its_chunk(write_jsonl: Write, tmp_path: Path) -> None:
    texts = ["Dogs bark loudly", "Cats purr softly"]
    chunks = [Chunk(f"cat#{at}", text, {"parent": "cat", "chunk": at}) for at, text in enumerate(texts)]
    labelled = read_questions(beir(write_jsonl, tmp_path), documents=[*chunks, Document("bee", "Bees hum", {})])
    assert [problem.message for problem in labelled.problems] == ["document 'dog' is not in the corpus"]
    split = split_corpus([*chunks], [each._replace(text="who purrs") for each in labelled.questions], {}, None)
    assert split.questions[0].positives == ("cat#1",)
    assert split.documents == chunks
