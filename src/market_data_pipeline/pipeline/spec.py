"""The pipeline as a person writes it: in Python, in YAML, or as a one-liner, which all come to this."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from market_data_pipeline.model import Kind
from market_data_pipeline.settings.secrets import redacted

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$"


class Component(BaseModel):
    """An installed source, operator, batcher or sink by its name, and its settings."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="The name under which a plugin registered it.", min_length=1)
    settings: dict[str, Any] = Field(
        default_factory=dict, repr=False, description="Its settings, checked by its own model."
    )

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        yield "name", self.name
        yield "settings", redacted(None, self.settings)  # which of it is secret, its own model knows


def _component(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


def _components(value: object) -> object:
    if value is None:
        return ()
    return value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)


One = Annotated[Component, BeforeValidator(_component)]
Many = Annotated[tuple[One, ...], BeforeValidator(_components)]
Symbol = Annotated[str, Field(min_length=1, max_length=128)]


class PipelineSpec(BaseModel):
    """One data flow: what it reads, what it makes of it, where it writes.

    A stage is a name, or a name with settings; `operator` and `sink` also take a list.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid", frozen=True, ser_json_inf_nan="constants", hide_input_in_errors=True
    )

    version: Literal[1] = Field(default=1, description="The version of this format.")
    tenant_id: str = Field(default="default", description="On whose behalf it runs.", pattern=ID_PATTERN)
    pipeline_id: str = Field(
        default="",
        description="Its name, part of the names of its files. Made from source and operators when left out.",
        pattern=rf"{ID_PATTERN}|^$",
    )
    source: One = Field(description="An installed provider or source.")
    symbols: tuple[Symbol, ...] = Field(
        default=(), description="The symbols to ask for, as rows carry them. None: all that the source has."
    )
    kinds: frozenset[Kind] | None = Field(
        default=None,
        description="quote, trade, bar. Left out: what the first operator takes, or else all that the source has.",
    )
    operator: Many = Field(default=(), description="What transforms the rows, in order.")
    batcher: One = Field(default=Component(name="hybrid"), description="What groups rows for the sink.")
    sink: Many = Field(description="Where the rows go; each of several sinks gets all.", min_length=1)
    duration_sec: float | None = Field(default=None, gt=0, description="Stop after this many seconds.")
    count: int | None = Field(default=None, gt=0, description="Stop after this many rows.")
    allowed_lateness_sec: float = Field(
        default=2.0, ge=0, le=86_400, description="How far a row may be behind the newest of its source."
    )
    on_full: Literal["block", "drop_oldest", "drop_newest", "conflate", "fail"] | None = Field(
        default=None,
        description="When the source is faster than the sink. Left out: block if it can wait, else drop_oldest.",
    )
    drain_timeout_sec: float = Field(default=20.0, gt=0, description="How long a graceful stop may take.")

    @model_validator(mode="after")
    def _name(self) -> Self:
        if not self.pipeline_id:
            self.__dict__["pipeline_id"] = self._derived_id()  # the model is frozen, but not yet anybody's
        return self

    def _derived_id(self) -> str:
        """Return a name made of source and operators and a digest of what they read and do, but not of the sink.

        So the same work gets the same name wherever it writes, and two different ones never share it.
        """
        work = self.model_dump(mode="json", include={"source", "symbols", "operator", "allowed_lateness_sec"})
        work["kinds"] = sorted(self.kinds or ())
        digest = hashlib.sha256(json.dumps(work, sort_keys=True, default=str).encode()).hexdigest()[:8]
        names = "-".join(stage.name for stage in (self.source, *self.operator))
        slug = re.sub(r"[^A-Za-z0-9_.-]+", "-", names).strip("-.")
        return f"{slug[:100]}-{digest}"

    def as_plain(self) -> dict[str, Any]:
        """Return it as plain data without what was left out, in the order of the fields, for YAML or JSON."""
        plain = self.model_dump(mode="json", exclude_defaults=True)
        plain = {"version": self.version, **plain}
        if self.kinds is not None:
            plain["kinds"] = sorted(self.kinds)
        return {name: plain[name] for name in type(self).model_fields if name in plain}
