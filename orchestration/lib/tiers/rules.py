"""The rules of tiers and points, six CSV files, checked as a whole before a build: what is wrong with them is said with
file and line, and not found out by what the marts look like.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path

from orchestration.lib.errors import UserError

METRICS = ("spend", "orders", "purchase_days", "points")
MOVING_WINDOWS = ("rolling_months", "calendar_months")
WINDOWS = (*MOVING_WINDOWS, "calendar_year", "enrolment_anniversary", "lifetime")
LANDINGS = ("full", "one_down", "base")
MEMBERSHIPS = ("purchasers", "enrolled")
EXPIRIES = ("never", "fixed", "activity")
EARN_SUBJECTS = ("order", "tier", "channel", "category", "campaign")
NEW = "new"
"""Where members come from in tier_movements: no tier can be called so."""

COLUMNS: Mapping[str, Sequence[str]] = {
    "tier_programs": ("program_id", "program_name", "membership", "is_history_counted"),
    "tiers": ("program_id", "tier", "tier_rank", "benefit_cost_amount"),
    "tier_rules": (
        "program_id", "rule_version", "valid_from", "tier", "metric", "threshold", "window_type", "window_months",
        "extension_months", "grace_days", "soft_landing",
    ),
    "tier_overrides": ("program_id", "customer_id", "tier", "valid_from", "valid_to", "reason"),
    "points_rules": (
        "program_id", "rule_version", "valid_from", "expiry_type", "expiry_months", "order_cap", "day_cap", "month_cap",
        "point_value_amount", "point_cost_amount", "expected_redemption_rate",
    ),
    "earn_rules": ("program_id", "rule_version", "applies_to", "value", "multiplier"),
}  # fmt: skip
"""Columns of each seed."""
FILES = tuple(COLUMNS)
"""Names of the seeds; each file is `<name>.csv`."""
_MOST_PROBLEMS = 10


@dataclass(frozen=True)
class Line:
    """A row of a file, with its place."""

    path: Path
    number: int
    values: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values[column]


@dataclass(frozen=True)
class Problem:
    path: Path
    line: int | None
    what: str

    def __str__(self) -> str:
        place = f"{self.path}, line {self.line}" if self.line else str(self.path)
        return f"{place}: {self.what}"


def check(paths: Mapping[str, Path]) -> None:
    """Does nothing where the rules can be used.

    Args:
        paths: the file of each seed in FILES, by its name.

    Raises:
        UserError: names each file and line that is wrong, and why.
    """
    found = problems(paths)
    if found:
        more = f"\n… and {len(found) - _MOST_PROBLEMS} more" if len(found) > _MOST_PROBLEMS else ""
        raise UserError(
            "The rules of tiers and points cannot be used:\n" + "\n".join(map(str, found[:_MOST_PROBLEMS])) + more,
            "See docs/tiers.md and docs/points.md for what a rule may say. A data set with programmes or tiers of its "
            "own needs points_rules and earn_rules of its own, which may be empty but for the header.",
        )


def write(folder: Path, lines: Mapping[str, Iterable[Sequence[object]]]) -> None:
    """Writes the file of each seed into a folder: a header, and the lines if there are any."""
    for name, columns in COLUMNS.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([columns, *lines.get(name, [])])


def problems(paths: Mapping[str, Path]) -> list[Problem]:
    """All that is wrong with the files, in their order; [] for none."""
    found: list[Problem] = []
    lines: dict[str, list[Line]] = {}
    for name in FILES:
        try:
            lines[name] = _read(paths[name], COLUMNS[name])
        except UserError as error:
            found.append(Problem(paths[name], None, error.what))
    if found:
        return found
    for name, judge in _VALUES.items():
        for line in lines[name]:
            found += [Problem(line.path, line.number, what) for what in judge(line)]
    # What does not fit together is only worth telling of values that can be read.
    if not found:
        for judge_all in (_of_programs, _of_tiers, _of_rules, _of_overrides, _of_points, _of_earning):
            found += judge_all(lines, paths)
    return found


def _read(path: Path, columns: Sequence[str]) -> list[Line]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = next(reader, [])
            if sorted(header) != sorted(columns):
                raise UserError(f"its columns are {', '.join(header) or 'none'}; they must be {', '.join(columns)}")
            lines = []
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise UserError(f"line {reader.line_num} has {len(cells)} values for {len(header)} columns")
                lines.append(Line(path, reader.line_num, dict(zip(header, cells, strict=True))))
            return lines
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"cannot be read: {error}") from error


# Values of one line -------------------------------------------------------------------------------------------------


def _one_of(line: Line, column: str, known: Sequence[str]) -> Iterator[str]:
    if line[column] not in known:
        yield f"{column} is '{line[column]}'; it must be one of {', '.join(known)}"


def _whole(line: Line, column: str, least: int) -> Iterator[str]:
    if not (line[column].isascii() and line[column].isdigit() and int(line[column]) >= least):
        yield f"{column} is '{line[column]}'; it must be a whole number of at least {least}"


def _date(line: Line, column: str) -> Iterator[str]:
    try:
        is_date = date.fromisoformat(line[column]).isoformat() == line[column]
    except ValueError:
        is_date = False
    if not is_date:
        yield f"{column} is '{line[column]}'; it must be a date such as 2025-01-01"


def _given(line: Line, *columns: str) -> Iterator[str]:
    for column in columns:
        if not line[column] or line[column] != line[column].strip():
            yield f"{column} is '{line[column]}'; it must be a name without blanks around it"


def _program_values(line: Line) -> Iterator[str]:
    yield from _given(line, "program_id")
    yield from _one_of(line, "membership", MEMBERSHIPS)
    yield from _one_of(line, "is_history_counted", ("true", "false"))


def _tier_values(line: Line) -> Iterator[str]:
    yield from _given(line, "program_id", "tier")
    yield from _whole(line, "tier_rank", 0)
    yield from _amount(line, "benefit_cost_amount", places=2)
    if line["tier"] == NEW:
        yield f"no tier can be called '{NEW}': in tier_movements members come from there"


def _rule_values(line: Line) -> Iterator[str]:
    yield from _given(line, "program_id", "tier")
    yield from _whole(line, "rule_version", 1)
    yield from _date(line, "valid_from")
    yield from _one_of(line, "metric", METRICS)
    yield from _threshold(line)
    yield from _one_of(line, "window_type", WINDOWS)
    if line["window_type"] in MOVING_WINDOWS:
        yield from _whole(line, "window_months", 1)
    elif line["window_months"]:
        yield f"window_months is '{line['window_months']}'; {line['window_type']} has none: leave it empty"
    yield from _whole(line, "extension_months", 0)
    yield from _whole(line, "grace_days", 0)
    yield from _one_of(line, "soft_landing", LANDINGS)


def _decimal(text: str) -> Decimal:
    """NaN where it is no number."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("NaN")


