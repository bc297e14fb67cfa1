"""Starts and requests that fail, counted over all users of one provider."""

from __future__ import annotations

import attrs

from market_data_pipeline.errors import AuthenticationFailed, ConnectionLost, RateLimited, ServerError
from market_data_synthetic.faults import FaultSettings


@attrs.define
class Failures:
    """What failed so far, and what is to."""

    settings: FaultSettings
    starts: int = 0
    requests: int = 0

    def count_start(self) -> None:
        """Count the start of a stream.

        Raises:
            ConnectionLost: It is one of the first, which fail.
            AuthenticationFailed: The same, where `fault_start_error` says so.
        """
        of = self.settings
        self.starts += 1
        if self.starts <= of.fault_failed_starts:
            error = ConnectionLost if of.fault_start_error == "ConnectionLost" else AuthenticationFailed
            raise error(
                f"start {self.starts} of synthetic fails, as fault_failed_starts={of.fault_failed_starts} has it",
                source="synthetic",
            )

    def count_request(self) -> None:
        """Count a request.

        Raises:
            RateLimited: It is one of those that fail.
            ServerError: The same, where `fault_request_error` says so.
        """
        of = self.settings
        self.requests += 1
        if of.fault_request is None or self.requests % of.fault_request:
            return
        said = f"request {self.requests} to synthetic fails, as fault_request={of.fault_request} has it"
        if of.fault_request_error == "ServerError":
            raise ServerError(said, source="synthetic")
        raise RateLimited(
            f"{said}: ask again in {of.fault_retry_after:g} s", source="synthetic", retry_after=of.fault_retry_after
        )
