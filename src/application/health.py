"""How the process is: what a probe and an operator are told."""

from typing import NamedTuple, Self

import msgspec


class Check(NamedTuple):
    """One thing that was looked at; `detail` is a sentence for operators, without secrets."""

    name: str
    ok: bool
    detail: str


class HealthReport(msgspec.Struct, frozen=True):
    """The state at one moment.

    `live`: the process does its work, or will again by itself; a supervisor restarts it where not.
    `ready`: new work is to be sent here. `checks` are the reasons for both; one may be amiss and not count.
    """

    live: bool
    ready: bool
    checks: tuple[Check, ...] = ()

    @classmethod
    def of_all(cls, **parts: Self) -> Self:
        """One report of a process with several parts: good where all of them are; checks name their part."""
        return cls(
            live=all(report.live for report in parts.values()),
            ready=all(report.ready for report in parts.values()),
            checks=tuple(
                check._replace(name=f"{part}, {check.name}")
                for part, report in parts.items()
                for check in report.checks
            ),
        )
