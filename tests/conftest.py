"""The servers of the test run: chosen once, named in the report's header, missed aloud."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.choice import NoServers, ServerChoice, choose

CHOICE = pytest.StashKey[ServerChoice]()
APACHE_KAFKA = {"kafka_server", "kafka_cluster", "kafka_tool", "protected_kafka"}
INTEGRATION = Path(__file__).parent / "integration"


def pytest_configure(config: pytest.Config) -> None:
    try:
        config.stash[CHOICE] = choose(os.environ)
    except NoServers as missing:
        raise pytest.UsageError(str(missing)) from missing


def pytest_report_header(config: pytest.Config) -> list[str]:
    return config.stash[CHOICE].header()


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """Whatever the test sets up for logging is undone."""
    root, own = logging.getLogger(), logging.getLogger("eventbridge")
    handlers, levels = list(root.handlers), (root.level, own.level)
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    own.setLevel(levels[1])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if INTEGRATION not in item.path.parents:
            continue
        item.add_marker(pytest.mark.integration)
        refusal = config.stash[CHOICE].refusal(
            java=bool(APACHE_KAFKA.intersection(getattr(item, "fixturenames", ()))),
            real_kafka=item.get_closest_marker("real_kafka") is not None,
            real_redis=item.get_closest_marker("real_redis") is not None,
        )
        if refusal:
            # On a laptop without these servers the rest still runs; a CI run with a skip fails, see below.
            item.add_marker(pytest.mark.skip(reason=refusal))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where nothing may be skipped (CI), a run with skipped tests has failed."""
    report = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("EVENTBRIDGE_TEST_SKIPS") == "fail" and report and report.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        report.write_line("EVENTBRIDGE_TEST_SKIPS=fail: tests were skipped, so the run has failed", red=True)


@pytest.fixture(scope="session")
def server_choice(pytestconfig: pytest.Config) -> ServerChoice:
    return pytestconfig.stash[CHOICE]
