"""What a user can set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from market_data_pipeline.model import Basis, Kind, parse_interval, parse_time

Resolution = Literal["tick", "second", "minute"]
Time = Annotated[int, BeforeValidator(parse_time)]
Interval = Annotated[int, BeforeValidator(parse_interval)]
Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _pairs(value: object) -> object:
    """Take `ours:theirs,ours:theirs` apart, which is how a one-liner writes a mapping."""
    if isinstance(value, Mapping):
        return {name: str(number) if type(number) is int else number for name, number in value.items()}
    if not isinstance(value, str):
        return value
    pairs = [pair.partition(":") for pair in value.split(",")]
    if wrong := next((pair for pair in pairs if not (pair[0] and pair[2])), None):
        raise ValueError(f"{''.join(wrong)!r} is no pair: write ours:theirs,ours:theirs, such as bid:b,ask:a")
    if twice := next((name for name, _, _ in pairs if [pair[0] for pair in pairs].count(name) > 1), None):
        raise ValueError(f"{twice!r} is given twice")
    return {name: text for name, _, text in pairs}


Pairs = Annotated[dict[str, str], BeforeValidator(_pairs)]
Sides = Annotated[dict[str, Literal["buy", "sell"]], BeforeValidator(_pairs)]


class ReplaySettings(BaseModel):
    """Which files to play, from when to when, and how fast."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path = Field(description="A file, a folder (with all below it) or a glob, such as data/**/2014*.zip")
    format: Literal["parquet", "lean", "csv", "jsonl", "dbn"] | None = Field(
        default=None, description="What the files are; by their names unless given"
    )
    speed: Literal["max"] | Factor = Field(
        default="max", description='"max" is as fast as possible, 1 is real time by ts_event, 10 is ten times that'
    )
    loop: Annotated[int, Field(ge=1)] | Literal["forever"] = Field(
        default=1, description="How many times to play it, or forever; each round has later times and epochs of its own"
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
    kind: Kind | None = Field(
        default=None, description="csv, jsonl: what the rows are; needed unless each line says it, as ours do"
    )
    columns: Pairs = Field(
        default_factory=dict,
        description="csv, jsonl: our name of a column to the file's, or to its number from 0, or to a dotted path",
    )
    where: Pairs = Field(
        default_factory=dict,
        description="csv, jsonl: play the rows only in which these columns of the file hold these texts",
    )
    symbol: str | None = Field(default=None, min_length=1, description="csv, jsonl: the symbol of all rows")
    provider: str = Field(default="file", min_length=1, description="csv, jsonl: who said it, where no column tells")
    time_unit: Literal["ns", "us", "ms", "s", "iso"] | None = Field(
        default=None, description="csv, jsonl: what times count; ISO text with an offset, or int ns, unless given"
    )
    recv_unit: Literal["ns", "us", "ms", "s", "iso"] | None = Field(
        default=None, description="csv, jsonl: what ts_recv counts, where it is not what the other times count"
    )
    time_format: str | None = Field(
        default=None, min_length=1, description="csv, jsonl: how times are written, in the codes of Python's strptime"
    )
    time_zone: str | None = Field(
        default=None, min_length=1, description="csv, jsonl: the zone of times without an offset, such as Europe/Berlin"
    )
    interval: Interval | None = Field(
        default=None, description="csv, jsonl: how long a bar lasts, where the file has its start or its end only"
    )
    basis: Basis = Field(default="trade", description="csv, jsonl: what bars are made of, where no column tells")
    sides: Sides = Field(
        default_factory=dict, description="csv, jsonl: the file's words for the aggressor's side to buy or sell"
    )
    delimiter: str = Field(default=",", min_length=1, max_length=1, description="csv: what stands between columns")
    header: bool = Field(default=True, description="csv: whether the first line has the names of the columns")

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError("start must be before end: the range is half-open, [start, end)")
        return self

    @model_validator(mode="after")
    def _check_time(self) -> Self:
        from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

        if self.time_format and self.time_unit:
            raise ValueError("time_format and time_unit exclude each other: times are text or numbers")
        if self.time_format and "%z" not in self.time_format and not self.time_zone:
            raise ValueError("time_format has no offset (%z): say the zone of these times with time_zone")
        if self.time_zone:
            if self.time_unit not in {None, "iso"}:
                raise ValueError(f"time_zone is for text, and time_unit={self.time_unit} for numbers, which are UTC")
            try:
                ZoneInfo(self.time_zone)
            except (ZoneInfoNotFoundError, ValueError, OSError) as error:
                raise ValueError(
                    f"{self.time_zone!r} is no time zone: write it as Europe/Berlin or Etc/GMT+5"
                ) from error
        return self
