"""From settings to aiokafka's clients."""

import ssl
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import KafkaError

from ...application.concealing import conceal
from ...application.errors import SourceMisconfigured
from .bounded_decompression import bound_decompression
from .fast_checksums import check_fast
from .foreign_errors import refusal
from .oauth_tokens import EndpointToken, FileToken, TokenEndpoint
from .settings import KafkaSettings

_OF_CONNECTIONS = {
    "client_id",
    "request_timeout_ms",
    "security_protocol",
    "ssl_context",
    "sasl_mechanism",
    "sasl_plain_username",
    "sasl_plain_password",
    "sasl_oauth_token_provider",
}

FOREVER_MS = 2**31 - 1
"""24 days: aiokafka's poll interval is switched off with it, see `KafkaClientManager.consumer`."""


class KafkaClientManager:
    """Makes the clients of one bridge; who asks for a client starts and stops it.

    Certificates are read, and batches are bounded (for the whole process), when this is made; the token
    provider is common to all clients, so that they share one token. Raises `SourceMisconfigured`.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self.settings = settings
        bound_decompression(settings.max_batch_bytes)
        self._connection = self._connection_options()

    def consumer(self) -> AIOKafkaConsumer:
        """A member of the group, not started and not subscribed; to be called where a loop runs.

        A member stays in the group while its loop turns, however long nobody polls (all partitions may
        wait for the sink for an hour): heartbeats prove that, so aiokafka's own poll interval, which
        would leave the group, is set out of reach. A stuck loop sends no heartbeats and loses the
        membership after the session timeout.
        """
        settings = self.settings
        options: dict[str, Any] = self._connection | {
            "request_timeout_ms": _ms(settings.member_request_timeout_seconds)
        }
        return AIOKafkaConsumer(
            **options,
            group_id=settings.group_id,
            group_instance_id=settings.instance_id,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            check_crcs=not check_fast(),
            fetch_max_bytes=settings.fetch_max_bytes,
            max_partition_fetch_bytes=settings.max_partition_fetch_bytes,
            fetch_max_wait_ms=_ms(settings.fetch_max_wait_seconds),
            session_timeout_ms=_ms(settings.session_timeout_seconds),
            heartbeat_interval_ms=_ms(settings.heartbeat_interval_seconds),
            rebalance_timeout_ms=_ms(settings.rebalance_timeout_seconds),
            max_poll_interval_ms=FOREVER_MS,
        )

    def reader(self) -> AIOKafkaConsumer:
        """A consumer that belongs to no group, for looking at topics; not started."""
        return AIOKafkaConsumer(
            **self._connection,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
        )

    def producer(self) -> AIOKafkaProducer:
        """A producer that neither loses nor repeats what it sends (idempotent, all acks); not started."""
        return AIOKafkaProducer(
            **self._connection,
            acks="all",
            enable_idempotence=True,
            max_request_size=self.settings.max_request_bytes,
        )

    async def why_unreachable(self) -> BaseException | None:
        """Try to reach one of the bootstrap servers and log in; None where that works, else what failed.

        aiokafka logs why it cannot connect and then says only that it cannot: this tells a wrong password
        from an absent broker. A refusal counts more than a failure to connect.
        """
        options = {name: value for name, value in self._connection.items() if name in _OF_CONNECTIONS}
        failure: BaseException | None = None
        for host, port, _ in collect_hosts(self._connection["bootstrap_servers"], randomize=False):
            try:
                connection = await create_conn(host, port, **options)
            except (OSError, EOFError, TimeoutError, KafkaError, ValueError) as error:
                conceal(error, self._sent_to_log_in())
                if failure is None or refusal(error):
                    failure = error
            else:
                connection.close()
                return None
        return failure

    def _sent_to_log_in(self) -> list[str]:
        """The secrets that a broker's refusal may repeat."""
        tokens: FileToken | EndpointToken | None = self._connection.get("sasl_oauth_token_provider")
        sent = (self.settings.sasl_password, None if tokens is None else tokens.last)
        return [secret for secret in sent if secret]

    def _connection_options(self) -> dict[str, Any]:
        settings = self.settings
        options: dict[str, Any] = {
            "bootstrap_servers": list(settings.bootstrap_servers),
            "client_id": settings.client_id,
            "security_protocol": settings.security_protocol,
            "request_timeout_ms": _ms(settings.request_timeout_seconds),
            "metadata_max_age_ms": 60_000,
        }
        if settings.security_protocol.endswith("SSL"):
            options["ssl_context"] = _tls(settings)
        if settings.security_protocol.startswith("SASL_"):
            options["sasl_mechanism"] = settings.sasl_mechanism
            if settings.sasl_mechanism == "OAUTHBEARER":
                options["sasl_oauth_token_provider"] = _tokens(settings)
            else:
                options["sasl_plain_username"] = settings.sasl_username
                options["sasl_plain_password"] = settings.sasl_password
        return options


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _tls(settings: KafkaSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ssl_ca_file)
        context.check_hostname = settings.ssl_check_hostname
        if settings.ssl_certificate_file is not None:
            context.load_cert_chain(
                settings.ssl_certificate_file,
                settings.ssl_key_file,
                settings.ssl_key_password or "",  # None would ask at the terminal
            )
    except (OSError, ValueError) as error:
        raise SourceMisconfigured("certificate", f"the TLS files cannot be used: {error}") from error
    return context


def _tokens(settings: KafkaSettings) -> FileToken | EndpointToken:
    if settings.sasl_oauth_token_file is not None:
        return FileToken(settings.sasl_oauth_token_file)
    return EndpointToken(
        TokenEndpoint(
            settings.sasl_oauth_token_url or "",
            settings.sasl_oauth_client_id or "",
            settings.sasl_oauth_client_secret or "",
            settings.sasl_oauth_scope,
            settings.request_timeout_seconds,
        )
    )
