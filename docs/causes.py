"""Breaks the mesh on purpose, cause by cause, and lists what was said: python docs/causes.py > docs/causes.md

Every entry of broken.yaml names a shipped case and one way to break the mesh under it. The cases run as they are, on an
embedded cluster; only the manifests that reach the API differ, or something is done to the running mesh. The command
ends with 1 where a case did not fail, or another sentence came than broken.yaml tells. Arguments go to pytest.
"""

from __future__ import annotations

import copy
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pytest_istio_egress.case import Case
    from pytest_istio_egress.cluster.api import Api
    from pytest_istio_egress.judge import Judge

CLUSTER = "causes"
HERE = Path(__file__).parent
CONVERGE = 3.0
"""Seconds until a verdict is final: what was broken does not mend itself."""
_NAMES = re.compile(r"(?<![\w.*-])[\w-]+(?=\.test(?![\w-]))|\b(?:other|dns)-client\b")
ALONE = frozenset({"without_istiod", "nothing_sent"})
"""What concerns the whole mesh: nothing else may run beside it."""


@dataclass(frozen=True, kw_only=True)
class Broken:
    """One entry of broken.yaml, which says what its fields mean. `number` is its place in there."""

    number: int
    cause: str
    case: str
    says: Sequence[str]
    patch: str = ""
    live: str = ""
    outcome: str = "failure"

    @property
    def folder(self) -> str:
        """Where its copy of the case lies."""
        return f"broken{self.number:02}"

    @property
    def item(self) -> str:
        """Pytest's id of the copy."""
        return f"{self.folder}/{self.case.partition('/')[2]}"

    def own(self, text: str) -> str:
        """Give a text's hosts and workloads names of this cause's own.

        A gateway is not waited for: with the names of another cause it could answer as that one wants it.
        """
        return _NAMES.sub(rf"\g<0>-b{self.number:02}", text)

    def shared(self, text: str) -> str:
        """Undo `own`."""
        return text.replace(f"-b{self.number:02}", "")

    def documents(self, original: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return a case's documents as they are broken."""
        patches = [patch for patch in yaml.safe_load_all(self.own(self.patch)) if patch]
        kept = []
        for document in original:
            patch = next((patch for patch in patches if _same(patch, document)), None)
            if patch is None:
                kept.append(document)
                continue
            patches.remove(patch)
            if not patch.get("delete"):
                kept.append(_merged(document, patch))
        return [*kept, *(patch for patch in patches if "apiVersion" in patch)]


def _same(patch: dict[str, Any], document: dict[str, Any]) -> bool:
    return bool(patch["kind"] == document["kind"] and patch["metadata"]["name"] == document["metadata"]["name"])


def _merged(document: Any, patch: Any) -> Any:
    """Merge as RFC 7396 does."""
    if not isinstance(document, dict) or not isinstance(patch, dict):
        return patch
    merged = copy.copy(document)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name, {}), value)
    return merged


def load() -> list[Broken]:
    """Read broken.yaml."""
    entries = yaml.safe_load((HERE / "broken.yaml").read_text())
    return [Broken(number=number, **entry) for number, entry in enumerate(entries, 1)]


def pytest_configure() -> None:
    """Loaded with `-p causes`: break what a copied case applies, and the mesh that it finds."""
    from importlib import import_module

    # The names that the judge uses are changed, not those that it has them from.
    judge: Any = import_module("pytest_istio_egress.judge")
    known = {broken.folder: broken for broken in load()}
    stage: list[Broken] = []
    everything, enter = judge.load, judge.Judge.enter

    def broken_documents(files: Iterable[Path]) -> list[dict[str, Any]]:
        documents = everything(files)
        return stage[-1].documents(documents) if stage else documents

    def broken_enter(self: Judge, case: Case) -> bool:
        self.timeouts = replace(self.timeouts, converge=CONVERGE)
        broken = known.get(case.folder.name)
        stage[:] = [broken] if broken else []
        with DURING[broken.live](self) if broken and broken.live else _nothing(self) as afterwards:
            entered: bool = enter(self, case)
        if entered and afterwards is not None:
            afterwards()
        return entered

    judge.load = broken_documents
    judge.Judge.enter = broken_enter


