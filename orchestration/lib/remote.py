"""Raw data elsewhere: files behind a URL and tables of a Postgres database, read through DuckDB's extensions.

The extensions are Python packages and are loaded from where these are installed: nothing is downloaded. Credentials
come from the environment only, stay in the connection's memory, and are in no message.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote, urlsplit

import duckdb

from orchestration.lib.errors import UserError
from orchestration.lib.mapping import Mapping, Source, is_table, is_url, table_name
from orchestration.lib.places import Found, unreadable
from orchestration.lib.sql import identifier, literal

# A store's times are whole seconds of its own clock. S3 refuses clients whose clock is 15 minutes off; HTTP too lets
# a modification time vouch for content only where the clocks cannot be what made it old (RFC 9110, 8.8.2.2).
_STORE_CLOCK_NS = 15 * 60 * 1_000_000_000
_KEYS = "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN) and AWS_REGION"


@contextmanager
def prepared(mapping: Mapping, connection: duckdb.DuckDBPyConnection | None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection, one in memory where none is given, that can read what a mapping names elsewhere.

    Raises:
        UserError: an extension or an environment variable is missing, or a database cannot be reached.
    """
    with nullcontext(connection) if connection else duckdb.connect() as ready:
        if connection is None:
            # It reads a file once, to digest it: what it would cache takes as much memory again.
            ready.execute("set enable_external_file_cache = false")
        # Secrets that DuckDB keeps on disk are not looked for.
        ready.execute("set secret_directory = '/dev/null/none'")
        for name, source in mapping.sources.items():
            if any(map(is_url, source.read)):
                load_extension(ready, "httpfs", _reads(mapping, name))
                _give_credentials(ready)
                ready.execute("set s3_url_compatibility_mode = true")
            if source.connection:
                load_extension(ready, "postgres_scanner", _reads(mapping, name))
                _attach(ready, mapping, name, source.connection)
        yield ready


def table_sql(source: Source, location: str) -> str:
    """A database's table by the name under which it is attached."""
    assert source.connection is not None
    return ".".join(map(identifier, (_catalog(source.connection), *table_name(location))))


@dataclass(frozen=True)
class UrlFiles:
    """Files of object stores and web servers."""

    connection: duckdb.DuckDBPyConnection
    mapping: Mapping
    source: str

    def find(self, pattern: str) -> list[Found]:
        with _wildcards(self.connection):
            return self._files(pattern)

    def look(self, name: str, path: str) -> Found:
        [found] = self._files(path)
        return found

    def sha256(self, path: str) -> str:
        row = self._query("select sha256(content) from read_blob($path)", path)[0]
        return str(row[0])

    def explain(self, path: str, error: Exception) -> NoReturn:
        what = f"{self.mapping.path}: source '{self.source}' reads {path}, but "
        text = str(error)
        status = getattr(error, "status_code", None)
        said = re.search(r"^(\w+: .+)$", text.partition("\n")[2], re.MULTILINE)
        reason = f" ({said.group(1)})" if said else ""
        if status == 404:
            raise UserError(f"{what}there is no such file or bucket{reason}.", self._neighbours(path)) from error
        if status in (401, 403):
            raise UserError(f"{what}the server denies access (HTTP {status}){reason}.", _access_remedy(path)) from error
        if status == 0:
            # DuckDB tries a refused web address again in another way, and forgets what the answer was.
            raise UserError(f"{what}the server refuses it.", _access_remedy(path)) from error
        if status:
            raise UserError(f"{what}the server answers with HTTP {status}{reason}.", _ADDRESS_REMEDY) from error
        if "certificate" in text or "SSL" in text:
            raise UserError(
                f"{what}the server's certificate is not trusted.",
                "If an authority of your own signed it, name its certificate in the variable SSL_CERT_FILE.",
            ) from error
        if " error for HTTP " in text:
            raise UserError(
                f"{what}the server cannot be reached: {_first_line(text).partition(' error for HTTP ')[0]}.",
                _ADDRESS_REMEDY,
            ) from error
        if "exceeds maximum allowed file" in text:
            raise UserError(f"{what}it is larger than 4 GB.", "Have it delivered in parts, and read these.") from error
        raise unreadable(self.mapping.path, self.source, path, error) from error

    def _files(self, pattern: str) -> list[Found]:
        rows = self._query("select filename, size, epoch_us(last_modified) from read_blob($path)", pattern)
        return [
            # A server that tells no time is taken to have said the epoch.
            Found(name, name, size, changed_us * 1000 + _STORE_CLOCK_NS if changed_us else None)
            for name, size, changed_us in rows
        ]

    def _query(self, sql: str, path: str) -> list[tuple[str, int, int]]:
        try:
            return self.connection.execute(sql, {"path": path}).fetchall()
        except duckdb.Error as error:
            self.explain(path, error)

    def _neighbours(self, path: str) -> str:
        """What there is instead of a missing file, where the store can list."""
        if path.startswith("http"):
            return ""
        folder = path.rpartition("/")[0]
        try:
            with _wildcards(self.connection):
                rows = self.connection.execute("from glob($all)", {"all": f"{folder}/*"}).fetchall()
        except duckdb.Error as error:
            return "There is no such bucket." if "NoSuchBucket" in str(error) else ""
        return _beside(folder, path, [row[0] for row in rows])


