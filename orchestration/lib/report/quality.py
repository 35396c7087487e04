"""Tables on the data and its checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchestration.lib.report.charts import (
    Table,
    count,
    has_table,
    queried,
)

if TYPE_CHECKING:
    import duckdb


def load_accounting(connection: duckdb.DuckDBPyConnection) -> Table:
    """What became of every row read, by contract table, over all loads."""
    columns = ("Table", "Read", "Accepted", "Quarantined", "Copies dropped", "Superseded", "Filtered out", "Erased")
    caption = "Every row read, and what became of it"
    if not has_table(connection, "quality.load_accounting"):
        return Table(caption, columns, (), empty="This version has no table quality.load_accounting.")
    frame = queried(
        connection,
        """
        select
            table_name,
            sum(rows_read) as rows_read,
            sum(accepted_count) as accepted_count,
            sum(quarantined_count) as quarantined_count,
            sum(copy_count) as copy_count,
            sum(superseded_count) as superseded_count,
            sum(filtered_count) as filtered_count,
            sum(erased_count) as erased_count
        from quality.load_accounting
        group by table_name
        order by rows_read desc, table_name
        """,
    )
    rows = tuple((str(name), *map(count, values)) for name, *values in frame.itertuples(index=False))
    return Table(caption, columns, rows, empty="Nothing has been loaded yet.")


def quarantine(connection: duckdb.DuckDBPyConnection) -> Table:
    """Rows set aside, by table and reason, most first."""
    columns = ("Table", "Reason", "Rows")
    caption = "Rows set aside, and why"
    if not has_table(connection, "quality.quarantine_summary"):
        return Table(caption, columns, (), 2, "This version has no table quality.quarantine_summary.")
    frame = queried(
        connection,
        """
        select table_name, reason, sum(row_count) as row_count
        from quality.quarantine_summary
        group by table_name, reason
        having sum(row_count) > 0
        order by row_count desc, table_name, reason
        limit 30
        """,
    )
    rows = tuple((str(row.table_name), str(row.reason), count(row.row_count)) for row in frame.itertuples())
    return Table(caption, columns, rows, 2, "No row was set aside.")


def checks(results: Sequence[Mapping[str, Any]]) -> tuple[Table, Table]:
    """Check results of a manifest: how many passed by layer and tool, and each one that did not pass."""
    groups: dict[tuple[str, str], list[bool]] = {}
    for result in results:
        layer = str(result["table"]).partition(".")[0]
        groups.setdefault((layer or "across tables", str(result["tool"])), []).append(bool(result["passed"]))
    passed = tuple(
        (layer, tool, count(len(outcomes)), count(sum(outcomes)), count(len(outcomes) - sum(outcomes)))
        for (layer, tool), outcomes in sorted(groups.items())
    )
    failed = tuple(
        (
            str(result["table"]) or "across tables",
            str(result["name"]),
            "blocking" if result["is_blocking"] else "warning",
            str(result["observed"]),
        )
        for result in results
        if not result["passed"]
    )
    return (
        Table("Checks by layer", ("Layer", "Tool", "Checks", "Passed", "Failed"), passed, 2, "No check was recorded."),
        Table(
            "Checks that did not pass",
            ("Table", "Check", "Kind", "Observed"),
            failed,
            first_number=4,
            empty="Every check passed." if results else "No check was recorded.",
        ),
    )
