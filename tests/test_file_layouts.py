"""The table of layouts in docs/files.md: each row gives the same documents and judgements, or is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from finetune.formats import read_questions
from hybridret.data.dataset import read_dataset
from hybridret.data.readers import read_corpus
from hybridret.errors import CorpusError
from hybridret.types import Document

DOCUMENTS = [Document("1", "Cats purr", {}), Document("2", "Dogs bark", {})]
ROW = re.compile(r"^\| (corpus|queries|judgements|labels) \| `(.+?)` \| `(.+)` \| (read|refused: .+) \|$")
ESCAPES = {"\\n": "\n", "\\t": "\t", "\\r": "\r", "\\ufeff": "\ufeff"}
USUAL = {
    "corpus": ("corpus.jsonl", '{"_id": "1", "text": "Cats purr"}\n{"_id": "2", "text": "Dogs bark"}\n'),
    "queries": ("queries.jsonl", '{"_id": "7", "text": "who purrs"}\n'),
    "judgements": ("qrels/test.tsv", "query-id\tcorpus-id\tscore\n7\t1\t1\n7\t2\t0\n"),
}


class Layout(NamedTuple):
    kind: str
    file: str
    content: str
    outcome: str


def layouts() -> list[Layout]:
    text = (Path(__file__).parents[1] / "docs" / "files.md").read_text(encoding="utf-8")
    found = [Layout(*match.groups()) for line in text.splitlines() if (match := ROW.match(line))]
    unescape = re.compile("|".join(map(re.escape, ESCAPES)))
    return [each._replace(content=unescape.sub(lambda at: ESCAPES[at[0]], each.content)) for each in found]


def test_the_table_has_forty_layouts_of_every_kind() -> None:
    assert len(layouts()) >= 40
    assert {layout.kind for layout in layouts()} == {"corpus", "queries", "judgements", "labels"}
    text = (Path(__file__).parents[1] / "docs" / "files.md").read_text(encoding="utf-8")
    table = text.partition("| kind | file |")[2].partition("\n\n")[0]
    assert len(table.strip().splitlines()) - 2 == len(layouts()), "a row that the test does not read"


@pytest.mark.parametrize("layout", layouts(), ids=lambda layout: f"{layout.kind} {layout.file}")
def test_a_layout_is_read_or_refused_as_the_table_says(tmp_path: Path, layout: Layout) -> None:
    for name, content in {**USUAL, layout.kind: (layout.file, layout.content)}.values():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content.encode())
    verdict, _, words = layout.outcome.partition(": ")
    if verdict == "refused":
        with pytest.raises(CorpusError, match=re.escape(words)) as refused:
            read_all(tmp_path, layout)
        assert Path(layout.file).name in str(refused.value)
        assert "\n" not in str(refused.value)
    else:
        read_all(tmp_path, layout)


def read_all(folder: Path, layout: Layout) -> None:
    documents = read_corpus(str(folder))
    assert documents == DOCUMENTS
    dataset = read_dataset(str(folder), "test", {"1", "2"})
    assert dataset.queries == {"7": "who purrs"}
    assert {doc_id for doc_id, grade in dataset.qrels["7"].items() if grade > 0} == {"1"}
    labelled = read_questions(folder, documents=documents, split="test")
    if layout.kind == "labels":
        labelled = read_questions(folder / layout.file, documents=documents)
    (question,) = labelled.questions
    assert (question.text, question.positives) == ("who purrs", ("1",))
    assert labelled.documents == []
    assert set(question.negatives) <= {"2"}
