"""Changes that cannot be made: a clear error, and the index unharmed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langchain_core.documents import Document

from hybridret import HybridRetriever
from hybridret.check import check_bundle
from hybridret.errors import BundleError, FilterError, InputError

QUERY = "who sleeps all day"


@pytest.fixture
def bundle(retriever: HybridRetriever, tmp_path: Path) -> Path:
    retriever.save(tmp_path / "b")
    return tmp_path / "b"


@pytest.fixture
def opened(bundle: Path, embeddings: Any) -> HybridRetriever:
    return HybridRetriever.load(bundle, embedding_model=embeddings)


def answers(retriever: HybridRetriever) -> list[tuple[str | None, str, float]]:
    (found,) = retriever.answers([QUERY], k=100)
    return [(answer.document.id, answer.document.page_content, answer.first_score) for answer in found]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda r: r.add_documents([Document(id="cat", page_content="x")]),
            InputError,
            "'cat' is in the index already",
        ),
        (lambda r: r.add_documents([Document(id="a", page_content="x")] * 2), InputError, "'a' is given twice"),
        (lambda r: r.upsert([Document(id="a", page_content="x")] * 2), InputError, "'a' is given twice"),
        (lambda r: r.upsert([Document(id="a", page_content="x", metadata={"m": {1, 2}})]), InputError, "held as JSON"),
        (lambda r: r.upsert([Document(id="a", page_content="x", metadata={"m": b"x"})]), InputError, "held as JSON"),
        (lambda r: r.upsert([Document(id="a", page_content="x", metadata={"m": float("nan")})]), InputError, "as JSON"),
        (lambda r: r.upsert([Document(id="a", page_content="x", metadata={"m": {1: 2}})]), InputError, "is no string"),
        (lambda r: r.upsert([Document(id="a", page_content="x", metadata={"m": nested(101)})]), InputError, "deeper"),
        (lambda r: r.invoke("x", filter={"legs": {"$near": 3}}), FilterError, r"\$near"),
        (lambda r: r.invoke("x", filter={"$nor": [{"legs": 3}]}), FilterError, r"\$nor"),
        (lambda r: r.delete("cat"), InputError, "list of strings"),
        (lambda r: r.delete(None), InputError, "needs the ids"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    opened: HybridRetriever,
    bundle: Path,
    change: Callable[[HybridRetriever], Any],
    error: type[Exception],
    message: str,
) -> None:
    before = answers(opened)
    with pytest.raises(error, match=message):
        change(opened)
    assert answers(opened) == before
    assert check_bundle(bundle).faults == []
    assert check_bundle(bundle).leftovers == []


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_deleting_what_is_not_there_deletes_the_rest_and_says_what(opened: HybridRetriever) -> None:
    result = opened.delete(["nobody", "cat", "cat"])
    assert (result["num_deleted"], result["succeeded"], result["num_failed"]) == (1, ["cat"], 0)
    generation = opened.index.info()["generation"]
    assert opened.delete(["nobody"])["num_deleted"] == 0
    assert opened.index.info()["generation"] == generation


FULL_DISK = """
import resource, sys
from pathlib import Path
from langchain_core.documents import Document
from hybridret import HybridRetriever
from hybridret.errors import BundleError
sys.path.insert(0, sys.argv[2])
from conftest import StubEmbeddings
retriever = HybridRetriever.load(sys.argv[1], embedding_model=StubEmbeddings())
def answers():
    return [(a.document.id, a.document.page_content, a.score) for a in retriever.answers(["who sleeps"], k=100)[0]]
