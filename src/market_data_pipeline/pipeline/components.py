"""From a name and settings to an object: what the builder and the runtime do with every registered spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from market_data_pipeline.contracts import Batcher, Operator, Sink
from market_data_pipeline.errors import MarketDataError, PluginContractError
from market_data_pipeline.plugins import ComponentKind, ComponentSpec
from market_data_pipeline.plugins.guard import cure, describe

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["make"]

_CONTRACTS: Final[Mapping[ComponentKind, type]] = {"operator": Operator, "batcher": Batcher, "sink": Sink}


def make(spec: ComponentSpec, settings: BaseModel | None) -> Any:
    """Return a new component of a spec, made with the fields of its settings.

    Raises:
        PluginContractError: Its factory raises, or returns something else.
        MarketDataError: Its factory refuses the settings.
    """
    factory, contract = spec.resolve_factory(), _CONTRACTS[spec.kind]
    names = () if settings is None else type(settings).model_fields
    fields = {name: getattr(settings, name) for name in names}
    what = f"the factory of the {spec.kind} {spec.name!r} of plugin {spec.plugin!r}"
    try:
        made = factory(**fields)
        fits = isinstance(made, contract)
    except MarketDataError:
        raise
    except Exception as error:
        raise PluginContractError(
            f"{what} raised {describe(error)}", plugin=spec.plugin, cure=cure(error) or "tell its author"
        ) from error
    if not fits:
        raise PluginContractError(
            f"{what} returns a {type(made).__name__}, which is no {contract.__name__} as market_data_pipeline.contracts"
            " says",
            plugin=spec.plugin,
            cure="its author must add what is missing",
        )
    return made