def _amount(line: Line, column: str, places: int, most: int | None = None) -> Iterator[str]:
    amount = _decimal(line[column])
    is_within = amount.is_finite() and amount >= 0 and (most is None or amount <= most)
    if not is_within or amount != round(amount, places):
        bounds = "of at least 0" if most is None else f"from 0 to {most}"
        yield f"{column} is '{line[column]}'; it must be a number {bounds}, with at most {places} decimal places"


def _threshold(line: Line) -> Iterator[str]:
    threshold = _decimal(line["threshold"])
    places = 2 if line["metric"] == "spend" else 0
    if not threshold.is_finite() or threshold <= 0 or threshold != round(threshold, places):
        kind = "an amount above 0, with at most two decimal places" if places else "a whole number of at least 1"
        yield f"threshold is '{line['threshold']}'; of {line['metric']} it must be {kind}"


def _override_values(line: Line) -> Iterator[str]:
    yield from _given(line, "program_id", "customer_id", "tier")
    yield from _date(line, "valid_from")
    if line["valid_to"]:
        yield from _date(line, "valid_to")


def _points_values(line: Line) -> Iterator[str]:
    yield from _given(line, "program_id")
    yield from _whole(line, "rule_version", 1)
    yield from _date(line, "valid_from")
    yield from _one_of(line, "expiry_type", EXPIRIES)
    if line["expiry_type"] != "never":
        yield from _whole(line, "expiry_months", 1)
    elif line["expiry_months"]:
        yield f"expiry_months is '{line['expiry_months']}'; what never expires has none: leave it empty"
    for cap in ("order_cap", "day_cap", "month_cap"):
        # 0 would be read as no limit by some: it is a multiplier of 0 that gives nothing.
        if line[cap]:
            yield from _whole(line, cap, 1)
    for amount in ("point_value_amount", "point_cost_amount"):
        yield from _amount(line, amount, places=6)
    if line["expected_redemption_rate"]:
        yield from _amount(line, "expected_redemption_rate", places=6, most=1)


def _earn_values(line: Line) -> Iterator[str]:
    yield from _given(line, "program_id")
    yield from _whole(line, "rule_version", 1)
    yield from _one_of(line, "applies_to", EARN_SUBJECTS)
    if line["applies_to"] != "order":
        yield from _given(line, "value")
    elif line["value"]:
        yield f"value is '{line['value']}'; every order has none: leave it empty"
    places, most = (6, 1000) if line["applies_to"] == "order" else (3, 50)
    yield from _amount(line, "multiplier", places)
    # Products of all of them are whole numbers of 64 bits.
    if _decimal(line["multiplier"]) > most:
        yield f"multiplier is '{line['multiplier']}'; of {line['applies_to']} it must be at most {most}"


