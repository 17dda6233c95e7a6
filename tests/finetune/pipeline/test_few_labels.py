"""A few graded labels on a corpus of many made questions, through the default stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finetune import Recipe, finetune
from finetune.formats import read_questions
from finetune.gate.exam import graded
from finetune.recipe import changed
from finetune.splitting import held_out_exam
from finetune.workfolder import read_questions as read_stage
from hybridret.data.readers import read_corpus
from hybridret.types import Run


def test_labels_are_not_cut_and_keep_their_grades(domain: Any, tiny_model: Path, tmp_path: Path) -> None:
    lines = ["query-id\tcorpus-id\tscore"]
    for at in range(8):
        lines += [f"q{at}-0\td{at}\t3", f"q{at}-0\td{at + 8}\t1"]
    (domain.folder / "qrels" / "train.tsv").write_text("\n".join(lines) + "\n")
    documents = read_corpus(str(domain.folder))
    labelled = read_questions(domain.folder, documents=documents)
    assert labelled.questions[0].grades == {"d0": 3}
    settings = {**domain.settings, "queries": {"count": 200}, "dense": {**domain.settings["dense"], "max_steps": 2}}
    report = finetune(
        documents, tmp_path / "b", questions=labelled.questions, model=str(tiny_model),
        recipe=changed(Recipe(), settings, "here"),
    )  # fmt: skip
    train = read_stage(tmp_path / "b.work" / "queries" / "questions.jsonl")
    given = {each.query_id: each for each in train if each.source == "labels"}
    assert given == {each.query_id: each for each in labelled.questions}
    assert report["questions"]["train"]["labels"] == 8
    assert len(train) > 8
    exam = held_out_exam(documents, labelled.questions)
    assert exam.qrels["q0-0"] == {"d0": 3, "d8": 1}
    rows = {document.doc_id: row for row, document in enumerate(documents)}
    best, other = ([rows["d0"], rows["d8"]], [rows["d8"], rows["d0"]])
    values = [
        graded(exam, [Run(order, [2.0, 1.0]) for _ in exam.queries])["nDCG@10"][0]  # type: ignore[arg-type]
        for order in (best, other)
    ]
    assert values[0] == 1.0 > values[1]
