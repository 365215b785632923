"""What the machine can do at best in this run: reading alone, and Redis' commands alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import msgspec
from redis import Redis

from benchmarks.relays import Place
from benchmarks.workload import USERS, records

_REDIS_CALLS = 200_000
_PIPELINED, _CLIENTS = "50", "10"


class Ceilings(msgspec.Struct, frozen=True):
    """Rates per second, CPU in microseconds."""

    consumed_per_second: float
    consume_cpu_us_per_record: float
    xadd_per_second: float
    publish_per_second: float
    redis_cpu_us_per_event: float
    """One XADD and one PUBLISH, by redis-benchmark."""

    @property
    def written_per_second(self) -> float:
        """XADD and PUBLISH, one after the other."""
        return 1 / (1 / self.xadd_per_second + 1 / self.publish_per_second)


def ceilings(place: Place, count: int) -> Ceilings:
    """Measure all of them; empties Redis."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.consume_only", place.kafka.bootstrap, place.topic, str(count)],
        capture_output=True,
        text=True,
        check=True,
    )
    consumed = json.loads(done.stdout)
    place.redis.command("FLUSHALL", "SYNC")
    body = next(records(1)).value.decode()[:850]
    used = _redis_cpu(place)
    xadd = _benchmark(
        place,
        *("XADD", "events:__rand_int__", "MAXLEN", "~", "1000", "*"),
        *("event", "Genesis.Session.Started", "data", body),
    )
    publish = _benchmark(place, "PUBLISH", "live:__rand_int__", body)
    return Ceilings(
        consumed_per_second=consumed["rate"],
        consume_cpu_us_per_record=consumed["cpu_us"],
        xadd_per_second=xadd,
        publish_per_second=publish,
        redis_cpu_us_per_event=(_redis_cpu(place) - used) * 1e6 / _REDIS_CALLS,
    )


def _benchmark(place: Place, *command: str) -> float:
    program = shutil.which("redis-benchmark") or "redis-benchmark"
    options = ["-p", str(place.redis.port), "-n", str(_REDIS_CALLS), "-r", str(USERS), "--csv"]
    done = subprocess.run(
        [program, *options, "-P", _PIPELINED, "-c", _CLIENTS, *command],
        capture_output=True,
        text=True,
        check=True,
    )
    # "<the command>","<calls per second>","<average latency>",…, below a line of titles
    line = done.stdout.strip().splitlines()[-1]
    return float(line.rsplit('","', 7)[1].strip('"'))


def _redis_cpu(place: Place) -> float:
    with Redis.from_url(place.redis.url) as client:
        info = client.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])