_VALUES: Mapping[str, Callable[[Line], Iterator[str]]] = {
    "tier_programs": _program_values,
    "tiers": _tier_values,
    "tier_rules": _rule_values,
    "tier_overrides": _override_values,
    "points_rules": _points_values,
    "earn_rules": _earn_values,
}


# How lines fit together ---------------------------------------------------------------------------------------------

_Lines = Mapping[str, Sequence[Line]]
_Paths = Mapping[str, Path]


def _of_programs(lines: _Lines, paths: _Paths) -> Iterator[Problem]:
    yield from _twice(lines["tier_programs"], "program_id")
    for line in lines["tier_programs"]:
        program = line["program_id"]
        for name, what in (("tiers", "tiers"), ("tier_rules", "rules")):
            if not any(other["program_id"] == program for other in lines[name]):
                yield Problem(line.path, line.number, f"the programme {program} has no {what} in {paths[name].name}")


def _of_tiers(lines: _Lines, paths: _Paths) -> Iterator[Problem]:
    yield from _unknown(lines["tiers"], lines, paths, "tier_programs", "program_id")
    yield from _twice(lines["tiers"], "program_id", "tier")
    for program in _in_order(line["program_id"] for line in lines["tiers"]):
        mine = sorted((x for x in lines["tiers"] if x["program_id"] == program), key=lambda x: int(x["tier_rank"]))
        for expected, line in enumerate(mine):
            if int(line["tier_rank"]) != expected:
                yield Problem(
                    line.path, line.number,
                    f"tier {line['tier']} of {program} has the rank {line['tier_rank']} where {expected} is next: "
                    "ranks count from 0, each once",
                )  # fmt: skip
                break


def _of_rules(lines: _Lines, paths: _Paths) -> Iterator[Problem]:
    rules = lines["tier_rules"]
    yield from _unknown(rules, lines, paths, "tier_programs", "program_id")
    yield from _unknown(rules, lines, paths, "tiers", "program_id", "tier")
    counted = [line for line in rules if line["metric"] == "points"]
    yield from _unknown(counted, lines, paths, "points_rules", "program_id")
    yield from _twice(rules, "program_id", "rule_version", "tier")
    ranks = {(line["program_id"], line["tier"]): int(line["tier_rank"]) for line in lines["tiers"]}
    for line in rules:
        tier, program = line["tier"], line["program_id"]
        if ranks.get((program, tier)) == 0:
            what = f"{tier} is the base tier of {program}, held by whoever holds no other: it takes no rule"
            yield Problem(line.path, line.number, what)
    for program in _in_order(line["program_id"] for line in rules):
        mine = [line for line in rules if line["program_id"] == program]
        names = {rank: tier for (owner, tier), rank in ranks.items() if owner == program and rank > 0}
        versions = _by_version(mine)
        yield from _of_versions(program, versions)
        for number, version in versions.items():
            yield from _of_version(program, number, version, names, ranks)


def _by_version(lines: Sequence[Line]) -> dict[int, list[Line]]:
    numbers = sorted({int(line["rule_version"]) for line in lines})
    return {number: [line for line in lines if int(line["rule_version"]) == number] for number in numbers}


def _of_versions(program: str, versions: Mapping[int, Sequence[Line]]) -> Iterator[Problem]:
    for expected, (number, version) in enumerate(versions.items(), start=1):
        first = version[0]
        if number != expected:
            yield Problem(
                first.path, first.number, f"version {expected} of {program} is missing: here is {number} already"
            )
            return
        for line in version[1:]:
            if line["valid_from"] != first["valid_from"]:
                yield Problem(
                    line.path, line.number,
                    f"version {number} of {program} is valid from {line['valid_from']} here and from "
                    f"{first['valid_from']} in line {first.number}",
                )  # fmt: skip
    for earlier, later in pairwise(versions.values()):
        if date.fromisoformat(later[0]["valid_from"]) <= date.fromisoformat(earlier[0]["valid_from"]):
            yield Problem(
                later[0].path, later[0].number,
                f"version {later[0]['rule_version']} of {program} overlaps the one before: valid from "
                f"{later[0]['valid_from']}, not after {earlier[0]['valid_from']} (line {earlier[0].number})",
            )  # fmt: skip


