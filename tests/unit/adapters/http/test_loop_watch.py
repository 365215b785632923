import asyncio
import time

from prometheus_client import CollectorRegistry

from eventbridge.adapters.http.loop_watch import LoopWatch


def test_a_loop_that_nobody_measured_counts_as_turning() -> None:
    assert LoopWatch().check().ok


def test_the_worst_lag_is_told_until_it_is_forgotten() -> None:
    watch = LoopWatch(limit_seconds=5, memory_seconds=15)

    watch.observe(0.1, now=100)
    watch.observe(20, now=120)
    watch.observe(0.2, now=121)
    red = watch.check()
    watch.observe(0.3, now=135)
    still = watch.check()
    watch.observe(0.1, now=136)
    green = watch.check()

    assert (red.ok, still.ok, green.ok) == (False, False, True)
    assert red.detail == "at most 20.000 s late in the last 15 s"
    assert green.detail == "at most 0.300 s late in the last 15 s"


def test_a_lag_up_to_the_limit_is_well() -> None:
    watch = LoopWatch(limit_seconds=5)

    watch.observe(5, now=0)

    assert watch.check().ok


class Told(LoopWatch):
    """Lets a test wait for the next measurement."""

    def __init__(self, *, limit_seconds: float = 5) -> None:
        super().__init__(period_seconds=0.001, limit_seconds=limit_seconds)
        self.turned = asyncio.Event()

    def observe(self, lag_seconds: float, now: float) -> None:
        super().observe(lag_seconds, now)
        self.turned.set()


async def test_a_held_loop_is_noticed_and_counted() -> None:
    registry = CollectorRegistry()
    watch = Told(limit_seconds=0.02)
    registry.register(watch)
    watch.start()

    time.sleep(0.05)  # noqa: ASYNC251 - holding the loop is what is tested
    await watch.turned.wait()
    watch.stop()

    assert not watch.check().ok
    assert registry.get_sample_value("eventbridge_loop_lag_seconds_bucket", {"le": "0.025"}) == 0
    assert registry.get_sample_value("eventbridge_loop_lag_seconds_bucket", {"le": "+Inf"}) == 1


async def test_after_stop_nothing_is_measured() -> None:
    stopped, other = Told(), Told()
    stopped.start()
    stopped.start()

    stopped.stop()
    stopped.stop()
    other.start()
    await other.turned.wait()
    other.stop()

    assert not stopped.turned.is_set()
