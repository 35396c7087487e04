"""Raw files that change under a run: nothing half read is published."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import Shops
from tests.faults.world import says

FIRST_FILE_READ = "  sales: landing/sales-2024-02.csv"


def shrink(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(
    ("change", "said_why"),
    [(shrink, "changed while it was read"), (Path.unlink, "vanished while it was read")],
)
def test_a_file_that_changes_after_it_was_fingerprinted(
    shops: Shops, change: Callable[[Path], None], said_why: str
) -> None:
    with shops.lent() as shop:
        path = shop.landing / "sales-2024-04.csv"
        content = path.read_bytes()
        run = shop.start(pause_at=FIRST_FILE_READ)
        run.wait_until_paused()
        change(path)
        run.go_on()

        assert run.wait() == 1, run.output
        assert says(run.output, f"{path} {said_why}")
        assert "Traceback" not in run.output
        assert shop.served() == 1
        path.write_bytes(content)
        shop.complete()
        assert shop.served() == 2
        assert shops.reference.differences(shop) == {}


def test_a_file_that_shrinks_while_it_is_read(shops: Shops) -> None:
    """Timed, not stopped: wherever in the reading the cut falls, the load is undone."""
    with shops.lent() as shop:
        path = shop.landing / "sales-2024-04.csv"
        content = path.read_bytes()
        shop.write_sales(4, rows=300_000)
        run = shop.start(pause_at=FIRST_FILE_READ)
        run.wait_until_paused()
        run.go_on()
        time.sleep(0.1)
        shrink(path)

        assert run.wait() == 1, run.output
        assert says(run.output, f"{path} changed while it was read") or says(run.output, f"{path} cannot be read")
        assert "Traceback" not in run.output
        assert shop.served() == 1
        path.write_bytes(content)
        shop.complete()
        assert shop.served() == 2
        assert shops.reference.differences(shop) == {}
