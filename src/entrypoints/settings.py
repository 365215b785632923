"""The settings: what an operator can decide, with the defaults that run on a laptop.

Every name, default and meaning is listed in `docs/settings.md`. Building `Settings` reads nothing from
outside; `settings_loading` does.
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ..domain.white_list import DEFAULT_ALLOW
from . import setting_names
from .setting_checks import allowed_patterns, breaker_contradictions, kafka_contradictions, redis_url
from .setting_types import (
    Count,
    Group,
    Limit,
    Name,
    Optional,
    OptionalSecret,
    Port,
    Seconds,
    Servers,
    Share,
    SomeTexts,
    Texts,
)
from .settings_errors import Inconsistent


class KafkaGroup(Group):
    """Where events come from."""

    bootstrap_servers: Servers = ("localhost:9092",)
    """Brokers to ask first, host:port."""
    topics: SomeTexts = ("genesis.session.events",)
    """Topics to read."""
    group_id: Name = "event-bridge"
    """Consumer group; its members share the partitions."""
    client_id: Name = "eventbridge"
    """Name shown in the brokers' logs and quotas."""
    instance_id: Optional = None
    """Static membership: a name that only this process uses and keeps over restarts, so that a restart
    moves no partitions."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How the brokers are spoken to."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = "SCRAM-SHA-512"
    """How to log in, with `SASL_PLAINTEXT` and `SASL_SSL`."""
    sasl_username: Optional = None
    """User, for `PLAIN` and `SCRAM-…`."""
    sasl_password: OptionalSecret = None
    """Password, for `PLAIN` and `SCRAM-…`."""
    sasl_allow_plaintext_password: bool = False
    """Permits `PLAIN` and `OAUTHBEARER` over `SASL_PLAINTEXT`, where the secret can be overheard."""
    sasl_oauth_token_file: Optional = None
    """File that holds the token for `OAUTHBEARER`, renewed by somebody else; read for each connection."""
    sasl_oauth_token_url: Optional = None
    """Token endpoint for `OAUTHBEARER` (client credentials grant), where there is no such file."""
    sasl_oauth_client_id: Optional = None
    """Client, for `OAUTHBEARER`."""
    sasl_oauth_client_secret: OptionalSecret = None
    """Its secret, for `OAUTHBEARER`."""
    sasl_oauth_scope: Optional = None
    """Scope to ask for, for `OAUTHBEARER`."""
    ssl_ca_file: Optional = None
    """Certificates (PEM) to trust; not set: those of the system."""
    ssl_certificate_file: Optional = None
    """Our certificate (PEM), for mutual TLS."""
    ssl_key_file: Optional = None
    """Its key (PEM)."""
    ssl_key_password: OptionalSecret = None
    """The key's password."""
    ssl_check_hostname: bool = True
    """Whether a broker's certificate must name its host."""
    auto_offset_reset: Literal["earliest", "latest"] = "earliest"
    """Where the very first start begins; never looked at again."""
    max_batch_records: Count = 2000
    """Records that one poll hands over at most."""
    fetch_max_bytes: Count = 16_777_216
    """Bytes that one broker's answer holds at most."""
    max_record_bytes: Count = 1_048_576
    """A larger record is rejected as `too_large` before it is parsed."""
    dead_letter_topic: Optional = None
    """Keeps rejected records whole; not set: they are counted and logged."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if found := kafka_contradictions(self):
            raise Inconsistent(found)
        return self


class CommitGroup(Group):
    """When progress is written down."""

    batch_size: Count = 1000
    """Records after which offsets are committed to Kafka."""
    interval_seconds: Seconds = 2.0
    """Time after which they are, if that is sooner."""
    checkpoint_seconds: Annotated[Seconds, Field(ge=0.1, le=60)] = 2.0
    """How often every shard is asked whether it was rolled back; 1 to 5 is sensible."""


class FilterGroup(Group):
    """Which events users may see."""

    allow: Annotated[SomeTexts, AfterValidator(allowed_patterns)] = DEFAULT_ALLOW
    """White-list of event types: `*` is one segment, `**` one or more."""


class BreakerGroup(Group):
    """When a failing Redis is left alone."""

    window_seconds: Seconds = 10.0
    """Calls that ended longer ago count no more."""
    failure_rate: Share = 0.5
    """Share of failed calls in the window that opens it."""
    minimum_calls: Count = 2
    """With fewer calls in the window the share says nothing."""
    probe_interval_seconds: Seconds = 1.0
    """From the opening to the first probe."""
    probe_interval_max_seconds: Seconds = 5.0
    """What that interval grows to at most."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if found := breaker_contradictions(self):
            raise Inconsistent(found)
        return self


class MessageGroup(Group):
    """What a page receives."""

    max_bytes: Annotated[int, Field(ge=1024)] = 65_536
    """A larger message is sent without its payload."""