@dataclass(frozen=True)
class Tables:
    """Tables and views of a Postgres database."""

    connection: duckdb.DuckDBPyConnection
    mapping: Mapping
    source: str

    def find(self, pattern: str) -> list[Found]:
        names = self._ask(
            """select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname not in ('pg_catalog', 'information_schema')
            order by 1""",
            pattern,
        )
        name = ".".join(table_name(pattern))
        if name not in names:
            raise UserError(
                f"{self.mapping.path}: source '{self.source}' reads {pattern}, "
                f"but the database of {self._variable} has no table or view {name}.",
                _beside("It", name, names),
            )
        return [self.look(pattern, pattern)]

    def look(self, name: str, path: str) -> Found:
        return Found(name, path, 0, None)

    def sha256(self, path: str) -> str:
        """Digest of the rows, in whatever order, and of the columns' names and types.

        The database makes it, a number of 64 bits for each row, and sends their sum: one line instead of the table.
        """
        table = ".".join(map(identifier, table_name(path)))
        rows = self._ask(
            f"""select count(*) || ' ' || coalesce(sum(hashtextextended((whole.*)::text, 0)), 0)
            from {table} as whole""",
            path,
        )
        columns = self._query(f"describe {table_sql(self.mapping.sources[self.source], path)}", path)
        return hashlib.sha256(json.dumps([rows, [column[:2] for column in columns]]).encode()).hexdigest()

    def explain(self, path: str, error: Exception) -> NoReturn:
        # DuckDB's messages repeat the connection, password and all: the error itself must not be seen either.
        what = f"{self.mapping.path}: source '{self.source}' reads {path}, but "
        reason = database_says(error, self._variable)
        if is_unreachable(error):
            raise UserError(f"{what}{reason}.", connection_remedy(self._variable)) from None
        if "permission denied" in reason:
            raise UserError(
                f"{what}the database of {self._variable} denies it: {reason}.",
                f"GRANT SELECT ON {'.'.join(table_name(path))} to its user.",
            ) from None
        raise UserError(
            f"{what}the database of {self._variable} fails: {reason}", "Run again, or ask its owner."
        ) from None

    @property
    def _variable(self) -> str:
        variable = self.mapping.sources[self.source].connection
        assert variable is not None
        return variable

    def _ask(self, sql: str, path: str) -> list[str]:
        """The one column of a query that the database itself runs."""
        query = f"from postgres_query({literal(_catalog(self._variable))}, {literal(sql)})"
        return [row[0] for row in self._query(query, path)]

    def _query(self, sql: str, path: str) -> list[tuple[str, ...]]:
        try:
            return self.connection.execute(sql).fetchall()
        except duckdb.Error as error:
            self.explain(path, error)


_ADDRESS_REMEDY = (
    "See that the address is right and the server runs. A store other than Amazon's is named in AWS_ENDPOINT_URL_S3, "
    "a bucket's region in AWS_REGION."
)


def _access_remedy(path: str) -> str:
    if path.startswith("http"):
        return "From a web server only files can be read that need no sign-in."
    return f"Set {_KEYS} in the environment, and see that the key may list the bucket and read the file."


def _reads(mapping: Mapping, source: str) -> str:
    return f"{mapping.path}: source '{source}' reads {', '.join(mapping.sources[source].read)}, which"


