"""DuckDB files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

_HEADER_BYTES = 3 * 4096
"""A DuckDB file begins with three blocks of this size; with fewer it never held anything."""


def make_sure_of(path: Path) -> None:
    """Makes an empty database where there is none, or only the beginning of one.

    DuckDB writes a new file in several steps. Killed or out of disk between them, it leaves one that it refuses to
    open ever after: so a new file gets its name when it is complete.
    """
    import duckdb

    if path.is_file() and path.stat().st_size >= _HEADER_BYTES:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beginning = path.with_name(f"{path.name}.new")
    beginning.unlink(missing_ok=True)
    duckdb.connect(str(beginning)).close()
    os.replace(beginning, path)
