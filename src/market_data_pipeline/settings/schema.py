"""The JSON Schema of a settings file, for editors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from market_data_pipeline.plugins import Spec
from market_data_pipeline.settings.tree import SettingsFile

REFERENCE: Final = {
    "type": "object",
    "description": "A secret that stands elsewhere.",
    "properties": {"env": {"type": "string"}, "file": {"type": "string"}},
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
}


def json_schema(specs: Iterable[Spec]) -> dict[str, Any]:
    """Return the schema of a settings file, with the settings of some providers and sources in it.

    Raises:
        PluginError: The settings of one do not load.
    """
    schema = SettingsFile.model_json_schema()
    definitions = schema["$defs"]
    known: dict[str, Any] = {}
    for spec in specs:
        if (model := spec.resolve_settings()) is not None:
            inner = model.model_json_schema(ref_template=f"#/$defs/{spec.name}.{{model}}")
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


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    """Yield all mappings in plain data, the innermost first."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in list(parts):
        yield from _mappings(part)
    if isinstance(value, dict):
        yield value
