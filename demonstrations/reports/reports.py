"""Runs the suite with all its reports at once and shows them in docs/reports.md.

    python demonstrations/reports/reports.py -n 2

Two runs on an embedded cluster: the whole suite, and a few cases whose rules are taken away, so that there is something
to see of what does not hold. Chromium draws the pages; all arguments are pytest's. `--from FOLDER` shows what an
earlier call left in a folder.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DOCS = ROOT / "docs"
RULES_TAKEN_AWAY = HERE.parent / "noticed"
"""Where the plugin `without_rules` lies."""
SCHEMA = ROOT / "pytest_istio_egress" / "report" / "conformance_report.schema.json"
BROKEN = ("conformance/egress_gateway/test_two_hops.py", "conformance/registry_only/test_unlisted_hosts.py")
SHOWN = "does not hold"
CHROMIUM = (
    "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
)  # fmt: skip
DARK = ("--force-dark-mode", "--blink-settings=preferredColorScheme=0", "--window-size=1200,1250")

PAGE = """\
# What a run leaves behind

Made by `python demonstrations/reports/reports.py` (`-n 2` and whatever else pytest takes): the whole suite on an
embedded cluster, with all reports at once; and a few cases whose rules were taken away, to show what does not hold.

```sh
{command}
```

## The page

One file that loads nothing. What broke comes first; text, area and outcome narrow it down.

![The whole suite]({light})

In the dark, and a case that does not hold: each stop of the request's way with what it saw, marked where that was not
as documented.

![A case that does not hold]({dark})

## The report

For programs: `istio-egress compare` reads two of these. It is checked against its schema by

```sh
check-jsonschema --schemafile pytest_istio_egress/report/conformance_report.schema.json {report}
```

{checked}

What the run was, from the report of the whole suite:

```yaml
{run}```

What becomes of a case that does not hold, from the other run:

```yaml
{case}```

`run.complete` is false, and `run.stopped` says why, where a run did not come to its end: it was interrupted, or the
cluster could not be asked. A run that begins replaces an older report in its place; should it be killed, that is what
is left.

## The evidence

Beside the report, one folder for each case that does not hold or could not be found out, gathered while its pods and
its configuration were still there. Secrets are taken out. For the case above:

```
{evidence}
```

## JUnit

`--junitxml` has each case's record as properties; of what a case asked second they begin with `istio-egress.2.`:

```
{junit}
```

## Allure

`--alluredir` has a step for each request, with the record and the evidence attached:

```
{allure}
```

## Markdown

Where `GITHUB_STEP_SUMMARY` is set, the job's summary page gets this:

```markdown
{summary}```
"""


def make(folder: Path, arguments: Sequence[str]) -> None:
    """Run the suite twice in a folder; what it says goes to a file there."""
    for name, more in (("report", ["--istio-egress-allow-mesh-wide"]), ("broken", ["-p", "without_rules", *BROKEN])):
        environment = os.environ | {
            "GITHUB_STEP_SUMMARY": str(folder / f"{name}.md"),
            "PYTHONPATH": str(RULES_TAKEN_AWAY),
        }
        command = [*command_of(name), "--istio-egress-target", "embedded", "-p", "no:cacheprovider", *more, *arguments]
        with (folder / f"{name}.log").open("w", encoding="utf-8") as log:
            subprocess.run(command, cwd=folder, env=environment, stdout=log, stderr=log, check=False)


def command_of(name: str) -> list[str]:
    """Return the command line that writes all reports."""
    return [
        "pytest", "--istio-egress",
        "--istio-egress-report", f"{name}.yaml", "--istio-egress-html", f"{name}.html",
        "--alluredir", f"{name}-allure", "--junitxml", f"{name}.xml",
    ]  # fmt: skip


def picture(page: Path, into: Path, *options: str, text: str = "") -> None:
    """Have Chromium draw a page, with only what has a text in it if that is given."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch, page.name)
        chosen = f"form.elements.text.value = {json.dumps(text)}; show();\n</script>\n</body>"
        copy.write_text(
            neutral(page.read_text(encoding="utf-8")).replace("</script>\n</body>", chosen), encoding="utf-8"
        )
        where = [f"--user-data-dir={scratch}/profile", f"--screenshot={into}"]
        subprocess.run([*CHROMIUM, *where, *options, copy.as_uri()], check=True, capture_output=True, timeout=300)