before = answers()
new = [Document(id=f"n{i}", page_content=" ".join(f"w{i}x{j}" for j in range(200))) for i in range(60)]
limit = int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
failed = 0
for change in (lambda: retriever.add_documents(new), lambda: retriever.save(Path(sys.argv[1]).with_name("copy")),
               lambda: retriever.upsert(new)):
    try:
        change()
    except BundleError as error:
        failed += 1
        assert sys.argv[1].rpartition("/")[0] in str(error), error
    else:
        retriever.delete([d.id for d in new])
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
after = answers()
assert {d[:2] for d in after} == {d[:2] for d in before}
retriever.add_documents([Document(id="again", page_content="room again")])
assert "again" in HybridRetriever.load(sys.argv[1], embedding_model=StubEmbeddings()).index.ids()
print(failed)
"""


@pytest.mark.parametrize("limit", [0, 1000, 6000, 30_000, 60_000, 10_000_000])
def test_a_full_disk_fails_the_change_and_harms_nothing(
    run_python: Callable[..., Any], bundle: Path, limit: int
) -> None:
    done = run_python(FULL_DISK, bundle, Path(__file__).parent, str(limit))
    assert done.returncode == 0, done.stderr
    n_failed = int(done.stdout)
    assert n_failed == 3 if limit <= 6000 else n_failed == 0 if limit == 10_000_000 else 1 <= n_failed <= 3
    report = check_bundle(bundle)
    assert (report.faults, report.leftovers, report.documents) == ([], [], 9)
    assert {path.name for path in bundle.parent.iterdir()} <= {"b", "copy"}


READ_ONLY = """
import os, sys
from langchain_core.documents import Document
from hybridret import HybridRetriever
from hybridret.errors import BundleError
sys.path.insert(0, sys.argv[2])
from conftest import StubEmbeddings
import faiss, safetensors.numpy, rank_bm25, hybridret.check, langchain_text_splitters
if os.getuid() == 0:
    os.setuid(65534)
retriever = HybridRetriever.load(sys.argv[1], embedding_model=StubEmbeddings())
before = [d.id for d in retriever.invoke("who sleeps", k=100)]
assert len(before) == 8
new = Document(id="new", page_content="x")
for change in (lambda: retriever.add_documents([new]), lambda: retriever.delete(["cat"]), retriever.index.compact):
    try:
        change()
    except BundleError as error:
        assert "readonly" in str(error) or "cannot be written" in str(error), error
    else:
        raise AssertionError("a change in a read-only folder")
assert [d.id for d in retriever.invoke("who sleeps", k=100)] == before
assert hybridret.check.check_bundle(__import__("pathlib").Path(sys.argv[1])).faults == []
"""


def test_a_bundle_in_a_read_only_folder_is_searched_and_not_changed(
    run_python: Callable[..., Any], bundle: Path
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        copy = Path(shutil.copytree(bundle, Path(folder) / "b"))
        for path in copy.iterdir():
            path.chmod(0o444)
        copy.chmod(0o555)
        done = run_python(READ_ONLY, copy, Path(__file__).parent)
        copy.chmod(0o755)
    assert done.returncode == 0, done.stderr


def test_a_bundle_deleted_under_a_reader_is_said(opened: HybridRetriever, bundle: Path) -> None:
    shutil.rmtree(bundle)
    for call in (
        lambda: opened.invoke(QUERY),
        lambda: opened.add_documents([Document(page_content="x")]),
        lambda: opened.delete(["cat"]),
        opened.refresh,
    ):
        with pytest.raises(BundleError, match="has been deleted"):
            call()
    assert not bundle.exists()


def test_a_bundle_replaced_under_a_reader_is_taken_up(opened: HybridRetriever, bundle: Path, embeddings: Any) -> None:
    other = HybridRetriever.from_texts(["a zebra sleeps"], ids=["zebra"], embedding_model=embeddings, path=bundle)
    assert [document.id for document in opened.invoke(QUERY)] == ["zebra"]
    opened.add_documents([Document(id="yak", page_content="a yak sleeps")])
    assert {document.id for document in other.invoke(QUERY)} == {"zebra", "yak"}


def test_a_change_cut_short_by_the_user_leaves_nothing(
    opened: HybridRetriever, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = answers(opened)
    real = os.fsync
    calls = iter(range(100))

    def interrupted(descriptor: int) -> None:
        if next(calls) == 2:
            raise KeyboardInterrupt
        real(descriptor)

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        opened.add_documents([Document(id="new", page_content="x")])
    monkeypatch.setattr(os, "fsync", real)
    assert answers(opened) == before
    assert (check_bundle(bundle).faults, check_bundle(bundle).leftovers) == ([], [])


SMALL_DISK = """
import os, resource, shutil, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from conftest import StubEmbeddings
from hybridret.check import check_bundle
from hybridret.dense import EmbeddingsEncoder
from hybridret.errors import BundleError
from hybridret.hybrid import HybridIndex
from hybridret.types import Document

