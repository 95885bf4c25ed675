import io
import struct
import subprocess
import sys

import pytest

from gapkit.data import _tfrecord
from gapkit.data._tfrecord import messages, read_records, write_records
from gapkit.errors import DataError, GapkitError

RECORDS = [b"first", b"", b"the third one"]
STARTS = [0, 21, 37]  # where each record begins: 16 bytes of framing and its data


def crc32c_by_bits(data: bytes) -> int:
    """CRC32C from its polynomial, one bit at a time (RFC 3720, B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def mask(crc: int) -> bytes:
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32)


def frame(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + mask(crc32c_by_bits(length)) + data + mask(crc32c_by_bits(data))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.tfrecord"
    write_records(path, RECORDS)
    return path


def test_crc_of_the_oracle_equals_the_published_check_value():
    assert crc32c_by_bits(b"123456789") == 0xE3069283


def test_written_bytes_equal_the_format_by_hand(path):
    assert path.read_bytes() == b"".join(frame(data) for data in RECORDS)


def test_records_written_are_read_back(path):
    assert list(read_records(path)) == RECORDS
    assert list(read_records(str(path))) == RECORDS


def test_write_into_an_open_file_leaves_it_open():
    file = io.BytesIO()
    written_bytes = write_records(file, RECORDS)
    assert file.getvalue() == b"".join(frame(data) for data in RECORDS)
    assert written_bytes == len(file.getvalue())


def test_write_of_no_records_makes_an_empty_file(tmp_path):
    assert write_records(tmp_path / "none", []) == 0
    assert (tmp_path / "none").read_bytes() == b""


def test_framing_is_read_by_the_tfrecord_package(path):
    code = (
        "import sys; from tfrecord.reader import tfrecord_iterator\n"
        "print([bytes(view) for view in tfrecord_iterator(sys.argv[1])])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == repr(RECORDS)


def test_progress_sums_to_the_size_of_the_file(path):
    steps = []
    list(read_records(path, on_bytes=steps.append))
    assert steps == [21, 16, 29]
    assert sum(steps) == path.stat().st_size


def test_reading_is_lazy_so_good_records_come_before_the_bad_one(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    records = read_records(path)
    assert [next(records), next(records)] == RECORDS[:2]
    with pytest.raises(DataError, match="record 2 at byte 37"):
        next(records)


def test_any_flipped_bit_is_an_error_that_names_its_record_and_region(path):
    content = path.read_bytes()
    for position in range(len(content)):
        record = sum(position >= start for start in STARTS) - 1
        in_header = position - STARTS[record] < 12
        for bit in range(8):
            damaged = bytearray(content)
            damaged[position] ^= 1 << bit
            path.write_bytes(damaged)
            with pytest.raises(DataError) as caught:
                list(read_records(path))
            message = str(caught.value)
            assert f"a.tfrecord: record {record} at byte {STARTS[record]}: " in message
            assert f"wrong checksum of its {'length' if in_header else 'data'}" in message
            assert ("not a TFRecord" in message) == (record == 0 and in_header)


def test_truncation_at_every_byte_names_the_record_and_what_is_left(path):
    content = path.read_bytes()
    for size_bytes in range(1, len(content)):
        path.write_bytes(content[:size_bytes])
        if size_bytes in STARTS:  # whole records: nothing in the format tells that more followed
            assert list(read_records(path)) == RECORDS[: STARTS.index(size_bytes)]
            continue
        record = sum(size_bytes > start for start in STARTS) - 1
        left_bytes = size_bytes - STARTS[record]
        expected = (
            f"cut short, {left_bytes} of the 12 bytes of its header. Download or copy"
            if left_bytes < 12
            else f"cut short, {left_bytes - 12} of the {len(RECORDS[record]) + 4} bytes after its"
        )
        with pytest.raises(DataError) as caught:
            list(read_records(path))
        assert f"a.tfrecord: record {record} at byte {STARTS[record]}: {expected}" in str(
            caught.value
        )


def test_a_length_beyond_the_file_is_truncation_and_allocates_nothing(tmp_path):
    length = struct.pack("<Q", 2**64 - 1)
    path = tmp_path / "long"
    path.write_bytes(length + mask(crc32c_by_bits(length)) + b"abc")
    with pytest.raises(DataError, match=f"cut short, 3 of the {2**64 + 3} bytes"):
        list(read_records(path))


def test_an_empty_file_holds_no_records(tmp_path):
    path = tmp_path / "empty"
    path.touch()
    with pytest.raises(DataError, match="empty: holds no records"):
        list(read_records(path))


@pytest.mark.parametrize("content", [b"id,labels\na,1 2\n", b"PAR1" + bytes(64)])
def test_another_format_is_said_not_to_be_a_tfrecord(tmp_path, content):
    path = tmp_path / "other"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"other: record 0 at byte 0: .*not a TFRecord"):
        list(read_records(path))


def test_a_gzipped_file_is_told_to_be_decompressed(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(b"\x1f\x8b\x08" + bytes(40))
    with pytest.raises(DataError, match=r"gzip\. Decompress the file first: gunzip"):
        list(read_records(path))


def test_a_missing_file_and_a_folder_are_data_errors(tmp_path):
    with pytest.raises(DataError, match="nowhere: no such file"):
        list(read_records(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="is a folder"):
        list(read_records(tmp_path))


def test_messages_round_trip():
    example = messages().Example()
    example.features.feature["id"].bytes_list.value.append(b"vid")
    again = messages().Example.FromString(example.SerializeToString())
    assert again.features.feature["id"].bytes_list.value[0] == b"vid"
    sequence = messages().SequenceExample()
    sequence.feature_lists.feature_list["rgb"].feature.add().bytes_list.value.append(b"\x01")
    assert messages().SequenceExample.FromString(sequence.SerializeToString()) == sequence
    assert messages() is messages()


def test_messages_agree_with_those_of_an_imported_tfrecord():
    code = (
        "from gapkit.data._tfrecord import messages\n"
        "ours = messages().Example\n"
        "from tfrecord.example_pb2 import Example\n"
        "example = ours(); example.features.feature['a'].int64_list.value.append(3)\n"
        "print(Example.FromString(example.SerializeToString()).features.feature['a'])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "value: 3" in result.stdout


def test_messages_import_neither_torch_nor_tfrecord():
    code = (
        "import sys; from gapkit.data._tfrecord import messages\n"
        "messages(); print(sorted({'torch', 'tfrecord'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_a_missing_tfrecord_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(_tfrecord.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(GapkitError, match=r"tfrecord.*pip install 'gapkit\[train\]'"):
        messages.__wrapped__()


def test_a_missing_crc32c_package_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "crc32c", None)
    _tfrecord._masked_crc.cache_clear()
    with pytest.raises(GapkitError, match=r"crc32c.*pip install 'gapkit\[train\]'"):
        next(read_records(tmp_path / "a"))
