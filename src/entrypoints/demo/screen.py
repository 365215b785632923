"""Where the demo is shown: a port of the demo's, with a table at a terminal and plain lines elsewhere."""

from typing import Protocol

from .board import Note, UserPage


class Screen(Protocol):
    """Told of what happens; everything else it reads from the board."""

    def opened(self, address: str) -> None:
        """The page can be opened in a browser; comes before everything else."""

    def arrived(self, page: UserPage) -> None:
        """An event has arrived; it is the page's last one."""

    def noted(self, note: Note) -> None:
        """Something else has happened."""

    def draw(self) -> None:
        """Called several times a second."""

    def close(self) -> None:
        """Leave the terminal as it was found; nothing is shown after it."""
