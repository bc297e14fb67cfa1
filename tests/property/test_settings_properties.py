"""Settings against a plain dict, and a secret that is planted somewhere."""

import copy
import json
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from market_data_pipeline.cli import main
from market_data_pipeline.plugins import discovery
from market_data_pipeline.settings import PipelineRuntimeSettings, load_settings
from market_data_pipeline.settings.shape import leaves

VENDOR = Path(__file__).parents[1] / "data" / "vendor"
SECRET = "hunter22-Tr0ub4dor"

LEAVES = {
    ("provider",): st.sampled_from(["synthetic", "ON", "7", "null"]),
    ("max_concurrent_pipelines",): st.integers(1, 99),
    ("pipeline", "commit_sec"): st.floats(0.5, 99),
    ("pipeline", "on_full"): st.sampled_from(["block", "fail"]),
    ("pipeline", "batch", "max_rows"): st.integers(1, 99),
    ("plugins", "strict"): st.booleans(),
    ("plugins", "only"): st.lists(st.sampled_from(["a", "on"]), max_size=2),
    ("providers", "acme", "user"): st.sampled_from(["me", "ON"]),
    ("providers", "my-vendor", "token"): st.sampled_from(["x", "[y"]),
}
layer = st.fixed_dictionaries({}, optional=LEAVES)


def nested(flat):
    tree = {}
    for location, value in flat.items():
        inner = tree
        for key in location[:-1]:
            inner = inner.setdefault(key, {})
        inner[location[-1]] = value
    return tree


def variables(flat):
    def name(location):
        return "MDP__" + "__".join(location).upper().replace("-", "_")

    texts = {location: value if isinstance(value, str) else json.dumps(value) for location, value in flat.items()}
    return {name(location): text for location, text in texts.items()}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("settings") / "mdp.yaml"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(layer, layer, layer, layer)
def test_the_last_who_says_something_wins(path, file, profile, environ, call):
    """CFG-2."""
    names_vendor = ("providers", "my-vendor", "token")
    if names_vendor not in file | profile | call:
        environ.pop(names_vendor, None)  # nobody says that its name has a hyphen
    path.write_text(json.dumps({**nested(file), "profiles": {"p": nested(profile)}}))
    loaded = load_settings(path, profile="p", environ=variables(environ), overrides=nested(call))
    expected = {**file, **profile, **environ, **call}
    assert loaded.settings == PipelineRuntimeSettings.model_validate({**nested(expected), "profile": "p"})
    layers = {"file": file, "profile": profile, "environment": environ, "call": call}
    for location in expected:
        last = [name for name, said in layers.items() if location in said][-1]
        assert loaded.origin(location).layer == last
    again = PipelineRuntimeSettings.model_validate(loaded.settings.model_dump())
    assert again == loaded.settings


def shapes(inner):
    return st.sampled_from([inner, [inner], {"a": inner}, {"env": [inner]}, {"c": inner}, {"password": [inner]}])


planted = st.dictionaries(
    st.sampled_from(["token", "key", "login", "logins", "keys", "note"]),
    shapes(SECRET) | shapes({"password": SECRET}) | shapes([SECRET]),
    min_size=1,
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
)
@given(planted, st.sampled_from([1, 0, 13, "x"]))
def test_a_secret_is_never_shown(path, capsys, caplog, values, port):
    """API-10."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(VENDOR))
        distributions = discovery.distributions
        patch.setattr(discovery, "distributions", lambda: distributions(path=[str(VENDOR)]))
        values = {**copy.deepcopy(values), "port": port}
        assert any(value == SECRET for _, value in leaves(values))
        spec = {"source": {"name": "acme", "settings": values}, "sink": "memory", "symbols": ["A"]}
        path.write_text(json.dumps({"providers": {"acme": values}, "profiles": {"p": {"providers": {"acme": values}}}}))
        path.with_name("spec.yaml").write_text(json.dumps(spec))
        main(["config", "check", str(path)])
        main(["config", "show", "--settings", str(path), "--profile", "p"])
        main(["config", "show", "--json", "--settings", str(path), "--no-plugins"])
        main(["run", "--dry-run", "--debug", str(path.with_name("spec.yaml"))])
        main(["run", "--dry-run", "acme:A -> memory", "--settings", str(path)])
        sys.modules.pop("market_data_acme", None)
    shown = caplog.text
    caplog.clear()
    out, err = capsys.readouterr()
    assert SECRET not in out + err + shown
