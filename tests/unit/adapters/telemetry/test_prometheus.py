from prometheus_client import generate_latest

from eventbridge.adapters.telemetry.prometheus import PrometheusTelemetry
from eventbridge.adapters.telemetry.series import MAX_LABEL_VALUES
from eventbridge.domain.delivery import Partition

NOW = 1_700_000_000_000


def exposition(telemetry: PrometheusTelemetry) -> str:
    """Our own series as a scrape shows them, without the explaining lines."""
    lines = generate_latest(telemetry.registry).decode().splitlines()
    return "\n".join(line for line in lines if line.startswith("eventbridge_"))


def sample(telemetry: PrometheusTelemetry, name: str, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(name, labels)


def test_metrics_collection() -> None:
    telemetry = PrometheusTelemetry()

    telemetry.consumed("genesis", 500)
    telemetry.consumed("genesis", 20)
    telemetry.filtered(100)
    telemetry.rejected("missing_field", 3)
    telemetry.rejected("too_large", 1)
    telemetry.published(3, 2, [NOW - 7_200_000] * 2 + [NOW - 5, NOW - 30, NOW - 2_000], NOW)
    telemetry.dropped("policy", 7)
    telemetry.publish_took(0.0025)
    telemetry.publish_took(9.5)
    telemetry.publish_failed("timeout")
    telemetry.committed()
    telemetry.rebalanced()
    telemetry.circuit("open", 0.75)
    telemetry.halted(Partition("genesis", 1), "state_lost")
    telemetry.lag(Partition("genesis", 0), 12)

    assert (
        exposition(telemetry)
        == """\
eventbridge_events_consumed_total{topic="genesis"} 520.0
eventbridge_events_filtered_total 100.0
eventbridge_events_rejected_total{reason="missing_field"} 3.0
eventbridge_events_rejected_total{reason="too_large"} 1.0
eventbridge_events_published_total 3.0
eventbridge_events_duplicates_total 2.0
eventbridge_events_dropped_total{reason="policy"} 7.0
eventbridge_publish_duration_seconds_bucket{le="0.001"} 0.0
eventbridge_publish_duration_seconds_bucket{le="0.0025"} 1.0
eventbridge_publish_duration_seconds_bucket{le="0.005"} 1.0
eventbridge_publish_duration_seconds_bucket{le="0.01"} 1.0
eventbridge_publish_duration_seconds_bucket{le="0.025"} 1.0
eventbridge_publish_duration_seconds_bucket{le="0.05"} 1.0
eventbridge_publish_duration_seconds_bucket{le="0.1"} 1.0
eventbridge_publish_duration_seconds_bucket{le="0.25"} 1.0
eventbridge_publish_duration_seconds_bucket{le="0.5"} 1.0
eventbridge_publish_duration_seconds_bucket{le="1.0"} 1.0
eventbridge_publish_duration_seconds_bucket{le="2.5"} 1.0
eventbridge_publish_duration_seconds_bucket{le="5.0"} 1.0
eventbridge_publish_duration_seconds_bucket{le="+Inf"} 2.0
eventbridge_publish_duration_seconds_count 2.0
eventbridge_publish_duration_seconds_sum 9.5025
eventbridge_publish_failures_total{reason="timeout"} 1.0
eventbridge_event_age_seconds_bucket{le="0.005"} 1.0
eventbridge_event_age_seconds_bucket{le="0.01"} 1.0
eventbridge_event_age_seconds_bucket{le="0.025"} 1.0
eventbridge_event_age_seconds_bucket{le="0.05"} 2.0
eventbridge_event_age_seconds_bucket{le="0.1"} 2.0
eventbridge_event_age_seconds_bucket{le="0.25"} 2.0
eventbridge_event_age_seconds_bucket{le="0.5"} 2.0
eventbridge_event_age_seconds_bucket{le="1.0"} 2.0
eventbridge_event_age_seconds_bucket{le="2.5"} 3.0
eventbridge_event_age_seconds_bucket{le="5.0"} 3.0
eventbridge_event_age_seconds_bucket{le="10.0"} 3.0
eventbridge_event_age_seconds_bucket{le="30.0"} 3.0
eventbridge_event_age_seconds_bucket{le="60.0"} 3.0
eventbridge_event_age_seconds_bucket{le="300.0"} 3.0
eventbridge_event_age_seconds_bucket{le="3600.0"} 3.0
eventbridge_event_age_seconds_bucket{le="+Inf"} 3.0
eventbridge_event_age_seconds_count 3.0
eventbridge_event_age_seconds_sum 2.035
eventbridge_circuit_state{state="closed"} 0.0
eventbridge_circuit_state{state="open"} 1.0
eventbridge_circuit_state{state="half_open"} 0.0
eventbridge_sink_failure_ratio 0.75
eventbridge_partitions_halted{reason="state_lost"} 1.0
eventbridge_consumer_lag{partition="0",topic="genesis"} 12.0
eventbridge_commits_total 1.0
eventbridge_rebalances_total 1.0"""
    )


def test_registries_of_two_bridges_share_nothing() -> None:
    first, second = PrometheusTelemetry(), PrometheusTelemetry()

    first.committed()

    assert sample(first, "eventbridge_commits_total") == 1
    assert sample(second, "eventbridge_commits_total") == 0


def test_process_and_platform_are_shown_beside_ours() -> None:
    telemetry = PrometheusTelemetry()

    text = generate_latest(telemetry.registry).decode()

    assert "process_cpu_seconds_total" in text
    assert "python_info" in text


def test_an_event_from_the_future_has_no_negative_age() -> None:
    telemetry = PrometheusTelemetry()

    telemetry.published(2, 0, [NOW + 60_000, NOW], NOW)

    assert sample(telemetry, "eventbridge_event_age_seconds_bucket", le="0.005") == 2
    assert sample(telemetry, "eventbridge_event_age_seconds_sum") == 0


def test_a_record_without_a_timestamp_has_no_age() -> None:
    telemetry = PrometheusTelemetry()

    telemetry.published(2, 0, [-1, NOW - 1_000], NOW)

    assert sample(telemetry, "eventbridge_event_age_seconds_count") == 1
    assert sample(telemetry, "eventbridge_event_age_seconds_sum") == 1


def test_what_the_sink_already_had_has_no_age() -> None:
    telemetry = PrometheusTelemetry()

    telemetry.published(0, 3, [NOW - 1_000] * 3, NOW)

    assert sample(telemetry, "eventbridge_event_age_seconds_count") == 0
    assert sample(telemetry, "eventbridge_events_duplicates_total") == 3


def test_a_full_call_counts_each_event_in_every_bucket_above_its_age() -> None:
    telemetry = PrometheusTelemetry()
    ages = list(range(0, 5_000, 10))

    telemetry.published(len(ages), 0, [NOW - age for age in ages], NOW)

    for bound in (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 3600.0):
        below = sample(telemetry, "eventbridge_event_age_seconds_bucket", le=repr(bound))
        assert below == sum(1 for age in ages if age <= bound * 1000)


def test_a_partition_counts_as_halted_for_its_latest_reason_only() -> None:
    telemetry = PrometheusTelemetry()
    zero, one = Partition("genesis", 0), Partition("genesis", 1)

    telemetry.halted(zero, "state_lost")
    telemetry.halted(one, "state_lost")
    telemetry.halted(one, "source_rewound")
    telemetry.halted(one, "source_rewound")
    telemetry.halted(zero, None)
    telemetry.halted(zero, None)

    assert sample(telemetry, "eventbridge_partitions_halted", reason="state_lost") == 0
    assert sample(telemetry, "eventbridge_partitions_halted", reason="source_rewound") == 1


def test_the_lag_of_a_partition_that_went_to_others_disappears() -> None:
    telemetry = PrometheusTelemetry()

    telemetry.lag(Partition("genesis", 3), 10)
    telemetry.lag(Partition("genesis", 4), 20)
    telemetry.lag(Partition("genesis", 3), None)
    telemetry.lag(Partition("genesis", 5), None)

    assert "eventbridge_consumer_lag" in exposition(telemetry)
    assert sample(telemetry, "eventbridge_consumer_lag", topic="genesis", partition="3") is None
    assert sample(telemetry, "eventbridge_consumer_lag", topic="genesis", partition="4") == 20


def test_the_breaker_is_shown_closed_before_it_says_anything() -> None:
    telemetry = PrometheusTelemetry()

    assert sample(telemetry, "eventbridge_circuit_state", state="closed") == 1
    assert sample(telemetry, "eventbridge_circuit_state", state="half_open") == 0


def test_a_label_cannot_grow_without_bound() -> None:
    telemetry = PrometheusTelemetry()

    for number in range(10_000):
        telemetry.rejected(f"reason {number}", 1)

    lines = [line for line in exposition(telemetry).splitlines() if "rejected" in line]
    assert len(lines) == MAX_LABEL_VALUES + 1
    assert sample(telemetry, "eventbridge_events_rejected_total", reason="other") == 10_000 - MAX_LABEL_VALUES


def test_a_reason_of_any_text_cannot_forge_a_line() -> None:
    telemetry = PrometheusTelemetry()

    telemetry.rejected('x"} 1\nforged 2', 1)

    assert 'reason="x\\"} 1\\nforged 2"' in exposition(telemetry)
