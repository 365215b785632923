from prometheus_client import CollectorRegistry, generate_latest

from eventbridge.adapters.telemetry.gateway_metrics import GatewayMetrics


def scraped(metrics: GatewayMetrics) -> dict[str, float]:
    lines = generate_latest(metrics.registry).decode().splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines)
        if name.startswith("eventbridge_")
    }


def test_streams_are_counted_while_they_are_open() -> None:
    metrics = GatewayMetrics()

    metrics.connected()
    metrics.connected()
    metrics.disconnected("left")

    shown = scraped(metrics)
    assert shown["eventbridge_gateway_connections"] == 1
    assert shown['eventbridge_gateway_disconnects_total{reason="left"}'] == 1


def test_each_event_is_a_delivery_and_has_an_age_if_it_has_a_time() -> None:
    metrics = GatewayMetrics()

    metrics.delivered([1_000, 2_990, None, -1, 9_000], now_ms=3_000)

    shown = scraped(metrics)
    assert shown["eventbridge_gateway_deliveries_total"] == 5
    assert shown["eventbridge_delivery_age_seconds_count"] == 3
    assert shown["eventbridge_delivery_age_seconds_sum"] == 2.01
    assert shown['eventbridge_delivery_age_seconds_bucket{le="0.01"}'] == 2


def test_resumes_refusals_and_unchecked_limits_are_told_apart() -> None:
    metrics = GatewayMetrics()

    metrics.resumed("continuous")
    metrics.resumed("trimmed")
    metrics.refused("rate")
    metrics.failed_open("user")

    shown = scraped(metrics)
    assert shown['eventbridge_gateway_resumes_total{result="continuous"}'] == 1
    assert shown['eventbridge_gateway_resumes_total{result="trimmed"}'] == 1
    assert shown['eventbridge_gateway_refusals_total{reason="rate"}'] == 1
    assert shown['eventbridge_gateway_limits_failed_open_total{limit="user"}'] == 1


def test_a_registry_of_somebody_else_is_joined() -> None:
    registry = CollectorRegistry()

    metrics = GatewayMetrics(registry)

    assert metrics.registry is registry
    assert scraped(metrics)["eventbridge_gateway_connections"] == 0
