"""What the parts of the tree have in common."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1)]


def _filled(value: object) -> object:
    nothing: dict[str, Any] = {}
    return nothing if value is None else value


Filled: Final = BeforeValidator(_filled)
"""A section of which the file gives the name alone is one that says nothing."""

OneOrSeveral: Final = BeforeValidator(lambda value: (value,) if isinstance(value, str) else value)
"""A list of which the file gives one text is that alone."""


class Section(BaseModel):
    """A part of the tree."""

    # a message of pydantic would show what is wrong, and that may be a secret
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