def _of_version(
    program: str,
    number: int,
    version: Sequence[Line],
    names: Mapping[int, str],
    ranks: Mapping[tuple[str, str], int],
) -> Iterator[Problem]:
    """A rule for every tier above the base, thresholds that rise with the rank."""
    given = {line["tier"] for line in version}
    for _, tier in sorted(names.items()):
        if tier not in given:
            last = version[-1]
            yield Problem(last.path, last.number, f"version {number} of {program} ends here without a rule for {tier}")
    rising: dict[tuple[str, str, str], Line] = {}
    for line in sorted(version, key=lambda line: ranks.get((program, line["tier"]), 0)):
        measure = (line["metric"], line["window_type"], line["window_months"])
        below = rising.get(measure)
        if below is not None and Decimal(line["threshold"]) <= Decimal(below["threshold"]):
            yield Problem(
                line.path, line.number,
                f"{line['tier']} of {program}, version {number}, takes {line['threshold']}, not more than "
                f"{below['tier']} below it with {below['threshold']} (line {below.number})",
            )  # fmt: skip
        rising[measure] = line


def _of_overrides(lines: _Lines, paths: _Paths) -> Iterator[Problem]:
    overrides = lines["tier_overrides"]
    yield from _unknown(overrides, lines, paths, "tiers", "program_id", "tier")
    for line in overrides:
        if line["valid_to"] and line["valid_to"] <= line["valid_from"]:
            yield Problem(
                line.path, line.number, f"valid_to {line['valid_to']} is not after valid_from {line['valid_from']}"
            )
    ordered = sorted(overrides, key=lambda line: (line["program_id"], line["customer_id"], line["valid_from"]))
    for earlier, later in pairwise(ordered):
        is_same = all(earlier[column] == later[column] for column in ("program_id", "customer_id"))
        if is_same and (not earlier["valid_to"] or earlier["valid_to"] > later["valid_from"]):
            yield Problem(
                later.path, later.number,
                f"overlaps the override of {later['customer_id']} in line {earlier.number}, which is valid until "
                f"{earlier['valid_to'] or 'further notice'}",
            )  # fmt: skip


def _of_points(lines: _Lines, paths: _Paths) -> Iterator[Problem]:
    rules = lines["points_rules"]
    yield from _unknown(rules, lines, paths, "tier_programs", "program_id")
    yield from _twice(rules, "program_id", "rule_version")
    for program in _in_order(line["program_id"] for line in rules):
        mine = [line for line in rules if line["program_id"] == program]
        yield from _of_versions(program, _by_version(mine))
        for line in mine:
            if line["expiry_type"] != mine[0]["expiry_type"]:
                yield Problem(
                    line.path, line.number,
                    f"expiry_type of {program} is {line['expiry_type']} here and {mine[0]['expiry_type']} in line "
                    f"{mine[0].number}: it is the same in all versions",
                )  # fmt: skip


def _of_earning(lines: _Lines, paths: _Paths) -> Iterator[Problem]:
    earning = lines["earn_rules"]
    yield from _unknown(earning, lines, paths, "points_rules", "program_id", "rule_version")
    tiers = [
        Line(line.path, line.number, {"program_id": line["program_id"], "tier": line["value"]})
        for line in earning
        if line["applies_to"] == "tier"
    ]
    yield from _unknown(tiers, lines, paths, "tiers", "program_id", "tier")
    yield from _twice(earning, "program_id", "rule_version", "applies_to", "value")
    of_every_order = {(x["program_id"], x["rule_version"]) for x in earning if x["applies_to"] == "order"}
    for line in lines["points_rules"]:
        program, version = line["program_id"], line["rule_version"]
        if (program, version) not in of_every_order:
            what = f"version {version} of {program} has no multiplier for every order in {paths['earn_rules'].name}"
            yield Problem(line.path, line.number, what)


def _unknown(some: Sequence[Line], lines: _Lines, paths: _Paths, known: str, *columns: str) -> Iterator[Problem]:
    names = {tuple(line[column] for column in columns) for line in lines[known]}
    for line in some:
        if tuple(line[column] for column in columns) not in names:
            what = ", ".join(f"{column} '{line[column]}'" for column in columns)
            yield Problem(line.path, line.number, f"{what} is not in {paths[known].name}")


def _twice(lines: Sequence[Line], *columns: str) -> Iterator[Problem]:
    seen: dict[tuple[str, ...], int] = {}
    for line in lines:
        key = tuple(line[column] for column in columns)
        if key in seen:
            what = ", ".join(f"{column} {line[column]}" for column in columns if line[column])
            yield Problem(line.path, line.number, f"{what} is in line {seen[key]} already")
        seen.setdefault(key, line.number)


def _in_order(names: Iterator[str]) -> list[str]:
    return list(dict.fromkeys(names))
