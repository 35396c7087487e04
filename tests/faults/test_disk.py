"""A disk that is full: the run says so, what is served stays, and the next run needs only the room."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.conftest import Shops
from tests.faults.world import Shop

SIZE = 256 * 1024 * 1024


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A disk of its own at `folder`, in memory."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        raise OSError(mounted.stderr.strip())
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def _may_mount(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may mount the small disk that this test fills")
    try:
        with small_disk(tmp_path / "disk"):
            pass
    except OSError as error:
        pytest.skip(f"the small disk that this test fills cannot be mounted here: {error}")


def fill(folder: Path, leaving: int = 0) -> Path:
    """A file that takes all the room but `leaving` bytes."""
    path = folder / "ballast"
    with path.open("wb") as file:
        free = os.statvfs(folder)
        size = free.f_bavail * free.f_frsize - leaving
        while size > 0:
            try:
                os.posix_fallocate(file.fileno(), 0, size)
                break
            except OSError as error:
                assert error.errno == errno.ENOSPC
                size -= free.f_frsize
    return path


MOMENTS = [
    ("] Load the raw files", 0),
    ("  sales: landing/sales-2024-02.csv", 0),
    ("] Build the marts with dbt", 0),
    ("core.dim_dates", 0),
    ("] Publish", 1_000_000),
    ("  write parquet", 0),
]
"""At which line of the run the disk is filled, and how many bytes are left then."""


@pytest.mark.usefixtures("_may_mount")
def test_a_full_disk(shops: Shops) -> None:
    def fill_at(shop: Shop, moment: tuple[str, int]) -> None:
        line, leaving = moment
        # The whole home is on the small disk, at the path at which dbt has the project parsed.
        shutil.rmtree(shop.home)
        with small_disk(shop.home):
            shop.put_back_into_home()
            run = shop.start(pause_at=line)
            run.wait_until_paused()
            ballast = fill(shop.home, leaving)
            run.go_on()

            code = run.wait()
            print(f"--- full at {line}\n{run.output}", flush=True)
            assert code == 1
            assert "Traceback" not in run.output
            assert "No space left" in run.output or " is full (" in run.output
            assert "still shows version 1" in run.output
            assert shop.served() == 1
            ballast.unlink()
            shop.complete()
            assert shop.served() == 2
            assert shop.leftovers() == []
            assert shops.reference.differences(shop) == {}

    shops.each(MOMENTS, fill_at)
