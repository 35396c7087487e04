"""What households spend in each category, with us and with rivals: known for a sample, observed for a panel."""

from __future__ import annotations

import duckdb

from orchestration.lib.sql import literal
from orchestration.synthetic.dirt import kind_sql
from orchestration.synthetic.sales import category_sql, euro_sql, lines_sql
from orchestration.synthetic.world import FAVOURITE_SHARES, OWN_BRAND, RIVAL_BRANDS, SPEND_SHAPE, World

# Shares of customers whose true wallets are written, who keep a household panel, and who answered a survey once.
SAMPLE_SHARE, PANEL_SHARE, SURVEY_SHARE = 0.2, 0.03, 0.03
# A household that hardly buys from us still spends somewhere; one that spends a hundred times as much is a shop.
LEAST_OWN_MINOR, MOST_RIVAL_RATIO = 300, 20
OWN_ALPHA = 2


def create(connection: duckdb.DuckDBPyConnection, world: World) -> None:
    """Tables `wallets` (one row per customer of the sample, quarter and favourite category) and `observations`.

    The shares of a household's brands are a draw from a Dirichlet distribution (own 2, each rival 1). Own spend is what
    was bought; the rivals' varies around what these shares mean for it, and takes over after a drop-out.
    """
    connection.execute(f"create table wallets as {_wallets_sql(world)}")
    connection.execute(f"create table observations as {_observations_sql(world)}")


def _wallets_sql(world: World) -> str:
    bounds = [
        (world.month_start(3 * n), world.month_start(min(3 * n + 3, world.months))) for n in range(_quarters(world))
    ]
    quarters = ", ".join(f"({n}, date '{start}', date '{end}' - 1)" for n, (start, end) in enumerate(bounds))
    household = "(customer_key * 3 + rank)"
    gammas = [world.erlang(household, "wallets own", OWN_ALPHA)] + [
        world.erlang(household, f"wallets {brand}", 1) for brand in RIVAL_BRANDS
    ]
    noise = world.erlang("wallet_key", "wallets noise", 4)
    shares = ", ".join(map(str, FAVOURITE_SHARES))
    return f"""
with sampled as (
    select * from people where wallet_sample < {SAMPLE_SHARE}
),
bought as (
    select customer_key, month // 3 as quarter, category,
        sum({euro_sql("amount_minor", "currency")})::bigint as own_minor
    from ({lines_sql(world, "status = 'completed' and customer_key in (select customer_key from sampled)")})
    group by all
),
households as (
    select customer_key, wallet_sample, erased_at is not null as is_erased, purchase_rate, spend_rate, acquired_at,
        dropped_out_at, rank, [{", ".join(gammas)}] as gammas
    from (select *, unnest([0, 1, 2]) as rank from sampled)
),
periods as (
    select *, {household} * 1000 + quarter as wallet_key,
        purchase_rate * {SPEND_SHAPE} / spend_rate * 100 * (period_end - period_start + 1) * [{shares}][1 + rank]
            as expected_minor,
        list_sum(gammas) - gammas[1] as rival_gamma,
        dropped_out_at is null or dropped_out_at >= period_start + 45 as is_loyal
    from households
    cross join (values {quarters}) as quarters (quarter, period_start, period_end)
    where acquired_at < period_end + 1
)
select
    periods.wallet_key, periods.customer_key, periods.wallet_sample, periods.is_erased, periods.quarter,
    periods.period_start, periods.period_end, {category_sql("periods.customer_key", "periods.rank")} as category,
    periods.gammas[1] / list_sum(periods.gammas) as own_share,
    periods.gammas,
    coalesce(bought.own_minor, 0) as own_minor,
    cast(greatest(1, round(
        greatest(expected_minor, {LEAST_OWN_MINOR}) * {noise} / 4
        * least(case when is_loyal then rival_gamma else list_sum(gammas) end / gammas[1], {MOST_RIVAL_RATIO})
    )) as bigint) as rival_minor
from periods
left join bought
    on bought.customer_key = periods.customer_key
    and bought.quarter = periods.quarter
    and bought.category = {category_sql("periods.customer_key", "periods.rank")}
order by wallet_key
"""


def _observations_sql(world: World) -> str:
    """Panel: spend and rank of every brand bought. Survey: ranks of one quarter, without amounts."""
    brands = literal([OWN_BRAND, *RIVAL_BRANDS])
    answered = world.uniform("customer_key", "wallets survey")
    return f"""
with observed as (
    select *, unnest(range({1 + len(RIVAL_BRANDS)})) as brand_number
    from wallets
    where wallet_sample < {PANEL_SHARE}
        or (wallet_sample < {PANEL_SHARE + SURVEY_SHARE}
            and quarter = cast(floor({answered} * {_quarters(world)}) as integer))
),
spent as (
    select
        wallet_key, customer_key, is_erased, quarter, period_start, period_end, category,
        {brands}[1 + brand_number] as brand,
        case when brand_number = 0 then own_minor
            else cast(round(rival_minor * gammas[1 + brand_number] / (list_sum(gammas) - gammas[1])) as bigint)
        end as spend_minor,
        case when wallet_sample < {PANEL_SHARE} then 'panel' else 'survey' end as source,
        wallet_key * 10 + brand_number as observation_key
    from observed
)
select
    observation_key, customer_key, is_erased, period_start, period_end, category, brand, source,
    case when source = 'panel' then spend_minor end as spend_minor,
    rank() over (partition by wallet_key order by spend_minor desc, brand) as rank,
    cast(least({world.months - 1}, quarter * 3 + 2) as smallint) as month,
    cast(least({world.months - 1}, quarter * 3 + 2) as smallint) as arrival,
    case when not is_erased then {kind_sql(world, "wallet_observations", "observation_key")} end as kind
from spent
where spend_minor > 0
order by arrival, observation_key
"""


def _quarters(world: World) -> int:
    return -(-world.months // 3)
