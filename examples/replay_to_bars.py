"""Write ticks to Parquet, replay them into one-second bars twice, and see that both runs wrote the same bytes."""

import asyncio
import hashlib
import tempfile
from pathlib import Path

from market_data_pipeline import PipelineBuilder
from market_data_pipeline.pipeline import parse_spec


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of each file of a dataset, by its name."""
    paths = sorted(folder.rglob("*.parquet"))
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


async def record(folder: Path) -> None:
    """Write some minutes of synthetic quotes and trades."""
    spec = parse_spec(
        {
            "source": {"name": "synthetic", "settings": {"speed": "max", "rate": 100, "count": 50_000, "seed": 7}},
            "symbols": ["AAPL", "MSFT"],
            "sink": {"name": "parquet", "settings": {"path": str(folder)}},
        }
    )
    result = await PipelineBuilder().build_and_run(spec)
    print(f"{result.ledger.sinks[0].delivered} ticks recorded")


async def replay(ticks: Path, folder: Path) -> dict[str, str]:
    """Make bars out of the recorded trades."""
    spec = parse_spec(
        {
            "source": {"name": "replay", "settings": {"path": str(ticks)}},
            "pipeline_id": "bars",  # part of the names of its files: made from the path of the ticks unless given
            "operator": {"name": "bars", "settings": {"interval": "1s"}},
            "sink": {"name": "parquet", "settings": {"path": str(folder)}},
        }
    )
    result = await PipelineBuilder().build_and_run(spec)
    print(f"{result.ledger.received} trades replayed, {result.ledger.sinks[0].delivered} bars written")
    return digests(folder)


async def main(folder: Path) -> None:
    """Record once and replay twice."""
    await record(folder / "ticks")
    one = await replay(folder / "ticks", folder / "one")
    two = await replay(folder / "ticks", folder / "two")
    for name, digest in one.items():
        print(digest[:16], name)
    print("both runs wrote the same bytes" if one and one == two else "the runs differ")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(main(Path(name)))
