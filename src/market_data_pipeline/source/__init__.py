"""From installed plugins to sources: shared providers, services, and the pump that makes batches."""

from __future__ import annotations

from market_data_pipeline.source.adapter import PluginSource
from market_data_pipeline.source.pool import ProviderPool
from market_data_pipeline.source.services import CoreServices, ServiceFactory

__all__ = ["CoreServices", "PluginSource", "ProviderPool", "ServiceFactory"]
