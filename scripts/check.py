"""Runs every check of `make check` and says at the end which of them failed. Names choose some of them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent

CHECKS: dict[str, list[str]] = {
    "lint": [str(BIN / "ruff"), "check", "."],
    "format": [str(BIN / "ruff"), "format", "--check", "."],
    "contracts": [str(BIN / "lint-imports")],
    "documentation": [sys.executable, "scripts/documentation.py"],
    "client": ["scripts/check-js-client"],
    "mypy": [str(BIN / "mypy")],
    "pyright": [str(BIN / "pyright")],
}
"""Quick ones first."""


def main(names: list[str]) -> int:
    """Run the named checks, or all; the result is the exit code."""
    if unknown := set(names) - set(CHECKS):
        print(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(CHECKS)}", file=sys.stderr)
        return 2
    failed = []
    for name in names or CHECKS:
        began = time.monotonic()
        done = subprocess.run(CHECKS[name], cwd=ROOT, capture_output=True, text=True, check=False)
        took = f"{time.monotonic() - began:.1f} s"
        if done.returncode:
            failed.append(name)
            print(f"{name}: FAILED ({took})\n{done.stdout}{done.stderr}", flush=True)
        else:
            print(f"{name}: right ({took})", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
