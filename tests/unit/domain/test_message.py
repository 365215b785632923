"""The message as a value."""

import pytest

from eventbridge.domain.message import EventScope, SSEMessage


def test_a_message_is_for_one_user_unless_it_says_otherwise() -> None:
    message = SSEMessage(event="Genesis.Session.Started", data=b"{}")

    assert (message.scope, message.version) == (EventScope.USER, "1.0")
    assert (message.id, message.retry) == (None, None)


def test_a_message_cannot_be_changed() -> None:
    message = SSEMessage(event="Genesis.Session.Started", data=b"{}")

    with pytest.raises(AttributeError):
        message.id = "1-0"  # type: ignore[misc]  # the point of the test


def test_scopes_have_the_names_that_stand_in_messages() -> None:
    assert [scope.value for scope in EventScope] == ["user", "session", "topic", "global"]
