"""Pages whose figures take hours: what stands around the figures is what the maker would print today."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")


def maker(path: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    file = ROOT / path
    monkeypatch.setattr(sys, "path", [str(file.parent), *sys.path])
    return runpy.run_path(str(file))


def test_faults_page_has_the_makers_text(monkeypatch: pytest.MonkeyPatch) -> None:
    faults = maker("demonstrations/faults/faults.py", monkeypatch)
    rows = re.findall(r"^\| [a-z].*", page("faults"), re.MULTILINE)[1:]
    described = {
        f"| {fault.name} | {fault.how} | {fault.expected} |"
        for fault in (*faults["FAULTS"], *faults["STRICT_CLUSTERS"])
    }
    assert page("faults") == faults["page"](rows)
    assert {re.match(r"(?:\| [^|]* ){3}\|", row)[0] for row in rows} == described  # type: ignore[index]  # each row has cells


def test_foreign_clusters_page_is_made_of_its_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    made = maker("demonstrations/foreign_clusters/foreign_clusters.py", monkeypatch)
    folder = ROOT / "demonstrations" / "foreign_clusters"
    clusters = {entry["name"]: entry for entry in yaml.safe_load((folder / "clusters.yaml").read_text())}
    assert page("foreign_clusters") == made["page"](clusters, yaml.safe_load((folder / "figures.yaml").read_text()))


def test_broken_meshes_page_is_made_of_its_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    made = maker("demonstrations/broken_meshes/broken_meshes.py", monkeypatch)
    meshes, results = made["load"](), yaml.safe_load(made["SENTENCES"].read_text())
    assert page("broken_meshes") == made["page"](meshes, results)
    assert not [
        sentence for name, result in results.items() for sentence in made["false_sentences"](meshes[name], result)
    ]


def test_mesh_settings_page_is_made_of_its_results(monkeypatch: pytest.MonkeyPatch) -> None:
    made = maker("demonstrations/mesh_settings/mesh_settings.py", monkeypatch)
    assert page("mesh_settings") == made["page"](made["load"](), made["read_results"](), made["others"]())


def test_performance_page_has_the_makers_text(monkeypatch: pytest.MonkeyPatch) -> None:
    performance = maker("benchmarks/performance.py", monkeypatch)
    fixed = re.sub(r"(\$ [^\n]*\n).*?\n```", r"\1```", page("performance"), flags=re.DOTALL)
    for benchmark in performance["BENCHMARKS"]:
        assert f"## {benchmark.title}\n\n{benchmark.means}\n\n```console\n$ {benchmark.shown}\n```" in fixed


def test_upgrade_page_has_the_makers_text(monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade = maker("demonstrations/upgrade/upgrade.py", monkeypatch)
    assert page("upgrade").startswith(upgrade["HEAD"] + "\n")
    for each in upgrade["UPGRADES"]:
        assert f"## {each.name}\n\n{each.description}" in page("upgrade")


def test_canary_section_is_made_of_its_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade = maker("demonstrations/upgrade/upgrade.py", monkeypatch)
    folder = tmp_path / "canary"
    folder.mkdir()
    assert list(upgrade["canary_section"](tmp_path)) == []
    report = (ROOT / "tests" / "unit" / "reports" / "version_2.yaml").read_text(encoding="utf-8")
    for number, name in enumerate(upgrade["canary"].SUITES):
        (folder / f"{name}.yaml").write_text(report.replace("id: szewix", f"id: szewi{number}"), encoding="utf-8")
    for number, step in enumerate(upgrade["canary"].STEPS):
        (folder / f"traffic-{number}.md").write_text(f"| {step.name} |\n", encoding="utf-8")
    ((text, _),) = upgrade["canary_section"](tmp_path)
    assert upgrade["canary"].DESCRIPTION in text
    assert all(f"**{step.name}**: {step.description}\n\n| {step.name} |" in text for step in upgrade["canary"].STEPS)


@pytest.mark.parametrize(("name", "data_plane"), [("traffic", "sidecar"), ("ambient_traffic", "ambient")])
def test_traffic_pages_have_the_makers_text(name: str, data_plane: str, monkeypatch: pytest.MonkeyPatch) -> None:
    upgrade = maker("demonstrations/traffic/traffic.py", monkeypatch)["upgrade_of"](data_plane, 3)
    assert page(name).startswith(
        f"# {upgrade.title}\n\nMade by `python demonstrations/traffic/traffic.py {upgrade.arguments}` on"
    )
    for step in upgrade.steps:
        assert f"- {step.name}: {step.description}\n" in page(name)
    for kind in upgrade.kinds:
        assert f"\n| {kind.name} | " in page(name)


def test_reports_page_has_the_makers_text(monkeypatch: pytest.MonkeyPatch) -> None:
    template = maker("demonstrations/reports/reports_page.py", monkeypatch)["PAGE"]
    for part in re.split(r"\{[a-z]+\}", template):
        assert part in page("reports")


def test_explanations_page_shows_what_its_requests_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    made = maker("demonstrations/explanations/explanations.py", monkeypatch)
    sections = re.split(r"^(?=## )", page("explanations"), flags=re.MULTILINE)
    assert sections[0].startswith(made["HEAD"])
    requests = made["load"]()
    assert len(sections) == 1 + len(requests)
    for request, section in zip(requests, sections[1:], strict=True):
        assert section.startswith(f"## {request.about}\n\n```console\n$ {' '.join(request.command)}\n")
        assert list(made["missing"](request, section)) == []