@contextmanager
def _nothing(_: Judge) -> Iterator[Callable[[], None] | None]:
    yield None


@contextmanager
def _stop_envoy(judge: Judge) -> Iterator[Callable[[], None] | None]:
    """Have the guest's Envoy close its listeners: it runs on, and takes nothing."""
    from pytest_istio_egress.cluster.pods import PROXY, run

    address = "http://127.0.0.1:15000/drain_listeners"
    yield lambda: _done(
        run(judge.api, judge.world.pod(_guest(judge)), ["curl", "-sX", "POST", address], container=PROXY)
    )


@contextmanager
def _without_istiod(judge: Judge) -> Iterator[Callable[[], None] | None]:
    """Have no istiod while the case's configuration is applied; what it validates is refused then."""
    _scale(judge.api, 0)
    try:
        yield None
    finally:
        _scale(judge.api, 1)


@contextmanager
def _nothing_sent(judge: Judge) -> Iterator[Callable[[], None] | None]:
    """Have no istiod, and its webhooks out of the way: the API takes the configuration, and no proxy gets it."""
    from kubernetes import client

    with _without_istiod(judge):
        admission = client.AdmissionregistrationV1Api(judge.api.client)
        for found in admission.list_validating_webhook_configuration().items:
            for webhook in found.webhooks:
                webhook.failure_policy = "Ignore"  # istiod puts it back once it runs again
            admission.replace_validating_webhook_configuration(found.metadata.name, found)
        yield None


DURING: dict[str, Callable[[Judge], Any]] = {
    "stop_envoy": _stop_envoy,
    "without_istiod": _without_istiod,
    "nothing_sent": _nothing_sent,
}
"""What `live` may be: around the entering of a case; what is yielded is done once the case is entered."""


def _guest(judge: Judge) -> str:
    return next(client for client in judge.world.clients if not client.startswith("sleep."))


def _done(ran: Any) -> None:
    if ran.exit != 0:
        raise RuntimeError(f"the mesh could not be broken: {ran.stderr}")


def _scale(api: Api, replicas: int) -> None:
    """Set the number of istiods and wait until it is reached; webhooks need one, so all others go first."""
    import threading

    from kubernetes import client

    apps = client.AppsV1Api(api.client)
    apps.patch_namespaced_deployment_scale("istiod", "istio-system", {"spec": {"replicas": replicas}})
    while (apps.read_namespaced_deployment("istiod", "istio-system").status.ready_replicas or 0) != replicas:
        threading.Event().wait(0.2)


@dataclass(frozen=True)
class Seen:
    """What became of one cause: outcome and sentence, and pytest's own output for whoever wants to know more."""

    outcome: str = "not run"
    sentence: str = ""

    def wrong(self, broken: Broken) -> str:
        """Say what is not as told, empty where all is."""
        if self.outcome != {"failure": "does not hold"}.get(broken.outcome, broken.outcome):
            return f"{broken.outcome} was expected, seen: {self.outcome}"
        missing = [part for part in broken.says if part.lower() not in self.sentence.lower()]
        return f"the sentence lacks {', '.join(map(repr, missing))}" if missing else ""


@dataclass(frozen=True)
class Ran:
    """What a run found out, by the cause's number, and what pytest printed."""

    seen: dict[int, Seen] = field(default_factory=dict)
    output: str = ""


