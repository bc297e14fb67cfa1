"""Registration: from what an entry point names to specs, by the rules of the contract."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final

import attrs
import pluggy

from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.errors import PluginContractError, PluginIncompatible, nearest
from market_data_pipeline.plugins.guard import guard
from market_data_pipeline.plugins.hookspecs import API_VERSION, HOOKS, PROJECT, HookContext, PluginHooks
from market_data_pipeline.plugins.specs import AnySpec, ProviderSpec, SourceSpec

__all__ = ["register"]

_PREFIX: Final = "mdp_"


def register(target: object, *, plugin: str) -> tuple[AnySpec, ...]:
    """Return the specs of the object that the entry point `plugin` names, each signed with that name.

    Raises:
        PluginContractError: It breaks the contract, or one of its hooks raises.
        PluginIncompatible: It needs another version of the contract.
    """
    if inspect.isclass(target):
        return (_wrap(target, plugin),)
    _check_api(getattr(target, "api", PluginHooks.api))
    # A manager for each plugin: pluggy compares and hashes plugin objects, and one call runs all of a manager's, so
    # that in a shared one a strange object or a failing hook would take the others with it.
    manager = _Manager(PROJECT)
    manager.add_hookspecs(PluginHooks)
    try:
        manager.register(target, plugin)
    except pluggy.PluginValidationError as error:
        raise PluginContractError(str(error).rpartition("\n")[2]) from error
    if not manager.get_hookcallers(target):
        what = target.__name__ if isinstance(target, ModuleType) else f"an object of type {type(target).__name__}"
        raise PluginContractError(f"it names {what}, which has no hook ({', '.join(HOOKS)})")
    specs: dict[tuple[str, str], AnySpec] = {}
    for hook in HOOKS:
        for spec in _call(manager, hook, HookContext(plugin=plugin)):
            if (spec.kind, spec.name) in specs:
                raise PluginContractError(f"its hook {hook} returns the {spec.kind} {spec.name!r} twice")
            specs[spec.kind, spec.name] = attrs.evolve(spec, plugin=plugin)
    return tuple(specs.values())


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
            raise PluginContractError(f"its hook {hook} is async: nobody would await it; write `def {name}`")
        if options.get("wrapper") or options.get("hookwrapper"):
            raise PluginContractError(f"its hook {hook} is a wrapper: a plugin speaks for itself alone")
        return options


def _check_api(api: object) -> None:
    if not (isinstance(api, str) and re.fullmatch(r"\d+\.\d+", api)):
        raise PluginContractError(f"its `api` is {api!r}; write the lowest contract it can work with, such as '1.0'")
    needs, has = ([int(number) for number in version.split(".")] for version in (api, API_VERSION))
    if needs > has:
        raise PluginIncompatible(
            f"it needs contract {api}, this core has {API_VERSION}; update the checkout that the core was installed"
            " from, and install it again"
        )
    if needs[0] < has[0]:
        raise PluginIncompatible(
            f"it is written for contract {api}, this core has {API_VERSION}; install a newer version of the plugin"
        )


def _call(manager: pluggy.PluginManager, hook: str, context: HookContext) -> tuple[Any, ...]:
    """Call one hook of the manager's only plugin, and return its items, checked."""
    caller = getattr(manager.hook, hook)
    if not caller.get_hookimpls():
        return ()
    with guard(f"its hook {hook}", PluginContractError, plugin=context.plugin):
        answers = caller(context=context)
        items = answers[0] if answers else None
        if not isinstance(items, Iterable):
            raise PluginContractError(f"its hook {hook} returns {items!r}; yield specs, or return a list of them")
        items = tuple(items)
    expected = HOOKS[hook]
    for item in items:
        if not isinstance(item, expected):
            raise PluginContractError(f"its hook {hook} returns {item!r}; each must be a {expected.__name__}")
    return items


def _wrap(cls: type[Any], plugin: str) -> ProviderSpec | SourceSpec:
    """Return a spec for a class that is a provider or a source."""
    if any(name.startswith(_PREFIX) for name in dir(cls)):
        raise PluginContractError(
            f"it names the class {cls.__name__}, not an instance; write `plugin = {cls.__name__}()` and name `plugin`"
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
