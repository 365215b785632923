"""From the operator's settings to the values that adapters, application and domain take."""

from collections.abc import Iterator

from pydantic import BaseModel, SecretStr

from ..adapters.kafka.settings import KafkaSettings
from ..adapters.redis.settings import Address, Durability, RedisSettings
from ..application.event_bridge import BridgeSettings
from ..domain.assignment import AssignmentPolicy, OffsetReset, OnRetentionLoss, OnStateLost
from ..domain.circuit_breaker import BreakerPolicy
from .settings import Settings

STOP_LIMIT_SECONDS = 7.0
"""For what is in flight at a stop; the commit and leaving the group come after it (20 s in all)."""


def kafka_settings(settings: Settings) -> KafkaSettings:
    """What Kafka's clients take."""
    kafka = settings.kafka
    return KafkaSettings(
        bootstrap_servers=kafka.bootstrap_servers,
        topics=kafka.topics,
        group_id=kafka.group_id,
        client_id=kafka.client_id,
        instance_id=kafka.instance_id,
        security_protocol=kafka.security_protocol,
        sasl_mechanism=kafka.sasl_mechanism,
        sasl_username=kafka.sasl_username,
        sasl_password=_revealed(kafka.sasl_password),
        sasl_allow_plaintext_password=kafka.sasl_allow_plaintext_password,
        sasl_oauth_token_file=kafka.sasl_oauth_token_file,
        sasl_oauth_token_url=kafka.sasl_oauth_token_url,
        sasl_oauth_client_id=kafka.sasl_oauth_client_id,
        sasl_oauth_client_secret=_revealed(kafka.sasl_oauth_client_secret),
        sasl_oauth_scope=kafka.sasl_oauth_scope,
        ssl_ca_file=kafka.ssl_ca_file,
        ssl_certificate_file=kafka.ssl_certificate_file,
        ssl_key_file=kafka.ssl_key_file,
        ssl_key_password=_revealed(kafka.ssl_key_password),
        ssl_check_hostname=kafka.ssl_check_hostname,
        fetch_max_bytes=kafka.fetch_max_bytes,
    )


def redis_settings(settings: Settings) -> RedisSettings:
    """What the sink in Redis takes."""
    redis = settings.redis
    return RedisSettings(
        url=redis.url.get_secret_value(),
        shards=redis.shards,
        stream_max_length=redis.stream_max_length,
        stream_ttl_seconds=redis.stream_ttl_seconds,
        timeout_seconds=redis.timeout_seconds,
        durability=Durability(redis.durability),
    )


def breaker_policy(settings: Settings) -> BreakerPolicy:
    """When the circuit breaker opens, and how it probes."""
    return BreakerPolicy(**settings.breaker.model_dump())


def bridge_settings(settings: Settings) -> BridgeSettings:
    """What the bridge itself takes."""
    return BridgeSettings(
        policy=AssignmentPolicy(
            source=settings.source,
            offset_reset=OffsetReset(settings.kafka.auto_offset_reset),
            on_state_lost=OnStateLost(settings.on_state_lost),
            on_retention_loss=OnRetentionLoss(settings.on_retention_loss),
        ),
        drop_on_sink_failure=settings.on_sink_failure == "drop",
        max_batch_records=settings.kafka.max_batch_records,
        max_message_bytes=settings.message.max_bytes,
        commit_batch_size=settings.commit.batch_size,
        commit_interval_seconds=settings.commit.interval_seconds,
        checkpoint_seconds=settings.commit.checkpoint_seconds,
        stop_limit_seconds=STOP_LIMIT_SECONDS,
    )


def redis_place(settings: Settings) -> str:
    """Redis' addresses in words, without user and password."""
    address = Address.parse(settings.redis.url.get_secret_value())
    return ", ".join(f"{host}:{port}" for host, port in address.hosts)


def secrets_of(settings: Settings) -> Iterator[str]:
    """Every secret in force, for whoever must keep them out of log lines."""
    for name in type(settings).model_fields:
        group = getattr(settings, name)
        if isinstance(group, BaseModel):
            values = (getattr(group, field) for field in type(group).model_fields)
            yield from (value.get_secret_value() for value in values if isinstance(value, SecretStr))
    if password := Address.parse(settings.redis.url.get_secret_value()).password:
        yield password


def _revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
