"""Waits for a condition by evaluating it again and again: the only place that sleeps between requests to the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed

Result = TypeVar("Result")


def poll(condition: Callable[[], Result], *, every: float, timeout: float) -> Result:
    """Call `condition` every so many seconds until its result is true; return its last result.

    After `timeout` seconds that result is false. `condition` is called at least once; its exceptions pass through.
    """
    retrying = Retrying(
        stop=stop_after_delay(timeout),
        wait=wait_fixed(every),
        retry=retry_if_result(lambda result: not result),
        retry_error_callback=lambda state: state.outcome.result() if state.outcome else None,
    )
    return retrying(condition)
