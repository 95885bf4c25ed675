"""Where a file lies: on this machine or behind a URI; and errors that name it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa

from gapkit.errors import DataError, GapkitError
from gapkit.io._atomic import replacing_file

# One slash is what pathlib leaves of two; a letter alone before the colon is a drive.
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)


@dataclass(frozen=True)
class Place:
    """A file's place, by the name that errors use."""

    name: str
    path: Path | None
    """None where it is remote"""

    @classmethod
    def of(cls, path: str | os.PathLike[str]) -> Place:
        """The place that a path or a URI names."""
        text = os.fspath(path)
        found = _URI.fullmatch(text)
        if found is None:
            return cls(text, Path(text))
        scheme, rest = found.groups()
        if scheme.lower() == "file":
            return cls(text, Path("/" + unquote(rest)))
        return cls(f"{scheme}://{rest}", None)

    @property
    def file_name(self) -> str:
        """The last part, which has the suffix."""
        return self.path.name if self.path else self.name.partition("?")[0].rpartition("/")[2]

    def open(self) -> pa.NativeFile:
        """Its bytes, to read from any place in them."""
        if self.path is None:
            from gapkit.io._remote import open_remote

            return open_remote(self.name)
        if self.path.is_dir():
            raise IsADirectoryError
        return pa.OSFile(str(self.path))

    def replacing(self) -> AbstractContextManager[Path]:
        """A path to write to; on success the file appears here, whole."""
        if self.path is None:
            from gapkit.io._remote import replacing_remote

            return replacing_remote(self.name)
        return replacing_file(self.path)


@contextmanager
def reading(place: Place | Path) -> Iterator[None]:
    """Put the file's name before whatever goes wrong while it is read."""
    name = place.name if isinstance(place, Place) else str(place)
    try:
        yield
    except DataError as error:
        text = str(error)
        raise DataError(text if text.startswith(f"{name}: ") else f"{name}: {text}") from None
    except FileNotFoundError:
        raise DataError(f"{name}: no such file.") from None
    except IsADirectoryError:
        raise DataError(f"{name} is a folder. Name a file in it.") from None
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{name}: can't be read, it is damaged or cut short ({reason}). Write or copy it anew."
        ) from None
    except Exception as error:
        is_local = not isinstance(place, Place) or place.path is not None
        if is_local or isinstance(error, (GapkitError, MemoryError)):
            raise
        from gapkit.io._remote import unreachable

        raise unreachable(name, error) from None
