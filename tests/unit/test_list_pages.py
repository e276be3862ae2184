"""Large lists are read in pages."""

from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster import pages
from pytest_istio_egress.cluster.pages import all_items

ALL = [{"metadata": {"name": str(number)}} for number in range(5)]


class Kind:
    """Serves `ALL`; `expires` after a page, or answers with another error from the start."""

    def __init__(self, *, expires: bool = False, status: int = 0) -> None:
        self.expires = expires
        self.status = status
        self.requests: list[Any] = []

    def get(self, namespace: str | None, limit: int = 0, _continue: str | None = None) -> Any:
        assert namespace == "a"
        self.requests.append((limit, _continue))
        if self.status or (self.expires and _continue):
            raise ApiException(status=self.status or 410)
        begin = int(_continue or 0)
        end = begin + limit if limit else len(ALL)
        metadata = {"continue": str(end)} if end < len(ALL) else {"continue": ""}
        return SimpleNamespace(to_dict=lambda: {"metadata": metadata, "items": ALL[begin:end]})


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE", 2)


def test_list_is_read_in_pages() -> None:
    kind = Kind()
    assert all_items(kind, "a") == ALL
    assert kind.requests == [(2, None), (2, "2"), (2, "4")]


def test_list_that_expires_is_read_at_once() -> None:
    kind = Kind(expires=True)
    assert all_items(kind, "a") == ALL
    assert kind.requests == [(2, None), (2, "2"), (0, None)]


def test_other_errors_are_raised() -> None:
    with pytest.raises(ApiException):
        all_items(Kind(status=403), "a")
