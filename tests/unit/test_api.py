"""The message of an error of the API in one line."""

import json

import pytest
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import ClusterError, reason


def with_body(body: str | None, status: int = 403, reason: str = "Forbidden") -> ApiException:
    error = ApiException(status=status, reason=reason)
    error.body = body
    return error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (with_body(json.dumps({"message": "pods is\n forbidden"})), "pods is forbidden"),
        (with_body(None), "HTTP 403 Forbidden"),
        (with_body("<html>"), "HTTP 403 Forbidden"),
        (
            with_body(None, 0, 'Handshake status 403 -+- b\'{"message":"exec is \\"forbidden\\""}\''),
            'exec is "forbidden"',
        ),
        (with_body(None, 0, "[Errno 111] Connection refused"), "[Errno 111] Connection refused"),
        (ClusterError("two\n  lines"), "two lines"),
        (OSError(), "OSError"),
    ],
)
def test_reason_is_the_message_in_one_line(error: Exception, line: str) -> None:
    assert reason(error) == line
