"""Where raw data is: what a source finds there now, and what its content is.

DuckDB is imported only where a mapping reads from elsewhere than this machine.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

from orchestration.lib.errors import UserError
from orchestration.lib.mapping import Mapping, is_table, is_url

if TYPE_CHECKING:
    import duckdb

_PACKAGE = "package:"
# The coarsest clock of a file system in use (FAT): two changes within it may bear the same time.
_FILE_CLOCK_NS = 2_000_000_000


@dataclass(frozen=True)
class Found:
    """A raw file, or a table that is read like one, as it is found; its content is not looked at.

    Attributes:
        name: the name kept in the raw table: as the mapping writes it, so that row ids built on it are the same
            on every machine.
        path: what DuckDB reads.
        size: bytes; 0 for a table.
        changed_by_ns: by when the last change was made, on this machine's clock, in nanoseconds since the epoch:
            the file's time and the margin by which it may be off. What is read after it is the content for as long
            as this and the size stay. None where nothing tells.
    """

    name: str
    path: str
    size: int
    changed_by_ns: int | None


class Place(Protocol):
    """A kind of place that a source's `read` can name."""

    def find(self, pattern: str) -> list[Found]:
        """All that a pattern matches now.

        Raises:
            UserError: what is named without a wildcard does not exist.
        """

    def look(self, name: str, path: str) -> Found:
        """One file again.

        Raises:
            UserError: it is gone.
        """

    def sha256(self, path: str) -> str:
        """Digest of the content."""

    def explain(self, path: str, error: Exception) -> NoReturn:
        """Raises as a UserError what kept DuckDB from reading."""


@contextmanager
def opened(mapping: Mapping, connection: duckdb.DuckDBPyConnection | None = None) -> Iterator[Places]:
    """The places that a mapping reads from.

    Args:
        connection: what will read them. One of their own is made where it is needed and none is given.

    Raises:
        UserError: a place cannot be reached.
    """
    locations = [location for source in mapping.sources.values() for location in source.read]
    if not any(is_url(location) or is_table(location) for location in locations):
        yield Places(mapping)
        return
    from orchestration.lib.remote import prepared

    with prepared(mapping, connection) as ready:
        yield Places(mapping, ready)


class Places:
    """All places that a mapping reads from; see `opened`."""

    def __init__(self, mapping: Mapping, connection: duckdb.DuckDBPyConnection | None = None) -> None:
        self._mapping = mapping
        self._connection = connection

    def find(self, source: str) -> list[Found]:
        """What a source reads now, sorted by name.

        Raises:
            UserError: a package, a table, or a file that is named without a wildcard does not exist.
        """
        found = {
            file.name: file
            for pattern in self._mapping.sources[source].read
            for file in self._place(source, pattern).find(pattern)
        }
        return [found[name] for name in sorted(found)]

    def look(self, source: str, name: str, path: str) -> Found:
        """One of a source's files again."""
        return self._place(source, path).look(name, path)

    def sha256(self, source: str, path: str) -> str:
        """Digest of a file's content, which is read for it."""
        return self._place(source, path).sha256(path)

    def explain(self, source: str, path: str, error: Exception) -> NoReturn:
        """Raises as a UserError what kept DuckDB from reading a file."""
        self._place(source, path).explain(path, error)

    def _place(self, source: str, location: str) -> Place:
        if self._connection and (is_url(location) or is_table(location)):
            from orchestration.lib.remote import Tables, UrlFiles

            kind = Tables if is_table(location) else UrlFiles
            return kind(self._connection, self._mapping, source)
        return LocalFiles(self._mapping.path, source)


@dataclass(frozen=True)
class LocalFiles:
    """Files of this machine, relative to the mapping file or inside an installed Python package."""

    mapping_path: Path
    source: str

    def find(self, pattern: str) -> list[Found]:
        prefix, root, rest = self._located(pattern)
        matches = sorted(glob(str(root / rest), recursive=True))
        if not matches and not has_magic(rest):
            raise UserError(
                f"{self.mapping_path}: source '{self.source}' reads {pattern}, but {root / rest} does not exist.",
                _neighbours(root / rest),
            )
        return [
            self.look(match if Path(rest).is_absolute() else prefix + Path(match).relative_to(root).as_posix(), match)
            for match in matches
            if Path(match).is_file()
        ]

    def look(self, name: str, path: str) -> Found:
        try:
            stat = Path(path).stat()
        except FileNotFoundError:
            raise UserError(f"{path} vanished while it was read.", "Run again.") from None
        return Found(name, path, stat.st_size, stat.st_mtime_ns + _FILE_CLOCK_NS)

    def sha256(self, path: str) -> str:
        return file_sha256(Path(path))

    def explain(self, path: str, error: Exception) -> NoReturn:
        self.look(path, path)  # if it is gone, that is what to say
        raise unreadable(self.mapping_path, self.source, path, error) from error

    def _located(self, pattern: str) -> tuple[str, Path, str]:
        """Prefix of the kept name, folder that the pattern is relative to, and the pattern itself."""
        if not pattern.startswith(_PACKAGE):
            return "", self.mapping_path.parent, pattern
        module, _, rest = pattern.removeprefix(_PACKAGE).partition("/")
        spec = importlib.util.find_spec(module)
        if spec is None or not spec.submodule_search_locations:
            raise UserError(
                f"{self.mapping_path}: source '{self.source}' reads {pattern}, "
                f"but the Python package '{module}' is not installed.",
                "Install it, or `make setup`, which installs the packages of the example data sets.",
            )
        return f"{_PACKAGE}{module}/", Path(next(iter(spec.submodule_search_locations))), rest


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unreadable(mapping_path: Path, source: str, path: str, error: Exception) -> UserError:
    """A file is there and is not what the mapping says."""
    return UserError(
        f"{mapping_path}: source '{source}': {path} cannot be read: {str(error).splitlines()[0]}",
        "If it is in another format, say so in the mapping: `format`, or `options` of the CSV reader "
        "such as delim, quote, skip, encoding.",
    )


def _neighbours(path: Path) -> str:
    """What there is instead of a missing file."""
    parent = next(folder for folder in path.parents if folder.is_dir())
    names = sorted(entry.name for entry in parent.iterdir())[:20]
    close = difflib.get_close_matches(path.name, names, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"{parent} has: {', '.join(names) or 'nothing'}.{hint}"
