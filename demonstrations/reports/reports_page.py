"""The page docs/reports.md and its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from excerpts import checked, dumped, failing, neutral, properties, steps
from screenshot import DARK, screenshot

DOCS = Path(__file__).parents[2] / "docs"

PAGE = """\
# The reports of a run

Made by `python demonstrations/reports/reports.py` (`-n 2` and whatever else pytest takes): the whole suite on an
embedded cluster, with all reports; and a few tests without their manifests, to show failures.

```sh
{command}
```

## HTML page

One self-contained file. Failures come first; filter by text, area and result.

![The whole suite]({light})

In dark mode, a failure: each hop of the request with what it observed, marked where it differs from the expected
outcome.

![A failure]({dark})

## YAML report

For programs, and for `istio-egress compare`, which compares two of them. The schema describes it:

```sh
check-jsonschema --schemafile pytest_istio_egress/report/conformance_report.schema.json {report}
```

{checked}

The head and the totals, from the report of the whole suite:

```yaml
{run}```

A failed parameter, from the other run:

```yaml
{parameter}```

`run.complete` is false for a run that was stopped before its end, and `run.stopped` tells why: it was interrupted, or
the cluster could not be used. A run replaces an older report when it starts, so a killed run leaves an incomplete one.

## Evidence files

Beside the report, one folder for each failure and error, collected while its pods and its configuration still
existed. Secrets are removed. For the failure above:

```
{evidence}
```

## JUnit

`--junitxml` has the fields of each parameter as properties; those of its second probe begin with `istio-egress.2.`:

```
{junit}
```

## Allure

`--alluredir` has a step for each probe, with its evidence attached:

```
{allure}
```

## Markdown

Where `GITHUB_STEP_SUMMARY` is set, this is appended to the job's summary:

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
    files = sorted(path.relative_to(folder).as_posix() for path in (folder / parameter["evidence"]).iterdir())
    text = PAGE.format(
        command=" ".join(command),
        report="report.yaml",
        light="reports-light.png",
        dark="reports-dark.png",
        checked=checked(folder / "report.yaml"),
        run=dumped(head),
        parameter=dumped(parameter),
        evidence="\n".join(files),
        junit=properties(folder / "broken.xml", parameter["id"]),
        allure=steps(folder / "broken-allure", parameter["id"]),
        summary=neutral((folder / "broken.md").read_text(encoding="utf-8")),
    )
    (DOCS / "reports.md").write_text(neutral(text), encoding="utf-8")
