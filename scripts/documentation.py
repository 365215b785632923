"""Checks the documentation against the repository: links resolve, and tables name what the code has."""

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
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
_ELSEWHERE = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def main() -> int:
    """Print every fault, one a line; the result is the exit code."""
    faults = [*broken_links(), *undocumented_settings()]
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


def undocumented_settings() -> Iterator[str]:
    """Yield every setting that docs/settings.md does not name, and every name there that is no setting."""
    page = ROOT / "docs" / "settings.md"
    names = set(re.findall(r"`(EVENTBRIDGE__\w+)`", page.read_text())) if page.exists() else set()
    known = set(_settings())
    yield from (f"docs/settings.md: does not name the setting {name}" for name in sorted(known - names))
    yield from (f"docs/settings.md: names {name}, which is no setting" for name in sorted(names - known))


def _settings() -> Iterator[str]:
    from pydantic import BaseModel

    from eventbridge.entrypoints.setting_names import variable_of
    from eventbridge.entrypoints.settings import Settings

    for name, field in Settings.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, BaseModel):
            yield from (variable_of(f"{name}.{key}") for key in group.model_fields)
        else:
            yield variable_of(name)


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
