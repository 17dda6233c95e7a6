"""Forked processes answer and change what their parent had open, whatever its threads were doing."""

from __future__ import annotations

import copy
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from langchain_core.embeddings import Embeddings

from hybridret import HybridRetriever
from hybridret.check import check_bundle
from hybridret.dense import EmbeddingsEncoder
from hybridret.errors import InputError, ModelError
from hybridret.hybrid import HybridIndex
from hybridret.types import Document

Process = CompletedProcess[str]
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

_FORKS = """
import os, signal, sys

def in_child(work):
    "Exit code of work in a forked process, which an alarm ends where it hangs; minus the signal's number."
    child = os.fork()
    if child == 0:
        signal.alarm(100)
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(type(error).__name__, error, flush=True)
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""

_PRELOADED = (
    _FORKS
    + """
import torch
torch.set_num_threads(2)
from hybridret import HybridRetriever
texts = [f"The pump of hall {number} is checked in spring. " * 20 for number in range(40)]
made = HybridRetriever.from_texts(texts, ids=[str(n) for n in range(40)], path=sys.argv[1], fit=False)
retriever = HybridRetriever.load(sys.argv[1])
before = [document.id for document in retriever.invoke("which pump is in hall 7?")]
assert torch.get_num_threads() == 2

def work():
    assert [document.id for document in retriever.invoke("which pump is in hall 7?")] == before
    name = f"new {os.getpid()}"
    retriever.index.add([retriever.index.get(["7"])[0]._replace(doc_id=name, text="Bees make honey.")])
    assert retriever.get([name])

codes = [in_child(work) for _ in range(2)]
print(codes, len(retriever.index.ids()), torch.get_num_threads())
"""
)

_AT_WORK = (
    _FORKS
    + """
import threading
sys.path.insert(0, sys.argv[2])
from changing import encoder
from hybridret.config import Config
from hybridret.hybrid import HybridIndex
from hybridret.types import Document
path = None if sys.argv[1] == "memory" else __import__("pathlib").Path(sys.argv[1])
documents = [Document(f"d{n}", f"pump {n}", {}) for n in range(30)]
index = HybridIndex.build(documents, encoder(), Config(docid_levels=2), path)
ends, begun = threading.Event(), threading.Barrier(3)

def write():
    begun.wait()
    number = 0
    while not ends.is_set():
        index.add([Document(f"w{number}", f"water {number}", {})])
        index.delete([f"w{number - 3}"])
        number += 1

def read():
    begun.wait()
    while not ends.is_set():
        index.search(["pump water"], 5, {"n": {"$exists": False}})

threads = [threading.Thread(target=each) for each in (write, read)]
[each.start() for each in threads]
begun.wait()

def work():
    (hits,) = index.search(["pump 3"], 40)
    assert {f"d{n}" for n in range(30)} <= {hit.doc_id for hit in hits}
    assert index.get(["d3"])
    index.add([Document(f"c{os.getpid()}", "steam", {})])

codes = [in_child(work) for _ in range(8)]
ends.set()
[each.join() for each in threads]
print(codes, sum(doc_id.startswith("c") for doc_id in index.ids()))
"""
)


def test_a_server_that_preloads_its_model_and_forks_answers(
    packaged_model: str, tmp_path: Path, run_python: Callable[..., Process]
) -> None:
    """OpenMP's threads, which torch and FAISS would wait for, did not come along."""
    done = run_python(_PRELOADED, tmp_path / "b", OMP_NUM_THREADS="2")
    assert done.stdout.splitlines()[-1] == "[0, 0] 42 2", done.stdout + done.stderr
    assert check_bundle(tmp_path / "b").faults == []


@pytest.mark.parametrize("place", ["memory", "disk"])
def test_a_process_may_fork_while_its_threads_read_and_write(
    place: str, tmp_path: Path, run_python: Callable[..., Process]
) -> None:
    durability = Path(__file__).parent / "durability"
    done = run_python(_AT_WORK, tmp_path / "b" if place == "disk" else place, durability)
    added = 8 if place == "disk" else 0
    assert done.stdout.splitlines()[-1] == f"{[0] * 8} {added}", done.stdout + done.stderr
    if place == "disk":
        assert check_bundle(tmp_path / "b").faults == []


def test_a_fork_in_the_middle_of_a_change_is_told_in_the_child_and_harms_nothing(
    tmp_path: Path, run_python: Callable[..., Process]
) -> None:
    code = (
        _FORKS
        + """
import threading, pathlib
sys.path.insert(0, sys.argv[2])
from changing import encoder
from hybridret import forking
from hybridret.config import Config
from hybridret.hybrid import HybridIndex
from hybridret.types import Document
forking._PATIENCE_SECONDS = 0.0
index = HybridIndex.build([Document("a", "pump", {})], encoder(), Config(docid_levels=2), pathlib.Path(sys.argv[1]))
inside, goes_on = threading.Event(), threading.Event()

write_files = index._changes._written
def waiting(*arguments):
    inside.set(); goes_on.wait()
    return write_files(*arguments)
index._changes._written = waiting
thread = threading.Thread(target=lambda: index.add([Document("b", "valve", {})]))
thread.start()
inside.wait()
print(in_child(lambda: index.search(["pump"], 2)))
goes_on.set()
thread.join()
print(sorted(index.ids()))
"""
    )
    done = run_python(code, tmp_path / "b", Path(__file__).parent / "durability")
    told, code_of_child, ids = done.stdout.splitlines()
    assert told == "BundleError this process was forked in the middle of a change: open the index after the fork"
    assert (code_of_child, ids) == ("1", "['a', 'b']")
    assert check_bundle(tmp_path / "b").faults == []


