"""The JSON Schema of a settings file, for editors."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any, Final

from market_data_pipeline.errors import PluginContractError, PluginError
from market_data_pipeline.plugins import Spec
from market_data_pipeline.plugins.guard import guard
from market_data_pipeline.settings.tree import SettingsFile

REFERENCE: Final = {
    "type": "object",
    "description": "A secret that stands elsewhere.",
    "properties": {"env": {"type": "string"}, "file": {"type": "string"}},
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
}

_log = logging.getLogger("market_data_pipeline.settings")


def json_schema(specs: Iterable[Spec]) -> dict[str, Any]:
    """Return the schema of a settings file, with the settings of some providers and sources in it.

    Where those of one do not load, or have no schema, it takes anything, and the log says so.
    """
    schema = SettingsFile.model_json_schema()
    definitions = schema["$defs"]
    known: dict[str, Any] = {}
    for spec in specs:
        if inner := _of_settings(spec):
            definitions |= {f"{spec.name}.{name}": one for name, one in inner.pop("$defs", {}).items()}
            definitions[spec.name] = inner
            known[spec.name] = {"$ref": f"#/$defs/{spec.name}"}
    for tree in (schema, definitions["PipelineRuntimeSettings"]):
        tree["properties"]["providers"]["properties"] = known
    for part in _mappings(schema):
        if part.get("format") == "password":
            text = dict(part)
            part.clear()
            part["anyOf"] = [text, REFERENCE]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _of_settings(spec: Spec) -> dict[str, Any]:
    try:
        model = spec.resolve_settings()
        with guard(f"the JSON Schema of the settings of {spec.name!r}", PluginContractError, plugin=spec.plugin):
            return {} if model is None else model.model_json_schema(ref_template=f"#/$defs/{spec.name}.{{model}}")
    except PluginError as error:
        _log.warning("%s", error)
        return {}


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    """Yield all mappings in plain data, the innermost first."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in list(parts):
        yield from _mappings(part)
    if isinstance(value, dict):
        yield value
