"""The run lock, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from orchestration.lib.lock import LockHeldError, holder, run_lock
from orchestration.lib.settings import PROJECT_ROOT

HOLD = textwrap.dedent("""
    import sys
    from pathlib import Path
    from orchestration.lib.lock import run_lock
    with run_lock(Path(sys.argv[1]), sys.argv[2]):
        print("held", flush=True)
        sys.stdin.readline()
""")


def start_holder(path: Path, dataset: str = "shop") -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), dataset],
        cwd=PROJECT_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "home" / ".lock"
    process = start_holder(path)
    with pytest.raises(LockHeldError) as error, run_lock(path, "other"):
        pytest.fail("entered although another process holds the lock")
    assert f"process {process.pid}" in error.value.what
    assert "data set 'shop'" in error.value.what
    assert "since 20" in error.value.what
    found = holder(path)
    assert found is not None and found.pid == process.pid
    process.communicate("\n")
    assert holder(path) is None
    with run_lock(path, "other"):
        pass


def test_a_killed_holder_leaves_nothing_to_clean_up(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    process = start_holder(path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert path.read_text(), "the file still names the dead process"
    assert holder(path) is None
    with run_lock(path, "next"):
        found = holder(path)
        assert found is not None and found.pid == os.getpid()


def test_the_same_process_may_enter_again_and_keeps_it_until_the_outermost_leaves(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with run_lock(path, "shop"):
        with run_lock(path, "shop"):
            pass
        with pytest.raises(subprocess.CalledProcessError):
            subprocess.run(
                [sys.executable, "-c", HOLD, str(path), "other"],
                cwd=PROJECT_ROOT,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=True,
            )
    start_holder(path).communicate("\n")


def test_a_failed_attempt_can_be_repeated(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    process = start_holder(path)
    for _ in range(2):
        with pytest.raises(LockHeldError), run_lock(path, "other"):
            pass
    process.communicate("\n")
