"""An upgrade of an embedded cluster applies the objects that differ between two manifests, Deployments last."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_istio_egress.embedded import ClusterSpec, EmbeddedError
from pytest_istio_egress.embedded.istio_manifest import istio_settings
from pytest_istio_egress.embedded.manifest_changes import changes_between
from pytest_istio_egress.embedded.upgrade import add_revision


def manifest(kind: str, name: str, **more: object) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": "istio-system"}, **more}


def test_changes_between_has_differences_with_deployments_apart() -> None:
    before = [
        manifest("Deployment", "istiod", spec=1),
        manifest("ConfigMap", "istio", data=1),
        manifest("Service", "istiod"),
    ]
    after = [
        manifest("Deployment", "istiod", spec=2),
        manifest("ConfigMap", "istio", data=2),
        manifest("Service", "istiod"),
    ]
    assert changes_between(before, before).other == []
    changes = changes_between(before, after)
    assert changes.other == [after[1]]
    assert changes.deployments == {"istiod": after[0]}


def test_changes_between_releases_has_new_and_removed_objects() -> None:
    kept, comes, goes = (manifest("ConfigMap", name) for name in ("istio", "comes", "goes"))
    changes = changes_between([kept, goes], [kept, comes])
    assert (changes.new, changes.other, changes.deployments, changes.gone) == ([comes], [], {}, [goes])


def test_settings_that_are_not_given_have_istios_defaults() -> None:
    plain, asked = istio_settings("ALLOW_ANY", "1.31"), istio_settings("ALLOW_ANY", "1.31", "1.28", "proxyv2:x")
    assert set(asked) - set(plain) == {
        "compatibilityVersion=1.28",
        "values.global.proxy.image=proxyv2:x",
        "values.global.proxy_init.image=proxyv2:x",
    }


@pytest.mark.parametrize("compatibility", ["", "latest", "1", "1.28.3", "1.28; id"])
def test_invalid_compatibility_is_an_error(compatibility: str) -> None:
    with pytest.raises(EmbeddedError, match=r"invalid compatibilityVersion .*: use a release"):
        ClusterSpec(compatibility=compatibility)


@pytest.mark.parametrize("revision", ["", "default", "1.31", "-a", "Canary"])
def test_invalid_revision_is_an_error(revision: str) -> None:
    with pytest.raises(EmbeddedError, match=r"invalid revision .*: use lower-case letters"):
        add_revision(ClusterSpec(name="none-such"), revision)
