"""An expected error, with a message that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def raises(expected: type[Exception], what: str) -> Iterator[None]:
    """Pass if exactly this error, or one of its kind, comes out of the block.

    Yields:
        Nothing.

    Raises:
        AssertionError: Nothing was raised, or something else.
    """
    try:
        yield
    except expected:
        return
    except Exception as error:
        raise AssertionError(
            f"{what} raises {type(error).__name__}: {error}: raise {expected.__name__} of market_data_pipeline.errors"
        ) from error
    raise AssertionError(f"{what} raises nothing: raise {expected.__name__} of market_data_pipeline.errors")
