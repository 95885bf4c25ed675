"""Files of shards: what is written is there, whole, whichever way it went to the disk."""

import errno
import os

import numpy as np
import pytest
from crc32c import crc32c

from gapkit.data._importing import shard_file
from gapkit.data._importing.shard_file import ShardFile

BLOCK = shard_file._BLOCK_BYTES


def write(path, pieces, expected_bytes):
    file = ShardFile(path, expected_bytes)
    try:
        for piece in pieces:
            assert file.write(piece) == len(piece)
        assert file.tell() == sum(map(len, pieces))
        file.finish()
    finally:
        file.close()
    return file


@pytest.fixture(params=["direct", "cached"])
def expected_bytes(request, monkeypatch):
    """An estimate that is too large, of a file written past the page cache or through it."""
    monkeypatch.setattr(shard_file, "DIRECT_BYTES", 0 if request.param == "direct" else 1 << 60)
    return 3 * BLOCK


@pytest.mark.parametrize(
    "sizes",
    [[], [1], [4095, 1, 4097], [BLOCK], [BLOCK - 1, 2], [BLOCK // 2, BLOCK, 7], [3 * BLOCK + 5]],
)
def test_a_file_holds_what_was_written(tmp_path, expected_bytes, sizes):
    rng = np.random.default_rng(0)
    pieces = [rng.bytes(size) for size in sizes]
    file = write(tmp_path / "shard", pieces, expected_bytes)
    whole = b"".join(pieces)
    assert (tmp_path / "shard").read_bytes() == whole
    assert file.size_bytes == len(whole)
    assert file.crc32c == crc32c(whole)


def test_what_the_disk_refuses_the_thread_is_an_error(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", refuse)
    monkeypatch.setattr(shard_file, "_set_direct", lambda *_: True)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "shard", [bytes(BLOCK)] * 4, shard_file.DIRECT_BYTES)


def test_a_file_system_of_another_alignment_is_written_through_the_cache(
    tmp_path, expected_bytes, monkeypatch
):
    pwrite, refused = os.pwrite, []

    def refuse_once(descriptor, view, offset):
        if not refused:
            refused.append(offset)
            raise OSError(errno.EINVAL, "Invalid argument")
        return pwrite(descriptor, view, offset)

    monkeypatch.setattr(os, "pwrite", refuse_once)
    data = np.random.default_rng(1).bytes(2 * BLOCK + 3)
    write(tmp_path / "shard", [data], expected_bytes)
    assert (tmp_path / "shard").read_bytes() == data
