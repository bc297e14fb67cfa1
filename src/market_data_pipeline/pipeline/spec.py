"""The pipeline as a person writes it: in Python, in YAML, or as a one-liner, which all come to this."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.model import Kind
from market_data_pipeline.pipeline.overrides import PipelineOverrides, Stage
from market_data_pipeline.settings.secrets import redacted
from market_data_pipeline.settings.tree import PipelineSettings

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
Named = str | Component | Mapping[str, Any]
"""How a person may write a component."""
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
    queue_rows: int = Field(default=100_000, gt=0, description="How many rows wait between source and operators.")
    drain_timeout_sec: float = Field(default=20.0, gt=0, description="How long a graceful stop may take.")
    overrides: PipelineOverrides | None = Field(
        default=None, description="Settings under their names in earlier programs, which become those above."
    )

    if TYPE_CHECKING:  # pydantic turns names into components and lists into tuples, which checkers do not see

        def __init__(
            self,
            *,
            source: Named,
            sink: Named | Sequence[Named],
            version: Literal[1] = 1,
            tenant_id: str = "default",
            pipeline_id: str = "",
            symbols: Sequence[str] = (),
            kinds: Iterable[Kind] | None = None,
            operator: Named | Sequence[Named] | None = None,
            batcher: Named = "hybrid",
            duration_sec: float | None = None,
            count: int | None = None,
            allowed_lateness_sec: float = 2.0,
            on_full: Literal["block", "drop_oldest", "drop_newest", "conflate", "fail"] | None = None,
            queue_rows: int = 100_000,
            drain_timeout_sec: float = 20.0,
            overrides: PipelineOverrides | Mapping[str, Any] | None = None,
        ) -> None: ...

    @model_validator(mode="after")
    def _fold(self) -> Self:
        """Put overrides where they belong, and keep none: two specs of the same work are equal."""
        if self.overrides is not None:
            for override, stage, setting, value in self.overrides.settings():
                self._set(override, stage, setting, value)
            fields = self.overrides.fields()
            self.__dict__.update(fields, overrides=None)
            self.model_fields_set.update(fields)
        return self

    def _set(self, override: str, stage: Stage, setting: str, value: Any) -> None:
        there: One | Many = getattr(self, stage.kind)
        components = there if isinstance(there, tuple) else (there,)
        names = [component.name for component in components]
        if names.count(stage.name) != 1:
            raise ConfigurationError(
                f"is for one {stage.kind} named {stage.name!r}, and this pipeline has {', '.join(names) or 'none'}: "
                f"leave it out, or choose that {stage.kind}",
                where=f"overrides.{override}",
            )
        index = names.index(stage.name)
        changed = Component(name=stage.name, settings={**components[index].settings, setting: value})
        several = (*components[:index], changed, *components[index + 1 :])
        self.__dict__[stage.kind] = several if isinstance(there, tuple) else changed

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
        said = (
            self.model_fields_set & PipelineSettings.model_fields.keys()
        )  # a default that was said wins over settings
        plain = {"version": self.version, **plain, **self.model_dump(mode="json", include=said)}
        if self.kinds is not None:
            plain["kinds"] = sorted(self.kinds)
        return {name: plain[name] for name in type(self).model_fields if name in plain}
