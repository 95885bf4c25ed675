"""Remote filesystems: those of pyarrow (`s3://`, `gs://`), else of fsspec (`hf://`, ...)."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from gapkit.errors import DataError, GapkitError

_PIECE_BYTES = 1 << 22


def open_remote(uri: str) -> pa.NativeFile:
    """The file at a URI, to read from any place in it."""
    filesystem, path = _locate(uri)
    with _reaching(uri):
        return filesystem.open_input_file(path)


@contextmanager
def replacing_remote(uri: str) -> Iterator[Path]:
    """Yield a local temporary path; on success its content appears at the URI, whole.

    It is sent to a name beside the target and moved from there.
    """
    filesystem, path = _locate(uri)
    with tempfile.TemporaryDirectory(prefix="gapkit-") as folder:
        local = Path(folder) / "file"
        yield local
        parent, _, name = path.rpartition("/")
        staged = f"{parent}{'/' * bool(parent)}.{name}.{secrets.token_hex(4)}.tmp"
        with _reaching(uri):
            if parent:
                filesystem.create_dir(parent, recursive=True)
            try:
                with local.open("rb") as source, filesystem.open_output_stream(staged) as sink:
                    shutil.copyfileobj(source, sink, _PIECE_BYTES)
                filesystem.move(staged, path)
            except BaseException:
                _remove(filesystem, staged)
                raise


def _remove(filesystem: fs.FileSystem, path: str) -> None:
    with suppress(Exception):  # the error that led here is the one to tell
        filesystem.delete_file(path)


def _locate(uri: str) -> tuple[fs.FileSystem, str]:
    """The filesystem of a URI, and the path there."""
    try:
        with _reaching(uri):
            filesystem, path = fs.FileSystem.from_uri(uri)
            return filesystem, path
    except DataError as error:
        located = _locate_by_fsspec(uri)
        if located is None:
            raise error from None
        return located


def _locate_by_fsspec(uri: str) -> tuple[fs.FileSystem, str] | None:
    """The same by fsspec; None where it is not installed or does not know the scheme."""
    try:
        import fsspec
    except ModuleNotFoundError:
        return None
    scheme = uri.partition(":")[0]
    if scheme not in fsspec.available_protocols():
        return None
    with _reaching(uri):
        filesystem, path = fsspec.core.url_to_fs(uri)
        return fs.PyFileSystem(fs.FSSpecHandler(filesystem)), path


@contextmanager
def _reaching(uri: str) -> Iterator[None]:
    """One error for all that a filesystem of a third party may raise."""
    try:
        yield
    except (GapkitError, MemoryError):
        raise
    except FileNotFoundError:
        raise DataError(f"{uri}: no such file.") from None
    except Exception as error:
        raise unreachable(uri, error) from None


def unreachable(uri: str, error: Exception) -> DataError:
    """What to say when a remote file can't be had."""
    reason = " ".join(str(error).split()) or type(error).__name__
    return DataError(
        f"{uri}: can't be reached ({reason}). Check the address, the credentials and that the "
        f"library of its scheme is installed."
    )