def neutral(text: str) -> str:
    """Leave out where things lie on this machine."""
    return text.replace(str(Path.home()), "~")


def checked(report: Path) -> str:
    """Check a report against the schema; ends the command where it does not fit."""
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(SCHEMA), str(report)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{report} does not fit its schema:\n{done.stdout}{done.stderr}")
    return f"which says of the whole suite's report: {done.stdout.strip()}."


def dumped(value: Any) -> str:
    """Return YAML, as wide as a page is."""
    return neutral(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110))


def failing(document: dict[str, Any]) -> dict[str, Any]:
    """Return a case whose request did not do as documented, one with a gateway on its way if there is one."""
    cases: list[dict[str, Any]] = [case for behaviour in document["behaviours"] for case in behaviour["cases"]]
    found = [case for case in cases if case["outcome"] == SHOWN and case.get("evidence") and "seen" in case]
    return next((case for case in found if "hops" in case["id"]), found[0])


def properties(results: Path, case: str) -> str:
    """Return the properties of a case in a JUnit file, one a line."""
    name = case.rpartition("::")[2]
    for found in ElementTree.parse(results).iter("testcase"):  # noqa: S314  # our own file, just written
        if found.get("name") == name:
            pairs = [(one.get("name"), one.get("value") or "") for one in found.iter("property")]
            return "\n".join(f"{key} = {value[:90]}{'...' if len(value) > 90 else ''}" for key, value in pairs)
    return ""


def steps(results: Path, case: str) -> str:
    """Return the steps of a case in Allure's results, and what is attached to each."""
    name = case.rpartition("::")[2]
    for path in sorted(results.glob("*-result.json")):
        result = json.loads(path.read_text(encoding="utf-8"))
        if result["name"] == name:
            return "\n".join(
                f"{step['name']}\n" + "\n".join(f"    {one['name']} ({one['type']})" for one in step["attachments"])
                for step in result.get("steps", [])
            )
    return ""


def show(folder: Path) -> None:
    """Write the page and its pictures."""
    whole = yaml.safe_load((folder / "report.yaml").read_text(encoding="utf-8"))
    case = failing(yaml.safe_load((folder / "broken.yaml").read_text(encoding="utf-8")))
    picture(folder / "report.html", DOCS / "reports-light.png", "--window-size=1200,1000")
    picture(folder / "broken.html", DOCS / "reports-dark.png", *DARK, text=case["id"].partition("[")[2].rstrip("]"))
    head = {name: whole[name] for name in ("format", "version", "suite", "run", "target", "versions", "totals")}
    kept = sorted(path.relative_to(folder).as_posix() for path in (folder / case["evidence"]).iterdir())
    text = PAGE.format(
        command=" ".join(command_of("report")),
        report="report.yaml",
        light="reports-light.png",
        dark="reports-dark.png",
        checked=checked(folder / "report.yaml"),
        run=dumped(head),
        case=dumped(case),
        evidence="\n".join(kept),
        junit=properties(folder / "broken.xml", case["id"]),
        allure=steps(folder / "broken-allure", case["id"]),
        summary=neutral((folder / "broken.md").read_text(encoding="utf-8")),
    )
    (DOCS / "reports.md").write_text(neutral(text), encoding="utf-8")


def main() -> None:
    """Make the reports, unless they are there, and show them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="folder", type=Path, metavar="FOLDER", help="show what is in there already")
    chosen, arguments = parser.parse_known_args()
    if shutil.which(CHROMIUM[0]) is None:
        sys.exit("chromium is not installed: apt-get install chromium")
    if chosen.folder:
        show(chosen.folder)
        return
    folder = Path(tempfile.mkdtemp(prefix="reports-"))
    make(folder, arguments)
    show(folder)


if __name__ == "__main__":
    main()
