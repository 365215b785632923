"""A parser for text/event-stream, written from the HTML standard, sections 9.2.5 and 9.2.6."""

from dataclasses import dataclass, field


@dataclass
class Dispatched:
    """An event as a page gets it."""

    type: str
    data: str
    last_event_id: str


@dataclass
class EventStreamParser:
    """Interprets a whole stream; what is left without an empty line at its end is dropped."""

    last_event_id: str = ""
    reconnection_time: int | None = None
    events: list[Dispatched] = field(default_factory=list)
    _data: str = ""
    _type: str = ""
    _id: str = ""

    def feed(self, stream: bytes) -> list[Dispatched]:
        text = stream.decode("utf-8", errors="replace").removeprefix("\ufeff")
        lines, begin, place = [], 0, 0
        while place < len(text):
            if text[place] not in "\r\n":
                place += 1
                continue
            lines.append(text[begin:place])
            place += 2 if text[place : place + 2] == "\r\n" else 1
            begin = place
        for line in lines:
            self._interpret(line)
        return self.events

    def _interpret(self, line: str) -> None:
        if line == "":
            self._dispatch()
        elif line.startswith(":"):
            pass
        elif ":" in line:
            name, _, value = line.partition(":")
            self._process(name, value.removeprefix(" "))
        else:
            self._process(line, "")

    def _process(self, name: str, value: str) -> None:
        if name == "event":
            self._type = value
        elif name == "data":
            self._data += value + "\n"
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value and all(digit in "0123456789" for digit in value):
            self.reconnection_time = int(value)

    def _dispatch(self) -> None:
        self.last_event_id = self._id
        if self._data:
            event = Dispatched(self._type or "message", self._data.removesuffix("\n"), self.last_event_id)
            self.events.append(event)
        self._data = self._type = ""
