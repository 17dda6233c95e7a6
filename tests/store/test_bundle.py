"""Array files and folders that are whole or not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hybridret.errors import BundleError
from hybridret.store.bundle import DATABASE, ArrayFile, Bundle, write_arrays
from hybridret.store.folders import check_target, new_folder
from hybridret.types import Arrays


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / DATABASE).touch()
    return Bundle(tmp_path / "b")


def written(bundle: Bundle, generation: int, arrays: Arrays) -> ArrayFile:
    return write_arrays(bundle.folder, "part", generation, arrays, 0)


def test_arrays_come_back_with_their_types(bundle: Bundle) -> None:
    arrays = {
        "f": np.arange(6, dtype=np.float32).reshape(2, 3),
        "codes": np.array([[255]], dtype=np.uint8),
        "wide": np.array([65535], dtype=np.uint16),
        "rows": np.array([-1, 2**40]),
        "none": np.zeros((0, 5), dtype=np.float32),
    }
    read = bundle.read(written(bundle, 3, arrays))
    assert read.keys() == arrays.keys()
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype
        assert np.array_equal(read[name], array)


def test_a_view_is_written_as_what_it_shows(bundle: Bundle) -> None:
    whole = np.arange(12, dtype=np.float32).reshape(3, 4)
    read = bundle.read(written(bundle, 0, {"transposed": whole.T, "sliced": whole[:, ::2]}))
    assert np.array_equal(read["transposed"], whole.T)
    assert np.array_equal(read["sliced"], whole[:, ::2])


def test_a_file_is_named_by_part_and_generation_and_described(bundle: Bundle) -> None:
    file = write_arrays(bundle.folder, "bm25", 7, {"x": np.zeros(2)}, 2)
    assert file.rows == 2
    assert file.name == "bm25.7.safetensors"
    assert file.bytes == (bundle.folder / file.name).stat().st_size
    assert len(file.sha256) == 64


@pytest.mark.parametrize("kept", [0, 1, 7, -1])
def test_a_truncated_file_is_refused(bundle: Bundle, kept: int) -> None:
    file = written(bundle, 0, {"x": np.arange(100)})
    path = bundle.folder / file.name
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BundleError, match=r"part\.0\.safetensors is damaged: it has \d+ bytes instead of \d+"):
        bundle.read(file)


def test_a_changed_byte_is_noticed(bundle: Bundle) -> None:
    file = written(bundle, 0, {"x": np.arange(100)})
    path = bundle.folder / file.name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match="its checksum is wrong"):
        bundle.read(file)


def test_a_missing_file_is_named(bundle: Bundle) -> None:
    file = written(bundle, 0, {"x": np.arange(2)})
    (bundle.folder / file.name).unlink()
    with pytest.raises(BundleError, match=r"part\.0\.safetensors cannot be read"):
        bundle.read(file)


@pytest.mark.parametrize("name", ["../secret.0.safetensors", "/etc/passwd", "x.safetensors", "part.0.safetensors\n"])
def test_a_state_cannot_name_files_outside_the_bundle(bundle: Bundle, name: str) -> None:
    with pytest.raises(BundleError, match="that no bundle has"):
        bundle.read(ArrayFile(name, "0" * 64, 0, 0))


def test_only_array_files_are_removed_and_none_outside(bundle: Bundle) -> None:
    for generation in (1, 2):
        written(bundle, generation, {"x": np.zeros(1)})
    (bundle.folder / "notes.safetensors").touch()
    (bundle.folder.parent / "part.3.safetensors").touch()
    bundle.remove(["part.1.safetensors", "notes.safetensors", "../part.3.safetensors", DATABASE])
    assert (bundle.folder.parent / "part.3.safetensors").is_file()
    assert sorted(path.name for path in bundle.folder.iterdir()) == [
        DATABASE,
        "notes.safetensors",
        "part.2.safetensors",
    ]


@pytest.mark.parametrize("kind", ["absent", "file", "folder"])
def test_what_is_no_bundle_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    if kind == "file":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    wanted = {"absent": "does not exist", "file": "is a file", "folder": f"has no {DATABASE}"}[kind]
    with pytest.raises(BundleError, match=f"is not a hybridret bundle: it {wanted}"):
        Bundle(path)


def test_a_target_may_be_absent_empty_or_a_bundle(tmp_path: Path, bundle: Bundle) -> None:
    check_target(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    check_target(tmp_path / "empty")
    check_target(bundle.folder)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    for path in (tmp_path / "full", tmp_path / "full" / "thesis.txt"):
        with pytest.raises(BundleError, match="is not a bundle; it is left as it is"):
            check_target(path)


@pytest.mark.parametrize("before", ["absent", "empty", "bundle"])
def test_a_new_folder_takes_the_place_at_the_end(tmp_path: Path, before: str) -> None:
    path = tmp_path / "deep" / "b"
    if before != "absent":
        path.mkdir(parents=True)
    if before == "bundle":
        (path / DATABASE).write_text("old")
    with new_folder(path) as folder:
        (folder / DATABASE).write_text("new")
        assert not (path / DATABASE).exists() or (path / DATABASE).read_text() == "old"
    assert (path / DATABASE).read_text() == "new"
    assert [entry.name for entry in path.parent.iterdir()] == ["b"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_after_an_error_the_old_is_there_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "b"
    path.mkdir()
    (path / DATABASE).write_text("old")

    def write() -> None:
        with new_folder(path) as folder:
            (folder / DATABASE).write_text("new")
            raise error

    with pytest.raises(error):
        write()
    assert (path / DATABASE).read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["b"]


def test_the_current_folder_can_become_a_bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with new_folder(Path()) as folder:
        (folder / DATABASE).touch()
    assert (tmp_path / "here" / DATABASE).is_file()
    assert [entry.name for entry in tmp_path.iterdir()] == ["here"]
