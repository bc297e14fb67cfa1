"""What a person can set of the operator `bars`."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from market_data_pipeline.model import Basis
from market_data_pipeline.operator.bars import bar_interval


class BarsSettings(BaseModel):
    """Bars from ticks, or from shorter bars."""

    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True)

    interval: str = Field("1s", description='How long a bar is, one second or longer: "1s", "5m", "1h", "1d".')
    basis: Basis = Field(
        "trade",
        description="What prices are: trade (of trades), or bid, ask, mid (of quotes); bars of the same basis too.",
    )

    @field_validator("interval")
    @classmethod
    def _check_interval(cls, interval: str) -> str:
        bar_interval(interval)
        return interval
