"""From an installed plugin to one consumer's source: made and started, and all given back."""

import anyio
import pytest

from market_data_pipeline.contracts import Capabilities, StreamRequest
from market_data_pipeline.errors import ConnectionLost, SourceBug
from market_data_pipeline.plugins import ProviderSpec, SourceSpec
from market_data_pipeline.source import PluginSource, ProviderPool
from market_data_pipeline.testing import simulate

REQUEST = StreamRequest(symbols=("A",))


class Source:
    """A source of the short form."""

    made = None

    def __init__(self, request=None, settings=None, services=None):
        self.request, self.services, self.calls = request, services, []
        Source.made = self

    async def start(self):
        self.calls.append("start")

    async def stream(self):
        yield

    async def close(self):
        self.calls.append("close")


class Provider(Source):
    view = Source

    def stream(self, request):
        return self.view(request)


def source_spec(factory=Source):
    return SourceSpec(name="acme", factory=factory, capabilities=Capabilities())


def provider_spec(factory=Provider):
    return ProviderSpec(name="acme", factory=factory, capabilities=Capabilities())


def opened(spec):
    """Open and close a source twice; return the plugin's own source, and the providers in use before and after."""

    async def main(_):
        pool = ProviderPool()
        source = PluginSource(spec, None, REQUEST, pool)
        try:
            own = await source.open()
        finally:
            names = [one.name for one in pool.status()]
            await source.close()
            await source.close()
            assert [one.name for one in pool.status()] == []
        return own, names

    return simulate(main)


def test_a_source_is_made_from_request_settings_and_services_started_and_closed_once():
    own, names = opened(source_spec())
    assert (own.request, own.services.log.name) == (REQUEST, "market_data_pipeline.plugin.acme")
    assert (own.calls, names) == (["start", "close"], [])


def test_a_source_of_a_provider_holds_the_provider_until_it_is_closed():
    own, names = opened(provider_spec())
    assert (own.request, own.calls, names) == (REQUEST, ["start", "close"], ["acme"])


@pytest.mark.parametrize("what", ["source", "provider"])
@pytest.mark.parametrize("error", [KeyError("x"), ConnectionLost("x")])
def test_a_factory_that_fails_is_an_error_of_the_contract_and_leaves_nothing(what, error):
    """G-4."""

    def refuse(*_):
        raise error

    class Fails(Provider):
        view = staticmethod(refuse)

    spec = source_spec(refuse) if what == "source" else provider_spec(Fails)
    with pytest.raises(ConnectionLost if isinstance(error, ConnectionLost) else SourceBug):
        opened(spec)


def test_what_is_no_source_is_named():
    """RT-4."""

    class Odd(Provider):
        view = staticmethod(lambda _: 42)

    with pytest.raises(SourceBug, match=r"acme gave a int for a source: that has batches\(\), or stream\(\)"):
        opened(provider_spec(Odd))


def test_a_source_that_does_not_start_is_closed():
    class Fails(Source):
        async def start(self):
            raise ConnectionLost("refused")

    with pytest.raises(ConnectionLost):
        opened(source_spec(Fails))
    assert Source.made.calls == ["close"]


def test_a_source_that_hangs_in_close_still_gives_its_provider_back(caplog):
    """F28, G-3."""

    class Hangs(Source):
        async def close(self):
            await anyio.sleep_forever()

    class Has(Provider):
        view = Hangs

    opened(provider_spec(Has))
    assert "acme did not close within 2 s" in caplog.text
