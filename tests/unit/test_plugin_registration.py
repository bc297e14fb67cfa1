"""What the contract welcomes and refuses when a plugin registers."""

import functools
import itertools
import types

import attrs
import pytest

from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.errors import PluginContractError, PluginIncompatible
from market_data_pipeline.plugins import ComponentSpec, PluginHooks, ProviderSpec, SourceSpec, hookimpl
from market_data_pipeline.plugins.registration import register

PROVIDER = ProviderSpec(name="acme", factory="acme:Provider", capabilities=Capabilities())


def plugin_with(**members):
    return type("Plugin", (), members)()


def returning(answer):
    return plugin_with(mdp_providers=lambda self: answer)


def refusal(target):
    with pytest.raises(PluginContractError) as raised:
        register(target, plugin="acme")
    return str(raised.value)


def test_hooks_need_no_decorator_and_no_context():
    (spec,) = register(returning([PROVIDER]), plugin="acme").specs
    assert spec == attrs.evolve(PROVIDER, plugin="acme")


def test_the_context_says_who_is_asked():
    seen = []
    register(plugin_with(mdp_providers=lambda self, context: seen.append(context) or ()), plugin="acme")
    assert [(context.plugin, context.api) for context in seen] == [("acme", "1.0")]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        seen[0].plugin = "other"


def test_a_decorated_hook_may_have_another_name():
    class Plugin:
        @hookimpl(specname="mdp_providers")
        def all_of_ours(self):
            return [PROVIDER]

    assert [spec.name for spec in register(Plugin(), plugin="acme").specs] == ["acme"]


def test_a_hook_of_a_newer_core_may_be_declared_optional():
    class Plugin(PluginHooks):
        def mdp_providers(self, context):
            return [PROVIDER]

        @hookimpl(optionalhook=True)
        def mdp_of_tomorrow(self):
            return []

    assert [spec.name for spec in register(Plugin(), plugin="acme").specs] == ["acme"]


def test_static_and_class_methods_and_modules_are_hooks():
    static = type("Plugin", (), {"mdp_providers": staticmethod(lambda: [PROVIDER])})()
    of_class = type("Plugin", (), {"mdp_providers": classmethod(lambda cls: [PROVIDER])})()
    module = types.ModuleType("acme")
    module.mdp_providers = lambda: [PROVIDER]
    assert {register(target, plugin="acme").specs[0].name for target in (static, of_class, module)} == {"acme"}


def test_a_plugin_that_cannot_be_hashed_or_equals_another_is_welcome():
    @attrs.define
    class Plugin(PluginHooks):
        def mdp_providers(self, context):
            return [PROVIDER]

    assert register(Plugin(), plugin="acme").specs == register(Plugin(), plugin="acme").specs


async def coroutine(self):
    return []


async def generator(self):
    yield PROVIDER


def wrapper(self):
    return (yield)


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({"mdp_provider": lambda self: []}, "its hook 'mdp_provider' is unknown: did you mean 'mdp_providers'"),
        ({"mdp_providers": coroutine}, "its hook mdp_providers is async: nobody would await it"),
        ({"mdp_providers": generator}, "its hook mdp_providers is async: nobody would await it"),
        ({"mdp_providers": hookimpl(wrapper=True)(wrapper)}, "its hook mdp_providers is a wrapper"),
        ({"mdp_event": wrapper}, "its hook mdp_event is a generator, whose code nobody would run; its author must"),
        ({"mdp_providers": lambda self, contxt: []}, "{'contxt'} are declared in the hookimpl but can not be found"),
        ({"mdp_providers": functools.partial(list)}, "its mdp_providers is a partial, not a function or method"),
        ({"mdp_providers": property(list)}, "its mdp_providers is a property, not a function or method"),
        ({"mdp_version": 3}, "its mdp_version is a int, not a function or method"),
        ({"stray": hookimpl(lambda self: [])}, "its hook 'stray' is unknown"),
        ({}, "it names an object of type Plugin, which has no hook (mdp_providers, mdp_sources, "),
    ],
)
def test_what_is_no_hook_is_refused(members, text):
    assert text in refusal(plugin_with(**members))


