"""What a run is told before it begins: which deviations are no news, and where its reports shall lie."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from pytest_istio_egress.report.atomic_write import why_not_writable
from pytest_istio_egress.report.evidence_folder import evidence_folder, why_not_ours
from pytest_istio_egress.report.known_deviations import AcceptedDeviations, DeviationsError, read_deviations
from pytest_istio_egress.report.reader import UnreadableError, read_report
from pytest_istio_egress.settings.options import SettingError, Settings


def known_of(settings: Settings) -> AcceptedDeviations:
    """Read what the run is told beforehand; raises SettingError where a file can't be used."""
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


def check_places(settings: Settings) -> None:
    """Refuse, before anything is asked, to write a report where none can lie; raises SettingError."""
    for option, path in (("report", settings.report), ("html", settings.html)):
        if path is not None and (why := why_not_writable(path)):
            raise SettingError(f"--istio-egress-{option} {path} can't be written: {why}; name another place")
        if path is not None and settings.baseline is not None and _same(path, settings.baseline):
            raise SettingError(
                f"--istio-egress-{option} {path} is the baseline too, and would be gone if the run died: name two files"
            )
    folder = evidence_folder(settings.report, settings.html)
    if folder is not None and (why := why_not_ours(folder)):
        raise SettingError(f"the evidence can't be kept in {folder}: {why}; remove it, or name another report")


def _same(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)
