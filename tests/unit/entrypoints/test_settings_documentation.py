"""`docs/settings.md` and the example file say what the settings are."""

import tomllib
from pathlib import Path

import pytest

from eventbridge.entrypoints.settings import Settings
from eventbridge.entrypoints.settings_loading import fields_by_key, load_settings
from eventbridge.entrypoints.settings_text import reference

ROOT = Path(__file__).parents[3]
MARK = "<!-- reference -->\n"


def test_the_tables_are_those_of_the_model() -> None:
    documented = (ROOT / "docs" / "settings.md").read_text("utf-8").partition(MARK)[2]

    assert documented == reference(), "eventbridge config --reference prints what belongs below the mark"


@pytest.mark.parametrize("key", fields_by_key())
def test_every_setting_has_a_meaning(key: str) -> None:
    assert fields_by_key()[key].description


def test_the_example_file_says_the_defaults() -> None:
    path = ROOT / "eventbridge.example.toml"

    loaded = load_settings(config=path)

    assert loaded.settings == Settings()


def test_the_example_file_names_every_setting() -> None:
    lines = (ROOT / "eventbridge.example.toml").read_text("utf-8").splitlines()
    written = tomllib.loads("\n".join(_uncommented(line) for line in lines))

    assert {
        *(name for name, value in written.items() if not isinstance(value, dict)),
        *(f"{name}.{key}" for name, value in written.items() if isinstance(value, dict) for key in value),
    } == set(fields_by_key())


def _uncommented(line: str) -> str:
    """A setting that is commented out begins with `#` and no space."""
    return line[1:] if line.startswith("#") and line[1:2].isalpha() else line
