"""For whom the code that runs works: what it waits for at a vendor is shared fairly between tenants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

tenant: ContextVar[str] = ContextVar("market_data_pipeline_tenant", default="")
"""Its name; a task has that of the code that made it."""


@contextmanager
def working_for(name: str) -> Iterator[None]:
    """Let the calls of this block, and of the tasks that are made in it, be those of a tenant.

    A pipeline works for the `tenant_id` of its spec by itself; this is for streams and questions of a program that
    serves several.
    """
    token = tenant.set(name)
    try:
        yield
    finally:
        tenant.reset(token)