def ask(all_broken: Sequence[Broken], kubeconfig: Path, arguments: Sequence[str] = ()) -> Ran:
    """Run the broken cases on a cluster: those that share it side by side, then those that can't, each alone."""
    shared = [broken for broken in all_broken if broken.live not in ALONE]
    groups = [(shared, arguments)] if shared else []
    groups += [([broken], ("--istio-egress-timeout-scale", "0.5")) for broken in all_broken if broken.live in ALONE]
    seen: dict[int, Seen] = {}
    output = ""
    for group, more in groups:
        ran = _ask_together(group, kubeconfig, more)
        seen |= ran.seen
        output += ran.output
    return Ran(seen, output)


def _ask_together(group: Sequence[Broken], kubeconfig: Path, arguments: Sequence[str]) -> Ran:
    from pytest_istio_egress.suite import suite_folder

    with tempfile.TemporaryDirectory() as folder:
        for broken in group:
            copied = Path(folder, broken.folder)
            shutil.copytree(suite_folder() / broken.case.partition("/")[0], copied)
            for file in [*copied.glob("*.py"), *copied.glob("*.yaml")]:
                file.write_text(broken.own(file.read_text()))
        report = Path(folder, "report.yaml")
        done = subprocess.run(
            [
                sys.executable, "-m", "pytest", "--istio-egress", "-p", "causes", "-p", "no:cacheprovider",
                "--import-mode=importlib", "--istio-egress-kubeconfig", str(kubeconfig),
                "--istio-egress-report", str(report), *arguments, *(broken.item for broken in group),
            ],
            cwd=folder,
            env={**_environment(), "PYTHONPATH": str(HERE)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )  # fmt: skip
        found = yaml.safe_load(report.read_text()) if report.exists() else {"behaviours": []}
    cases = [case for behaviour in found["behaviours"] for case in behaviour["cases"]]
    seen = {
        broken.number: Seen(str(case["outcome"]), broken.shared(str(case.get("cause") or case.get("error") or "")))
        for broken in group
        for case in cases
        if str(case["id"]).endswith(broken.item)
    }
    return Ran(seen, done.stdout)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "ISTIO_EGRESS_"))}


def table(all_broken: Sequence[Broken], ran: Ran) -> str:
    """Return the page."""
    lines = [
        "# What is said of which cause",
        "",
        "Each row is a mesh that was broken on purpose under one of the shipped cases, and the sentence that came.",
        "Made by `python docs/causes.py` of `docs/broken.yaml`; it ends with 1 where a sentence is not as told there.",
        "",
        "| # | cause | case | broken by | outcome | what was said |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for broken in all_broken:
        seen = ran.seen.get(broken.number, Seen())
        wrong = seen.wrong(broken)
        cells = (
            str(broken.number),
            broken.cause,
            f"`{broken.case}`",
            _how(broken),
            broken.outcome + (f" **({wrong})**" if wrong else ""),
            seen.sentence,
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _how(broken: Broken) -> str:
    told = []
    for patch in yaml.safe_load_all(broken.patch):
        named = f"{patch['kind']} {patch['metadata']['name']}"
        said = yaml.safe_dump(patch.get("spec", {}), default_flow_style=True, width=10**6).strip()
        told.append(f"{named} left out" if patch.get("delete") else f"{named}: `{said}`")
    return "; ".join(told + ([f"`{broken.live}`"] if broken.live else []))


def main() -> int:
    """Start the mesh, break it, print the page; arguments are pytest's."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        sys.stdout.write(str(__doc__))
        return 0
    from pytest_istio_egress.embedded import ClusterSpec, down, up

    all_broken = load()
    cluster = up(ClusterSpec(name=CLUSTER), tied_to_caller=True)
    try:
        ran = ask(all_broken, cluster.kubeconfig, sys.argv[1:])
    finally:
        down(CLUSTER)
    sys.stderr.write(ran.output)
    sys.stdout.write(table(all_broken, ran))
    return int(any(ran.seen.get(broken.number, Seen()).wrong(broken) for broken in all_broken))


if __name__ == "__main__":
    sys.exit(main())
