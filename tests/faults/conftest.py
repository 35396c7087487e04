"""Two shops to break things in, side by side on two cores, and what their marts must come to."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

import pytest

from tests.faults.world import Reference, Shop

Case = TypeVar("Case")
Outcome = TypeVar("Outcome")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)


@dataclass(frozen=True)
class Shops:
    """Shops whose history is published as version 1 and whose news wait in the landing folder.

    Attributes:
        seconds: what a run of the news takes.
    """

    free: SimpleQueue[Shop]
    reference: Reference
    seconds: float

    @contextmanager
    def lent(self) -> Iterator[Shop]:
        """One, as it was at the beginning."""
        shop = self.free.get()
        try:
            shop.put_back()
            yield shop
        finally:
            self.free.put(shop)

    def each(self, cases: Iterable[Case], try_one: Callable[[Shop, Case], Outcome]) -> list[Outcome]:
        """Tries all cases, two at a time."""

        def lend_and_try(case: Case) -> Outcome:
            with self.lent() as shop:
                return try_one(shop, case)

        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(lend_and_try, cases))


@pytest.fixture(scope="session")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Shops:
    folder = tmp_path_factory.mktemp("faults")
    free: SimpleQueue[Shop] = SimpleQueue()
    reference = Reference(in_turn=folder / "in_turn.duckdb", at_once=folder / "at_once.duckdb")

    def make(name: str) -> float:
        shop = Shop(folder / name)
        shop.write_history()
        shop.complete()
        shop.write_news()
        shop.keep()
        started = time.monotonic()
        if name == "one":
            shop.complete()
            shutil.copyfile(shop.marts, reference.in_turn)
        else:
            shutil.rmtree(shop.home)
            shop.complete()
            shutil.copyfile(shop.marts, reference.at_once)
        seconds = time.monotonic() - started
        free.put(shop)
        return seconds

    with ThreadPoolExecutor(2) as pool:
        seconds, _ = pool.map(make, ["one", "two"])
    return Shops(free, reference, seconds)
