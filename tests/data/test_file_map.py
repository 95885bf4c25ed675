import gc
import sys
from pathlib import Path

import numpy as np
import pytest

from gapkit.data._file_map import FileMap

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="counts in /proc")


def num_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def num_maps(path):
    return Path("/proc/self/maps").read_text().count(str(path))


def test_a_map_holds_the_bytes_and_can_not_be_written(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(bytes(range(256)) * 100)
    mapped = FileMap(path)
    assert mapped.values.tobytes() == path.read_bytes()
    assert mapped.address == mapped.values.ctypes.data
    with pytest.raises(ValueError, match="read-only"):
        mapped.values[0] = 1
    mapped.will_need(mapped.address + 5000, 9000)
    mapped.will_need(mapped.address + len(mapped.values) - 1, 1)
    assert mapped.values.tobytes() == path.read_bytes()


@ON_LINUX
def test_no_descriptor_stays_open_and_pages_are_given_back(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    before = num_descriptors()
    maps = [FileMap(path) for _ in range(50)]
    assert num_descriptors() == before
    assert num_maps(path) >= 1
    view = maps[7].values[1:]
    del maps
    gc.collect()
    assert num_maps(path) == 1
    assert view.tobytes() == b"bc"
    del view
    gc.collect()
    assert num_maps(path) == 0


def test_what_can_not_be_mapped_is_an_error(tmp_path):
    (tmp_path / "empty").touch()
    with pytest.raises(ValueError, match="empty"):
        FileMap(tmp_path / "empty")
    with pytest.raises(FileNotFoundError):
        FileMap(tmp_path / "absent")


def test_systems_without_mmap_map_too(tmp_path, monkeypatch):
    monkeypatch.setattr("gapkit.data._file_map._libc", None)
    (tmp_path / "a").write_bytes(b"abc")
    mapped = FileMap(tmp_path / "a")
    mapped.will_need(mapped.address, 3)
    assert np.array_equal(mapped.values, list(b"abc"))
