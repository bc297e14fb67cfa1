"""How bars are cut by the time of their rows, as one object: the form of earlier programs."""

from __future__ import annotations

import attrs

from market_data_pipeline.errors import ConfigurationError


@attrs.frozen
class EventTimePolicy:
    """How long a bar is and how long it waits for rows; `SecondBarAggregator` takes one in place of its window.

    Raises:
        ConfigurationError: `drop_late_beyond_watermark` is false.
    """

    window_sec: float = 1
    allowed_lateness_sec: float = 0
    drop_late_beyond_watermark: bool = attrs.field(default=True)
    """A bar is given out once, so that rows behind the watermark cannot be in it: nothing but True."""

    @drop_late_beyond_watermark.validator
    def _check(self, _: object, value: bool) -> None:  # noqa: FBT001 - the form of a validator
        if not value:
            raise ConfigurationError(
                "has to be true: a bar is given out once. Allow rows to be later with allowed_lateness_sec; those that "
                "are later still leave the pipeline as Diverted events",
                where="drop_late_beyond_watermark",
            )
