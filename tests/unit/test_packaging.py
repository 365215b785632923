"""What is installed is what lies under src/."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = {".py", ".lua", ".typed", ".html", ".css", ".js"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy, so that nothing is left in the work tree."""
    copy = tmp_path_factory.mktemp("copy")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (copy / name).write_bytes((ROOT / name).read_bytes())
    for path in _source_files():
        target = copy / "src" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / "src" / path).read_bytes())
    out = copy / "dist"
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(copy)],
        check=True,
        capture_output=True,
        text=True,
        timeout=50,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    (built,) = out.glob("*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    expected = {f"eventbridge/{path.as_posix()}" for path in _source_files()}

    held = {name for name in wheel.namelist() if ".dist-info/" not in name}

    assert held == expected


def test_the_wheel_brings_type_information_licence_and_command(wheel: zipfile.ZipFile) -> None:
    names = wheel.namelist()
    (entry_points,) = (name for name in names if name.endswith("/entry_points.txt"))

    commands = wheel.read(entry_points).decode()

    assert "eventbridge/py.typed" in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert "eventbridge = eventbridge.entrypoints.cli:main" in commands


def _source_files() -> set[Path]:
    source = ROOT / "src"
    return {path.relative_to(source) for path in source.rglob("*") if path.suffix in SHIPPED}
