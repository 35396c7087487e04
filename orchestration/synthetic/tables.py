"""The contract tables as files: their columns, typed for Parquet and spelt for CSV, and the defects in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from orchestration.lib.sql import literal
from orchestration.synthetic.contacts import owner_id_sql
from orchestration.synthetic.dirt import EXTRA, is_csv, kind_sql, planted
from orchestration.synthetic.sales import customer_id_sql, lines_sql
from orchestration.synthetic.world import ACQUISITION_CHANNELS, OWN_BRAND, SEGMENTS, World


@dataclass(frozen=True)
class Table:
    """How a contract table's files come about.

    Attributes:
        name: the contract table.
        record_id: SQL: by what truth/dirt names a record.
        order_by: the rows' order within a file.
        columns: contract column → SQL.
        spelt: columns that CSV writes otherwise → SQL of the text.
        altered: columns in which the other version of a corrected or conflicting record differs → SQL.
        changed_at: SQL: when the record came into being; empty for a table without `updated_at`.
        relation: table that the records stand in, by month of arrival; or a SELECT of one month's records, whose added
            rows then stand in the same file.
    """

    name: str
    record_id: str
    order_by: str
    columns: dict[str, str]
    relation: str | Callable[[int], str]
    changed_at: str
    altered: dict[str, str] = field(default_factory=dict)
    spelt: dict[str, str] = field(default_factory=dict)


def amount(minor: str) -> str:
    """SQL: minor units as a decimal amount."""
    return f"cast(cast({minor} as decimal(18, 0)) * 0.01 as decimal(18, 2))"


def tables(world: World) -> tuple[Table, ...]:
    """The tables that are delivered as events by month. Identity maps and erasures are extracts of their own."""
    return (
        Table(
            name="orders",
            relation="orders",
            record_id="order_id",
            order_by="order_key",
            changed_at="ordered_at + interval 2 hour",
            columns={
                "order_id": "order_id",
                "customer_id": customer_id_sql("customer_key", "identity"),
                "ordered_at": "ordered_at",
                "amount": amount("amount_minor"),
                "currency": "currency",
                "status": "status",
                "channel": "channel",
                "store_id": "store_id",
                "campaign_id": "'campaign-' || campaign",
                "discount_amount": amount("discount_minor"),
                "cost_amount": amount("cost_minor"),
                "owner_id": owner_id_sql("owner"),
            },
            altered={"amount": amount("amount_minor + 110")},
        ),
        Table(
            name="order_lines",
            relation=lambda month: _lines_sql(world, month),
            record_id="line_id",
            order_by="line_key",
            changed_at=f"timestamp '{world.start}'",
            columns={
                "order_id": "order_id",
                "line_number": "line_number",
                "product_id": "upper(category[1:3]) || '-' || lpad(cast(line_key % 50 as varchar), 3, '0')",
                "category": "category",
                "brand": f"'{OWN_BRAND}'",
                "quantity": "quantity",
                "amount": amount("amount_minor"),
            },
            altered={"quantity": "quantity + 1"},
        ),
        Table(
            name="refunds",
            relation="refunds",
            record_id="refund_id",
            order_by="order_key",
            changed_at="refunded_at",
            columns={
                "refund_id": "refund_id",
                "order_id": "order_id",
                "refunded_at": "refunded_at",
                "amount": amount("amount_minor"),
            },
            # Timestamps with an offset, as another system would write them.
            spelt={"refunded_at": "strftime(refunded_at + interval 1 hour, '%Y-%m-%dT%H:%M:%S') || '+01:00'"},
            altered={"amount": amount("amount_minor + 1")},
        ),
        Table(
            name="interactions",
            relation="interactions",
            record_id="interaction_id",
            order_by="occurred_at, interaction_id",
            changed_at="occurred_at",
            columns={
                "interaction_id": "interaction_id",
                "customer_id": f"coalesce(prospect_id, {customer_id_sql('customer_key', 'identity')})",
                "occurred_at": "occurred_at",
                "interaction_type": "interaction_type",
                "channel": "channel",
                "campaign_id": "'campaign-' || campaign",
                "related_id": "related_id",
                "owner_id": owner_id_sql("owner"),
                "score": "score",
                "cost_amount": amount("cost_minor"),
                "detail": "detail",
            },
            altered={"channel": "'fax'"},
        ),
        Table(
            name="customers",
            relation="profiles",
            record_id=customer_id_sql("customer_key", "identity"),
            order_by="profile_key",
            changed_at="acquired_at",
            columns=_profile_columns(world),
            altered={"segment": "'unsorted'"},
        ),
        Table(
            name="wallet_observations",
            relation="observations",
            record_id="'observation-' || observation_key",
            order_by="observation_key",
            changed_at="cast(period_end as timestamp)",
            columns={
                "customer_id": customer_id_sql("customer_key"),
                "period_start": "period_start",
                "period_end": "period_end",
                "category": "category",
                "brand": "brand",
                "spend": amount("spend_minor"),
                "rank": "rank",
                "source": "source",
            },
            altered={"rank": "rank + 1"},
        ),
    )


def rows_sql(world: World, table: Table, month: int) -> str:
    """SELECT: the rows of a month's file in their order, the contract's columns and updated_at as they are written.

    Beside them _record_id, _kind, _copy (0: the record's own row, 1: the added one), _late, _erased.
    """
    return f"""
select {", ".join(f"{sql} as {name}" for name, sql in _written(world, table).items())},
    {table.record_id} as _record_id, kind as _kind, copy_number as _copy, arrival > month as _late, is_erased as _erased
from ({_deliveries(table, month)})
order by {table.order_by}, copy_number
"""


def added_sql(world: World, table: Table) -> str:
    """SELECT: the added rows of a table that stands by month of arrival, with the month of their own arrival."""
    later = world.uniform(f"({table.record_id})", f"{table.name} again")
    return f"""
select * replace (case kind when 'corrected' then month
    else cast(least({world.months - 1}, arrival + cast({later} < 0.5 as integer)) as smallint) end as arrival)
from {table.relation} where kind in {_in(EXTRA)}
"""


def _deliveries(table: Table, month: int) -> str:
    if callable(table.relation):
        records = table.relation(month)
        return f"""select *, unnest(case when kind in {_in(EXTRA)} then [0, 1] else [0] end) as copy_number
            from ({records})"""
    return f"""select *, 0 as copy_number from {table.relation} where arrival = {month}
        union all select *, 1 as copy_number from {table.relation}_added where arrival = {month}"""


def _written(world: World, table: Table) -> dict[str, str]:
    """Each column's SQL, the defects built in."""
    as_text = is_csv(world, table.name)
    is_other_version = "copy_number = 1 and kind in ('corrected', 'conflict')"
    written = {}
    for name, sql in table.columns.items():
        value = table.spelt.get(name, sql) if as_text else sql
        if name in table.altered:
            value = f"case when {is_other_version} then {table.altered[name]} else {value} end"
        defects = [defect for defect in planted(world, table.name) if defect.column == name and defect.spoilt]
        if defects:
            value = f"cast({value} as varchar)" if as_text else value
            branches = [f"when '{d.kind}' then {_spoilt(world, d.spoilt, value, as_text)}" for d in defects]
            value = f"case kind {' '.join(branches)} else {value} end"
        written[name] = value
    written["updated_at"] = f"""{table.changed_at}
        + case when kind = 'corrected' and copy_number = 0 then interval 3 day else interval 0 day end"""
    return written


def _spoilt(world: World, pattern: str, value: str, as_text: bool) -> str:
    later = f"timestamp '{world.end + timedelta(days=730)} 12:00:00'"
    sql = pattern
    for name, meant in {"{v}": f"({value})", "{later}": later, "{id}": "order_id", "{start}": "period_start"}.items():
        sql = sql.replace(name, meant)
    return f"cast({sql} as varchar)" if as_text else sql


def _profile_columns(world: World) -> dict[str, str]:
    def uniform(purpose: str) -> str:
        return world.uniform("profile_key", f"profiles {purpose}")

    first_names = literal(["Ada", "Ben", "Cleo", "Dora", "Emil", "Fritz", "Greta", "Hugo", "Ida", "Jan"])
    last_names = literal(["Abel", "Busch", "Conrad", "Dorn", "Ebert", "Falk", "Graf", "Hahn", "Iwan", "Jung", "Kern"])
    return {
        "customer_id": customer_id_sql("customer_key", "identity"),
        "enrolled_at": "enrolled_at",
        "acquisition_channel": f"{literal(list(ACQUISITION_CHANNELS))}[1 + channel]",
        "owner_id": owner_id_sql("owner"),
        "segment": f"{literal(list(SEGMENTS))}[1 + segment]",
        "has_email_consent": f"{uniform('email')} < 0.7",
        "has_phone_consent": f"{uniform('phone')} < 0.3",
        "has_profiling_consent": f"{uniform('profiling')} < 0.5",
        "email": "'person' || profile_key || '@example.org'",
        "phone": "'+49 30 5550' || lpad(cast(profile_key % 10000 as varchar), 4, '0')",
        "name": f"{first_names}[1 + cast(floor(10 * {uniform('first name')}) as integer)] || ' ' || "
        f"{last_names}[1 + cast(floor(11 * {uniform('last name')}) as integer)]",
        "birth_date": f"date '1940-01-01' + cast(floor(24000 * {uniform('birth')}) as integer)",
    }


def _lines_sql(world: World, month: int) -> str:
    return f"""select *, order_id || '/' || line_number as line_id,
        case when not is_erased then {kind_sql(world, "order_lines", "line_key")} end as kind
        from ({lines_sql(world, f"arrival = {month}")})"""


def _in(names: Iterable[str]) -> str:
    return "(" + ", ".join(map(literal, names)) + ")"
