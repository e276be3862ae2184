"""What an upgrade of a cluster replaces: what differs between two manifests, settings before those who read them."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_istio_egress.embedded import ClusterSpec, EmbeddedError
from pytest_istio_egress.embedded.istio_manifest import istio_settings
from pytest_istio_egress.embedded.upgrade import changes_between


def found(kind: str, name: str, **more: object) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": "istio-system"}, **more}


def test_only_what_differs_and_deployments_apart() -> None:
    before = [found("Deployment", "istiod", spec=1), found("ConfigMap", "istio", data=1), found("Service", "istiod")]
    after = [found("Deployment", "istiod", spec=2), found("ConfigMap", "istio", data=2), found("Service", "istiod")]
    assert changes_between(before, before).other == []
    changes = changes_between(before, after)
    assert changes.other == [after[1]]
    assert changes.deployments == {"istiod": after[0]}


def test_another_release_has_objects_that_come_and_go() -> None:
    kept, comes, goes = (found("ConfigMap", name) for name in ("istio", "comes", "goes"))
    changes = changes_between([kept, goes], [kept, comes])
    assert (changes.new, changes.other, changes.deployments, changes.gone) == ([comes], [], {}, [goes])


def test_settings_that_are_not_asked_for_are_left_to_istio() -> None:
    plain, asked = istio_settings("ALLOW_ANY", "1.31"), istio_settings("ALLOW_ANY", "1.31", "1.28", "proxyv2:x")
    assert set(asked) - set(plain) == {
        "compatibilityVersion=1.28",
        "values.global.proxy.image=proxyv2:x",
        "values.global.proxy_init.image=proxyv2:x",
    }


@pytest.mark.parametrize("compatibility", ["", "latest", "1", "1.28.3", "1.28; id"])
def test_a_compatibility_is_a_release(compatibility: str) -> None:
    with pytest.raises(EmbeddedError, match="no release"):
        ClusterSpec(compatibility=compatibility)
