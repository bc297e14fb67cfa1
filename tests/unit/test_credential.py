"""Which account some settings name: RC-4."""

import os
import subprocess
import sys
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Secret, SecretBytes, SecretStr

from market_data_pipeline.contracts import Capabilities
from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.plugins import ProviderSpec, SourceSpec
from market_data_pipeline.source.credential import credential_of

SECRET = "hush-4f1d0c7e"


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Login(BaseModel):
    model_config = ConfigDict(extra="allow")

    user: str = "me"
    password: SecretStr = SecretStr("a")


@dataclass
class Door:
    number: int = 1
    codes: list[SecretBytes] = field(default_factory=lambda: [SecretBytes(b"\xff")])


class Settings(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    key: SecretStr = SecretStr("a")
    host: str = "h"
    colour: str = "red"
    identity: Any = None


def spec(*identity, **more):
    return ProviderSpec(
        **{
            "name": "acme",
            "factory": dict,
            "settings": Settings,
            "capabilities": Capabilities(),
            "identity": identity,
            **more,
        }
    )


def credential(value):
    return credential_of(spec("identity"), Settings.model_construct(identity=value))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({}, {}, True),
        ({"colour": "blue"}, {}, True),
        ({"key": "b"}, {}, False),
        ({"host": "i"}, {}, False),
    ],
)
def test_what_a_spec_names_as_identity_tells_accounts_apart(one, other, same):
    of = spec("key", "host")
    assert (credential_of(of, Settings(**one)) == credential_of(of, Settings(**other))) is same


@pytest.mark.parametrize(
    ("of", "settings"),
    [
        (spec(identity=None), Settings()),
        (spec("key"), None),
        (SourceSpec(name="acme", factory=dict, capabilities=Capabilities()), Settings()),
    ],
    ids=["no identity", "no settings", "a source"],
)
def test_where_nothing_tells_accounts_apart_all_share_one(of, settings):
    assert credential_of(of, settings) == ""


DIFFERENT = [
    (SecretStr("a"), SecretStr("b")),
    (SecretBytes(b"\xfe"), SecretBytes(b"\xff")),
    (Secret[list[SecretStr]]([SecretStr("a")]), Secret[list[SecretStr]]([SecretStr("b")])),
    (Login(password="a"), Login(password="b")),
    (Login(), Login(realm=SecretStr("b"))),
    ({"eu": [Login()]}, {"eu": [Login(password="b")]}),
    (Door(), Door(codes=[SecretBytes(b"\xfe")])),
    ((SecretStr("a"), 1), (SecretStr("b"), 1)),
    (["a", "b"], ["b", "a"]),
    ({"a": 1}, [["a", 1]]),
    ({1: "a"}, {"1": "a"}),
    (1, "1"),
    (None, "None"),
    (frozenset({"a", "b"}), frozenset({"a", "c"})),
    (Colour.RED, Colour.BLUE),
    (Path("/a"), Path("/b")),
    (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)),
    (date(2026, 1, 1), date(2026, 1, 2)),
    (timedelta(1), timedelta(2)),
    (Decimal("0.1"), Decimal("0.2")),
    ("\udcff", "\udcfe"),
]


@pytest.mark.parametrize("pair", DIFFERENT)
def test_what_differs_anywhere_in_a_setting_is_another_account(pair):
    one, other = pair
    assert credential(one) != credential(other)


def test_neither_order_nor_who_asks_makes_another_account():
    one = {"b": {Colour.RED, Colour.BLUE}, "a": Login(x=1, y=2)}
    other = OrderedDict(a=Login(y=2, x=1), b=frozenset({Colour.BLUE, Colour.RED}))
    assert credential(one) == credential(other)


def everything() -> dict[str, Any]:
    words = frozenset(f"word {number}" for number in range(50))
    return {
        "words": words,
        "logins": [Login(password=word) for word in sorted(words)],
        "nested": {Path("/a"): {("b", 1): {Decimal(number) for number in range(50)}}},
        "rest": [Colour.RED, Door(), datetime(2026, 1, 1, tzinfo=UTC), 0.1, None, True, SecretBytes(b"\xff")],
    }


def test_all_processes_name_an_account_alike():
    """Where a set stands in order by hash, two processes go through it differently."""
    code = "import test_credential as t; print(list(t.everything()['words'])[0], t.credential(t.everything()))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parent)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.rpartition(" ")[::2]
        for seed in "123"
    }
    assert len({first for first, _ in found}) > 1
    assert {last.strip() for _, last in found} == {credential(everything())}


def itself() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize("strange", [object(), len, Settings, itself(), iter("ab")], ids=range(5))
def test_what_no_other_process_can_find_again_is_refused_and_not_shown(strange, caplog):
    message = r"identity of provider acme, identity: a dict .+ cannot tell accounts apart"
    with pytest.raises(ConfigurationError, match=message) as raised:
        credential({SECRET: SecretStr(SECRET), "x": strange})
    assert SECRET not in f"{raised.value!r} {raised.value.__cause__!r}" + caplog.text
