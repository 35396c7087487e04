"""DuckDB files that are there whole or not at all, and hold no more than they show."""

from __future__ import annotations

import os
from pathlib import Path

from orchestration.lib.sql import identifier, literal

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


def rewrite(path: Path) -> None:
    """Writes a database anew, so that of rows that were deleted nothing is left in any byte of its file.

    DuckDB only marks rows and blocks as free. Nobody may have the file open; the disk has to hold it twice meanwhile.
    """
    import duckdb

    written = path.with_name(f"{path.name}.new")
    written.unlink(missing_ok=True)
    try:
        with duckdb.connect(config={"temp_directory": f"{written}.tmp"}) as connection:
            connection.execute(f"attach {literal(str(path))} as former (read_only)")
            # Under its own name, by which its views call it.
            connection.execute(f"attach {literal(str(written))} as {identifier(path.stem)}")
            connection.execute(f"copy from database former to {identifier(path.stem)}")
        os.replace(written, path)
    finally:
        written.unlink(missing_ok=True)