class RedisGroup(Group):
    """Where the users' streams are kept."""

    url: Annotated[SecretStr, AfterValidator(redis_url)] = SecretStr("redis://localhost:6379/0")
    """`redis://`, `rediss://` (TLS), `redis+sentinel://host:port,host:port/service/db` or
    `redis+cluster://host:port,host:port`; user and password go before an `@`, and for TLS
    the files `?ssl_ca_certs=`, `ssl_certfile=`, `ssl_keyfile=` to the end."""
    shards: Annotated[Count, Field(le=16_384)] | None = None
    """Parts that streams are spread over, fixed at the first start; not set: 8 for one server, 128 for
    Cluster."""
    stream_max_length: Count = 1000
    """Messages kept for a user, approximately."""
    stream_ttl_seconds: Count = 86_400
    """A stream without new messages is gone after this."""
    timeout_seconds: Seconds = 5.0
    """A call without an answer has failed after this."""
    durability: Literal["none", "replica", "disk"] = "none"
    """What a write waits for: nothing, one replica (`WAIT`), or the disk (`WAITAOF`, Redis 7.2)."""


class GatewayGroup(Group):
    """How streams are served to pages; read by `eventbridge serve` alone."""

    host: Name = "127.0.0.1"
    """Address to listen on."""
    port: Port = 8080
    """Port to listen on; 0 takes a free one."""
    auth: Literal["jwt", "none"] = "jwt"
    """How users are told apart; `none` is for development."""
    jwt_key: OptionalSecret = None
    """Key that tokens are verified with: a secret, or a PEM public key."""
    jwks_url: Optional = None
    """Where the keys are fetched from instead."""
    jwt_algorithms: SomeTexts = ("RS256", "ES256")
    """Algorithms that are accepted, no others."""
    jwt_audience: Optional = None
    """What a token's `aud` must hold."""
    jwt_issuer: Optional = None
    """What a token's `iss` must be."""
    cors_origins: Texts = ()
    """Origins that may connect with credentials, exactly as browsers send them."""
    trusted_proxies: Texts = ()
    """Addresses or networks whose `X-Forwarded-For` is believed."""
    max_connections: Limit = 20_000
    """Open streams in all; 0 is no limit."""
    max_connections_per_address: Limit = 200
    """Open streams of one client address; 0 is no limit."""
    max_connections_per_user: Limit = 12
    """Open streams of one user; 0 is no limit."""
    connects_per_second: Limit = 500
    """New streams per second; 0 is no limit."""
    heartbeat_seconds: Seconds = 15.0
    """Pause between two signs of life on a quiet stream."""
    stale_after_seconds: Seconds = 10.0
    """Redis away for longer than this is told to pages."""
    replay_max_entries: Count = 1000
    """Messages that a resume sends at most."""
    drain_seconds: Seconds = 20.0
    """Time over which streams are ended at a stop."""
    max_age_seconds: Seconds = 900.0
    """A stream is ended after this, and taken up again by the page."""
    send_timeout_seconds: Seconds = 20.0
    """A page that takes nothing for this long is disconnected."""


class TelemetryGroup(Group):
    """What operators see. Traces follow the standard `OTEL_*` variables."""

    metrics_host: Name = setting_names.METRICS_HOST
    """Address of `/metrics` and `/health`."""
    metrics_port: Port = setting_names.METRICS_PORT
    """Their port; 0 takes a free one."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lines below this are not written."""
    log_format: Literal["json", "console"] | None = None
    """JSON lines, or text for people; not set: `console` at a terminal, else `json`."""


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix=setting_names.PREFIX,
        env_nested_delimiter="__",
        env_nested_max_split=1,
        env_ignore_empty=True,
        enable_decoding=False,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    source: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = "main"
    """Name of the log that is read; a new name starts over (topic recreated, replay on purpose)."""
    on_sink_failure: Literal["hold", "drop"] = "hold"
    """While Redis cannot be written: lose nothing and wait, or pass events and announce it."""
    on_state_lost: Literal["stop", "committed", "earliest"] = "stop"
    """Redis has forgotten what it held: halt, or go on from Kafka's commit or from the log's start."""
    on_retention_loss: Literal["stop", "continue"] = "stop"
    """Kafka has deleted what was not yet delivered: halt, or go on with what is left."""
    kafka: KafkaGroup = KafkaGroup()
    commit: CommitGroup = CommitGroup()
    filter: FilterGroup = FilterGroup()
    breaker: BreakerGroup = BreakerGroup()
    message: MessageGroup = MessageGroup()
    redis: RedisGroup = RedisGroup()
    gateway: GatewayGroup = GatewayGroup()
    telemetry: TelemetryGroup = TelemetryGroup()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Build from what is handed in alone: `settings_loading` reads the sources, to know each origin."""
        return (init_settings,)
