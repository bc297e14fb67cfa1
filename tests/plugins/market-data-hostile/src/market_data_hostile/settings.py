"""Settings with a secret, hidden and shown."""

from pydantic import BaseModel, SecretStr


class HiddenSettings(BaseModel):
    """As it should be."""

    api_key: SecretStr


class ShownSettings(BaseModel):
    """As it should not be."""

    api_key: str
