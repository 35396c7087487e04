"""What is wrong with tier rules is said with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.lib.errors import UserError
from orchestration.lib.settings import PROJECT_ROOT
from orchestration.lib.tiers import rules
from tests.support.project import tier_files

GOOD = {
    "tier_programs": """program_id,program_name,membership,is_history_counted
club,The club,enrolled,false
""",
    "tiers": """program_id,tier,tier_rank,benefit_cost_amount
club,base,0,0
club,silver,1,0
club,gold,2,12.50
""",
    "tier_rules": """\
program_id,rule_version,valid_from,tier,metric,threshold,window_type,window_months,extension_months,grace_days,soft_landing
club,1,2024-01-01,silver,spend,100,calendar_year,,12,30,one_down
club,1,2024-01-01,gold,spend,500.50,calendar_year,,12,30,one_down
club,2,2025-01-01,silver,orders,3,rolling_months,12,0,0,full
club,2,2025-01-01,gold,spend,500,rolling_months,12,0,0,base
""",
    "tier_overrides": """program_id,customer_id,tier,valid_from,valid_to,reason
club,a,gold,2024-01-01,2024-02-01,a prize
club,a,base,2024-02-01,,banned
""",
    "points_rules": """\
program_id,rule_version,valid_from,expiry_type,expiry_months,order_cap,day_cap,month_cap,point_value_amount,point_cost_amount,expected_redemption_rate
club,1,2024-01-01,fixed,24,500,,,0.01,0.0075,
club,2,2024-07-01,fixed,12,,1000,20000,0,0.000001,0.85
""",
    "earn_rules": """program_id,rule_version,applies_to,value,multiplier
