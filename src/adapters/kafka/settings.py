"""How the brokers are reached, and how much is read at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from ...application.errors import SourceMisconfigured

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]


JOIN_MARGIN_SECONDS = 5.0
"""As Kafka's own client adds it to the rebalance timeout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    """Settings of one bridge's Kafka clients; bytes and seconds.

    What would lose events cannot be chosen: there is no automatic commit, no automatic offset reset, and
    only committed transactions are read. Raises `SourceMisconfigured` for what contradicts itself.
    """

    bootstrap_servers: Sequence[str] = ("localhost:9092",)
    topics: Sequence[str] = ("genesis.session.events",)
    group_id: str = "event-bridge"
    client_id: str = "eventbridge"
    instance_id: str | None = None
    """Static membership: one name per process, never shared; a duplicate makes both rejoin for ever."""

    security_protocol: SecurityProtocol = "PLAINTEXT"
    sasl_mechanism: SaslMechanism = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: str | None = field(default=None, repr=False)
    sasl_allow_plaintext_password: bool = False
    """Permits PLAIN and OAUTHBEARER over SASL_PLAINTEXT, where the secret can be overheard."""
    sasl_oauth_token_file: str | None = None
    """A file that holds the token and is renewed by somebody else."""
    sasl_oauth_token_url: str | None = None
    """Token endpoint for the client credentials grant (RFC 6749, section 4.4)."""
    sasl_oauth_client_id: str | None = None
    sasl_oauth_client_secret: str | None = field(default=None, repr=False)
    sasl_oauth_scope: str | None = None

    ssl_ca_file: str | None = None
    """PEM; None: what the system trusts."""
    ssl_certificate_file: str | None = None
    ssl_key_file: str | None = None
    ssl_key_password: str | None = field(default=None, repr=False)
    ssl_check_hostname: bool = True

    fetch_max_bytes: int = 16_777_216
    """In one broker's answer; up to this much per broker is in flight."""
    max_partition_fetch_bytes: int = 1_835_008
    """Of one partition in an answer; a larger batch still arrives, alone (KIP-74). A poll hands over what one
    answer held, so this, too, bounds batches. Each assigned partition may hold as much in memory, raw and
    once more decoded."""
    max_batch_bytes: int = 16_777_216
    """Of one batch after decompression; a batch that unpacks to more is refused, never unpacked."""
    fetch_max_wait_seconds: float = 0.1
    """How long a broker may hold back an empty answer. A partition that has nothing buffered waits for
    the answer that its broker is about to give, so this bounds the delay that idle partitions cause."""
    session_timeout_seconds: float = 45.0
    heartbeat_interval_seconds: float = 3.0
    rebalance_timeout_seconds: float = 20.0
    """How long a rebalance waits for a member; then the group goes on without it."""
    revocation_limit_seconds: float = 10.0
    """For the listener; less than the rebalance timeout."""
    request_timeout_seconds: float = 10.0
    """For one request. The group member's clients have `member_request_timeout_seconds` instead."""
    start_limit_seconds: float = 15.0
    commit_limit_seconds: float = 5.0
    stop_limit_seconds: float = 5.0
    stale_after_seconds: float = 60.0
    """Without any sign of progress for so long, the consumer is built anew."""
    max_request_bytes: int = 1_048_576
    """Of one dead letter on its way to the broker."""

    @property
    def member_request_timeout_seconds(self) -> float:
        """For one request of a group member: a broker answers a join only when the rebalance is over.

        aiokafka has one limit for all requests. A join that is given up is begun again, with another
        look for the coordinator and another connection, for as long as the rebalance takes.
        """
        return max(self.request_timeout_seconds, self.rebalance_timeout_seconds + JOIN_MARGIN_SECONDS)

    def __post_init__(self) -> None:
        if not self.topics or not self.bootstrap_servers:
            raise SourceMisconfigured("incomplete", "topics and bootstrap servers must be named")
        if self.rebalance_timeout_seconds <= self.revocation_limit_seconds:
            raise SourceMisconfigured("contradiction", "revocation takes longer than a rebalance may")
        if self.security_protocol.startswith("SASL_"):
            self._check_login()

    def _check_login(self) -> None:
        mechanism = self.sasl_mechanism
        if mechanism == "OAUTHBEARER":
            if self.sasl_oauth_token_file is None and None in (
                self.sasl_oauth_token_url,
                self.sasl_oauth_client_id,
                self.sasl_oauth_client_secret,
            ):
                raise SourceMisconfigured(
                    "incomplete",
                    "OAUTHBEARER needs a token file, or a token URL, client id and client secret",
                )
        elif self.sasl_username is None or self.sasl_password is None:
            raise SourceMisconfigured("incomplete", f"{mechanism} needs a user and a password")
        if (
            self.security_protocol == "SASL_PLAINTEXT"
            and mechanism in ("PLAIN", "OAUTHBEARER")
            and not self.sasl_allow_plaintext_password
        ):
            raise SourceMisconfigured(
                "insecure_login", f"{mechanism} over SASL_PLAINTEXT would send the secret unencrypted"
            )
