"""The process is killed at every point that matters, and started again (FAULTS.md 5)."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.entrypoints.processes import environment
from tests.integration.faults.bridges import QUICK, running
from tests.integration.faults.oracle import LIMIT_SECONDS, Load, assert_exact, eventually

ROOT = Path(__file__).parents[3]

POINTS = {
    "before positions": 2,
    "after positions": 3,
    "after initialisation": 3,
    "before append": 30,
    "after append": 30,
    "between appends": 10,
    "before commit": 5,
    "after commit": 5,
    "after checkpoint": 11,
}
"""Each point, and the how manieth time it is fatal. (Four partitions are committed as they are initialised;
more than once after that only if there is time.)"""

OTHER_BATCHES = {"KAFKA__MAX_BATCH_RECORDS": "37"}
"""For the bridge that follows: it meets batches of which a shard has one half and lacks the other."""


@contextmanager
def mortal_bridge(settings: dict[str, str], point: str, count: int) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.faults.mortal_bridge", point, str(count)],
        cwd=ROOT,
        env=environment(QUICK | settings | {"TELEMETRY__METRICS_PORT": "0"}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def killed(settings: dict[str, str], point: str, count: int) -> None:
    """Run a bridge until it dies at the point."""
    with mortal_bridge(settings, point, count) as process:
        await eventually(lambda: process.poll() is not None, f"the bridge to die {point}", LIMIT_SECONDS / 2)
        assert process.stderr
        assert process.returncode == -signal.SIGKILL, process.stderr.read().decode()[-3000:]


@pytest.mark.parametrize(("point", "count"), POINTS.items(), ids=[p.replace(" ", "-") for p in POINTS])
async def test_a_bridge_that_is_killed_leaves_nothing_missing_and_nothing_twice(
    load: Load, settings: dict[str, str], point: str, count: int
) -> None:
    settings |= {"KAFKA__INSTANCE_ID": "bridge-1"}
    await load.produce(1500)

    await killed(settings, point, count)
    await load.produce(200)
    async with running(settings | OTHER_BATCHES):
        await assert_exact(load, settings["REDIS__URL"])
