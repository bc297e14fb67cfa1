"""Which account at a vendor some settings name: a hash, the same in all processes, from which no secret can be read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from hashlib import blake2b
from typing import Any

from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.plugins import ProviderSpec, SourceSpec


def credential_of(spec: ProviderSpec | SourceSpec, settings: Any) -> str:
    """Return what tells accounts of a provider apart: a hash of the settings that its spec names as identity.

    Where it names none, all uses of it share one account, which is the safe side.

    Raises:
        ConfigurationError: One of these settings has no form that is the same in all processes.
    """
    if isinstance(spec, SourceSpec) or not spec.identity or settings is None:
        return ""
    values = [_canonical_setting(spec.name, name, getattr(settings, name, None)) for name in spec.identity]
    return blake2b(_text([spec.name, *values]).encode(), digest_size=4).hexdigest()


def _canonical_setting(provider: str, name: str, value: Any) -> Any:
    """Return a setting as plain data.

    Raises:
        ConfigurationError: It cannot be; the message does not show it, since it may be secret.
    """
    try:
        return _canonical(value)
    except (TypeError, ValueError, RecursionError):
        raise ConfigurationError(
            f"a {type(value).__name__} with what is in it cannot tell accounts apart: another process could not find"
            " the same again; use texts, numbers, times, secrets, and models, lists and mappings of them",
            where=f"identity of provider {provider}, {name}",
        ) from None


def _canonical(value: Any) -> Any:
    """Return what makes the same JSON in all processes if it is the same: secrets revealed, sets and keys in order.

    Raises:
        TypeError: There is no such thing.
        ValueError: Nor of this one.
    """
    from pydantic import TypeAdapter

    match opened := _opened(value):
        case None | str() | int() | float():
            return opened
        case bytes() | bytearray():
            return opened.hex()
        case Mapping():
            return {_text(_canonical(key)): _canonical(part) for key, part in opened.items()}
        case AbstractSet():
            return sorted(map(_canonical, opened), key=_text)
        case Sequence():
            return list(map(_canonical, opened))
        case Iterator():
            raise TypeError  # it would be used up
    return TypeAdapter(Any).dump_python(opened, mode="json")  # times, paths, decimals, addresses


def _opened(value: Any) -> Any:
    """Return what a secret holds, or the fields of a model; anything else as it is."""
    from pydantic import BaseModel

    while hasattr(value, "get_secret_value"):
        value = value.get_secret_value()
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields} | (value.model_extra or {})
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return value


def _text(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True)
