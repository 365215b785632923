"""Dead letters in a list."""

from collections.abc import Sequence

from ...application.errors import DeadLettersUnavailable
from ...application.ports import DeadLetter


class MemoryDeadLetters:
    """The `DeadLetters` port for tests and for programs that look at them at once."""

    def __init__(self) -> None:
        self.kept: list[DeadLetter] = []
        """All letters, oldest first."""
        self.down = False
        """While true nothing is kept and every call raises."""

    async def keep(self, letters: Sequence[DeadLetter]) -> None:
        """Append them. Raises `DeadLettersUnavailable` while down."""
        if self.down:
            raise DeadLettersUnavailable("they were taken down")
        self.kept.extend(letters)
