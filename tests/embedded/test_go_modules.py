"""What takes the place of requirements that the module proxy refuses, and what Go's own words become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.embedded.go_modules import (
    Go,
    ModuleProxy,
    refused,
    stated_replaces,
    substitutes_for,
    unverified,
)
from pytest_istio_egress.embedded.versions import Substitutes

from .module_proxy import FolderProxy, Served, needs_go, proxy

API, CLIENT = "istio.test/api", "istio.test/client-go"
TOGETHER = Substitutes(together=((API, CLIENT),))
NOTHING = Substitutes()


def go_mod(require: dict[str, str], replace: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"Require": [{"Path": path, "Version": version} for path, version in require.items()], "Replace": replace}


def each(module: str, *versions: str, time: str = "2026-09-01T10:00:00Z") -> Served:
    return {(module, version): (version, time) for version in versions}


def test_what_is_refused_is_found_whether_tagged_or_not() -> None:
    pseudo = "v0.0.0-20260713214202-ca8ce173c36f"
    require = {
        "served.test/x": "v1.0.0",
        "gone.test/tag": "v1.0.0",
        "gone.test/pseudo": pseudo,
        "stated.test/x": "v1.0.0",
    }
    found = refused(proxy(each("served.test/x", "v1.0.0")), go_mod(require), {"stated.test/x"})
    assert found == {"gone.test/tag": "v1.0.0", "gone.test/pseudo": pseudo}


def test_a_refused_pseudo_version_gives_way_to_the_first_tag_after_it() -> None:
    asked = "v1.31.0-rc.0.0.20260824154656-b943409680a7"
    served = {
        **each(API, "v1.31.1", "v1.32.0"),
        **each(API, "v1.24.2", "v1.31.0", time="2026-08-01T10:00:00Z"),
    }
    tags = {API: ["v1.24.2", "v1.31.0", "v1.31.1", "v1.32.0"]}
    assert substitutes_for(proxy(served, tags), {API: asked}, NOTHING) == {API: "v1.31.1"}


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        ("v1.31.2", "v1.31.4"),
        ("v1.28.9", "v1.28.0"),
        ("v1.24.5-0.20250409200717-4933c1da972e", "v1.24.2"),
        ("v1.27.9", "v1.28.0"),
        ("v1.27.8-0.20990101000000-469b1b2d2cfa", "v1.28.0"),  # however long ago 1.28.0 was
        ("v1.29.6-0.20260710004629-1092f7f89789", "v1.30.8"),
        ("v1.99.0", "v1.32.0"),
    ],
)
def test_the_nearest_is_later_or_earlier_and_of_the_same_line_if_there_is_one(asked: str, nearest: str) -> None:
    tags = ["v1.24.2", "v1.25.2", "v1.26.0", "v1.28.0", "v1.30.8", "v1.31.0", "v1.31.4", "v1.32.0"]
    served = {**each(API, *tags), **each(CLIENT, *tags)}
    assert substitutes_for(proxy(served, {API: tags}), {API: asked}, TOGETHER) == {API: nearest, CLIENT: nearest}


def test_a_pseudo_version_of_a_module_without_lines_is_nearer_to_the_next_tag_than_to_the_one_before() -> None:
    served = {**each(API, "v1.37.0", time="2026-02-01T00:00:00Z"), **each(API, "v1.38.0", "v1.39.0")}
    tags = {API: ["v1.37.0", "v1.38.0", "v1.39.0"]}
    refusals = {API: "v1.37.1-0.20260409083702-98966259b99a"}
    assert substitutes_for(proxy(served, tags), refusals, NOTHING) == {API: "v1.38.0"}


def test_a_listed_version_that_is_refused_is_passed_over() -> None:
    tags = {API: ["v1.28.1", "v1.28.2", "v1.30.0"]}
    assert substitutes_for(proxy(each(API, "v1.30.0"), tags), {API: "v1.28.1"}, NOTHING) == {API: "v1.30.0"}


def test_modules_that_go_together_get_one_version_that_is_served_of_all() -> None:
    served = {**each(API, "v1.25.2", "v1.26.0"), **each(CLIENT, "v1.26.0")}
    tags = {API: ["v1.25.2", "v1.26.0"], CLIENT: ["v1.26.0"]}
    refusals = {API: "v1.25.3", CLIENT: "v1.25.3"}
    assert substitutes_for(proxy(served, tags), refusals, TOGETHER) == {API: "v1.26.0", CLIENT: "v1.26.0"}
    assert substitutes_for(proxy(served, tags), {CLIENT: "v1.25.3"}, TOGETHER) == {API: "v1.26.0", CLIENT: "v1.26.0"}


def test_a_version_that_is_served_and_not_listed_is_tried_where_it_is_known() -> None:
    older = "v0.0.0-20260501213430-773586679f1c"
    known = Substitutes(unlisted={"x.test/x": (older,)})
    refusals = {"x.test/x": "v0.0.0-20260506232448-6ae4ab07bb06"}
    served = each("x.test/x", older, time="2026-05-01T21:34:30Z")
    assert substitutes_for(proxy(served), refusals, known) == {"x.test/x": older}


def test_without_a_tag_the_latest_that_is_served_stands_in() -> None:
    asked, latest = "v1.36.1-0.20260713214202-ca8ce173c36f", "v1.36.1-0.20260729145720-a2d8c7492908"
    answer = (latest, "2026-07-29T14:57:20Z")
    served = {("envoy.test/contrib", "latest"): answer, ("envoy.test/contrib", latest): answer}
    assert substitutes_for(proxy(served), {"envoy.test/contrib": asked}, NOTHING) == {"envoy.test/contrib": latest}


def test_a_module_that_is_refused_in_every_version_is_an_error() -> None:
    with pytest.raises(EmbeddedError, match=r"no version of x\.test/x: neither v1\.0\.0 nor another one"):
        substitutes_for(proxy({}), {"x.test/x": "v1.0.0"}, NOTHING)


def test_replaces_of_the_modules_own_are_stated() -> None:
    replaces = [
        {"Old": {"Path": "k8s.test/api"}, "New": {"Path": "./staging/src/k8s.test/api"}},
        {"Old": {"Path": "x.test/x"}, "New": {"Path": "x.test/x", "Version": "v1.2.3"}},
        {"Old": {"Path": "y.test/y"}, "New": {"Path": "fork.test/y", "Version": "v1.2.3"}},
    ]
    assert stated_replaces(go_mod({}, replaces), "v0.36.3") == {"k8s.test/api": "v0.36.3", "x.test/x": "v1.2.3"}
    assert stated_replaces(go_mod({}, replaces), None) == {"x.test/x": "v1.2.3"}


def test_a_hash_that_the_checksum_database_lacks_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    said = (
        "istio.test/istio@v0.0.0-1-a: verifying go.mod: istio.test/istio@v0.0.0-1-a/go.mod: reading "
        "https://sums.test/lookup/istio.test/istio@v0.0.0-1-a: 404 Not Found"
    )
    monkeypatch.delenv("GONOSUMDB", raising=False)
    error = unverified(said)
    assert error is not None
    assert "has no hash of istio.test/istio@v0.0.0-1-a:" in str(error)
    assert error.remedy == "export GONOSUMDB=istio.test/istio"
    monkeypatch.setenv("GONOSUMDB", "other.test")
    error = unverified(said)
    assert error is not None
    assert error.remedy == "export GONOSUMDB=$GONOSUMDB,istio.test/istio"


def test_a_hash_that_differs_is_no_hash_that_is_lacking() -> None:
    assert unverified("verifying x.test/x@v1.0.0: checksum mismatch\n\tdownloaded: h1:a=\n\tgo.sum: h1:b=") is None


@needs_go
def test_a_folder_is_a_proxy_and_serves_tags(folder_proxy: FolderProxy, tmp_path: Path) -> None:
    pseudo = "v0.0.0-20260629163924-ff49c1889eba"
    folder_proxy.serve("x.test/x", pseudo, time="2026-06-29T16:39:24Z", names=("1.28.10",), listed=False)
    folder_proxy.serve("x.test/x", "v1.0.0")
    found = ModuleProxy(Go(Path("go")), tmp_path)
    assert found.resolve("x.test/x", "1.28.10") == (pseudo, "2026-06-29T16:39:24Z")
    assert found.resolve("x.test/x", "1.28.11") is None
    assert found.tagged("x.test/x") == ["v1.0.0"]


@needs_go
def test_many_modules_are_asked_for_at_once(folder_proxy: FolderProxy, tmp_path: Path) -> None:
    folder_proxy.serve("x.test/x", "v1.0.0")
    found = ModuleProxy(Go(Path("go")), tmp_path)
    asked = [("x.test/x", "v1.0.1"), ("x.test/x", "v1.0.0"), ("y.test/y", "v1.0.0")]
    assert found.served(asked) == [None, ("v1.0.0", "2026-01-01T00:00:00Z"), None]
    assert found.served([]) == []
