"""Reads the settings from options, environment, secret files and TOML file, and knows where each is from."""

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource, TomlConfigSettingsSource

from .setting_names import CONFIG_VARIABLE, PREFIX, SECRETS_VARIABLE, closest, variable_of
from .settings import Settings
from .settings_errors import Mistake, WrongSettings, rules_of

DEFAULT = "default"
"""The origin of what nobody set."""

_A_GROUP = "is a group of settings, not a value"


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The settings in force."""

    settings: Settings
    origins: Mapping[str, str]
    """By key, such as `kafka.topics`: a variable, a file, an option, or `default`."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """What one source says, by key, and where exactly it says so."""

    values: Mapping[str, Any]
    origins: Mapping[str, str]
    mistakes: Sequence[Mistake] = ()


@cache
def fields_by_key() -> Mapping[str, FieldInfo]:
    """Every setting there is, such as `kafka.topics`, in the order of the documentation."""
    found: dict[str, FieldInfo] = {}
    for name, field in Settings.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, BaseModel):
            found.update({f"{name}.{inner}": inside for inner, inside in group.model_fields.items()})
        else:
            found[name] = field
    return found


def load_settings(
    options: Mapping[str, tuple[str, str]] | None = None,
    *,
    config: Path | None = None,
    secrets_dir: Path | None = None,
) -> LoadedSettings:
    """Read every source; options win over the environment, secret files, the TOML file, and defaults.

    `options` maps keys to (value, the option as it was written). `config` and `secrets_dir` may also come
    from `EVENTBRIDGE_CONFIG` and `EVENTBRIDGE_SECRETS_DIR`. Raises `WrongSettings` with every mistake.
    """
    config = config or _path_from(CONFIG_VARIABLE)
    secrets_dir = secrets_dir or _path_from(SECRETS_VARIABLE)
    layers = [
        *([_file_layer(config)] if config else []),
        *([_secrets_layer(secrets_dir)] if secrets_dir else []),
        _environment_layer(),
        _options_layer(options or {}),
    ]
    origins = {key: origin for layer in layers for key, origin in layer.origins.items()}
    mistakes = [mistake for layer in layers for mistake in layer.mistakes]
    values = _nested({key: value for layer in layers for key, value in layer.values.items()})
    try:
        settings = Settings(**values)
    except ValidationError as error:
        raise WrongSettings([*mistakes, *_mistakes_of(error, origins)]) from None
    if mistakes:
        raise WrongSettings(mistakes)
    return LoadedSettings(settings, {key: origins.get(key, DEFAULT) for key in fields_by_key()})


def _path_from(variable: str) -> Path | None:
    name = os.environ.get(variable)
    return Path(name) if name else None


def _options_layer(options: Mapping[str, tuple[str, str]]) -> _Layer:
    known = fields_by_key()
    mistakes = [_unknown(option, key, known) for key, (_, option) in options.items() if key not in known]
    return _Layer(
        {key: value for key, (value, _) in options.items() if key in known},
        {key: option for key, (_, option) in options.items()},
        mistakes,
    )


class _KnownVariables(EnvSettingsSource):
    """The environment's settings; names that do not exist are `_unknown_variables`' to report."""

    def _load_env_vars(self) -> Mapping[str, str | None]:
        known = {variable_of(key).lower() for key in fields_by_key()}
        return {name: value for name, value in super()._load_env_vars().items() if name in known}


def _environment_layer() -> _Layer:
    known = {variable_of(key): key for key in fields_by_key()}
    written = {name.upper(): name for name in os.environ}
    values = _flat(_KnownVariables(Settings)())
    origins = {key: written[variable_of(key)] for key in values}
    return _Layer(values, origins, list(_unknown_variables(written, known)))


def _unknown_variables(written: Mapping[str, str], known: Mapping[str, str]) -> Iterator[Mistake]:
    """Ours by prefix, yet naming nothing; or nearly ours: a name that has lost underscores.

    Container platforms set variables such as `EVENTBRIDGE_SERVICE_HOST` on their own, hence a name with
    single underscores only counts where it spells a setting that no platform would.
    """
    flattened = {_flattened(variable): variable for variable in known}
    for upper, name in sorted(written.items()):
        if upper.startswith(PREFIX):
            if any(variable.startswith(upper + "__") for variable in known):
                yield Mistake(name, _A_GROUP)
            elif upper not in known:
                yield _unknown(name, upper, known)
        elif not upper.endswith(("_PORT", "_HOST")) and (guess := flattened.get(_flattened(upper))):
            yield Mistake(name, f"no such setting; did you mean {guess}?")


def _flattened(variable: str) -> str:
    return variable.replace("__", "_")


def _secrets_layer(directory: Path) -> _Layer:
    """Files named after their setting, as `redis/url` or, where names are flat, `redis.url`."""
    if not directory.is_dir():
        return _Layer({}, {}, [Mistake(str(directory), "no such directory of secrets")])
    values: dict[str, str] = {}
    origins: dict[str, str] = {}
    mistakes: list[Mistake] = []
    for key in fields_by_key():
        for path in (directory / key.replace(".", "/"), directory / key):
            if not path.is_file():
                continue
            try:
                values[key], origins[key] = path.read_text("utf-8").strip(), str(path)
            except (OSError, UnicodeDecodeError) as error:
                mistakes.append(Mistake(str(path), f"cannot be read: {type(error).__name__}"))
    return _Layer(values, origins, mistakes)


def _file_layer(path: Path) -> _Layer:
    try:
        content = TomlConfigSettingsSource(Settings, path)()
    except tomllib.TOMLDecodeError as error:
        return _Layer({}, {}, [Mistake(str(path), f"is not TOML: {error}")])
    except UnicodeDecodeError:
        return _Layer({}, {}, [Mistake(str(path), "is not TOML: not UTF-8")])
    except OSError as error:
        return _Layer({}, {}, [Mistake(str(path), f"cannot be read: {error.strerror}")])
    if not path.is_file():
        return _Layer({}, {}, [Mistake(str(path), "no such file of settings")])
    values = {key: value for key, value in _flat(content).items() if key in fields_by_key()}
    return _Layer(values, {key: f"{path}: {key}" for key in values}, list(_unknown_keys(path, content)))


def _unknown_keys(path: Path, content: Mapping[str, Any]) -> Iterator[Mistake]:
    known = fields_by_key()
    top = [key for key in known if "." not in key]
    groups = {key.partition(".")[0] for key in known} - set(top)
    for name, value in content.items():
        place = f"{path}: {name}"
        if name in groups and isinstance(value, Mapping):
            for key in (f"{name}.{inner}" for inner in value):
                if key not in known:
                    yield _unknown(f"{path}: {key}", key, known)
        elif name in groups:
            yield Mistake(place, _A_GROUP)
        elif name in top and isinstance(value, Mapping):
            yield Mistake(place, "is a value, not a group of settings")
        elif name not in top:
            yield _unknown(place, name, [*top, *groups])


def _unknown(place: str, key: str, known: Iterable[str]) -> Mistake:
    guess = closest(key, known)
    return Mistake(place, "no such setting" + (f"; did you mean {guess}?" if guess else ""))


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Keys joined by a dot, two levels deep, as settings are."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat.update({f"{name}.{inner}": inside for inner, inside in value.items()})
        else:
            flat[name] = value
    return flat


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for key, value in values.items():
        group, dot, name = key.partition(".")
        if dot:
            nested.setdefault(group, {})[name] = value
        else:
            nested[key] = value
    return nested


def _mistakes_of(error: ValidationError, origins: Mapping[str, str]) -> Iterator[Mistake]:
    for details in error.errors(include_url=False):
        key = ".".join(str(part) for part in details["loc"][:2])
        for name, rule in rules_of(details, secret=is_secret(key)):
            yield Mistake(origins.get(name) or variable_of(name), rule)


def is_secret(key: str) -> bool:
    """Whether the value of this setting may not be shown."""
    field = fields_by_key().get(key)
    return field is not None and "SecretStr" in str(field.annotation)
