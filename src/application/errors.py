"""What the adapters of our ports may raise: foreign errors are mapped to these at the edge."""

from ..domain.delivery import Partition
from ..domain.errors import EventBridgeError


class SinkUnavailable(EventBridgeError):
    """The sink cannot be written now; the outcome of the call is unknown. Counts against the breaker.

    `reason` is one of few words, fit for a metric's label (`timeout`, `connection`, `out_of_memory` …).
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason = reason
        super().__init__(f"the sink is not writable ({reason}){': ' + detail if detail else ''}")


class SinkMisconfigured(EventBridgeError):
    """The sink refuses us for a reason that only an operator can mend; opens nothing, halts."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason = reason
        super().__init__(f"the sink refuses us ({reason}){': ' + detail if detail else ''}")


class SourceUnavailable(EventBridgeError):
    """The source cannot be reached or does not answer now; trying again may help."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"the source does not answer: {detail}")


class SourceMisconfigured(EventBridgeError):
    """The source refuses us for a reason that only an operator can mend."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason = reason
        super().__init__(f"the source refuses us ({reason}){': ' + detail if detail else ''}")


class NotAssigned(EventBridgeError):
    """The partition is not, or no longer, ours."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        super().__init__(f"{partition} is not assigned to this bridge")


class PartitionPoisoned(EventBridgeError):
    """A batch of this partition cannot be read, however often (CRC, codec, header); others can."""

    def __init__(self, partition: Partition, offset: int, detail: str) -> None:
        self.partition = partition
        self.offset = offset
        super().__init__(f"{partition} cannot be read at offset {offset}: {detail}")


class PositionOutOfLog(EventBridgeError):
    """The log does not hold the position: retention or truncation has overtaken the reader."""

    def __init__(self, partition: Partition, position: int) -> None:
        self.partition = partition
        self.position = position
        super().__init__(f"{partition} has no offset {position} any more, or not yet")


class DeadLettersUnavailable(EventBridgeError):
    """The dead letters cannot be written now; nothing may be skipped meanwhile."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"the dead letters are not writable: {detail}")


class CircuitOpen(EventBridgeError):
    """The sink is not called now, and the caller did not want to wait."""

    def __init__(self) -> None:
        super().__init__("the circuit is open: the sink is not called")


class Unauthorized(EventBridgeError):
    """A page did not prove who it is (401). `reason` is a short phrase that repeats nothing of the proof."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"not authorised: {reason}")


class KeysUnavailable(Unauthorized):
    """Whether a token is good cannot be said yet: its key is still being fetched. Trying again may help.

    Not a 401 for an `EventSource`, which would give up for good.
    """

    def __init__(self) -> None:
        super().__init__("the key of the token is not known yet")


class ForbiddenOrigin(EventBridgeError):
    """A cookie authenticates the request, but not a page that may make it (403)."""

    def __init__(self) -> None:
        super().__init__("a cookie counts only from an origin on the list (gateway.cors_origins)")


class Revoked(EventBridgeError):
    """The token is good, but it or its user was revoked (204: an `EventSource` then stops)."""

    def __init__(self) -> None:
        super().__init__("the token or its user was revoked")