encoder = EmbeddingsEncoder(StubEmbeddings())
sound, place = Path(sys.argv[1]), Path(sys.argv[1]).with_name("place")
new = [Document(f"n{i}", " ".join(f"w{i}x{j}" for j in range(60)), {"n": i}) for i in range(20)]
HybridIndex.open(sound, encoder).add(new[:10])
changes = {
    "add": lambda index: index.add(new[10:]),
    "upsert": lambda index: index.add(new, replace=True),
    "delete": lambda index: index.delete(["cat", "n1", "n5"]),
    "compact": lambda index: index.compact(),
    "save": lambda index: index.save(place / "copy"),
    "save over another": lambda index: index.save(place / "other"),
}

def answers(path):
    index = HybridIndex.open(path, encoder)
    return index.search(["who sleeps w1x1"], 100)[0], index.get(sorted(index.ids()))

def ended(change, limit):
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(sound, place / "b")
    shutil.copytree(sound, place / "other")
    before = answers(place / "b")
    index = HybridIndex.open(place / "b", encoder)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        changes[change](index)
        outcome = "done"
    except BundleError:
        outcome = "refused"
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    after = index.search(["who sleeps w1x1"], 100)[0], index.get(sorted(index.ids()))
    assert after == answers(place / "b")
    assert outcome == "done" or after == before
    names = {path.name for path in place.iterdir()}
    assert names - {"copy"} == {"b", "other"}, names
    assert answers(place / "other") == before
    for name in names:
        report = check_bundle(place / name)
        assert report.faults == [], (change, limit, outcome, name, report)
    if "copy" in names:
        assert answers(place / "copy") == before
    index.add([Document("later", "there is room again", {})])
    assert "later" in HybridIndex.open(place / "b", encoder).ids()
    assert check_bundle(place / "b")[1:] == ([], [])
    return outcome

for change in changes:
    print(change, *(ended(change, limit) for limit in map(int, sys.argv[3:])), sep=",")
"""


def test_a_disk_that_fills_up_at_any_point_of_any_change_harms_nothing(
    run_python: Callable[..., Any], bundle: Path
) -> None:
    """Limits that stop array files, the journal, the database, its rollback too (25,000), or nothing."""
    limits = [0, 300, 1000, 3000, 6000, 12_000, 20_000, 25_000, 30_000, 1_000_000]
    done = run_python(SMALL_DISK, bundle, Path(__file__).parent, *map(str, limits))
    assert done.returncode == 0, done.stderr[-2000:]
    ends = {change: outcomes for change, *outcomes in (line.split(",") for line in done.stdout.splitlines())}
    assert len(ends) == 6
    for change, outcomes in ends.items():
        assert (outcomes[0], outcomes[-1]) == ("refused", "done"), (change, outcomes)
        assert outcomes == sorted(outcomes, reverse=True), (change, outcomes)


def test_whatever_is_asked_of_a_deleted_bundle_says_so(opened: HybridRetriever, bundle: Path, tmp_path: Path) -> None:
    shutil.rmtree(bundle)
    for call in (
        lambda: opened.search(["cats"]),
        lambda: opened.explain("cats", "cat"),
        lambda: opened.get(["cat"]),
        lambda: opened.upsert([Document(page_content="x")]),
        lambda: opened.save(tmp_path / "copy"),
        opened.index.ids,
        opened.index.info,
        opened.index.compact,
    ):
        with pytest.raises(BundleError, match="has been deleted"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_that_comes_back_is_taken_up(opened: HybridRetriever, bundle: Path) -> None:
    before = answers(opened)
    bundle.rename(bundle.with_name("away"))
    with pytest.raises(BundleError, match="has been deleted"):
        opened.invoke(QUERY)
    bundle.with_name("away").rename(bundle)
    assert answers(opened) == before
    assert opened.delete(["cat"])["num_deleted"] == 1


def test_another_kind_of_thing_in_a_bundles_place_is_said(opened: HybridRetriever, bundle: Path) -> None:
    shutil.rmtree(bundle)
    bundle.write_text("a file")
    with pytest.raises(BundleError, match=str(bundle)):
        opened.invoke(QUERY)
    bundle.unlink()
    bundle.mkdir()
    (bundle / "hybridret.sqlite").write_text("no database")
    for _ in range(2):
        with pytest.raises(BundleError, match=r"hybridret\.sqlite"):
            opened.invoke(QUERY)
