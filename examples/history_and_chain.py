"""Ask a provider for bars of the past and for an option chain, and look at both as tables."""

from market_data_pipeline import SyncRuntime

SETTINGS = {"provider": "synthetic", "providers": {"synthetic": {"start": "2026-11-23T14:30:00+00:00"}}}


def main() -> None:
    """Print the last bar of a quarter of an hour, and the first expiry of a chain."""
    with SyncRuntime(SETTINGS) as runtime:
        history = runtime.get_historical_bars(
            "AAPL", start="2026-11-23T14:30:00+00:00", end="2026-11-23T14:45:00+00:00", interval="1m"
        )
        chain = runtime.get_options_chain("AAPL")
    *_, last = history
    print(f"{len(history)} bars, the last closed at {last.close:.2f}; columns {history.to_arrow().column_names[:3]}")
    calls = [option for option in chain if option.right == "call" and option.expiry == chain.rows[0].expiry]
    print(f"{len(chain)} options; {len(calls)} calls that expire on {calls[0].expiry}")


if __name__ == "__main__":
    main()
