"""Runs that stop by themselves, or that others stop: a failing model, a failing suite, two at once."""

from __future__ import annotations

from tests.faults.conftest import Shops
from tests.faults.world import Shop, says


def stopped(shop: Shop) -> str:
    """A run that fails and leaves version 1. Returns what it said."""
    code, said = shop.run()
    assert code == 1, said
    assert "Traceback" not in said
    assert shop.served() == 1
    assert f"{shop.home / 'current'} still shows version 1 (shop)" in said
    return said


def put_right(shops: Shops, shop: Shop, name: str, content: bytes) -> None:
    (shop.landing / name).write_bytes(content)
    shop.complete()
    assert shop.served() == 2
    assert shops.reference.differences(shop, was_loaded_in_turn=False) == {}


def test_a_model_that_fails(shops: Shops) -> None:
    """Amounts that are each fine and together too large for a column of the marts."""
    with shops.lent() as shop:
        path = shop.landing / "sales-2024-04.csv"
        content = path.read_bytes()
        rows = "".join(f"big-{n},c1,2024-04-03 12:00:00,99000000000000.00,completed\n" for n in range(120))
        path.write_bytes(content + rows.encode())
        said = stopped(shop)
        assert says(said, "failed while building the marts")
        put_right(shops, shop, path.name, content)


def test_a_suite_that_fails(shops: Shops) -> None:
    with shops.lent() as shop:
        path = shop.landing / "sales-2024-04.csv"
        content = path.read_bytes()
        shop.write_sales(4, bad=30)
        said = stopped(shop)
        assert says(said, "checks did not pass") and says(said, "max_quarantined_share")
        put_right(shops, shop, path.name, content)


def test_two_runs_at_once(shops: Shops) -> None:
    with shops.lent() as shop:
        first = shop.start(pause_at="core.fct_orders", name="first")
        first.wait_until_paused()
        code, said = shop.run()
        assert code == 1
        assert says(said, f"Another run is under way: process {first.process.pid}, data set 'shop', since 20")
        assert shop.served() == 1
        first.go_on()
        assert first.wait() == 0, first.output
        assert shop.served() == 2
        assert shops.reference.differences(shop) == {}
        assert "Nothing new since version 2" in shop.complete()
