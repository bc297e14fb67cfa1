"""What a user can have go wrong, on purpose and at known times: a pure function of settings and the ticks' own time."""

from __future__ import annotations

from typing import Literal, Self

import attrs
from pydantic import BaseModel, Field, PositiveInt, field_validator

from market_data_pipeline.model import parse_interval


@attrs.frozen
class Window:
    """The last part of every stretch of time, stretches counted from the epoch: "5s/1m" is from :55 to :00."""

    length: int
    every: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the window of a text such as "5s/1m".

        Raises:
            ValueError: It is not of that form, or not shorter than the stretch.
        """
        length, slash, every = text.partition("/")
        if not slash:
            raise ValueError(f"{text!r} is no window: write 5s/1m for the last 5 s of every minute")
        window = cls(parse_interval(length), parse_interval(every))
        if window.length >= window.every:
            raise ValueError(f"{length} is not shorter than {every}: a window ends before the next one begins")
        return window

    def number(self, time: int) -> int | None:
        """Return the number of the window that a time is in; None if it is in none."""
        number, into = divmod(time, self.every)
        return number if into >= self.every - self.length else None

    def span(self, number: int) -> tuple[int, int]:
        """Return begin and end of the window with that number."""
        end = (number + 1) * self.every
        return end - self.length, end

    def edge(self, time: int) -> int:
        """Return when, after a time, a window begins or ends next."""
        begin, end = self.span(time // self.every)
        return begin if time < begin else end


@attrs.frozen
class Late:
    """Every so many rows one comes late by so much: "3s/100"."""

    delay: int
    every: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what a text such as "3s/100" says.

        Raises:
            ValueError: It is not of that form.
        """
        delay, _, every = text.partition("/")
        if not (every.isascii() and every.isdecimal() and int(every)):
            raise ValueError(f"{text!r} is no delay: write 3s/100 for every 100th row, 3 s late")
        return cls(parse_interval(delay), int(every))


class FaultSettings(BaseModel):
    """What goes wrong on purpose; nothing unless given."""

    fault_gap: str | None = Field(
        default=None, description="Ticks of these times are missing: 5s/1m is the last 5 s of every minute"
    )
    fault_gap_silent: bool = Field(default=False, description="No Gap tells that they are")
    fault_duplicate: PositiveInt | None = Field(
        default=None, description="Every so many rows one comes twice, with one identity"
    )
    fault_late: str | None = Field(
        default=None, description="Every so many rows one comes late: 3s/100 is every 100th, 3 s late"
    )
    fault_late_flagged: bool = Field(default=True, description="Those that come late are flagged OUT_OF_ORDER")
    fault_stall: str | None = Field(
        default=None,
        description="From the beginning of these times, written like fault_gap, nothing comes for as long on the "
        "clock; then all of it",
    )
    fault_disconnect: str | None = Field(
        default=None,
        description="The connection is lost in these times, written like fault_gap, and comes back by itself",
    )
    fault_reconnect: bool = Field(default=True, description="False: it raises ConnectionLost where it is lost")
    fault_slow_start: str | None = Field(default=None, description="Each start of a stream takes so long, such as 3s")
    fault_failed_starts: int = Field(default=0, ge=0, description="So many starts of streams fail before one does not")
    fault_start_error: Literal["ConnectionLost", "AuthenticationFailed"] = Field(
        default="ConnectionLost", description="What they raise"
    )
    fault_request: PositiveInt | None = Field(
        default=None, description="Every so many requests for history, chains and instruments one fails"
    )
    fault_request_error: Literal["RateLimited", "ServerError"] = Field(
        default="RateLimited", description="What they raise"
    )
    fault_retry_after: float = Field(
        default=1.0, ge=0, le=86_400, description="Seconds to wait, which RateLimited says"
    )

    @field_validator("fault_gap", "fault_stall", "fault_disconnect")
    @classmethod
    def _check_window(cls, text: str | None) -> str | None:
        if text is not None:
            Window.parse(text)
        return text

    @field_validator("fault_late")
    @classmethod
    def _check_late(cls, text: str | None) -> str | None:
        if text is not None:
            Late.parse(text)
        return text

    @field_validator("fault_slow_start")
    @classmethod
    def _check_interval(cls, text: str | None) -> str | None:
        if text is not None:
            parse_interval(text)
        return text

    @property
    def windows(self) -> dict[str, Window]:
        """The windows that are given, by "gap", "stall" and "disconnect"."""
        texts = {"gap": self.fault_gap, "stall": self.fault_stall, "disconnect": self.fault_disconnect}
        return {name: Window.parse(text) for name, text in texts.items() if text is not None}

    @property
    def late(self) -> Late | None:
        """Which rows come late, and by how much."""
        return None if self.fault_late is None else Late.parse(self.fault_late)
