"""Where an import writes until its split is whole; an interrupted one goes on there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gapkit.data._split import FILES, SPLIT_FILE
from gapkit.errors import DataError, GapkitError
from gapkit.io import install_folder, stage_folder


def check_disk(output: Path, size_bytes: int) -> None:
    """Refuse before the first byte what the disk has no room for; shards are no larger."""
    folder = next(path for path in (output, *output.absolute().parents) if path.is_dir())
    free_bytes = shutil.disk_usage(folder).free
    if size_bytes > free_bytes:
        raise DataError(
            f"{output}: needs about {size_bytes / 1e9:,.1f} GB, and the disk has "
            f"{free_bytes / 1e9:,.1f} GB free. Choose another -o, or import fewer files."
        )


@contextmanager
def working_folder(
    output: Path, plan: dict[str, Any], *, overwrite: bool
) -> Generator[Path, None, None]:
    """Where shards are written; it becomes the split, stays when killed, goes when it fails."""
    output = output.resolve() if output.is_symlink() else output
    work = output.absolute().with_name(f".{output.absolute().name}.importing")
    stage_folder(output, ours=FILES, overwrite=overwrite).rmdir()  # refuses what is in the way
    text, plan_path = json.dumps(plan, sort_keys=True), work / "plan.json"
    try:
        if not (plan_path.is_file() and plan_path.read_text() == text):
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            plan_path.write_text(text)
        yield work
        for path in work.glob("*.json"):
            if path.name != SPLIT_FILE:
                path.unlink()
        install_folder(work, output)
    except OSError as error:
        shutil.rmtree(work, ignore_errors=True)
        raise DataError(
            f"{output}: can't be written: {error.strerror or error}. Choose another -o."
        ) from None
    except GapkitError:
        shutil.rmtree(work, ignore_errors=True)
        raise
