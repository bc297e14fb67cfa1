"""Registration: from what an entry point names to specs and hooks, by the rules of the contract."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from functools import cached_property
from itertools import islice
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final

import attrs
import pluggy

from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.errors import PluginContractError, PluginIncompatible, nearest
from market_data_pipeline.plugins.guard import guard
from market_data_pipeline.plugins.hookspecs import (
    API_VERSION,
    AT_LOAD,
    HOOKS,
    PROJECT,
    RETURNS,
    HookContext,
    PluginHooks,
)
from market_data_pipeline.plugins.lifecycle import LifecycleEvent
from market_data_pipeline.plugins.specs import AnySpec, CommandSpec, ProviderSpec, SourceSpec

__all__ = ["Registration", "register"]

_PREFIX: Final = "mdp_"
_LIMIT: Final = 1_000
"""How many specs one hook may return: a generator need not end."""


@attrs.frozen(kw_only=True)
class Registration:
    """A plugin that kept the contract: what it offers, and its hooks that are called later."""

    plugin: str
    specs: tuple[AnySpec, ...]
    """What it offers, each signed with its name."""
    _manager: pluggy.PluginManager

    @cached_property
    def commands(self) -> tuple[CommandSpec, ...]:
        """Its commands; it is asked for them on first use.

        Raises:
            PluginContractError: Its hook raises, or returns something else.
        """
        return _collect(self._manager, "mdp_commands", self.plugin)

    @property
    def hears_events(self) -> bool:
        """Whether it has the hook `mdp_event`."""
        return bool(self._manager.hook.mdp_event.get_hookimpls())

    def tell(self, event: LifecycleEvent) -> None:
        """Call its hook `mdp_event`, which may raise anything."""
        self._manager.hook.mdp_event(context=HookContext(plugin=self.plugin), event=event)


def register(target: object, *, plugin: str) -> Registration:
    """Return what the object offers that the entry point `plugin` names.

    Raises:
        PluginContractError: It breaks the contract, or one of its hooks raises.
        PluginIncompatible: It needs another version of the contract.
    """
    # A manager for each plugin: pluggy compares and hashes plugin objects, and one call runs all of a manager's, so
    # that in a shared one a strange object or a failing hook would take the others with it.
    manager = _Manager(PROJECT)
    manager.add_hookspecs(PluginHooks)
    if inspect.isclass(target):
        return Registration(plugin=plugin, specs=(_wrap(target, plugin),), manager=manager)
    _check_api(getattr(target, "api", PluginHooks.api))
    try:
        manager.register(target, plugin)
    except pluggy.PluginValidationError as error:
        raise PluginContractError(str(error).rpartition("\n")[2]) from error
    if not manager.get_hookcallers(target):
        what = target.__name__ if isinstance(target, ModuleType) else f"an object of type {type(target).__name__}"
        raise PluginContractError(f"it names {what}, which has no hook ({', '.join(HOOKS)})")
    specs = tuple(spec for hook in AT_LOAD for spec in _collect(manager, hook, plugin))
    return Registration(plugin=plugin, specs=specs, manager=manager)


class _Manager(pluggy.PluginManager):
    """Takes every name with the prefix for a hook, as pytest does, and refuses what the contract forbids."""

    def parse_hookspec_opts(self, module_or_class: object, name: str) -> pluggy.HookspecOpts | None:
        del module_or_class
        if not name.startswith(_PREFIX):
            return None
        return pluggy.HookspecOpts(firstresult=False, historic=False, warn_on_impl=None, warn_on_impl_args=None)

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        options = super().parse_hookimpl_opts(plugin, name)
        if options is None and not name.startswith(_PREFIX):
            return None
        static = inspect.getattr_static(plugin, name)
        if not isinstance(static, (FunctionType, MethodType, classmethod, staticmethod)):
            raise PluginContractError(
                f"its {name} is a {type(static).__name__}, not a function or method; only hooks begin with {_PREFIX}"
            )
        function = getattr(static, "__func__", static)
        if function is vars(PluginHooks).get(name):
            return None  # inherited, not implemented
        options = options or pluggy.HookimplOpts(
            wrapper=False, hookwrapper=False, optionalhook=False, tryfirst=False, trylast=False, specname=None
        )
        hook = options.get("specname") or name
        if hook not in HOOKS and not options.get("optionalhook"):
            raise PluginContractError(f"its hook {hook!r} is unknown: {nearest(hook, HOOKS)}")
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            raise PluginContractError(
                f"its hook {hook} is async: nobody would await it", cure=f"its author must write `def {name}`"
            )
        if hook not in RETURNS and inspect.isgeneratorfunction(function):
            raise PluginContractError(
                f"its hook {hook} is a generator, whose code nobody would run", cure="its author must take `yield` away"
            )
        if options.get("wrapper") or options.get("hookwrapper"):
            raise PluginContractError(
                f"its hook {hook} is a wrapper: a plugin speaks for itself alone",
                cure="its author must take `wrapper=True` away",
            )
        return options


def _check_api(api: object) -> None:
    if not (isinstance(api, str) and re.fullmatch(r"\d+\.\d+", api)):
        raise PluginContractError(
            f"its `api` is {api!r}", cure="its author must write the lowest contract it can work with, such as '1.0'"
        )
    needs, has = ([int(number) for number in version.split(".")] for version in (api, API_VERSION))
    if needs > has:
        raise PluginIncompatible(
            f"it needs contract {api}, this core has {API_VERSION}",
            cure="update the checkout that the core was installed from, and install it again",
        )
    if needs[0] < has[0]:
        raise PluginIncompatible(
            f"it is written for contract {api}, this core has {API_VERSION}",
            cure="install a newer version of the plugin",
        )


def _collect(manager: pluggy.PluginManager, hook: str, plugin: str) -> tuple[Any, ...]:
    """Call one hook of the manager's only plugin, and return its specs, checked and signed."""
    caller = getattr(manager.hook, hook)
    if not caller.get_hookimpls():
        return ()
    with guard(f"its hook {hook}", PluginContractError, plugin=plugin):
        answers = caller(context=HookContext(plugin=plugin))
        items = answers[0] if answers else None
        if not isinstance(items, Iterable):
            raise PluginContractError(f"its hook {hook} returns {items!r}; yield specs, or return a list of them")
        items = tuple(islice(items, _LIMIT + 1))
    if len(items) > _LIMIT:
        raise PluginContractError(f"its hook {hook} returns more than {_LIMIT:,} specs")
    expected = RETURNS[hook]
    specs: dict[tuple[str, str], Any] = {}
    for item in items:
        if not isinstance(item, expected):
            raise PluginContractError(f"its hook {hook} returns {item!r}; each must be a {expected.__name__}")
        if (item.kind, item.name) in specs:
            raise PluginContractError(f"its hook {hook} returns the {item.kind} {item.name!r} twice")
        specs[item.kind, item.name] = attrs.evolve(item, plugin=plugin)
    return tuple(specs.values())


def _wrap(cls: type[Any], plugin: str) -> ProviderSpec | SourceSpec:
    """Return a spec for a class that is a provider or a source."""
    if any(name.startswith(_PREFIX) for name in dir(cls)):
        raise PluginContractError(
            f"it names the class {cls.__name__}, not an instance",
            cure=f"its author must write `plugin = {cls.__name__}()` and name `plugin` as the entry point",
        )
    declared = getattr(cls, "capabilities", None)
    capabilities = declared if isinstance(declared, Capabilities) else Capabilities()
    if callable(getattr(cls, "close", None)):
        stream = getattr(cls, "stream", None)
        # A provider's stream() takes a request; a source's, the short form of batches(), takes nothing.
        if inspect.isfunction(stream) and len(inspect.signature(stream).parameters) > 1:
            return ProviderSpec(name=plugin, factory=cls, capabilities=capabilities, plugin=plugin)
        if callable(getattr(cls, "batches", None)) or inspect.isfunction(stream):
            return SourceSpec(name=plugin, factory=cls, capabilities=capabilities, plugin=plugin)
    raise PluginContractError(
        f"it names the class {cls.__qualname__}, which is no provider (start, stream, close), no source"
        " (start, batches, status, close) and has no hook"
    )
