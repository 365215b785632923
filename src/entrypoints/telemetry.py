"""Set-up of logs and traces of one process, from settings and the environment."""

import logging
import re
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Literal, TextIO
from urllib.parse import parse_qsl, unquote

from ..adapters.telemetry.log_lines import RepeatedLibraryMessages, formatter

if TYPE_CHECKING:
    from ..adapters.telemetry.otlp import OtlpTraces

OWN_LOGGER = __name__.partition(".")[0]

log = logging.getLogger(__name__)


def configure_logging(
    level: str = "INFO",
    log_format: Literal["json", "console"] | None = None,
    *,
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Write all log lines to `stream` (standard error), replacing whatever was set up before.

    `level` is that of our own loggers; libraries speak from WARNING on, or `level` where that is higher.
    Without `log_format` it is `console` at a terminal, else `json`. `secrets` are masked wherever they
    stand in a line. Raises `ValueError` for an unknown level.
    """
    out = sys.stderr if stream is None else stream
    at_terminal = out.isatty()
    console = at_terminal if log_format is None else log_format == "console"
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter(console=console, colors=console and at_terminal, secrets=secrets))
    handler.addFilter(RepeatedLibraryMessages(OWN_LOGGER))

    own = logging.getLogger(OWN_LOGGER)
    own.setLevel(level.upper())
    root = logging.getLogger()
    for former in list(root.handlers):
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(max(logging.WARNING, own.level))
    logging.captureWarnings(True)


def collector_secrets(environ: Mapping[str, str]) -> Iterator[str]:
    """What the collector of traces is sent in headers and in its URL's query, for whoever must keep it out of
    log lines.

    However the headers are written: the SDK repeats what it cannot read.
    """
    for name in ("OTEL_EXPORTER_OTLP", "OTEL_EXPORTER_OTLP_TRACES"):
        for header in environ.get(f"{name}_HEADERS", "").split(","):
            _, _, value = re.sub("[:=]", "=", header, count=1).partition("=")
            yield from (value or header).split()
            yield from unquote(value).split()
        _, _, query = environ.get(f"{name}_ENDPOINT", "").partition("?")
        yield from (value for _, value in parse_qsl(query))


def configure_tracing(environ: Mapping[str, str]) -> "OtlpTraces | None":
    """Traces to an OTLP collector, set up from the standard `OTEL_*` variables; None where they are off.

    On with `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`; off without these, with
    `OTEL_SDK_DISABLED=true` or `OTEL_TRACES_EXPORTER=none`. Off, the SDK is not even imported. `environ` is
    the process's own: the SDK reads the other variables from there.
    """
    wanted = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    disabled = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    exporters = environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() or "otlp"
    if not wanted or disabled or exporters == "none":
        return None
    if exporters != "otlp":
        log.warning(
            "OTEL_TRACES_EXPORTER is taken as otlp: nothing else is built in", extra={"given": exporters}
        )
    protocol = environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol not in (None, "", "http/protobuf"):
        log.warning(
            "the OTLP protocol is taken as http/protobuf: nothing else is built in", extra={"given": protocol}
        )
    from ..adapters.telemetry.otlp import OtlpTraces  # noqa: PLC0415 - half a second that off does not pay

    return OtlpTraces()


@asynccontextmanager
async def traced(environ: Mapping[str, str]) -> "AsyncIterator[OtlpTraces | None]":
    """The process's traces, as `configure_tracing` sets them up; at the end what waits is sent."""
    traces = configure_tracing(environ)
    try:
        yield traces
    finally:
        if traces is not None:
            await traces.close()
