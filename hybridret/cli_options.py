"""Options that several commands have, those of other packages included."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

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
Verbose = Annotated[bool, typer.Option("--verbose", help="Show all facts and figures.")]


def part_dashes(command: Any, arguments: Sequence[str]) -> list[str]:
    """Puts arguments that begin with a dash behind ``--``, so that a query or an id is not taken for an option.

    What begins with two dashes, as options do, but is none of the command stays where it is and is refused.

    Args:
        command: A click command.
        arguments: What follows its name.
    """
    kinds = {name: parameter for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    options, others = list[str](), list[str]()
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        name = argument.partition("=")[0]
        if argument == "--":
            others += waiting
            break
        if name in kinds and name.startswith("-"):
            options.append(argument)
            takes_value = not getattr(kinds[name], "is_flag", False) and "=" not in argument
            options += [waiting.pop(0)] if takes_value and waiting else []
        elif argument[:2] in kinds and argument[2:].isdigit():
            options.append(argument)  # -k5
        elif argument.startswith("--") and " " not in argument and argument[2:3].isalpha():
            options.append(argument)  # misspelt
        else:
            others.append(argument)
    return [*options, *(["--", *others] if any(each.startswith("-") for each in others) else others)]
