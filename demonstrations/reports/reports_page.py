"""The page docs/reports.md and its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml
from excerpts import checked, dumped, failing, neutral, properties, steps
from screenshot import DARK, screenshot

DOCS = Path(__file__).parents[2] / "docs"

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


def show(folder: Path, command: Sequence[str]) -> None:
    """Write the page and its pictures."""
    whole = yaml.safe_load((folder / "report.yaml").read_text(encoding="utf-8"))
    case = failing(yaml.safe_load((folder / "broken.yaml").read_text(encoding="utf-8")))
    screenshot(folder / "report.html", DOCS / "reports-light.png", "--window-size=1200,1000")
    screenshot(folder / "broken.html", DOCS / "reports-dark.png", *DARK, text=case["id"].partition("[")[2].rstrip("]"))
    head = {name: whole[name] for name in ("format", "version", "suite", "run", "target", "versions", "totals")}
    kept = sorted(path.relative_to(folder).as_posix() for path in (folder / case["evidence"]).iterdir())
    text = PAGE.format(
        command=" ".join(command),
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
