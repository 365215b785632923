"""What aiokafka raises, said in the words of the ports."""

import ssl

from aiokafka import errors

from ...application.errors import SourceMisconfigured, SourceUnavailable

REFUSALS: dict[type[Exception], str] = {
    errors.TopicAuthorizationFailedError: "topic_authorization",
    errors.GroupAuthorizationFailedError: "group_authorization",
    errors.ClusterAuthorizationFailedError: "cluster_authorization",
    errors.TransactionalIdAuthorizationFailed: "transactional_id_authorization",
    errors.SaslAuthenticationFailed: "authentication",
    errors.AuthenticationFailedError: "authentication",
    errors.UnsupportedSaslMechanismError: "sasl_mechanism",
    errors.IllegalSaslStateError: "sasl_mechanism",
    errors.InvalidGroupIdError: "group_id",
    errors.InconsistentGroupProtocolError: "group_protocol",
    errors.InvalidSessionTimeoutError: "session_timeout",
    errors.InvalidTopicError: "topic_name",
    errors.OffsetMetadataTooLargeError: "offset_metadata",
    errors.IncompatibleBrokerVersion: "broker_version",
    errors.UnsupportedVersionError: "broker_version",
    ssl.SSLCertVerificationError: "certificate",
}
"""Errors that only an operator can mend, and the word for each."""


def refusal(error: BaseException) -> str | None:
    """The word for an error that trying again does not mend, None for any other."""
    seen: BaseException | None = error
    while seen is not None:
        for kind, word in REFUSALS.items():
            if isinstance(seen, kind):
                return word
        seen = seen.__cause__
    return None


def translated(error: BaseException, doing: str) -> SourceUnavailable | SourceMisconfigured:
    """The port's error for a foreign one; `doing` says what was tried."""
    said = f"{doing}: {described(error)}"
    word = refusal(error)
    return SourceMisconfigured(word, said) if word else SourceUnavailable(said)


def described(error: BaseException) -> str:
    """The error in a line: its kind, and what it says where it says something."""
    text = " ".join(str(error).split())
    name = type(error).__name__
    if not text or text.startswith(name):
        return text[:300] or name
    return f"{name}: {text}"[:300]