def load_extension(connection: duckdb.DuckDBPyConnection, extension: str, what: str) -> None:
    """Loads an extension of DuckDB out of its Python package.

    Raises:
        UserError: the package is not installed or is for another DuckDB; begins with `what` needs it.
    """
    package = f"duckdb_extension_{extension}"
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    paths = [
        path for folder in folders or () for path in Path(folder).glob(f"extensions/*/{extension}.duckdb_extension")
    ]
    wanted = f"{package.replace('_', '-')}=={duckdb.__version__}"
    try:
        connection.execute(f"load {literal(str(paths[0]))}")
    except (IndexError, duckdb.Error) as error:
        trouble = "is not installed" if not paths else "does not fit this DuckDB"
        raise UserError(
            f"{what} needs the Python package {package.replace('_', '-')}; it {trouble}.",
            f"Install the extra `remote`: `make setup`, or pip install {wanted}.",
        ) from error


def _give_credentials(connection: duckdb.DuckDBPyConnection) -> None:
    """What the environment says about S3 and what speaks like it, kept in memory as long as the connection."""
    environment = os.environ
    options: dict[str, object] = {
        "key_id": environment.get("AWS_ACCESS_KEY_ID"),
        "secret": environment.get("AWS_SECRET_ACCESS_KEY"),
        "session_token": environment.get("AWS_SESSION_TOKEN"),
        "region": environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION"),
    }
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    if endpoint:
        url = urlsplit(endpoint)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise UserError(
                "AWS_ENDPOINT_URL_S3 (or AWS_ENDPOINT_URL) in the environment is no URL.",
                "Such as https://minio.example.",
            )
        address = url.netloc.rpartition("@")[2] + url.path.rstrip("/")
        options |= {"endpoint": address, "use_ssl": url.scheme == "https", "url_style": "path"}
    given = "".join(f", {key} {literal(value)}" for key, value in options.items() if value not in (None, ""))
    for kind in ("s3", "gcs"):
        connection.execute(f"create or replace temporary secret tenure_{kind} (type {kind}{given})")
    if bundle := environment.get("SSL_CERT_FILE"):
        connection.execute(f"set ca_cert_file = {literal(bundle)}")


@contextmanager
def _wildcards(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Lets S3 names be patterns. Else they are names: one that a pattern found may have a bracket in it."""
    connection.execute("set s3_url_compatibility_mode = false")
    try:
        yield
    finally:
        connection.execute("set s3_url_compatibility_mode = true")


def _attach(connection: duckdb.DuckDBPyConnection, mapping: Mapping, source: str, variable: str) -> None:
    location = next(filter(is_table, mapping.sources[source].read))
    dsn = os.environ.get(variable)
    if dsn is None:
        raise UserError(
            f"{mapping.path}: source '{source}' reads {location} over the connection {variable}, "
            "but there is no such variable in the environment.",
            f"Set it: export {variable}=postgresql://user:password@host:port/database",
        )
    try:
        connection.execute(
            f"attach if not exists {literal(dsn)} as {identifier(_catalog(variable))} (type postgres, read_only)"
        )
    except duckdb.Error as error:
        Tables(connection, mapping, source).explain(location, error)


def _catalog(variable: str) -> str:
    return f"postgres_{variable}"


def is_unreachable(error: Exception) -> bool:
    """Whether a Postgres database could not even be connected to."""
    return "Unable to connect" in str(error)


def database_says(error: Exception, variable: str) -> str:
    """What a Postgres database says is wrong, in one line, without the connection or the password in it.

    Args:
        error: DuckDB's, which repeats the connection: it must not be shown, nor be the cause of what is.
        variable: the environment variable that holds the connection.
    """
    text = without_secrets(str(error), os.environ.get(variable, ""))
    if is_unreachable(error):
        told = _first_line(text).partition('": ')[2]
        return f"cannot connect to the database of {variable}: {told}"
    server_says = re.search(r"(?:ERROR|FATAL):\s+(.*)", text)
    return server_says.group(1) if server_says else _first_line(text)


def connection_remedy(variable: str) -> str:
    return (
        f"See that the server runs, and that {variable} in the environment says how to reach it: "
        "postgresql://user:password@host:port/database."
    )


def without_secrets(text: str, dsn: str) -> str:
    """A message without the connection string, or the password in it."""
    found = re.findall(r"password\s*=\s*('(?:[^'\\]|\\.)*'|[^\s&]+)|://[^:/@]*:([^@]*)@", dsn)
    passwords = [part.strip("'") for pair in found for part in pair]
    for secret in filter(None, [dsn, *passwords, *map(unquote, passwords)]):
        text = text.replace(secret, "…")
    return text


def _first_line(text: str) -> str:
    return text.split("\n")[0].strip()


def _beside(where: str, missing: str, names: list[str]) -> str:
    close = difflib.get_close_matches(missing, names, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"{where} has: {', '.join(names[:20]) or 'nothing'}.{hint}"
