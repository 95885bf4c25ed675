"""The folder beside a split in which an import works, and from which an interrupted one goes on.

    .val.import/split/      finished shards; with labels.parquet and split.json it becomes val
    .val.import/parts/      of each finished shard its labels, and last what it was made from
    .val.import/run-x/      what the process x is writing; gone with it

Only the process that holds the lock touches `split` and `parts`; whoever was killed leaves workers
that may write into their own `run-x` for a moment, which nobody reads.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

from gapkit.data._importing.task import Part, Places
from gapkit.data._pending import finish_import, staging_folder
from gapkit.data._split import FILES, LABELS_FILE, SPLIT_FILE
from gapkit.errors import DataError
from gapkit.io import check_replaceable, install_folder, make_parent

try:
    import fcntl
except ImportError:  # Windows: two imports to one place are not told apart
    fcntl = None  # type: ignore[assignment]

WORTH_KEEPING_BYTES = 64 << 20  # fewer are imported again within a second


class Staging:
    """The staging folder of one split, locked; a context.

    After an interrupt the finished shards stay, and after an error, if they took a while to make.
    """

    def __init__(self, output: Path) -> None:
        self.output = output.resolve() if output.is_symlink() else output
        folder = staging_folder(self.output)
        self.places = Places(folder=folder, run=folder / f"run-{secrets.token_hex(4)}")
        self._lock = -1
        self._syncing = ThreadPoolExecutor(1)
        self._synced: list[Future[None]] = []

    def __enter__(self) -> Self:
        make_parent(self.output)
        finish_import(self.output)
        self._lock = self._take_lock()
        try:
            for left in self.places.folder.glob("run-*"):
                shutil.rmtree(left, ignore_errors=True)
            shutil.rmtree(self.places.folder / "split.old", ignore_errors=True)
            for folder in (self.places.split, self.places.parts, self.places.run):
                folder.mkdir(exist_ok=True)
            (self.places.split / SPLIT_FILE).unlink(missing_ok=True)
        except BaseException:
            os.close(self._lock)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._syncing.shutdown(cancel_futures=True)
        shutil.rmtree(self.places.run, ignore_errors=True)
        is_error = kind is not None and issubclass(kind, Exception)
        if not count_finished(self.output) or (is_error and self._is_small()):
            shutil.rmtree(self.places.folder, ignore_errors=True)
        os.close(self._lock)

    def _is_small(self) -> bool:
        shards = self.places.split.glob("*.arrow")
        return sum(path.stat().st_size for path in shards) < WORTH_KEEPING_BYTES

    def accept(self, part: Part) -> None:
        """Take a shard from the folder of this run; what is known of it comes last."""
        if part.was_there:
            return
        places, shard = self.places, part.shard
        (places.parts / f"{shard}.json").unlink(missing_ok=True)
        (places.run / shard).replace(places.split / shard)
        for suffix in (".parquet", ".json"):
            (places.run / f"{shard}{suffix}").replace(places.parts / f"{shard}{suffix}")
        self._synced.append(self._syncing.submit(_sync, places.split / shard))

    def link(self, names: Iterable[str]) -> None:
        """Give shards of the split that is there a second name here."""
        for name in names:
            place = self.places.split / name
            place.unlink(missing_ok=True)
            try:
                place.hardlink_to((self.output / name).resolve())
            except OSError:  # the file system knows no links
                shutil.copyfile(self.output / name, place)

    def install(self, shards: Iterable[str], write_meta: Callable[[Path], None]) -> None:
        """Make the shards a split, and move it to its place in one step."""
        split = self.places.split
        for future in self._synced:
            future.result()
        keep = {*shards, LABELS_FILE}
        for file in split.iterdir():
            if file.name not in keep:
                file.unlink()
        write_meta(split)
        check_replaceable(self.output, ours=FILES, overwrite=True)
        try:
            install_folder(split, self.output)
        except FileNotFoundError:
            if not (self.output / SPLIT_FILE).is_file():  # a reader finished the import
                raise
        shutil.rmtree(self.places.folder, ignore_errors=True)

    def _take_lock(self) -> int:
        path = self.places.folder / "lock"
        while True:
            self.places.folder.mkdir(exist_ok=True)
            try:
                lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            except FileNotFoundError:  # the folder went away: its import has ended
                continue
            if fcntl is None:
                return lock
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                raise DataError(
                    f"{self.output}: another import to it is at work. Wait until it has ended."
                ) from None
            except OSError:  # a file system without locks
                return lock
            try:
                if os.path.samestat(os.fstat(lock), path.stat()):
                    return lock
            except FileNotFoundError:
                pass
            os.close(lock)


def count_finished(output: Path) -> int:
    """Shards that an interrupted import to a split has finished."""
    return len(list((staging_folder(output) / "parts").glob("*.json")))


def discard(output: Path) -> None:
    """Remove what an interrupted import left of a split that is complete."""
    if staging_folder(output).is_dir():
        with Staging(output) as staging:
            shutil.rmtree(staging.places.parts, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
