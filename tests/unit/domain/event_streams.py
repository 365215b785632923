"""Streams after the rules of the HTML standard, sections 9.2.5 and 9.2.6, and the events that they mean.

Where a message stands beside a stream, the stream is what is written for it. The JavaScript client, a parser
that is not ours (`clients/js/tests`) and Chromium's EventSource (`tests/e2e/browser`) read the same table.
"""

import json
from pathlib import Path
from typing import Any

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parents[2] / "event_streams.json").read_text())
