"""A data set's mapping: where its files are, and which SQL expression fills which contract column."""

from __future__ import annotations

import difflib
import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from orchestration.lib.contract import contract_tables
from orchestration.lib.errors import UserError
from orchestration.lib.settings import seeds_dir

Format = Literal["csv", "json", "lines", "parquet"]
_COMPRESSION_SUFFIXES = {".gz", ".zst", ".zstd"}
_NOT_TEXT = {".zip", ".7z", ".rar", ".bz2", ".xz", ".tar", ".tgz", ".xlsx", ".xls", ".ods", ".pdf"}
_FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_WITHOUT_POINTS = {file.stem: file for file in Path(__file__).with_name("tiers").glob("without_points/*.csv")}
_TABLE = "postgres:"
_URL_SCHEMES = ("s3", "gs", "https", "http")
# What a URL may carry that is no address: a password before the host, a signature or a key among the parameters.
_CREDENTIALS = re.compile(
    r"//[^/]*@|[?&](x-(amz|goog)-[a-z-]+|awsaccesskeyid|signature|sig|password|(access_|api_?)?(token|key))=",
    re.IGNORECASE,
)


def _expression(value: Any) -> Any:
    """A number or a boolean in YAML is an SQL literal too."""
    return str(value) if isinstance(value, int | float) else value


Sql = Annotated[str, BeforeValidator(_expression)]


class _Strict(BaseModel):
    # What was given is kept out of messages: it may be a password in the wrong place.
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, hide_input_in_errors=True)


