"""The suite of what streams."""

from __future__ import annotations

from market_data_pipeline.testing.conformance.lifecycle import LifecycleChecks
from market_data_pipeline.testing.conformance.resources import ResourceChecks
from market_data_pipeline.testing.conformance.streaming import StreamChecks


class TickSourceConformance(LifecycleChecks, ResourceChecks, StreamChecks):
    """Whether a source, or what a provider's `stream` returns, keeps the contract.

    Subclass it, set `capabilities` and `symbols`, and write one of the fixtures `make_source` and `make_provider`::

        class TestAcme(TickSourceConformance):
            capabilities = CAPABILITIES
            symbols = ("AAPL", "MSFT")

            @pytest.fixture
            def make_provider(self, vendor):
                return lambda services: AcmeProvider(AcmeSettings(api_key="x", port=vendor.port), services)

    Each check makes, starts and closes sources of its own, in a loop of its own.
    """
