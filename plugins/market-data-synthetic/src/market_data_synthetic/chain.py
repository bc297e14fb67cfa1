"""An option chain at a time: a pure function of seed, underlying, tick size and time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from market_data_pipeline.contracts import ChainRequest
from market_data_pipeline.errors import InvalidRequest
from market_data_pipeline.model import SCALE, OptionQuote, to_px
from market_data_synthetic.hours import SPREAD, hour_of
from market_data_synthetic.identity import chain_epoch, origin
from market_data_synthetic.listing import expiries, expiry_time, strikes
from market_data_synthetic.market import Market
from market_data_synthetic.noise import Ints, Stream, Words, draw, keys
from market_data_synthetic.osi import Contract, is_root
from market_data_synthetic.pricing import Floats, Priced, implied_volatility, price
from market_data_synthetic.settings import SyntheticSettings

_Lists: TypeAlias = dict[str, list[Any]]

YEAR_NS = 365 * 86_400 * SCALE
"""Time to expiry is counted in years of so many ns."""

_DAY_NS = 86_400 * SCALE
_MASK = np.uint64(0xFFFF)


def quotes(request: ChainRequest, settings: SyntheticSettings, time: int) -> Sequence[OptionQuote]:
    """Return the contracts that are listed at a time, as they are then.

    Raises:
        InvalidRequest: An expiry is no date, or a range ends before it begins.
    """
    check(request)
    market = Market([request.underlying], settings)
    spot_px = market.px(time)
    contracts = _listed(request, time, spot_px)
    if not contracts:
        return ()
    return _Look(contracts, settings, time, spot_px, market.px(time - time % _DAY_NS)).quotes()


def check(request: ChainRequest) -> None:
    """Check the filters of a request.

    Raises:
        InvalidRequest: An expiry is no date, or a range ends before it begins.
    """
    for expiry in request.expiries or ():
        try:
            is_date = date.fromisoformat(expiry).isoformat() == expiry
        except ValueError:
            is_date = False
        if not is_date:
            raise InvalidRequest(f"{expiry!r} is no expiry: write it as YYYY-MM-DD", source="synthetic")
    ranges: dict[str, tuple[Any, Any] | None] = {"expiries": request.expiries, "strikes": request.strikes}
    for name, wanted in ranges.items():
        if wanted is not None and wanted[0] > wanted[1]:
            raise InvalidRequest(f"{name} from {wanted[0]} to {wanted[1]}: the first is the least", source="synthetic")


def _listed(request: ChainRequest, time: int, spot_px: int) -> Sequence[Contract]:
    """Return the contracts that are listed and wanted, by expiry, strike and right."""
    if not is_root(request.underlying):
        return ()
    first, last = request.expiries or ("", "~")
    least, greatest = request.strikes or (0, 2**63)
    return [
        Contract(request.underlying, expiry, strike, right)
        for expiry in expiries(time)
        if first <= expiry.isoformat() <= last
        for strike in strikes(spot_px)
        if least <= strike <= greatest
        for right in ("call", "put")
    ]


@attrs.define(eq=False)
class _Look:
    """Contracts of one underlying at one time, as arrays."""

    contracts: Sequence[Contract]
    settings: SyntheticSettings
    time: int
    spot_px: int
    opening_px: int
    """The spot at the beginning of the day."""
    noise: Words = attrs.field(init=False)
    """Random bits of each contract at this time."""
    daily: Words = attrs.field(init=False)
    """Random bits of each contract on this day."""
    volatility: Floats = attrs.field(init=False)
    priced: Priced = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        key = keys(self.settings.seed, [contract.symbol for contract in self.contracts])
        self.noise = draw(key[Stream.QUOTE], np.full(len(self.contracts), self.time, np.uint64))
        self.daily = draw(key[Stream.TRADE], np.full(len(self.contracts), self.time // _DAY_NS, np.uint64))
        spot, sign = self.spot_px / SCALE, np.array([1.0 if one.right == "call" else -1.0 for one in self.contracts])
        strike = np.array([contract.strike_px for contract in self.contracts]) / SCALE
        times = {day: expiry_time(day) for day in {contract.expiry for contract in self.contracts}}
        years = np.array([times[contract.expiry] - self.time for contract in self.contracts]) / YEAR_NS
        self.volatility = implied_volatility(spot, strike, years, self._at_the_money())
        self.priced = price(spot, strike, years, self.volatility, sign)

    def quotes(self) -> Sequence[OptionQuote]:
        """Return one record for each contract."""
        underlying = self.contracts[0].underlying
        source = origin(chain_epoch(self.settings, underlying, self.time))
        columns = self._market() | self._activity() | {"implied_volatility": self.volatility.tolist()}
        columns |= {name: array.tolist() for name, array in attrs.asdict(self.priced).items() if name != "price"}
        return [
            OptionQuote(
                contract.symbol,
                underlying,
                contract.expiry.isoformat(),
                contract.strike_px,
                contract.right,
                self.time,
                self.time,
                source,
                underlying_px=self.spot_px,
                **dict(zip(columns, values, strict=True)),
            )
            for contract, values in zip(self.contracts, zip(*columns.values(), strict=True), strict=True)
        ]

    def _at_the_money(self) -> float:
        """Return the volatility at the forward: 30 % to 45 % a year, as a walk of 2 % a day has."""
        key = keys(self.settings.seed, [self.contracts[0].underlying])
        return 0.30 + 0.15 * int(_bits(key[Stream.BASE], 48)[0]) / 65_536

    def _market(self) -> _Lists:
        """Return bid and ask, on the grid and at least half a tick from the model's price; a bid of 0 is none."""
        tick_px = to_px(self.settings.tick_size)
        model = self.priced.price * SCALE / tick_px
        widest = int(SPREAD[hour_of(np.array([self.time]))][0])
        half = 0.5 + _bits(self.noise, 48) * widest / 131_072 + model / 100
        bids = np.maximum(np.floor(model - half), 0.0).astype(np.int64) * tick_px
        asks = np.ceil(model + half).astype(np.int64) * tick_px
        lasts = np.where(_bits(self.noise, 0) & 1, asks, bids)
        return {
            "bid_px": _or_none(bids, bids > 0),
            "ask_px": asks.tolist(),
            "bid_size": _or_none(1.0 + (_bits(self.noise, 16) * 100 >> 16), bids > 0),
            "ask_size": (1.0 + (_bits(self.noise, 32) * 100 >> 16)).tolist(),
            "last_px": _or_none(lasts, lasts > 0),
        }

    def _activity(self) -> _Lists:
        """Return open interest and volume: both fade away from the money, and volume grows through the day."""
        strike = np.array([contract.strike_px for contract in self.contracts])
        nearness = np.exp(-np.square(5 * np.log(strike / self.opening_px)))
        part = self.time % _DAY_NS / _DAY_NS
        return {
            "open_interest": np.floor(_bits(self.daily, 0) * nearness / 8).tolist(),
            "volume": np.floor(_bits(self.daily, 16) * nearness / 32 * part).tolist(),
        }


def _or_none(values: NDArray[Any], is_there: NDArray[np.bool_]) -> list[Any]:
    return [value if there else None for value, there in zip(values.tolist(), is_there.tolist(), strict=True)]


def _bits(noise: Words, place: int) -> Ints:
    """Return 16 bits of each word as an int."""
    return (noise >> np.uint64(place) & _MASK).view(np.int64)
