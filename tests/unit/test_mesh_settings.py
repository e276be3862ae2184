"""The settings of Istio that are tried: their entries, how a mesh gets them, and what Istio's source has besides."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "demonstrations" / "mesh_settings"
PROTO = """
message MeshConfig {
  // string old = 1;
  string trust_domain = 2;
  message Inner {
    bool of_it = 1;
  }
  repeated Inner inners = 3;
  map<string, string> texts = 4;
  oneof either {
    bool one = 5;
  }
}
"""


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    return runpy.run_path(str(FOLDER / "tried_settings.py"))


def test_entries_have_names_settings_and_tests_of_their_own(tried: dict[str, Any]) -> None:
    entries = yaml.safe_load((FOLDER / "settings.yaml").read_text(encoding="utf-8"))
    assert len(tried["load"]()) == len(entries)
    assert [name for name, each in tried["load"]().items() if not each.settings] == ["as-it-is"]
    named = [path for each in tried["load"]().values() for path in each.tests]
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_setting_is_tried_or_has_a_reason_but_not_both(tried: dict[str, Any]) -> None:
    others = [name for group in tried["others"]() for name in group["settings"]]
    assert len(others) == len(set(others))
    of_entries = {name for each in tried["load"]().values() for name in (*each.istiod, *each.mesh)}
    assert of_entries & set(others) == set()


def test_mesh_gets_the_settings_of_one_entry_and_none_of_an_earlier_one(
    tried: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []
    variables = [{"name": "KEPT", "value": "1"}, {"name": "POD", "valueFrom": {}}]
    deployment = {"spec": {"template": {"spec": {"containers": [{"env": variables}]}}}}

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        ran.append(command[1:])
        answers = {"configmap": "defaultConfig: {concurrency: 1}", "deployment": json.dumps(deployment)}
        answer = answers.get(command[2], "") if command[1] == "get" else ""
        return subprocess.CompletedProcess(command, 0, stdout=answer, stderr="")

    monkeypatch.setattr(subprocess, "run", run)
    installation = tried["Installation"](SimpleNamespace(binaries=Path("/bin"), kubeconfig=Path("/kubeconfig")))
    entry = tried["Tried"]
    installation.change(entry(name="one", changes="", mesh={"defaultConfig": {"statusPort": 2}}, istiod={"NEW": "2"}))
    installation.change(entry(name="two", changes="", istiod={"KEPT": "3"}))
    installation.change(entry(name="three", changes=""))
    patches = [yaml.safe_load(command[-3]) for command in ran if command[0] == "patch"]
    meshes = [yaml.safe_load(patch["data"]["mesh"]) for patch in patches]
    assert meshes[0] == {"defaultConfig": {"concurrency": 1, "statusPort": 2}}
    assert meshes[1:] == [{"defaultConfig": {"concurrency": 1}}] * 2
    words = [command[3:-2] for command in ran if command[:2] == ["set", "env"]]
    assert words == [
        ["NEW=2", "SETTINGS=one"],
        ["NEW-", "KEPT=3", "SETTINGS=two"],
        ["KEPT=1", "SETTINGS=three"],
    ]


def test_settings_of_istios_source_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])
    source = runpy.run_path(str(FOLDER / "unlisted_settings.py"))
    features = tmp_path / "pilot" / "pkg" / "features"
    features.mkdir(parents=True)
    (features / "pilot.go").write_text(
        'A = env.Register("PLAIN", false, "")\nB = env.Register[int64](\n\t"TYPED",\n)\nC = registerAmbient("AMBIENT",'
    )
    (features / "pilot_test.go").write_text('D = env.Register("OF_A_TEST", 1)')
    assert set(source["variables"](tmp_path)) == {"PLAIN", "TYPED", "AMBIENT"}
    (tmp_path / "mesh" / "v1alpha1").mkdir(parents=True)
    (tmp_path / "mesh" / "v1alpha1" / "config.proto").write_text(PROTO)
    found = set(source["fields"](tmp_path, "config.proto", "MeshConfig"))
    assert found == {"trustDomain", "inners", "texts", "one"}
