"""Secrets: given by reference, and never shown.

What a model declares as `SecretStr`, `SecretBytes` or `Secret[...]` may be written as `{env: NAME}` or `{file: PATH}`.
What it declares so, or with `repr=False`, is in no message.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, get_args, get_origin

from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.settings.shape import Location, alternatives, field_of, is_list, leaves, models, types_at

MASK: Final = "**********"
"""What stands for a secret wherever one would be shown; pydantic writes the same."""
MAX_BYTES: Final = 65_536

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_log = logging.getLogger("market_data_pipeline.settings")


def is_reference(value: object) -> bool:
    """Return whether a value has the form `{env: NAME}` or `{file: PATH}`."""
    if not (isinstance(value, Mapping) and len(value) == 1):
        return False
    ((kind, name),) = value.items()
    return isinstance(name, str) and bool(_NAME.fullmatch(name) if kind == "env" else name and kind == "file")


def is_secret(annotation: Any) -> bool:
    """Return whether a type, or one of a union, is a secret's."""
    from pydantic import Secret, SecretBytes, SecretStr

    kinds = (get_origin(one) or one for one in alternatives(annotation))
    return any(isinstance(kind, type) and issubclass(kind, (Secret, SecretStr, SecretBytes)) for kind in kinds)


def is_hidden(model: Any, location: Location) -> bool:
    """Return whether what is at a location of a model must not be shown.

    A secret is above, at or below it; or the model knows of nothing there, so that it may be a secret misplaced.
    """
    found = types_at(model, location)
    return not found or any(_holds_secret(one, frozenset()) for one in found) or _is_in_secret(model, location)


def resolved(model: Any, values: Any, *, environ: Mapping[str, str] = os.environ) -> tuple[Any, dict[Location, str]]:
    """Return values with what their references refer to, and by location why a reference does not work."""
    mistakes: dict[Location, str] = {}

    def resolve(value: Any, at: Location) -> Any:
        if is_reference(value) and any(map(is_secret, types_at(model, at))):
            try:
                return _read(value, environ)
            except ConfigurationError as error:
                mistakes[at] = f"{'.'.join(map(str, at))}: {error}"
                return MASK
        if isinstance(value, Mapping):
            return {key: resolve(part, (*at, key)) for key, part in value.items()}
        if is_list(value):
            return [resolve(part, (*at, index)) for index, part in enumerate(value)]
        if value == MASK and any(map(is_secret, types_at(model, at))):
            mistakes[at] = (
                f"{'.'.join(map(str, at))}: this only stands for a secret: write {{env: NAME}} or {{file: PATH}}"
            )
        return value

    return resolve(values, ()), mistakes


def redacted(model: Any, values: Any, at: Location = ()) -> Any:
    """Return plain data without its secrets; references stay. Without a model any text may be one."""
    if is_reference(values) and (model is None or any(map(is_secret, types_at(model, at)))):
        return values
    if isinstance(values, Mapping):
        return {key: redacted(model, part, (*at, key)) for key, part in values.items()}
    if is_list(values):
        return [redacted(model, part, (*at, index)) for index, part in enumerate(values)]
    hidden = not isinstance(values, bool | int | float | None) if model is None else is_hidden(model, at)
    return MASK if hidden and values is not None else values


def plain_secrets(model: Any, values: Any) -> list[Location]:
    """Return where secrets are written out instead of referred to."""
    return [
        at
        for at, value in leaves(values)
        if value is not None
        and any(map(is_secret, types_at(model, at)))
        and not (at and at[-1] in {"env", "file"} and any(map(is_secret, types_at(model, at[:-1]))))
    ]


def secret_texts(model: Any, values: Any) -> set[str]:
    """Return the texts in some values that must not be shown; of three characters or less none is a secret."""
    texts = ((at, value) for at, value in leaves(values) if isinstance(value, str) and len(value) > 3)  # noqa: PLR2004
    # A text where a model may be, in which there are secrets, is the short form of that: a name.
    return {value for at, value in texts if not types_at(model, at) or _is_in_secret(model, at)}


def _is_in_secret(model: Any, location: Location) -> bool:
    return any(map(is_secret, types_at(model, location))) or any(
        is_secret(one) or _is_unshown(one, location[depth : depth + 1])
        for depth in range(len(location))
        for one in types_at(model, location[:depth])
    )


def _is_unshown(model: Any, keys: Location) -> bool:
    fields = (field_of(one, key) for one in models([model]) for key in keys)
    return any(field is not None and not field.repr for field in fields)


def _holds_secret(annotation: Any, seen: frozenset[Any]) -> bool:
    if is_secret(annotation):
        return True
    for model in models([annotation]):
        inside = (field.annotation for field in model.model_fields.values() if model not in seen)
        return any(not field.repr for field in model.model_fields.values()) or any(
            _holds_secret(one, seen | {model}) for one in inside
        )
    return any(_holds_secret(one, seen) for one in get_args(annotation))


def _read(reference: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    ((kind, name),) = reference.items()
    if kind == "file":
        return _read_file(Path(name))
    if not environ.get(name):
        raise ConfigurationError(f"the environment variable {name} is not set, and it holds this secret")
    return environ[name]


def _read_file(path: Path) -> str:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise ConfigurationError(f"{path}, which holds this secret, is no file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}, which holds this secret, cannot be read: {error.strerror}") from None
    if os.name == "posix" and mode & 0o077:
        _warn_readable(path)
    if len(content) > MAX_BYTES:
        raise ConfigurationError(f"{path} is larger than {MAX_BYTES // 1024} KiB: this is no secret")
    try:
        text = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}, which holds this secret, is not UTF-8") from None
    if not text:
        raise ConfigurationError(f"{path}, which holds this secret, is empty")
    return text


@cache
def _warn_readable(path: Path) -> None:
    _log.warning("%s holds a secret, and others can read it: chmod 600 %s", path, path)
