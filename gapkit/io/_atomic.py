"""Outputs that appear whole or not at all, whatever interrupts the writing of them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gapkit.errors import DataError


@contextmanager
def replacing_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and takes its place.

    On any exception, an interrupt included, it is removed and `path` stays as it was.

    Raises
    ------
    DataError
        The folder can't be written, or `path` is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path} is a folder. Name a file.")
    temporary = _beside(path)
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise _write_error(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it takes its place.

    On any exception, an interrupt included, it is removed and `path` stays as it was.

    Parameters
    ----------
    path : path
    overwrite : bool
        Replace a folder that has anything in it.

    Raises
    ------
    DataError
        The folder can't be written, or is not empty and `overwrite` is False.
    """
    path = Path(path)
    temporary = stage_folder(path, overwrite=overwrite)
    try:
        yield temporary
        install_folder(temporary, path)
    except OSError as error:
        raise _write_error(path, error) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def stage_folder(path: Path, *, overwrite: bool) -> Path:
    """A new temporary folder beside `path`, which must not hold anything unless `overwrite`."""
    if path.is_file():
        raise DataError(f"{path} is a file. Name a folder.")
    if not overwrite and path.is_dir() and any(path.iterdir()):
        raise DataError(f"{path} is not empty. Pass --overwrite to replace it.")
    temporary = _beside(path)
    try:
        temporary.mkdir()
    except OSError as error:
        raise _write_error(path, error) from None
    return temporary


def install_folder(temporary: Path, path: Path) -> None:
    """Sync a finished folder and move it to its place, over the one that is there."""
    for file in temporary.rglob("*"):
        _sync(file)
    old = temporary.with_name(f"{temporary.name}.old")
    if path.exists():
        path.rename(old)
    temporary.rename(path)
    shutil.rmtree(old, ignore_errors=True)
    _sync(path.parent)


def _beside(path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _write_error(path, error) from None
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _write_error(path: Path, error: OSError) -> DataError:
    return DataError(f"{path}: can't be written: {error.strerror or error}. Choose another -o.")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
