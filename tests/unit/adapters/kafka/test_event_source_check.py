"""What probes are told of a source whose servers say nothing."""

from eventbridge.adapters.kafka.client_manager import KafkaClientManager
from eventbridge.adapters.kafka.event_source import KafkaEventSource
from eventbridge.adapters.kafka.settings import KafkaSettings


def test_a_source_without_a_sign_of_kafka_for_too_long_fails_its_check() -> None:
    checks = []
    for patience in (60.0, 0.0):
        settings = KafkaSettings(
            bootstrap_servers=("nowhere.invalid:9092",), topics=("events",), stale_after_seconds=patience
        )
        checks.append(KafkaEventSource(KafkaClientManager(settings)).check())

    assert [check.ok for check in checks] == [True, False]
    assert checks[0].name == "kafka"
