"""`docs/observability.md` names every metric that there is, and no other."""

import re
from pathlib import Path

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from eventbridge.adapters.http.loop_watch import LoopWatch
from eventbridge.adapters.telemetry.gateway_metrics import GatewayMetrics
from eventbridge.adapters.telemetry.prometheus import PrometheusTelemetry
from eventbridge.domain.assignment import HaltReason
from eventbridge.domain.delivery import Partition

PAGE = (Path(__file__).parents[4] / "docs" / "observability.md").read_text(encoding="utf-8")

ROW = re.compile(r"^\| `(eventbridge_\w+)` \| (\w+) \|([^|]*)\| ", re.MULTILINE)


def shown() -> set[tuple[str, str, tuple[str, ...]]]:
    """Name, type and labels of all series, once each of them has a value."""
    telemetry = PrometheusTelemetry()
    telemetry.registry.register(LoopWatch())
    telemetry.consumed("genesis", 1)
    telemetry.rejected("too_large", 1)
    telemetry.dropped("policy", 1)
    telemetry.publish_failed("timeout")
    telemetry.halted(Partition("genesis", 0), HaltReason.STATE_LOST)
    telemetry.lag(Partition("genesis", 0), 1)
    gateway = GatewayMetrics(telemetry.registry)
    gateway.resumed("continuous")
    gateway.disconnected("left")
    gateway.refused("rate")
    gateway.failed_open("user")
    found = set()
    for family in text_string_to_metric_families(generate_latest(telemetry.registry).decode()):
        if family.name.startswith("eventbridge_"):
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            found.add((name, family.type, tuple(sorted(labels))))
    return found


def test_the_table_of_metrics_is_what_a_scrape_shows() -> None:
    documented = {
        (name, kind, tuple(sorted(re.findall(r"`(\w+)`", labels))))
        for name, kind, labels in ROW.findall(PAGE)
    }

    assert documented == shown()


def test_the_alerts_name_metrics_that_exist() -> None:
    (rules,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    used = {re.sub(r"_bucket$", "", name) for name in re.findall(r"\beventbridge_\w+", rules)}

    assert used
    assert used <= {name for name, _, _ in shown()}


def test_the_reasons_for_a_halt_are_all_named() -> None:
    (row,) = re.findall(r"^\| `eventbridge_partitions_halted` .*$", PAGE, re.MULTILINE)

    assert all(f"`{reason}`" in row for reason in HaltReason)
