"""Settings out of all that says some: defaults < file < profile < environment < call."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import attrs
from pydantic import ValidationError

from market_data_pipeline.errors import ConfigurationError, nearest
from market_data_pipeline.settings.document import Document, read_document
from market_data_pipeline.settings.layers import Layers, Origin
from market_data_pipeline.settings.mistakes import Place, mistakes, placed
from market_data_pipeline.settings.shape import Location
from market_data_pipeline.settings.tree import QUIET, PipelineRuntimeSettings, SettingsFile
from market_data_pipeline.settings.variables import FILE_VARIABLE, PREFIX, parsed, variables

T = TypeVar("T")
FORM: Final = "settings are written as lines of `key: value`"
MAX_SHOWN: Final = 100
"""So many mistakes are named."""


@attrs.frozen
class LoadedSettings:
    """Settings, and where each of them comes from."""

    settings: PipelineRuntimeSettings
    origins: Mapping[str, Origin]
    """By dotted key; what is not in it is a default."""
    _layers: Layers = attrs.field(repr=False)

    def origin(self, location: Location) -> Origin:
        """Return where the value at a location comes from."""
        return self._layers.origin(location) or Origin("default")


def load_settings(
    path: str | Path | None = None,
    *,
    profile: str | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> LoadedSettings:
    """Load settings; nothing is read that was not named.

    Args:
        path: The file; None is the one that the variable `MDP_SETTINGS` names, or none.
        profile: Which of the file's profiles lies over it; None is what `MDP__PROFILE` or the file itself says.
        environ: The environment; that of this process unless given.
        overrides: Settings that go before all others.

    Returns:
        The settings, and where each of them comes from.

    Raises:
        ConfigurationError: Something is wrong: one line for each mistake, with its place.
    """
    environ = os.environ if environ is None else environ
    chosen: dict[str, Any] = {} if profile is None else {"profile": profile}
    overrides = {**(overrides or {}), **chosen}
    found: list[str] = []
    layers, top = Layers(), Layers()
    _put_variables(top, environ, found)
    if _right(PipelineRuntimeSettings, overrides, lambda _: "call", found):
        top.put(overrides, lambda _: Origin("call"))
    if path := path or environ.get(FILE_VARIABLE):
        _put_file(layers, read_document(path, form=FORM), top, found)
    elif name := top.values.get("profile"):
        found.append(
            f"{top.origin(('profile',))}: there is no file that has a profile {name!r}: name one by --settings"
        )
    if found:
        raise ConfigurationError(listed(found))
    _put_top(layers, top)
    settings = PipelineRuntimeSettings.model_validate(layers.values)
    return LoadedSettings(settings, {".".join(map(str, key)): origin for key, origin in layers.origins.items()}, layers)


def provider_key(settings: PipelineRuntimeSettings, name: str) -> str:
    """Return under which key the settings of a provider or source are; a variable writes its `-` as `_`."""
    return name if name in settings.providers else name.replace("-", "_")


def provider_values(settings: PipelineRuntimeSettings, name: str) -> Mapping[str, Any]:
    """Return the settings given for a provider or source."""
    return settings.providers.get(provider_key(settings, name), {})


def _put_file(layers: Layers, document: Document, top: Layers, found: list[str]) -> None:
    values = dict(document.root.value)
    found += document.refused
    if not _right(SettingsFile, values, document.find, found):
        return
    profiles = values.pop("profiles", None) or {}
    layers.put(values, lambda location: Origin("file", document.find(location)))
    name = top.values.get("profile", values.get("profile"))
    if name is None:
        return
    if name not in profiles:
        origin = top.origin(("profile",)) or layers.origin(("profile",))
        found.append(f"{origin}: {document.name} has no profile {name!r}; {nearest(name, profiles)}")
        return
    layers.put(
        profiles[name] or {},
        lambda location: Origin("profile", document.find(("profiles", name, *location)), name),
    )


def _put_variables(layers: Layers, environ: Mapping[str, str], found: list[str]) -> None:
    for name, location, text in variables(environ):
        if name != name.upper():
            found.append(f"{name}: write it in upper case: {name.upper()}")
            continue
        if not all(location):
            found.append(f"{name}: a part of the name is empty: write {PREFIX}SECTION__KEY")
            continue
        values = _nested(location, text)
        if location[0] != "providers":  # whose models are not known here
            values = parsed(PipelineRuntimeSettings, values)
        origin = Origin("environment", name)
        if _right(PipelineRuntimeSettings, values, partial(_always, name), found):
            layers.put(values, partial(_always, origin))


def _nested(location: Location, value: Any) -> dict[str, Any]:
    key, *inner = location
    return {str(key): _nested(tuple(inner), value) if inner else value}


def _always(what: T, _location: Location) -> T:
    return what


def _right(model: type[PipelineRuntimeSettings], values: Mapping[str, Any], place: Place, found: list[str]) -> bool:
    """Return whether a layer by itself is right; add its mistakes to those that were found."""
    try:
        model.model_validate(values, context=QUIET)
    except ValidationError as error:
        found += placed(mistakes(error, model, values), place)
        return False
    return True


def _put_top(layers: Layers, top: Layers) -> None:
    """Put on top what the environment and the call say; a variable writes the `-` of a provider's name as `_`."""
    values = dict(top.values)
    given = values.pop("providers", None) or {}
    layers.put(values, top.origins.__getitem__)
    names = {name.replace("-", "_"): name for name in (*(layers.values.get("providers") or ()), *given) if "-" in name}
    for name, inner in given.items():
        layers.put({"providers": {names.get(name, name): inner}}, partial(_origin_in, top, name))


def _origin_in(top: Layers, name: str, location: Location) -> Origin:
    return top.origins["providers", name, *location[2:]]


def listed(lines: Sequence[str]) -> str:
    """Return mistakes as one text, one a line, unless there are too many."""
    more = [f"and {len(lines) - MAX_SHOWN} more"] if len(lines) > MAX_SHOWN else []
    return "\n".join([*lines[:MAX_SHOWN], *more])
