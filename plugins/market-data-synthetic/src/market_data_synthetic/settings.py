"""What a user can set."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt

from market_data_pipeline.model import parse_time
from market_data_synthetic.faults import FaultSettings

DEFAULT_START = 1_704_205_800_000_000_000
"""2024-01-02T14:30:00Z, the opening of a New York session."""

END_OF_TICKS = 2**62
"""No tick is later, int ns: in 2116."""

Time = Annotated[int, BeforeValidator(parse_time), Field(ge=0, le=END_OF_TICKS)]
Factor = Annotated[float, Field(ge=0.001, le=1e6)]


class TickSettings(BaseModel):
    """Which ticks to compute, from when on, and how fast to hand them out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(default=0, ge=0, lt=2**64, description="Another seed gives other prices, sizes and times")
    rate: float = Field(
        default=10.0,
        ge=0.001,
        le=1e6,
        description="Quotes per second of each symbol; the only thing that thins them out",
    )
    trades_per_quote: float = Field(
        default=0.25, ge=0, le=1, description="Share of the quotes that a trade follows, at their bid or ask"
    )
    tick_size: Decimal = Field(
        default=Decimal("0.01"),
        gt=Decimal(0),
        le=Decimal(1000),
        decimal_places=9,
        description="Prices are whole multiples",
    )
    start: Time | None = Field(
        default=None,
        description="Time of the first tick: ISO with an offset, or int ns; unless given, now at speed 1, and "
        "2024-01-02T14:30:00Z at any other, so that such a run can be repeated",
    )
    speed: Literal["max"] | Factor = Field(
        default=1.0, description='1 is real time, 10 is ten times that, "max" is as fast as possible'
    )
    count: PositiveInt | None = Field(
        default=None, description="The stream ends after so many rows of all symbols and kinds; endless unless given"
    )

    @property
    def first(self) -> int | None:
        """Time of the first tick, int ns; None is now."""
        return DEFAULT_START if self.start is None and self.speed != 1 else self.start

    @property
    def period(self) -> int:
        """Time between two quotes of a symbol on average, int ns."""
        return round(1e9 / self.rate)

    @property
    def trade_share(self) -> int:
        """`trades_per_quote` in 1/65536, at least one of them if there are trades at all."""
        return math.ceil(self.trades_per_quote * 65_536)


class SyntheticSettings(FaultSettings, TickSettings):
    """The ticks, and what goes wrong with them."""
