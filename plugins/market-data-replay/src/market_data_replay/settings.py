"""What a user can set."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from market_data_pipeline.model import parse_time

Resolution = Literal["tick", "second", "minute"]
Time = Annotated[int, BeforeValidator(parse_time)]
Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ReplaySettings(BaseModel):
    """Which files to play, from when to when, and how fast."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path = Field(description="A file, a folder (with all below it) or a glob, such as data/**/2014*.zip")
    format: Literal["parquet", "lean"] | None = Field(
        default=None, description="What the files are; by their names (*.parquet, *.zip) unless given"
    )
    speed: Literal["max"] | Factor = Field(
        default="max", description='"max" is as fast as possible, 1 is real time by ts_event, 10 is ten times that'
    )
    start: Time | None = Field(
        default=None, description="No row before this: ISO time with an offset, or int ns. Of a bar, its start counts"
    )
    end: Time | None = Field(default=None, description="No row from this time on, written like start")
    resolution: Resolution | None = Field(
        default=None, description="lean: which files to take; the finest with rows of the wanted kinds unless given"
    )
    suspicious: bool = Field(
        default=False, description="lean: play the ticks marked suspicious too, which the publisher's bars leave out"
    )

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError("start must be before end: the range is half-open, [start, end)")
        return self
