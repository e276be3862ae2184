"""The page docs/reports.md and its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from excerpts import checked, dumped, failing, neutral, properties, steps
from screenshot import DARK, screenshot

DOCS = Path(__file__).parents[2] / "docs"

PAGE = """\
# Reports of a run

Made by `python demonstrations/reports/reports.py` (`-n 2` and any other options of pytest): the whole suite on an
embedded cluster with all reports; and a few tests without their manifests, to show failures.

```sh
{command}
```

## HTML

One self-contained file. Errors and failures come first; filter by text, area and result.

![The whole suite]({light})

In dark mode, a failed parameter: the path of the request hop by hop, with the differences marked.

![A failed parameter]({dark})

## The conformance report

A YAML file for programs; `istio-egress compare` compares two of them. Check one against its schema with

```console
$ check-jsonschema --schemafile pytest_istio_egress/report/conformance_report.schema.json {report}
{checked}
```

The run, from the report of the whole suite:

```yaml
{run}```

A failed parameter, from the other report:

```yaml
{parameter}```

If a run is interrupted, or the cluster becomes unreachable, `run.complete` is false and `run.stopped` has the reason.
A run replaces an existing report when it begins, so a killed run leaves a report that says that it is incomplete.

## Evidence files

Next to the report, one folder for each failure and error, collected while the test's pods and configuration still
existed. Secrets are removed. For the parameter above:

```
{evidence}
```

## JUnit

`--junitxml` has the record of each parameter as properties; those of a test's second probe begin with
`istio-egress.2.`:

```
{junit}
```

## Allure

`--alluredir` has a step for each request, with the record and the evidence attached:

```
{allure}
```

## Markdown

If `GITHUB_STEP_SUMMARY` is set, this is added to the job's summary page:

```markdown
{summary}```
"""


def show(folder: Path, command: Sequence[str]) -> None:
    """Write the page and its pictures."""
    whole = yaml.safe_load((folder / "report.yaml").read_text(encoding="utf-8"))
    parameter = failing(yaml.safe_load((folder / "broken.yaml").read_text(encoding="utf-8")))
    screenshot(folder / "report.html", DOCS / "reports-light.png", "--window-size=1200,1000")
    screenshot(
        folder / "broken.html", DOCS / "reports-dark.png", *DARK, text=parameter["id"].partition("[")[2].rstrip("]")
    )
    head = {name: whole[name] for name in ("format", "version", "suite", "run", "target", "versions", "totals")}
    evidence = sorted(path.relative_to(folder).as_posix() for path in (folder / parameter["evidence"]).iterdir())
    text = PAGE.format(
        command=" ".join(command),
        report="report.yaml",
        light="reports-light.png",
        dark="reports-dark.png",
        checked=checked(folder / "report.yaml"),
        run=dumped(head),
        parameter=dumped(parameter),
        evidence="\n".join(evidence),
        junit=properties(folder / "broken.xml", parameter["id"]),
        allure=steps(folder / "broken-allure", parameter["id"]),
        summary=neutral((folder / "broken.md").read_text(encoding="utf-8")),
    )
    (DOCS / "reports.md").write_text(neutral(text), encoding="utf-8")
