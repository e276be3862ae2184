"""Which labels make the webhook of a revision check an object."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.validation_webhooks import NotValidatedError, validated_labels

WITHOUT_LABEL = {"matchExpressions": [{"key": "istio.io/rev", "operator": "DoesNotExist"}]}
DEFAULT = {"name": "validation.istio.io", "objectSelector": WITHOUT_LABEL}
OTHER = {"name": "validate.policy.example"}


def of_revision(revision: str) -> dict[str, Any]:
    selector = {"matchExpressions": [{"key": "istio.io/rev", "operator": "In", "values": [revision]}]}
    return {"name": "rev.validation.istio.io", "objectSelector": selector}


def labels(revision: str, *hooks: dict[str, Any]) -> dict[str, str]:
    items = [{"webhooks": [hook]} for hook in hooks]
    listed = SimpleNamespace(get=lambda: SimpleNamespace(to_dict=lambda: {"items": items}))
    return validated_labels(cast(Api, SimpleNamespace(resource=lambda _version, _kind: listed)), revision)


@pytest.mark.parametrize(
    ("revision", "hooks", "expected"),
    [
        pytest.param("default", [OTHER, of_revision("default"), DEFAULT], {}, id="default-revision"),
        pytest.param("default", [of_revision("default")], {"istio.io/rev": "default"}, id="no-default-validator"),
        pytest.param("canary", [of_revision("canary")], {"istio.io/rev": "canary"}, id="revision-alone"),
        pytest.param(
            "canary", [DEFAULT, of_revision("canary")], {"istio.io/rev": "canary"}, id="revision-beside-the-default"
        ),
        pytest.param("canary", [DEFAULT], {}, id="one-webhook-for-all"),
        pytest.param("canary", [{"name": "validation.istio.io"}], {"istio.io/rev": "canary"}, id="selects-everything"),
    ],
)
def test_labels_are_those_of_the_webhook_of_the_revision(
    revision: str, hooks: list[dict[str, Any]], expected: dict[str, str]
) -> None:
    assert labels(revision, *hooks) == expected


def test_object_that_no_webhook_selects_is_not_validated() -> None:
    with pytest.raises(NotValidatedError, match="selects objects of the revision canary"):
        labels("canary", of_revision("other"))


def test_webhook_of_others_is_none_of_istio() -> None:
    with pytest.raises(NotValidatedError, match="not installed"):
        labels("default", OTHER)
