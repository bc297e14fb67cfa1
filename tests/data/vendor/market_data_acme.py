"""A provider and a sink with secrets in their settings."""

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, Secret, SecretBytes, SecretStr, model_validator

from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.plugins import ComponentSpec, PluginHooks, ProviderSpec


class Certificate(SecretStr):
    pass


class Login(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    user: str = "me"
    password: SecretStr = SecretStr("")


class AcmeSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    port: int = Field(default=1, gt=0)
    symbols: list[str] = []
    token: SecretStr | None = None
    key: SecretBytes | None = None
    login: Login = Login()
    logins: list[Login] = []
    keys: dict[str, SecretStr] = {}
    note: str = Field(default="", repr=False)
    certificate: Certificate | None = None
    pin: Secret[int] | None = None
    phrase: SecretStr | None = Field(default=None, validation_alias=AliasChoices("pass-phrase", "pass-word"))
    pair: tuple[str, SecretStr] | None = None

    @model_validator(mode="before")
    @classmethod
    def tell(cls, values):
        if values.get("port") == 13:
            raise ValueError(f"13 is no port: {values}")
        if values.get("port") == 14:
            raise RuntimeError(f"14 is no port: {values}")
        if values.get("port") == 15:
            raise SystemExit(3)
        return values


class DatabaseSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    dsn: SecretStr


class Plugin(PluginHooks):
    def mdp_providers(self):
        capabilities = Capabilities(kinds=frozenset({"quote"}))
        yield ProviderSpec(name="acme", factory=dict, settings=AcmeSettings, capabilities=capabilities)

    def mdp_components(self):
        yield ComponentSpec(kind="sink", name="acme-db", factory=lambda dsn: dsn, settings=DatabaseSettings)


plugin = Plugin()
