"""Orders of operators as files: CB-1 and RC-10 from another process."""

import pytest

from market_data_pipeline.errors import ConfigurationError
from market_data_pipeline.orchestration import orders as module
from market_data_pipeline.orchestration.orders import KEPT_NS, Order, Orders, newest


def order(action="open", target="acme/history", at=1, **more):
    provider, _, operation = target.partition("/")
    return Order(action=action, provider=provider, operation=operation, at=at, **{"reason": "because", **more})


@pytest.fixture
def orders(tmp_path):
    return Orders(tmp_path / "orders")


def given(orders):
    return [(one.action, one.target) for one in orders.read()]


def test_there_are_none_where_nobody_gave_any(orders):
    assert orders.read() == ()


def test_what_is_read_is_what_was_written(orders):
    written = orders.write(order(until=7))
    assert orders.read() == (written,) == (order(until=7),)


def test_each_order_is_newer_than_those_before_though_the_clock_was_set_back(orders):
    orders.write(order(target="acme/a", at=10))
    assert orders.write(order(target="acme/b", at=3)).at == 11


def test_an_order_takes_the_place_of_those_that_it_covers(orders):
    for target in ("acme/history", "acme/chain", "other/history"):
        orders.write(order(target=target))
    orders.write(order("reset", "acme"))
    assert given(orders) == [("open", "other/history"), ("reset", "acme")]


def test_an_order_to_a_budget_leaves_those_to_breakers_alone(orders):
    orders.write(order("open", "acme"))
    orders.write(order("warm", "acme"))
    assert given(orders) == [("open", "acme"), ("warm", "acme")]


def test_what_has_ended_is_forgotten_with_the_next_order(orders):
    orders.write(order(target="acme/a", at=1, until=5))
    orders.write(order(target="acme/b", at=5))
    assert given(orders) == [("open", "acme/b")]


def test_what_happens_once_is_forgotten_after_a_day_unless_it_shields_from_a_wider_order(orders):
    orders.write(order("open", "acme", at=1))
    orders.write(order("reset", "acme/history", at=2))
    orders.write(order("reset", "other", at=3))
    orders.write(order("open", "third", at=4 + KEPT_NS))
    assert given(orders) == [("open", "acme"), ("reset", "acme/history"), ("open", "third")]


def test_more_than_may_be_are_refused(orders, monkeypatch):
    monkeypatch.setattr(module, "MOST", 2)
    orders.write(order(target="acme/a"))
    orders.write(order(target="acme/b"))
    with pytest.raises(ConfigurationError, match="2 orders are in force already"):
        orders.write(order(target="acme/c"))


@pytest.mark.parametrize("content", [b"{", b"{}", b" " * 20_000, b'{"action":"explode"}'])
def test_what_is_no_order_is_left_out_with_a_warning(orders, tmp_path, caplog, content):
    orders.write(order())
    tmp_path.joinpath("orders", "00.json").write_bytes(content)
    assert given(orders) == [("open", "acme/history")]
    assert "is no order" in caplog.text


def test_what_is_no_order_is_told_once_and_again_when_it_is_wrong_in_another_way(orders, tmp_path, caplog):
    """G-5: the board reads them every second."""
    path = tmp_path / "orders" / "00.json"
    path.parent.mkdir()
    told = []
    for content in (b"{", b"{", b"{}", b"{}"):
        path.write_bytes(content)
        orders.read()
        told.append(len(caplog.records))
    assert told == [1, 1, 2, 2]


def test_what_is_no_order_and_goes_away_is_forgotten(orders, tmp_path):
    orders.write(order())
    path = tmp_path / "orders" / "00.json"
    path.write_bytes(b"{")
    orders.read()
    path.unlink()
    orders.read()
    assert orders._strange == {}


@pytest.mark.parametrize("wrong", [{"reason": " "}, {"reason": "a\nb"}, {"reason": "x" * 501}, {"target": ""}])
def test_a_reason_and_a_provider_are_short_printable_words(wrong):
    with pytest.raises(ConfigurationError, match="printable characters"):
        order(**wrong)


@pytest.mark.parametrize(
    ("operation", "now", "expected"),
    [("history", 3, "disable"), ("history", 9, "open"), ("chain", 3, "open"), ("chain", 99, "open")],
)
def test_the_newest_order_in_force_that_covers_a_breaker_decides(operation, now, expected):
    wide, narrow = order("open", "acme", at=1), order("disable", at=2, until=9)
    assert newest([wide, narrow, order("warm", "acme", at=3)], "acme", operation, now).action == expected
    assert newest([wide, narrow], "other", operation, now) is None
