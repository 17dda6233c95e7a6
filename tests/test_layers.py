"""Imports run one way, and heavy packages wait until they are needed."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {
    "torch",
    "faiss",
    "sentence_transformers",
    "transformers",
    "pyarrow",
    "langchain_text_splitters",
    "ir_measures",
}

LAYERS = [
    {"types", "errors", "forking"},
    {"config", "ranking", "guard", "splitting", "facts", "candidates", "words", "suggestion", "answers"},
    {"allowed", "growth", "understanding"},
    {"models", "prompts", "data", "store"},
    {"dense", "bm25", "docids", "decoding", "fusion"},
    {"generative"},
    {"generation"},
    {"filtering", "fields", "persistence", "codebooks"},
    {"changes", "check"},
    {"search", "fit_questions", "meaning", "fingerprint", "encoding", "vectors", "ingestion"},
    {"explain", "fit"},
    {"fit_cost"},
    {"info"},
    {"hybrid"},
    {"reranking"},
    {"langchain", "evaluation", "display", "cli_options"},
    {"demo"},
    {"cli"},
]
UPWARDS_FOR_TYPES_ALONE = {("types", "allowed")}
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}


class Import(NamedTuple):
    """An import statement.

    Attributes:
        place: Where it is.
        part: The part of the package that it is in.
        target: What it names.
        at_top: Whether it runs when its module is imported.
        runs: Whether it ever runs: those for type checkers do not.
    """

    place: str
    part: str
    target: str
    at_top: bool
    runs: bool


def imports(package: str) -> Iterator[Import]:
    for file in sorted((ROOT / package).rglob("*.py")):
        names = file.relative_to(ROOT).with_suffix("").parts
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node, at_top, runs in walk(tree, True, True):
            targets: list[str] = []
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = ".".join([*names[: -node.level], node.module or ""]).strip(".") if node.level else node.module
                targets = [f"{base}.{alias.name}" for alias in node.names]
            for target in targets:
                yield Import(f"{file.relative_to(ROOT)}:{node.lineno}", names[1], target, at_top, runs)


def walk(node: ast.AST, at_top: bool, runs: bool) -> Iterator[tuple[Any, bool, bool]]:
    for child in ast.iter_child_nodes(node):
        is_top = at_top and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        yield child, is_top, runs
        checking = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        yield from walk(child, is_top and not checking, runs and not checking)


OURS = list(imports("hybridret"))


def test_every_part_has_a_layer() -> None:
    parts = {
        path.stem for path in (ROOT / "hybridret").iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert parts - {"__init__", "__main__"} == set(LEVEL)


def test_imports_run_one_way_and_siblings_do_not_import_each_other() -> None:
    wrong = []
    for found in OURS:
        package, _, rest = found.target.partition(".")
        target = rest.partition(".")[0]
        if package != "hybridret" or found.part == "__init__" or target in ("__version__", found.part):
            continue
        is_excused = not found.runs and (found.part, target) in UPWARDS_FOR_TYPES_ALONE
        if LEVEL[target] >= LEVEL[found.part] and not is_excused:
            wrong.append(found)
    assert wrong == []


def test_what_is_excused_upwards_is_there_and_does_not_run() -> None:
    upwards = {
        (found.part, found.target.split(".")[1]): found.runs
        for found in OURS
        if (found.part, found.target.partition(".")[2].partition(".")[0]) in UPWARDS_FOR_TYPES_ALONE
    }
    assert upwards == dict.fromkeys(UPWARDS_FOR_TYPES_ALONE, False)


def test_sets_of_rows_and_segments_know_arrays_only() -> None:
    for found in OURS:
        if found.part in {"allowed", "growth"} and found.target.startswith("hybridret."):
            assert found.target.split(".")[1] in {"types", "forking"}, found


def test_the_store_knows_no_retriever_and_no_retriever_the_store() -> None:
    retrieving = {"dense", "bm25", "docids", "decoding", "fusion", "generative", "generation"}
    for found in OURS:
        if found.target.startswith("hybridret."):
            pair = {found.part, found.target.split(".")[1]}
            assert not ("store" in pair and pair & retrieving), found


def test_only_generative_joins_docids_and_decoding() -> None:
    joining = {
        part
        for part in LEVEL
        if {"docids", "decoding"}
        <= {
            found.target.split(".")[1] for found in OURS if found.part == part and found.target.startswith("hybridret.")
        }
    }
    assert joining == {"generative"}


def test_decoding_fusion_and_ranking_know_arrays_only() -> None:
    allowed = {
        "hybridret",
        "numpy",
        "__future__",
        "collections",
        "typing",
        "math",
        "functools",
        "dataclasses",
        "itertools",
        "scipy",
        "types",
    }
    for found in OURS:
        if found.part in {"decoding", "fusion", "ranking", "types"} and found.target.split(".")[0] not in allowed:
            assert found.target == "pathlib.Path", found


def test_the_pipeline_knows_no_framework() -> None:
    for found in OURS:
        if found.target.split(".")[0].startswith("langchain"):
            assert found.part in {"langchain", "reranking", "answers", "data"}, found
        assert not found.target.startswith(("langchain.", "langchain_community", "langchain_classic")), found


def test_hybridret_imports_neither_finetune_nor_benchmarks() -> None:
    assert not [found for found in OURS if found.target.split(".")[0] in {"finetune", "benchmarks", "tests"}]
    if (ROOT / "finetune").is_dir():
        assert not [found for found in imports("finetune") if found.target.split(".")[0] in {"benchmarks", "tests"}]


def test_heavy_packages_are_imported_where_they_are_used() -> None:
    assert [found for found in OURS if found.at_top and found.target.split(".")[0] in HEAVY] == []


def test_no_pickle_is_read_or_written() -> None:
    """Apart from a question: whether an encoder of the caller's could be pickled by who pickles an index."""
    used = [found for found in OURS if found.target.split(".")[0] in {"pickle", "dill", "joblib", "shelve", "marshal"}]
    assert {(found.part, found.target) for found in used} == {("encoding", "pickle")}
    assert re.findall(r"pickle\.\w+", (ROOT / "hybridret" / "encoding.py").read_text()) == ["pickle.dumps"]


MODULES = """
import sys
{code}
print(*sorted({{name.partition(".")[0] for name in sys.modules}}), sep="\\n")
"""


@pytest.mark.parametrize(
    "code",
    [
        "import hybridret",
        "from hybridret.cli import app",
        "sys.argv = ['hybridret', '--help']\nfrom hybridret.cli import main\ntry: main()\nexcept SystemExit: pass",
    ],
    ids=["import", "cli", "help"],
)
def test_importing_the_package_and_asking_for_help_load_nothing_heavy(
    run_python: Callable[..., Any], code: str
) -> None:
    done = run_python(MODULES.format(code=code))
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.splitlines())
    assert "hybridret" in loaded
    assert not loaded & {*HEAVY, "scipy", "sklearn", "langchain_core", "huggingface_hub"}


def test_importing_the_retriever_loads_neither_torch_nor_faiss(run_python: Callable[..., Any]) -> None:
    done = run_python(MODULES.format(code="from hybridret import HybridRetriever"))
    assert done.returncode == 0, done.stderr
    assert not set(done.stdout.splitlines()) & {"torch", "faiss", "sentence_transformers", "transformers"}


def test_an_unknown_name_of_the_package_is_an_attribute_error() -> None:
    import hybridret

    assert set(hybridret.__all__) == {"HybridRetriever", "HybridVectorStore", "__version__"}
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        hybridret.nonsense  # noqa: B018
