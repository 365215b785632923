"""The demo's settings, and the bridge that they make."""

from dataclasses import replace

from dependency_injector import providers

from ...adapters.kafka.settings import KafkaSettings
from .. import adapter_settings
from ..container import Container
from ..settings import BreakerGroup, GatewayGroup, KafkaGroup, RedisGroup, Settings
from .bridge_numbers import BridgeNumbers
from .servers import TOPIC


def demo_settings(kafka: str, redis_url: str, port: int = 0) -> Settings:
    """What bridge and gateway are told; `port` is the page's."""
    return Settings(
        source="demo",
        kafka=KafkaGroup(bootstrap_servers=(kafka,), topics=(TOPIC,)),
        redis=RedisGroup.model_validate({"url": redis_url}),
        # Quicker than by default, so that it can be watched: at few calls a second a window of ten
        # seconds takes five to fill with failures.
        breaker=BreakerGroup(window_seconds=3, probe_interval_seconds=0.5, probe_interval_max_seconds=2),
        gateway=GatewayGroup(auth="none", port=port, stale_after_seconds=2, drain_seconds=0.1),
    )


def kafka_settings(settings: Settings) -> KafkaSettings:
    """For the mock cluster: it answers a fetch at the end of its wait, not when a record comes, as Kafka
    does; and it holds a killed member's place until the session has timed out."""
    return replace(
        adapter_settings.kafka_settings(settings),
        fetch_max_wait_seconds=0.02,
        session_timeout_seconds=4,
        heartbeat_interval_seconds=0.5,
    )


def bridge_parts(settings: Settings, numbers: BridgeNumbers) -> Container:
    """The bridge as `eventbridge run` wires it, but for its numbers, which go to the screen."""
    container = Container(settings=settings)
    container.telemetry.override(providers.Object(numbers))
    container.kafka_settings.override(providers.Object(kafka_settings(settings)))
    return container
