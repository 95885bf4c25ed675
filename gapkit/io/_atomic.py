"""Outputs that appear whole or not at all, whatever interrupts the writing of them."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath

from gapkit.errors import DataError

# As `_beside` and `install_folder` name them.
_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{8}\.tmp(\.old)?")


@contextmanager
def replacing_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and takes its place.

    On any exception, an interrupt included, it is removed and `path` stays as it was.

    Raises
    ------
    DataError
        The folder can't be written, or `path` is a folder.
    """
    path = _target(path)
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
def replacing_folder(
    path: str | os.PathLike[str], *, ours: Sequence[str], overwrite: bool = False
) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it takes its place.

    On any exception, an interrupt included, it is removed and `path` stays as it was.

    Parameters
    ----------
    path : path
    ours : sequence of str
        Patterns of the files that may be replaced; a folder that holds anything else never is.
    overwrite : bool
        Replace a folder that holds such files.

    Raises
    ------
    DataError
        The folder can't be written, or holds something that must not be replaced.
    """
    path = _target(path)
    temporary = stage_folder(path, ours=ours, overwrite=overwrite)
    try:
        yield temporary
        install_folder(temporary, path)
    except OSError as error:
        raise _write_error(path, error) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def stage_folder(path: Path, *, ours: Sequence[str], overwrite: bool) -> Path:
    """A new temporary folder beside `path`; refuses what `replacing_folder` refuses."""
    check_replaceable(path, ours=ours, overwrite=overwrite)
    temporary = _beside(path)
    try:
        temporary.mkdir()
    except OSError as error:
        raise _write_error(path, error) from None
    return temporary


def check_replaceable(path: Path, *, ours: Sequence[str], overwrite: bool) -> None:
    """Refuse a folder that `replacing_folder` refuses."""
    if path.is_file():
        raise DataError(f"{path} is a file. Name a folder.")
    if path.absolute() == Path.cwd():
        raise DataError(f"{path}: is the current folder. Name a folder in it.")
    there = sorted(path.iterdir()) if path.is_dir() else []
    foreign = [entry.name for entry in there if not _is_of(_meant_name(entry), ours)]
    if foreign:
        raise DataError(
            f"{path}: holds {foreign[0]!r}, which gapkit did not write there. "
            f"Choose another folder."
        )
    if there and not overwrite:
        raise DataError(f"{path}: is there already. Pass --overwrite to replace it.")


def install_folder(temporary: Path, path: Path) -> None:
    """Sync a finished folder and move it to its place, over the one that is there."""
    for file in temporary.rglob("*"):
        _sync(file)
    old = temporary.with_name(f"{temporary.name}.old")
    try:
        if path.exists():
            path.rename(old)
        temporary.rename(path)
    except BaseException:
        if old.exists() and not path.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)
    _sync(path.parent)


def remove_leftovers(folder: Path, ours: Sequence[str]) -> None:
    """Remove what killed writers of files or folders of these patterns left half done."""
    for entry in folder.iterdir():
        name = _meant_name(entry)
        if name != entry.name and _is_of(name, ours):
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


def _meant_name(entry: Path) -> str:
    """The name of an entry; of a temporary one that which it was to have."""
    found = _TEMPORARY.fullmatch(entry.name)
    return found[1] if found else entry.name


def _is_of(name: str, patterns: Sequence[str]) -> bool:
    return any(PurePath(name).match(pattern) for pattern in patterns)


def _target(path: str | os.PathLike[str]) -> Path:
    """What is replaced: of a link that which it leads to."""
    path = Path(path)
    return path.resolve() if path.is_symlink() else path


def _beside(path: Path) -> Path:
    make_parent(path)
    place = path.absolute()  # '.' has no name of its own
    return place.with_name(f".{place.name}.{secrets.token_hex(4)}.tmp")


def make_parent(path: Path) -> None:
    """Make the folder that a path lies in."""
    try:
        path.absolute().parent.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise DataError(
            f"{path}: can't be written: a file is in place of its folder. Choose another -o."
        ) from None
    except OSError as error:
        raise _write_error(path, error) from None


def _write_error(path: Path, error: OSError) -> DataError:
    return DataError(f"{path}: can't be written: {error.strerror or error}. Choose another -o.")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
