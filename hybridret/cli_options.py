"""Options that several commands have, those of other packages included."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CORPUS_HELP = (
    "A folder of files (text, Markdown, HTML, PDF, Word, notebooks, code, tables), one such file, a BEIR folder, or "
    "python-docs."
)
BundlePath = Annotated[Path, typer.Argument(help="The bundle's folder.")]
QuarantinePath = Annotated[
    Path | None,
    typer.Option(help="Write documents that look poisoned to this new .jsonl file instead of taking them in."),
]
Chunks = Annotated[
    bool, typer.Option("--chunk", help="Split long documents of tables too; those of text files always are.")
]
ChunkSize = Annotated[int, typer.Option(help="Characters of a chunk at most.")]
ChunkOverlap = Annotated[int, typer.Option(help="Characters at most that neighbouring chunks share.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
TextField = Annotated[
    str | None, typer.Option(help="Field of a record that is the text, such as story or meta.plot.", metavar="NAME")
]
IdField = Annotated[str | None, typer.Option(help="Field of a record that is its id.", metavar="NAME")]
TitleField = Annotated[str | None, typer.Option(help="Field of a record that is its title.", metavar="NAME")]
QueryPrompt = Annotated[str | None, typer.Option(help="Text before each query, instead of the model's own.")]
DocumentPrompt = Annotated[str | None, typer.Option(help="Text before each document, instead of the model's own.")]
