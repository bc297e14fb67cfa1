"""What it does wrong."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, SecretStr

Misdeed = Literal[
    "none",
    "leaks-a-task",
    "leaks-a-descriptor",
    "data-after-close",
    "time-goes-back",
    "strange-symbols",
    "sentinels",
    "secrets-in-repr",
    "undeclared-capabilities",
    "blocks-the-loop",
]


class HostileSettings(BaseModel):
    """Which misdeed, and a secret to give away."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    misdeed: Misdeed = "none"
    token: SecretStr = SecretStr("")