club,1,order,,1.000001
club,1,tier,base,1
club,1,tier,gold,1.125
club,2,order,,2
club,2,channel,web,0
club,2,category,gold,0.5
""",
}

WRONG = [
    ("tier_rules", "club,2,2025-01-01,gold,spend,500,rolling_months,12,0,0,base\n", "",
     "tier_rules.csv, line 4: version 2 of club ends here without a rule for gold"),
    ("tier_rules", "club,2,2025-01-01,silver,orders,3", "club,3,2025-01-01,silver,orders,3",
     "tier_rules.csv, line 5: version 2 of club ends here without a rule for silver"),
    ("tier_rules", "club,1,2024-01-01,gold,spend,500.50", "club,3,2026-01-01,gold,spend,500.50",
     "tier_rules.csv, line 2: version 1 of club ends here without a rule for gold"),
    ("tier_rules", "club,2,", "club,3,", "tier_rules.csv, line 4: version 2 of club is missing: here is 3 already"),
    ("tier_rules", "club,2,2025-01-01", "club,2,2024-01-01",
     "tier_rules.csv, line 4: version 2 of club overlaps the one before: valid from 2024-01-01, not after 2024-01-01 "
     "(line 2)"),
    ("tier_rules", "club,2,2025-01-01,gold", "club,2,2025-02-01,gold",
     "tier_rules.csv, line 5: version 2 of club is valid from 2025-02-01 here and from 2025-01-01 in line 4"),
    ("tier_rules", "500.50", "100",
     "tier_rules.csv, line 3: gold of club, version 1, takes 100, not more than silver below it with 100 (line 2)"),
    ("tier_rules", "club,1,2024-01-01,gold,", "club,1,2024-01-01,silver,",
     "tier_rules.csv, line 3: program_id club, rule_version 1, tier silver is in line 2 already"),
    ("tier_rules", "1,2024-01-01,silver,spend,100", "1,2024-01-01,bronze,spend,100",
     "tier_rules.csv, line 2: program_id 'club', tier 'bronze' is not in tiers.csv"),
    ("tier_rules", "1,2024-01-01,silver,spend,100", "1,2024-01-01,base,spend,100",
     "tier_rules.csv, line 2: base is the base tier of club, held by whoever holds no other: it takes no rule"),
    ("tier_rules", "500.50", "500.505", "line 3: threshold is '500.505'; of spend it must be an amount"),
    ("tier_rules", "500.50", "much", "tier_rules.csv, line 3: threshold is 'much'"),
    ("tier_rules", "orders,3", "orders,2.5", "line 4: threshold is '2.5'; of orders it must be a whole number"),
    ("tier_rules", "orders,3", "orders,0", "line 4: threshold is '0'; of orders it must be a whole number"),
    ("tier_rules", "orders,3", "points,2.5", "line 4: threshold is '2.5'; of points it must be a whole number"),
    ("tier_rules", "orders", "visits",
     "line 4: metric is 'visits'; it must be one of spend, orders, purchase_days, points"),
    ("tier_rules", "rolling_months,12,0,0,full", "rolling_months,,0,0,full",
     "line 4: window_months is ''; it must be a whole number of at least 1"),
    ("tier_rules", "100,calendar_year,,", "100,calendar_year,12,",
     "line 2: window_months is '12'; calendar_year has none: leave it empty"),
    ("tier_rules", "12,30,one_down\nclub,1,2024-01-01,gold", "-1,30,one_down\nclub,1,2024-01-01,gold",
     "line 2: extension_months is '-1'; it must be a whole number of at least 0"),
    ("tier_rules", "club,2,2025-01-01,silver", "club,2,01.01.2025,silver",
     "line 4: valid_from is '01.01.2025'; it must be a date such as 2025-01-01"),
    ("tier_rules", ",full", ",softly", "line 4: soft_landing is 'softly'; it must be one of full, one_down, base"),
    ("tier_rules", "soft_landing", "landing", "tier_rules.csv: its columns are"),
    ("tier_rules", ",full", "", "tier_rules.csv: line 4 has 10 values for 11 columns"),
    ("tiers", "club,gold,2", "club,gold,3",
     "tiers.csv, line 4: tier gold of club has the rank 3 where 2 is next: ranks count from 0, each once"),
    ("tiers", "12.50", "free",
     "line 4: benefit_cost_amount is 'free'; it must be a number of at least 0, with at most 2 decimal places"),
    ("tiers", "12.50", "-1", "line 4: benefit_cost_amount is '-1'"),
    ("tiers", "12.50", "1.005", "line 4: benefit_cost_amount is '1.005'"),
    ("tiers", "gold", "new", "tiers.csv, line 4: no tier can be called 'new'"),
    ("tier_programs", "club,The", "clubs,The", "line 2: the programme clubs has no tiers in tiers.csv"),
    ("tier_programs", "enrolled", "everybody", "line 2: membership is 'everybody'; it must be one of"),
    ("tier_overrides", "2024-02-01,a prize", ",a prize",
     "tier_overrides.csv, line 3: overlaps the override of a in line 2, which is valid until further notice"),
    ("tier_overrides", "2024-01-01,2024-02-01", "2024-01-01,2024-01-01",
     "line 2: valid_to 2024-01-01 is not after valid_from 2024-01-01"),
    ("tier_overrides", "club,a,gold", "club,a,platinum",
     "line 2: program_id 'club', tier 'platinum' is not in tiers.csv"),
    ("points_rules", "club,2", "clubs,1", "points_rules.csv, line 3: program_id 'clubs' is not in tier_programs.csv"),
    ("points_rules", "club,2", "club,1",
     "points_rules.csv, line 3: program_id club, rule_version 1 is in line 2 already"),
    ("points_rules", "club,2", "club,3", "points_rules.csv, line 3: version 2 of club is missing: here is 3 already"),
    ("points_rules", "2024-07-01", "2023-07-01",
     "points_rules.csv, line 3: version 2 of club overlaps the one before: valid from 2023-07-01, not after 2024-01-01 "
     "(line 2)"),
    ("points_rules", "club,1", "club,0", "line 2: rule_version is '0'; it must be a whole number of at least 1"),
    ("points_rules", "2024-07-01", "July", "line 3: valid_from is 'July'; it must be a date such as 2025-01-01"),
    ("points_rules", "fixed,24", "rolling,24",
     "line 2: expiry_type is 'rolling'; it must be one of never, fixed, activity"),
    ("points_rules", "fixed,24", "activity,24",
     "points_rules.csv, line 3: expiry_type of club is fixed here and activity in line 2: it is the same in all "
     "versions"),
    ("points_rules", "fixed,24", "fixed,", "line 2: expiry_months is ''; it must be a whole number of at least 1"),
    ("points_rules", "fixed,24", "fixed,0", "line 2: expiry_months is '0'; it must be a whole number of at least 1"),
    ("points_rules", "fixed,24", "never,24",
     "line 2: expiry_months is '24'; what never expires has none: leave it empty"),
    ("points_rules", "24,500", "24,0", "line 2: order_cap is '0'; it must be a whole number of at least 1"),
    ("points_rules", "1000,", "0.5,", "line 3: day_cap is '0.5'; it must be a whole number of at least 1"),
    ("points_rules", "20000", "-1", "line 3: month_cap is '-1'; it must be a whole number of at least 1"),
    ("points_rules", "0.01,", ",",
     "line 2: point_value_amount is ''; it must be a number of at least 0, with at most 6 decimal places"),
    ("points_rules", "0.000001", "0.0000001",
     "line 3: point_cost_amount is '0.0000001'; it must be a number of at least 0"),
    ("points_rules", "0.85", "1.01",
     "line 3: expected_redemption_rate is '1.01'; it must be a number from 0 to 1, with at most 6 decimal places"),
    ("points_rules", "0.85", "85%", "line 3: expected_redemption_rate is '85%'"),
    ("earn_rules", "club,1,tier,base", "clubs,1,tier,base",
     "earn_rules.csv, line 3: program_id 'clubs', rule_version '1' is not in points_rules.csv"),
    ("earn_rules", "club,2,channel", "club,3,channel",
     "earn_rules.csv, line 6: program_id 'club', rule_version '3' is not in points_rules.csv"),
    ("earn_rules", "tier,base", "tier,bronze",
     "earn_rules.csv, line 3: program_id 'club', tier 'bronze' is not in tiers.csv"),
    ("earn_rules", "tier,base", "tier,gold",
     "earn_rules.csv, line 4: program_id club, rule_version 1, applies_to tier, value gold is in line 3 already"),
    ("earn_rules", "channel,web", "order,",
     "earn_rules.csv, line 6: program_id club, rule_version 2, applies_to order is in line 5 already"),
    ("earn_rules", "club,2,order,,2\n", "",
     "points_rules.csv, line 3: version 2 of club has no multiplier for every order in earn_rules.csv"),
    ("earn_rules", "channel,web", "store,1",
     "line 6: applies_to is 'store'; it must be one of order, tier, channel, category, campaign"),
    ("earn_rules", "channel,web", "channel,", "line 6: value is ''; it must be a name without blanks around it"),
    ("earn_rules", "order,,2", "order,all,2", "line 5: value is 'all'; every order has none: leave it empty"),
    ("earn_rules", "1.000001", "1.0000001", "line 2: multiplier is '1.0000001'; it must be a number of at least 0"),
    ("earn_rules", "1.125", "1.1255",
     "line 4: multiplier is '1.1255'; it must be a number of at least 0, with at most 3 decimal places"),
    ("earn_rules", "1.000001", "1001", "line 2: multiplier is '1001'; of order it must be at most 1000"),
    ("earn_rules", "0.5", "51", "line 7: multiplier is '51'; of "),
    ("earn_rules", "0.5", "-0.5", "line 7: multiplier is '-0.5'; it must be a number of at least 0"),
]  # fmt: skip


def written(folder: Path, files: dict[str, str]) -> dict[str, Path]:
    for name, content in files.items():
        (folder / f"{name}.csv").write_text(content, encoding="utf-8")
    return tier_files(folder)


def test_good_rules_pass(tmp_path: Path) -> None:
    rules.check(written(tmp_path, GOOD))


def test_a_programme_without_points_takes_no_rule_that_counts_them(tmp_path: Path) -> None:
    without = {name: GOOD[name].splitlines()[0] + "\n" for name in ("points_rules", "earn_rules")}
    rules.check(written(tmp_path, GOOD | without))
    counting = {"tier_rules": GOOD["tier_rules"].replace("orders,3", "points,3")}
    rules.check(written(tmp_path, GOOD | counting))
    with pytest.raises(UserError, match=r"tier_rules.csv, line 4: program_id 'club' is not in points_rules.csv"):
        rules.check(written(tmp_path, GOOD | without | counting))


def test_the_rules_of_the_project_pass() -> None:
    rules.check(tier_files(PROJECT_ROOT / "seeds"))


@pytest.mark.parametrize(("name", "right", "wrong", "message"), WRONG, ids=[case[3][:70] for case in WRONG])
def test_a_rule_that_cannot_be_used_is_named(name: str, right: str, wrong: str, message: str, tmp_path: Path) -> None:
    assert right in GOOD[name]
    paths = written(tmp_path, GOOD | {name: GOOD[name].replace(right, wrong)})
    with pytest.raises(UserError) as caught:
        rules.check(paths)
    assert message in str(caught.value)
    assert "docs/tiers.md and docs/points.md" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    paths = written(tmp_path, {name: GOOD[name] for name in GOOD if name != "tiers"})
    with pytest.raises(UserError, match=r"tiers.csv: cannot be read"):
        rules.check(paths)