DOCUMENTS = [Document("cat", "cats purr", {}), Document("dog", "dogs bark", {})]


class Letters(Embeddings):
    """Counts letters."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return [text.count(letter) + 0.01 for letter in "abcdefghijklmnopqrstuvwxyz"]


class Unpicklable:
    """Embeddings of a client with a connection."""

    def __init__(self, inner: Any) -> None:
        self.embed_documents, self.embed_query = inner.embed_documents, inner.embed_query
        self.connection = (each for each in ())


def as_pickled(index: HybridIndex) -> HybridIndex:
    copied: HybridIndex = pickle.loads(pickle.dumps(index))
    return copied


@pytest.mark.parametrize("duplicate", [copy.deepcopy, as_pickled])
def test_a_copy_of_an_index_on_disk_opens_the_same_bundle(
    duplicate: Callable[[HybridIndex], HybridIndex], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    index = HybridIndex.build(DOCUMENTS, EmbeddingsEncoder(Letters()), path=Path("b"))
    copied = duplicate(index)
    assert copied.search(["purr"], 2) == index.search(["purr"], 2)
    copied.add([Document("cow", "cows eat grass", {})])
    assert index.search(["grass"], 1)[0][0].doc_id == "cow"
    index.delete(["dog"])
    assert copied.ids() == {"cat", "cow"}


@pytest.mark.parametrize("duplicate", [copy.deepcopy, as_pickled])
def test_a_copy_of_an_index_whose_bundle_holds_the_model_takes_it_from_there(
    duplicate: Callable[[HybridIndex], HybridIndex], tiny_encoder: Any, tmp_path: Path
) -> None:
    HybridIndex.build(DOCUMENTS, tiny_encoder, path=tmp_path / "b")
    index = HybridIndex.open(tmp_path / "b", lock_timeout=1.5)
    expected = index.search(["purr"], 2)
    copied = duplicate(index)
    assert copied.search(["purr"], 2) == expected
    assert copied._changes.lock_timeout == 1.5
    assert (copied.encoder is index.encoder) == (duplicate is copy.deepcopy)


def test_embeddings_that_cannot_be_pickled_are_asked_for(embeddings: Any, tmp_path: Path) -> None:
    index = HybridIndex.build(DOCUMENTS, EmbeddingsEncoder(Unpicklable(embeddings)), path=tmp_path / "b")
    copied = as_pickled(index)
    assert copied.get(["cat"]) == DOCUMENTS[:1]
    with pytest.raises(ModelError, match=r"built with langchain:Unpicklable, .* give it as embedding_model"):
        copied.search(["purr"], 2)
    assert copy.deepcopy(index).search(["purr"], 2) == index.search(["purr"], 2)


def test_a_deep_copy_of_an_index_in_memory_is_its_own_and_a_pickle_is_refused(embeddings: Any, tmp_path: Path) -> None:
    index = HybridIndex.build(DOCUMENTS, EmbeddingsEncoder(embeddings))
    copied = copy.deepcopy(index)
    for number in range(40):
        copied.add([Document(f"copy {number}", f"honey {number}", {})])
        index.add([Document(f"index {number}", f"grass {number}", {})])
    copied.delete(["cat"])
    assert index.ids() == {"cat", "dog", *(f"index {number}" for number in range(40))}
    assert copied.ids() == {"dog", *(f"copy {number}" for number in range(40))}
    for each, prefix in ((index, "index"), (copied, "copy")):
        (hits,) = each.search(["honey 7"], 999)
        assert {hit.doc_id for hit in hits} == each.ids()
        each.save(tmp_path / prefix)
        assert check_bundle(tmp_path / prefix).faults == []
    assert copy.copy(index) is index
    with pytest.raises(InputError, match="an index in memory cannot be pickled; save it"):
        pickle.dumps(index)


def test_a_retriever_is_copied_with_its_settings(tmp_path: Path) -> None:
    made = HybridRetriever.from_texts(
        [document.text for document in DOCUMENTS],
        ids=["cat", "dog"],
        embedding_model=Letters(),
        path=tmp_path / "b",
        k=1,
    )
    for copied in (copy.deepcopy(made), pickle.loads(pickle.dumps(made)), made.model_copy(deep=True), copy.copy(made)):
        assert [document.id for document in copied.invoke("who purrs")] == ["cat"]
        assert copied.k == 1
