"""The settings as text: what is in force and from where, and the table for the documentation."""

import json
from collections.abc import Iterator, Sequence
from typing import Literal, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from .setting_checks import without_password
from .setting_names import variable_of
from .settings import Settings
from .settings_loading import LoadedSettings, fields_by_key

_MASK = "***"
_ORIGIN_COLUMN = 48


def shown_value(settings: Settings, key: str) -> object:
    """A setting's value as it may be shown: secrets are masked, in every URL the password."""
    group, dot, name = key.partition(".")
    value = getattr(getattr(settings, group), name) if dot else getattr(settings, group)
    if key == "redis.url":
        return without_password(settings.redis.url.get_secret_value())
    if isinstance(value, SecretStr):
        return _MASK
    if isinstance(value, tuple):
        return [_shown_text(item) for item in value]
    return _shown_text(value)


def _shown_text(value: object) -> object:
    """A URL where none is meant to hold a password may hold one by mistake."""
    return without_password(value) if isinstance(value, str) and "://" in value else value


def as_toml(loaded: LoadedSettings) -> str:
    """What is in force, as the settings file would say it, each with its origin."""
    return "".join(
        f"{setting:<{_ORIGIN_COLUMN}} # {origin}\n" if origin else f"{setting}\n"
        for setting, origin in _toml_lines(loaded)
    )


def _toml_lines(loaded: LoadedSettings) -> Iterator[tuple[str, str]]:
    shown_group = ""
    for key in fields_by_key():
        group, dot, name = key.partition(".")
        if dot and group != shown_group:
            shown_group = group
            yield "", ""
            yield f"[{group}]", ""
        value = shown_value(loaded.settings, key)
        origin = loaded.origins[key]
        if value is None:
            yield f"# {name} is not set", ""
        else:
            yield f"{name or group} = {_toml(value)}", origin


def _toml(value: object) -> str:
    """A value in TOML, whose texts, numbers and lists are written as in JSON."""
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, list) and len(text) > _ORIGIN_COLUMN:
        return "[\n" + "".join(f"  {json.dumps(item, ensure_ascii=False)},\n" for item in value) + "]"
    return text


def as_json(loaded: LoadedSettings) -> str:
    """What is in force, for programs: an object of `{"value", "origin"}` by key."""
    return json.dumps(
        {
            key: {"value": shown_value(loaded.settings, key), "origin": loaded.origins[key]}
            for key in fields_by_key()
        },
        ensure_ascii=False,
        indent=2,
    )


def reference() -> str:
    """The tables of all settings, in Markdown: variable, key, default, meaning."""
    defaults = Settings()
    lines: list[str] = []
    shown_group = None
    for key, field in fields_by_key().items():
        group = key.partition(".")[0] if "." in key else ""
        if group != shown_group:
            shown_group = group
            lines += _heading(group)
        lines.append(f"| `{variable_of(key)}` | {_default(shown_value(defaults, key))} | {_meaning(field)} |")
    return "\n".join(lines).lstrip("\n") + "\n"


def _heading(group: str) -> Sequence[str]:
    if not group:
        title = "## Policies (top of the file)"
    else:
        model = Settings.model_fields[group].annotation
        meaning = (model.__doc__ or "") if model else ""
        title = f"## `[{group}]`\n\n{' '.join(meaning.split())}"
    return ["", title, "", "| variable | default | meaning |", "| --- | --- | --- |"]


def _default(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, list):
        return f"`{','.join(value)}`" if value else "none"
    if isinstance(value, bool):
        return f"`{json.dumps(value)}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _meaning(field: FieldInfo) -> str:
    text = " ".join((field.description or "").split())
    choices = _choices(field)
    return f"{text} One of {', '.join(f'`{choice}`' for choice in choices)}." if choices else text


def _choices(field: FieldInfo) -> Sequence[str]:
    """The values of a setting that has few of them."""
    pending = [field.annotation]
    while pending:
        annotation = pending.pop()
        if get_origin(annotation) is Literal:
            return get_args(annotation)
        pending.extend(get_args(annotation))
    return ()
