"""Secrets: given by reference, and shown nowhere (API-10)."""

import logging
import os
import sys
from pathlib import Path

import pytest

from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.pipeline import PipelineSpec
from market_data_pipeline.plugins import PluginHost
from market_data_pipeline.settings import PipelineRuntimeSettings, validated
from market_data_pipeline.settings.secrets import MASK, MAX_BYTES, plain_secrets, redacted

VENDOR = Path(__file__).parents[1] / "data" / "vendor"


@pytest.fixture
def acme(monkeypatch):
    monkeypatch.syspath_prepend(str(VENDOR))
    yield PluginHost(path=[str(VENDOR)]).provider("acme")
    sys.modules.pop("market_data_acme", None)


def refused(spec, values):
    with pytest.raises(ConfigurationError) as caught:
        validated(spec, values, where="acme")
    return str(caught.value)


def secret_file(tmp_path, content, mode=0o600):
    path = tmp_path / "secret"
    path.write_bytes(content)
    path.chmod(mode)
    return {"file": str(path)}


def test_a_reference_stands_for_what_the_variable_holds(acme, monkeypatch):
    """API-10."""
    monkeypatch.setenv("TOKEN", "hunter22")
    reference = {"env": "TOKEN"}
    values = {"token": reference, "key": reference, "login": {"password": reference}, "keys": {"a": reference}}
    settings = validated(acme, {**values, "logins": [{"password": reference}]}, where="")
    assert settings.token.get_secret_value() == settings.keys["a"].get_secret_value() == "hunter22"
    assert settings.key.get_secret_value() == b"hunter22"
    assert settings.login.password == settings.logins[0].password == settings.token


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_reference_stands_for_what_the_file_holds(acme, tmp_path, end):
    """API-10."""
    reference = secret_file(tmp_path, b"hunter22 " + end)
    assert validated(acme, {"token": reference}, where="").token.get_secret_value() == "hunter22 "


def test_a_file_that_others_can_read_is_warned_of(acme, tmp_path, caplog):
    reference = secret_file(tmp_path, b"hunter22", mode=0o644)
    validated(acme, {"token": reference}, where="")
    assert "others can read it: chmod 600" in caplog.text
    assert "hunter22" not in caplog.text


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ({"env": "NOT_THERE"}, "acme: token: the environment variable NOT_THERE is not set, and it holds this secret"),
        ({"env": 5}, "token: Input should be a valid string, or {env: NAME} or {file: PATH}"),
        ({"file": "/nowhere/x"}, "/nowhere/x, which holds this secret, cannot be read: No such file"),
        ({"file": "/"}, "/, which holds this secret, is no file"),
        ({"file": os.devnull}, f"{os.devnull}, which holds this secret, is no file"),
        ({"evn": "X"}, "token: Input should be a valid string, or {env: NAME} or {file: PATH}"),
        (MASK, "this only stands for a secret: write {env: NAME} or {file: PATH}"),
    ],
)
def test_a_reference_that_does_not_work_says_why(acme, reference, message):
    assert message in refused(acme, {"token": reference})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff" * 9, "is not UTF-8"),
        (b"x" * (MAX_BYTES + 1), "is larger than 64 KiB"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused(acme, tmp_path, content, message):
    said = refused(acme, {"token": secret_file(tmp_path, content)})
    assert message in said
    assert "xxxx" not in said


def test_what_is_no_secret_takes_no_reference(acme):
    assert "symbols.0: Input should be a valid string" in refused(acme, {"symbols": [{"env": "HOME"}]})


def test_a_validator_that_repeats_its_input_is_not_repeated(acme):
    """API-10."""
    said = refused(acme, {"port": 13, "token": "hunter22"})
    assert said == "acme: settings: refused by its validator, whose message holds a secret"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"port": 14}, "raised RuntimeError: 14 is no port: {'port': 14}; tell the author of 'acme'"),
        ({"port": 14, "token": "hunter22"}, "raised RuntimeError; tell the author of 'acme'"),
        ({"port": 15}, "raised SystemExit: 3; tell the author of 'acme'"),
    ],
)
def test_a_model_whose_own_code_fails_is_a_mistake_like_any_other(acme, values, said):
    """API-10."""
    assert refused(acme, values) == f"acme: its settings {said}"


def test_every_way_to_declare_a_secret_counts(acme, monkeypatch):
    """API-10: subclasses and `Secret[...]`, whatever the field is called in a file, and one place of a tuple."""
    monkeypatch.setenv("PIN", "4711")
    reference = {"env": "PIN"}
    values = {"certificate": reference, "pin": reference, "pass-word": reference, "pair": ["me", reference]}
    settings = validated(acme, values, where="")
    assert settings.certificate.get_secret_value() == settings.phrase.get_secret_value() == "4711"
    assert settings.pin.get_secret_value() == 4711
    assert settings.pair[1].get_secret_value() == "4711"
    written = {"certificate": "4711", "pin": 4711, "pass-word": "4711", "pair": ["me", "4711"]}
    model = acme.resolve_settings()
    assert plain_secrets(model, written) == [("certificate",), ("pin",), ("pass-word",), ("pair", 1)]
    assert redacted(model, written) == {**dict.fromkeys(written, MASK), "pair": ["me", MASK]}
    assert "4711" not in refused(acme, {"certificate": ["4711"], "pin": ["4711"], "pass-phrase": ["4711"]})


def test_a_key_is_suggested_as_it_is_written(acme):
    assert "unknown key 'pass-wort'; did you mean 'pass-word'" in refused(acme, {"pass-wort": "hunter22"})


def test_plain_secrets_are_found_and_masked_and_references_stay(acme):
    """API-10."""
    values = {
        "token": "hunter22",
        "key": {"env": "K"},
        "login": {"user": "u", "password": "hunter22"},
        "keys": {"a": "hunter22"},
    }
    model = acme.resolve_settings()
    assert plain_secrets(model, values) == [("token",), ("login", "password"), ("keys", "a")]
    assert redacted(model, values) == {
        "token": MASK,
        "key": {"env": "K"},
        "login": {"user": "u", "password": MASK},
        "keys": {"a": MASK},
    }


def test_what_holds_settings_of_unknown_models_shows_no_text_of_them(caplog):
    """API-10."""
    caplog.set_level(logging.DEBUG)
    settings = PipelineRuntimeSettings(providers={"acme": {"token": "hunter22", "port": 5}})
    spec = PipelineSpec(source={"name": "acme", "settings": {"token": "hunter22"}}, sink="memory")
    assert "hunter22" not in f"{settings!r} {settings} {settings.model_dump_json()} {spec!r} {caplog.text}"
    assert settings.providers["acme"]["token"] == "hunter22"
    with pytest.raises(ValueError, match="valid dictionary") as caught:
        PipelineRuntimeSettings(providers={"acme": "hunter22"})
    assert "hunter22" not in str(caught.value)
