"""Checks that the links of the documentation resolve and the tests that it names are there; tests hold its
tables to the code."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

_CODE = re.compile(r"^(```|~~~).*?^\1[^\S\n]*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(
    r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|^\[[^\]]+\]:\s+(\S+)", re.MULTILINE
)
_TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
_ELSEWHERE = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def main() -> int:
    """Print every fault, one a line; the result is the exit code."""
    faults = [*broken_links(), *missing_tests()]
    for fault in faults:
        print(fault)
    return 1 if faults else 0


def broken_links() -> Iterator[str]:
    """Yield every link of a Markdown file to a file or heading that is not there."""
    for page in _pages():
        text = _CODE.sub("", page.read_text())
        for target in (first or second for first, second in _LINK.findall(text)):
            if _ELSEWHERE.match(target):
                continue
            path, _, anchor = target.partition("#")
            linked = (page.parent / path).resolve() if path else page
            if not linked.exists():
                yield f"{page.relative_to(ROOT)}: links to {target}, which is not there"
            elif anchor and linked.suffix == ".md" and anchor not in _anchors(linked):
                yield f"{page.relative_to(ROOT)}: links to {target}, where no heading is called so"


def missing_tests() -> Iterator[str]:
    """Yield every test that is named and not there, and every row of faults that names none."""
    for page in _pages():
        for path, name in _TEST.findall(page.read_text()):
            file = ROOT / "tests" / path
            if not file.exists() or not re.search(rf"def {name}\(", file.read_text()):
                yield f"{page.relative_to(ROOT)}: names {path}::{name}, which is not there"
    rows = re.findall(r"^\| (\d+b?) \|", (ROOT / "docs/FAULTS.md").read_text(), re.MULTILINE)
    yield from (f"docs/FAULTS.md: row {row} stands alone" for row in rows if rows.count(row) != 2)


def _pages() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in sorted(set(listed.stdout.split("\n"))) if name and (ROOT / name).exists()]


def _anchors(page: Path) -> set[str]:
    headings = _HEADING.findall(
        re.sub(r"^(```|~~~).*?^\1", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    )
    found: set[str] = set()
    for heading in headings:
        slug = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()).replace(
            " ", "-"
        )
        number = 0
        while (name := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(name)
    return found


if __name__ == "__main__":
    sys.exit(main())
