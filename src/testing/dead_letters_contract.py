"""The contract of `DeadLetters`."""

# ruff: noqa: D102 - a test's name is its sentence

from collections.abc import Sequence
from typing import ClassVar, Protocol

import pytest

from ..application.ports import DeadLetter, DeadLetters, Record
from ..domain.delivery import Partition
from .cancellation import cancelled_at


class DeadLettersUnderTest(Protocol):
    """Dead letters without content, and a way to read them that does not go through them."""

    dead_letters: DeadLetters

    async def kept(self) -> Sequence[DeadLetter]:
        """Everything kept so far, letters of one key in order.

        `too_large` need not be kept: the reason says so.
        """


def letter(offset: int, **changes: object) -> DeadLetter:
    """A letter that can be told from every other by its record's offset."""
    record: dict[str, object] = {
        "offset": offset,
        "timestamp": 1_700_000_000_000 + offset,
        "key": b"session",
        "value": b'{"broken": %d' % offset,
        "headers": [("correlation_id", b"abc")],
    }
    return DeadLetter(
        partition=Partition("orders", 2),
        record=Record(**(record | changes)),  # type: ignore[arg-type] # each change names a field with its type
        reason="malformed",
        field="payload.user_id",
        explanation="missing required field `payload.user_id`",
    )


@pytest.mark.asyncio
class DeadLettersContract:
    """Subclass it, name the subclass `Test…`, and give a fixture `under_test`: a `DeadLettersUnderTest`.

    The fixture makes fresh dead letters without content for each test, and closes them.
    """

    most_suspensions: ClassVar[int] = 12
    """At how many of its waits, from the first, `keep` is cancelled in the test of cancellation."""

    @pytest.fixture
    def under_test(self) -> DeadLettersUnderTest:
        """The dead letters to be held against the contract."""
        raise NotImplementedError("DeadLettersContract needs a fixture `under_test`")

    async def test_keeps_letters_whole_and_in_order(self, under_test: DeadLettersUnderTest) -> None:
        letters = [letter(offset) for offset in range(20)]

        await under_test.dead_letters.keep(letters[:5])
        await under_test.dead_letters.keep(letters[5:])

        assert list(await under_test.kept()) == letters

    async def test_keeping_nothing_is_no_error(self, under_test: DeadLettersUnderTest) -> None:
        await under_test.dead_letters.keep([])

        assert list(await under_test.kept()) == []

    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"key": None}, id="no key"),
            pytest.param({"value": None}, id="no value"),
            pytest.param({"value": b""}, id="empty value"),
            pytest.param({"value": bytes(range(256))}, id="not text"),
            pytest.param({"value": b"x" * 500_000}, id="500 kB"),
            pytest.param({"headers": []}, id="no headers"),
            pytest.param({"headers": [("a", b"1"), ("a", None), ("b", b"\xff")]}, id="odd headers"),
            pytest.param({"value": None, "too_large": True}, id="too large to be read"),
        ],
    )
    async def test_keeps_a_record_as_it_lay_there(
        self, under_test: DeadLettersUnderTest, changes: dict[str, object]
    ) -> None:
        given = letter(0, **changes)

        await under_test.dead_letters.keep([given])

        (kept,) = await under_test.kept()
        assert (kept.record.key, kept.record.value) == (given.record.key, given.record.value)
        assert list(kept.record.headers) == list(given.record.headers)

    async def test_a_letter_need_not_name_a_field(self, under_test: DeadLettersUnderTest) -> None:
        plain = letter(1)
        given = DeadLetter(
            partition=plain.partition,
            record=plain.record,
            reason="refused",
            field=None,
            explanation='Umlauts (ä), "quotes", \\r\\n and all',
        )

        await under_test.dead_letters.keep([given])

        assert list(await under_test.kept()) == [given]

    async def test_letters_whose_keeping_was_cancelled_can_be_kept_again(
        self, under_test: DeadLettersUnderTest
    ) -> None:
        offset, suspended = 0, True

        while suspended and offset < self.most_suspensions:
            suspended = await cancelled_at(offset + 1, under_test.dead_letters.keep([letter(offset)]))
            await under_test.dead_letters.keep([letter(offset)])
            offset += 1

        kept = {each.record.offset for each in await under_test.kept()}
        assert kept == set(range(offset))
