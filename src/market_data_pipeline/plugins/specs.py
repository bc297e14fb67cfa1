"""Specs: what hooks return. Data about a provider, source or component; its code is imported on first use."""

from __future__ import annotations

import re
from collections.abc import Callable
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import attrs

from market_data_pipeline.contracts import AnyRule, Capabilities, Rule
from market_data_pipeline.errors import PluginContractError, PluginLoadError
from market_data_pipeline.plugins.guard import guard

if TYPE_CHECKING:
    from click import Command
    from pydantic import BaseModel

__all__ = ["AnySpec", "CommandSpec", "ComponentKind", "ComponentSpec", "Lazy", "ProviderSpec", "SourceSpec", "Spec"]

Lazy: TypeAlias = str | Callable[..., Any]
"""An object, or where it is: `package.module:name`."""

ComponentKind: TypeAlias = Literal["operator", "batcher", "sink"]

_NAME = re.compile(r"[a-z][a-z0-9_-]{1,31}")
_PATH = re.compile(r"\w+(\.\w+)*:\w+(\.\w+)*")


def _check_name(spec: Spec, _field: attrs.Attribute[str], name: str) -> None:
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        msg = f"the name {name!r} of a {type(spec).__name__} must match {_NAME.pattern}"
        raise PluginContractError(msg, plugin=spec.plugin)


def _check_lazy(spec: Spec, field: attrs.Attribute[Lazy], value: Lazy) -> None:
    if not (_PATH.fullmatch(value) if isinstance(value, str) else callable(value)):
        msg = f"the {field.name} of {spec.name!r} must be 'package.module:name' or a callable, not {value!r}"
        raise PluginContractError(msg, plugin=spec.plugin)


@attrs.frozen(kw_only=True)
class Spec:
    """What every spec says. Its names are checked when it is made.

    Raises:
        PluginContractError: A name or path is not of its form.
    """

    kind: str
    name: str = attrs.field(validator=_check_name)
    """Unique among the specs of its kind: `[a-z][a-z0-9_-]{1,31}`."""
    factory: Lazy = attrs.field(validator=_check_lazy)
    settings: Lazy | None = attrs.field(default=None, validator=attrs.validators.optional(_check_lazy))
    """A pydantic model, whose fields are the keys of `NAME:ARGUMENT?key=value`."""
    summary: str = ""
    """One line for lists."""
    plugin: str = ""
    """Who said it: the plugin's entry-point name. The host fills it in."""

    def resolve_factory(self) -> Callable[..., Any]:
        """Return the factory, imported if need be.

        Raises:
            PluginLoadError: Its import fails.
            PluginContractError: It cannot be called.
        """
        factory: Lazy = self._resolve("factory", self.factory)
        if not callable(factory):
            raise PluginContractError(
                f"{self._label} names the factory {self.factory!r}, which cannot be called", plugin=self.plugin
            )
        return factory

    def resolve_settings(self) -> type[BaseModel] | None:
        """Return the settings model, imported if need be; None where there are no settings.

        Raises:
            PluginLoadError: Its import fails.
            PluginContractError: It is no pydantic model.
        """
        if self.settings is None:
            return None
        model = self._resolve("settings", self.settings)
        if not (isinstance(model, type) and hasattr(model, "model_fields")):
            raise PluginContractError(
                f"{self._label} names the settings {self.settings!r}: no pydantic model", plugin=self.plugin
            )
        return model

    @property
    def _label(self) -> str:
        return f"{self.kind} {self.name!r} of plugin {self.plugin!r}"

    def _resolve(self, what: str, value: Lazy) -> Any:
        if not isinstance(value, str):
            return value
        doing = f"{self._label} cannot be used (`mdp plugins info {self.plugin}`): importing its {what} {value!r}"
        with guard(doing, PluginLoadError, plugin=self.plugin):
            return resolve_name(value)


@attrs.frozen(kw_only=True)
class ProviderSpec(Spec):
    """A provider: `factory(settings, services) -> MarketDataProvider`."""

    kind: Literal["provider"] = attrs.field(default="provider", init=False)
    capabilities: Capabilities = attrs.field(validator=attrs.validators.instance_of(Capabilities))
    identity: tuple[str, ...] | None = None
    """The settings (credential, endpoint) that make two of them the same one; None: all settings."""
    budget: tuple[AnyRule, ...] = attrs.field(
        default=(), converter=tuple, validator=attrs.validators.deep_iterable(attrs.validators.instance_of(Rule))
    )
    """The vendor's limits: one budget for each identity, whoever uses it."""


@attrs.frozen(kw_only=True)
class SourceSpec(Spec):
    """A source without a provider: `factory(request, settings, services) -> TickSource`."""

    kind: Literal["source"] = attrs.field(default="source", init=False)
    capabilities: Capabilities = attrs.field(validator=attrs.validators.instance_of(Capabilities))


@attrs.frozen(kw_only=True)
class ComponentSpec(Spec):
    """A stage after the source: `factory(**settings)`; its argument is the first field of the settings model."""

    kind: ComponentKind = attrs.field(validator=attrs.validators.in_(("operator", "batcher", "sink")))


@attrs.frozen(kw_only=True)
class CommandSpec(Spec):
    """A command of `mdp NAME ...`: a `click.Command`, or what is called without arguments and returns one."""

    kind: Literal["command"] = attrs.field(default="command", init=False)
    settings: None = attrs.field(default=None, init=False)

    def resolve_command(self) -> Command:
        """Return the command, imported if need be.

        Raises:
            PluginLoadError: Its import fails.
            PluginContractError: It is no command.
        """
        import click

        made = self.resolve_factory()
        if not isinstance(made, click.Command):
            with guard(f"{self._label}: its factory", PluginContractError, plugin=self.plugin):
                made = made()
        if not isinstance(made, click.Command):
            raise PluginContractError(
                f"{self._label}: its factory returns {made!r}, which is no click.Command", plugin=self.plugin
            )
        return made


AnySpec: TypeAlias = ProviderSpec | SourceSpec | ComponentSpec | CommandSpec