def test_a_subclass_that_overrides_nothing_and_a_module_without_hooks_are_refused():
    assert "has no hook" in refusal(PluginHooks())
    assert "it names types, which has no hook" in refusal(types)


def test_a_class_in_place_of_its_instance_is_refused():
    class Acme(PluginHooks):
        def mdp_providers(self, context):
            return [PROVIDER]

    assert "it names the class Acme, not an instance; its author must write `plugin = Acme()`" in refusal(Acme)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (itertools.repeat(PROVIDER), "its hook mdp_providers returns more than 1,000 specs"),
        (None, "its hook mdp_providers returns None; yield specs, or return a list of them"),
        (PROVIDER, "returns ProviderSpec("),
        ("acme", "its hook mdp_providers returns 'a'; each must be a ProviderSpec"),
        ([PROVIDER, 1], "its hook mdp_providers returns 1; each must be a ProviderSpec"),
        ([SourceSpec(name="acme", factory="a:b", capabilities=Capabilities())], "each must be a ProviderSpec"),
        ([PROVIDER, PROVIDER], "its hook mdp_providers returns the provider 'acme' twice"),
    ],
)
def test_what_a_hook_returns_is_checked(answer, text):
    assert text in refusal(returning(answer))


def test_one_name_may_serve_several_kinds():
    class Plugin:
        def mdp_providers(self):
            return [PROVIDER]

        def mdp_sources(self):
            return [SourceSpec(name="acme", factory="a:b", capabilities=Capabilities())]

        def mdp_components(self):
            return [ComponentSpec(kind=kind, name="acme", factory="a:b") for kind in ("operator", "sink")]

    assert [spec.kind for spec in register(Plugin(), plugin="acme").specs] == ["provider", "source", "operator", "sink"]


@pytest.mark.parametrize("api", ["1.1", "2.0", "10.0", "0.9"])
def test_another_contract_is_incompatible(api):
    with pytest.raises(PluginIncompatible, match=f"contract {api}, this core has 1.0"):
        register(plugin_with(api=api, mdp_providers=lambda self: []), plugin="acme")


@pytest.mark.parametrize("api", ["1", "one", 1.0, None, types])
def test_a_contract_version_that_is_none_is_refused(api):
    assert "its author must write the lowest contract it can work with" in refusal(plugin_with(api=api))


class Source:
    capabilities = Capabilities(unbounded=True)

    async def start(self): ...
    def batches(self): ...
    async def status(self): ...
    async def close(self): ...


class ShortSource:
    async def stream(self):
        yield

    async def close(self): ...


class Provider:
    capabilities = property(list)
    api = "a client of its own, not a contract version"

    async def start(self): ...
    def stream(self, request): ...
    async def close(self): ...


def test_a_class_that_is_a_source_or_a_provider_gets_a_spec_of_the_entry_points_name():
    assert register(Source, plugin="acme").specs == (
        SourceSpec(name="acme", factory=Source, capabilities=Source.capabilities, plugin="acme"),
    )
    assert register(ShortSource, plugin="acme").specs == (
        SourceSpec(name="acme", factory=ShortSource, capabilities=Capabilities(), plugin="acme"),
    )
    assert register(Provider, plugin="acme").specs == (
        ProviderSpec(name="acme", factory=Provider, capabilities=Capabilities(), plugin="acme"),
    )


@pytest.mark.parametrize(
    "cls",
    [int, type("NeverCloses", (), {"stream": lambda self: None}), type("Closes", (), {"close": lambda self: None})],
)
def test_any_other_class_is_refused(cls):
    assert f"it names the class {cls.__name__}, which is no provider" in refusal(cls)
