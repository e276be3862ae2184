"""Checks before a run begins: where its reports go, and which deviations it accepts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pytest_istio_egress.report.atomic_write import problem_of_path
from pytest_istio_egress.report.evidence_folder import evidence_folder, problem_of
from pytest_istio_egress.report.known_deviations import AcceptedDeviations, DeviationsError, read_deviations
from pytest_istio_egress.report.reader import UnreadableError, read_report
from pytest_istio_egress.settings.options import SettingError, Settings


def accepted_deviations(settings: Settings) -> AcceptedDeviations:
    """Read the baseline and the file of known deviations; raises SettingError where one is invalid."""
    baseline = settings.baseline
    try:
        return AcceptedDeviations(
            today=datetime.now(UTC).date(),
            deviations=read_deviations(settings.known_deviations) if settings.known_deviations else (),
            baseline=read_report(baseline) if baseline else None,
            baseline_name=baseline.name if baseline else "",
        )
    except (DeviationsError, UnreadableError) as error:
        raise SettingError(str(error)) from error


def check_report_paths(settings: Settings) -> None:
    """Raise SettingError where a report cannot be written; before the cluster is contacted."""
    for option, path in (("report", settings.report), ("html", settings.html)):
        if path is not None and (problem := problem_of_path(path)):
            raise SettingError(f"--istio-egress-{option}: cannot write {path}: {problem}; choose another path")
        if path is not None and settings.baseline is not None and _same(path, settings.baseline):
            raise SettingError(
                f"--istio-egress-{option}: {path} is the baseline too, which a killed run would lose; "
                "choose another path"
            )
    folder = evidence_folder(settings.report, settings.html)
    if folder is not None and (problem := problem_of(folder)):
        raise SettingError(f"cannot write evidence files to {folder}: {problem}; remove it, or choose another report")


def _same(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)
