"""What `run_suites` says of checks."""

import os

import pytest

from market_data_pipeline.testing.conformance.report import run_suites


class Base:
    def test_passes(self, tmp_path):
        assert tmp_path.is_dir()

    def test_fails(self):
        raise AssertionError("it is wrong: mend it")

    def test_skips(self):
        pytest.skip("it has none")

    def test_raises(self):
        raise ValueError("no")

    def test_lacks_a_fixture(self, gone):
        pass

    @pytest.fixture
    def broken_end(self):
        yield
        pytest.fail("it does not close", pytrace=False)

    def test_ends_badly(self, broken_end):
        pass


SUITE = type("Base", (Base,), {})


def test_each_check_has_its_outcome_and_its_own_words():
    checks = run_suites([("plugin acme", SUITE)], tell=lambda _: None)
    assert {one.check: (one.outcome, one.message) for one in checks if one.check != "test_lacks_a_fixture"} == {
        "test_passes": ("passed", ""),
        "test_fails": ("failed", "it is wrong: mend it"),
        "test_skips": ("skipped", "it has none"),
        "test_raises": ("failed", "ValueError: no"),
        "test_ends_badly": ("failed", "it does not close"),
    }
    assert {one.outcome for one in checks if one.check == "test_lacks_a_fixture"} == {"failed"}
    assert {(one.suite, one.subject) for one in checks} == {("Base", "plugin acme")}


def test_what_surrounds_it_has_no_part_in_it(tmp_path, monkeypatch):
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --collect-only\n")
    (tmp_path / "conftest.py").write_text("raise SystemExit(7)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_ADDOPTS", "--collect-only")
    assert len(run_suites([("plugin acme", SUITE)], tell=lambda _: None)) == 6
    assert os.environ["PYTEST_ADDOPTS"] == "--collect-only"


def test_who_listens_no_more_ends_it():
    """CLI-1."""
    told = []

    def tell(check):
        told.append(check)
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        run_suites([("plugin acme", SUITE)], tell=tell)
    assert len(told) == 1


def test_an_interrupt_is_passed_on():
    class Interrupted(Base):
        def test_fails(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_suites([("plugin acme", Interrupted)], tell=lambda _: None)