class Source(_Strict):
    """A raw table: the files that it is read from, and how.

    Attributes:
        read: path or glob, relative to the mapping file; `package:<module>/<path>` is inside an installed
            Python package; a URL (s3, gs, https, http), globs where the store can list;
            `postgres:<schema>.<table>` is a table or view of a database. One or a list.
        connection: name of the environment variable that says how to connect to that database.
        format: csv, json (one object a line), lines (one text column `line`) or parquet; by default told
            from the file's ending.
        timezone: the zone of its timestamps that carry none (IANA name).
        options: options of DuckDB's CSV reader, e.g. `{delim: ";", skip: 2, encoding: latin-1}`.
    """

    read: Annotated[list[str], BeforeValidator(lambda v: [v] if isinstance(v, str) else v)]
    connection: str | None = None
    format: Format | None = None
    timezone: str = "UTC"
    options: dict[str, str | int | bool | list[str]] = Field(default_factory=dict)

    @field_validator("read")
    @classmethod
    def _readable(cls, value: list[str]) -> list[str]:
        for location in value:
            _check_location(location)
        return value

    @field_validator("connection")
    @classmethod
    def _variable(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", value):
            raise ValueError("give the name of the environment variable that holds the connection, not the connection")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        return _checked_timezone(value)

    @model_validator(mode="after")
    def _connected(self) -> Source:
        has_table = any(map(is_table, self.read))
        if has_table and self.connection is None:
            raise ValueError(
                "a table of a database needs `connection`: the name of the environment variable that holds it"
            )
        if self.connection is not None and not has_table:
            raise ValueError(f"`connection` is for tables of a database, `read: {_TABLE}<schema>.<table>`")
        return self


class Feed(_Strict):
    """One source feeding one contract table.

    Attributes:
        source: name of the source.
        columns: contract column → SQL expression over the source's columns.
        where: SQL condition; other rows of the source are not for this table.
        grain: `order_line` when the rows are lines of orders: their amounts are summed by order.
        lookups: other sources joined to it (left join, at most one row each): source name → the column
            that both have, a list of such, or {column of this source: column of that one}.
    """

    source: str = Field(alias="from")
    columns: dict[str, Sql]
    where: str | None = None
    grain: Literal["row", "order_line"] = "row"
    lookups: dict[str, str | list[str] | dict[str, str]] = Field(default_factory=dict)

    def lookup_keys(self, lookup: str) -> dict[str, str]:
        """Columns of this source → columns of the lookup that must be equal."""
        keys = self.lookups[lookup]
        if isinstance(keys, str):
            return {keys: keys}
        if isinstance(keys, list):
            return {key: key for key in keys}
        return keys


class Mapping(_Strict):
    """A data set: its sources and how they fill the contract tables.

    Attributes:
        seeds: reference data of its own: name of a seed → the CSV file in its place, relative to the mapping file.
        is_synthetic: made up, by `tenure generate` for one; the report and the manifest say so.
    """

    dataset: str
    path: Path
    is_synthetic: bool = False
    business_timezone: str = "UTC"
    reporting_currency: str
    data_end: date | None = None
    max_quarantined_share: float | None = Field(default=None, ge=0, le=1)
    vars: dict[str, Any] = Field(default_factory=dict)
    seeds: dict[str, str] = Field(default_factory=dict)
    sources: dict[str, Source]
    feeds: dict[str, list[Feed]]

    @field_validator("business_timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        return _checked_timezone(value)

    @field_validator("reporting_currency")
    @classmethod
    def _iso_currency(cls, value: str) -> str:
        if not re.fullmatch("[A-Z]{3}", value):
            raise ValueError(f"'{value}' is not a three-letter currency code such as EUR")
        return value

    @field_validator("sources")
    @classmethod
    def _plain_names(cls, value: dict[str, Source]) -> dict[str, Source]:
        for name in value:
            if not re.fullmatch("[a-z][a-z0-9_]*", name):
                raise ValueError(f"source name '{name}': use lower-case letters, digits and underscores")
        return value

    @field_validator("seeds")
    @classmethod
    def _known_seeds(cls, value: dict[str, str]) -> dict[str, str]:
        known = sorted(path.stem for path in seeds_dir().glob("*.csv"))
        for name in value:
            if name not in known:
                raise ValueError(f"there is no seed '{name}'{_did_you_mean(name, known)}; seeds: {', '.join(known)}")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Mapping:
        tables = contract_tables()
        for table, feeds in self.feeds.items():
            known = {column.name for column in tables[table].columns}
            for feed in feeds:
                for name in [feed.source, *feed.lookups]:
                    if name not in self.sources:
                        raise ValueError(
                            f"{table}: there is no source '{name}'{_did_you_mean(name, self.sources)}; "
                            f"sources: {', '.join(self.sources)}"
                        )
                for column in feed.columns:
                    if column not in known:
                        raise ValueError(
                            f"{table}: the contract has no column '{column}'"
                            f"{_did_you_mean(column, known)}; its columns: {', '.join(sorted(known))}"
                        )
                missing = [name for name in tables[table].required if name not in feed.columns]
                if missing:
                    raise ValueError(
                        f"{table} (from {feed.source}): required columns are not mapped: {', '.join(missing)}"
                    )
                if feed.grain == "order_line" and table != "orders":
                    raise ValueError(f"{table}: `grain: order_line` is for the table orders only")
        if not self.feeds.get("orders"):
            raise ValueError("the table orders is not mapped")
        return self

    def seed_paths(self) -> dict[str, Path]:
        """Seed → the data set's own file.

        Programmes or tiers of its own have the points that rules of its own give them, and no others: the project's are
        for the project's programme.

        Raises:
            UserError: there is no such file.
        """
        paths = {name: (self.path.parent / file).resolve() for name, file in self.seeds.items()}
        for name, path in paths.items():
            if not path.is_file():
                raise UserError(
                    f"{self.path}: the seed {name} is to be read from {path}, which does not exist.",
                    f"Copy {seeds_dir() / name}.csv there and change it; paths are relative to the mapping's folder.",
                )
        has_own_tiers = not paths.keys().isdisjoint(("tier_programs", "tiers"))
        if has_own_tiers and paths.keys().isdisjoint(_WITHOUT_POINTS):
            paths |= _WITHOUT_POINTS
        return paths

    def dbt_vars(self) -> dict[str, Any]:
        """Variables for dbt: what the mapping sets, nothing else."""
        variables: dict[str, Any] = {
            **self.vars,
            "business_timezone": self.business_timezone,
            "reporting_currency": self.reporting_currency,
        }
        if self.data_end:
            variables["data_end"] = self.data_end.isoformat()
        if self.max_quarantined_share is not None:
            variables["max_quarantined_share"] = self.max_quarantined_share
        return variables


def load_mapping(path: Path) -> Mapping:
    """Reads and validates a mapping file. Looks at no data file.

    Raises:
        UserError: the file is no YAML, or breaks a rule; the message has the place and the remedy.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is empty or no YAML mapping.", "Copy one of datasets/*.yml.")
    content = dict(content)
    feeds = {
        table: value if isinstance(value, list) else [value]
        for table in contract_tables()
        if (value := content.pop(table, None)) is not None
    }
    sources = content.pop("sources", None) or {}
    if isinstance(sources, dict):
        sources = {name: {"read": value} if isinstance(value, str | list) else value for name, value in sources.items()}
    try:
        return Mapping(**content, path=path, sources=sources, feeds=feeds)
    except ValidationError as error:
        raise UserError(_explain(path, error), "See docs/mapping.md for what a mapping may say.") from error


def is_url(location: str) -> bool:
    """Whether a location, as `read` gives it, is behind a network address."""
    return "://" in location


def is_table(location: str) -> bool:
    """Whether a location, as `read` gives it, is a table or view of a database."""
    return location.startswith(_TABLE)


def table_name(location: str) -> tuple[str, str]:
    """Schema and name of the table that a location is."""
    schema, _, name = location.removeprefix(_TABLE).partition(".")
    return schema, name


def source_format(source: Source, location: str) -> Format | Literal["table"]:
    """How a location is read: a file as the mapping says, else by its ending, else as CSV."""
    if is_table(location):
        return "table"
    if source.format:
        return source.format
    suffixes = [suffix for suffix in location_suffixes(location) if suffix not in _COMPRESSION_SUFFIXES]
    if suffixes and suffixes[-1].lower() in _NOT_TEXT:
        raise UserError(
            f"{location} cannot be read: {suffixes[-1]} is none of CSV, TSV, JSON lines, Parquet, gzip and zstd.",
            "Unpack it, or save it as CSV.",
        )
    return _FORMATS.get(suffixes[-1].lower() if suffixes else "", "csv")


def location_suffixes(location: str) -> list[str]:
    """A file's endings: `.csv`, `.gz`."""
    return Path(urlsplit(location).path if is_url(location) else location).suffixes


def _check_location(location: str) -> None:
    """Refuses what can be told to be wrong without looking; repeats nothing that may be secret."""
    if is_table(location):
        if not all(table_name(location)):
            raise ValueError(f"'{location}' is not of the form {_TABLE}<schema>.<table>")
    elif is_url(location):
        scheme = location.partition("://")[0]
        if scheme not in _URL_SCHEMES:
            raise ValueError(f"'{scheme}://' cannot be read; what can: {', '.join(_URL_SCHEMES)}")
        if _CREDENTIALS.search(location):
            raise ValueError("a URL here must hold no password, key or signature; they belong in the environment")
        if not scheme.startswith("http") and "?" in location:
            raise ValueError(f"'{scheme}://': a name with a question mark cannot be read; the wildcards are * and [ ]")
        if scheme.startswith("http") and "*" in location:
            raise ValueError(f"'{location}': a web server does not list its files; name each")


def _checked_timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"'{value}' is not a time zone such as Europe/Berlin") from None
    return value


def _did_you_mean(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def _explain(path: Path, error: ValidationError) -> str:
    lines = []
    for issue in error.errors():
        where = ".".join(str(part) for part in issue["loc"] if part != "feeds")
        if issue["type"] == "extra_forbidden":
            names = [*Mapping.model_fields, *contract_tables()] if len(issue["loc"]) == 1 else []
            message = f"is not something a mapping has{_did_you_mean(str(issue['loc'][-1]), names)}"
        else:
            message = issue["msg"].removeprefix("Value error, ")
        lines.append(f"{where}: {message}" if where else message)
    return f"{path}: " + "; ".join(lines)
