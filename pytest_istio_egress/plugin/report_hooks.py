"""Prepares pytest's reports before any other plugin reads them: summary and source, known deviations, redaction."""

from __future__ import annotations

import traceback
from collections.abc import Generator

import pytest

from pytest_istio_egress.model.case import case_of
from pytest_istio_egress.model.result_names import FAILED
from pytest_istio_egress.redaction import redact, redacted
from pytest_istio_egress.report.known_deviations import AcceptedDeviations
from pytest_istio_egress.report.results import CASE_PROPERTY, PROPERTY, recorded_result
from pytest_istio_egress.verdict.record import declaration


class ReportHooks:
    """Hooks of every process that runs tests; `accepted` are the deviations that the run accepts."""

    def __init__(self, accepted: AcceptedDeviations) -> None:
        self.accepted = accepted

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Record summary and source, also of a test that is skipped or whose fixtures fail."""
        case = case_of(getattr(item, "function", None))
        if case is not None:
            item.user_properties.append((CASE_PROPERTY, declaration(case)))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_fixture_setup(self) -> Generator[None, object, object]:
        """Redact what a fixture raises: Allure records it immediately."""
        try:
            return (yield)
        except BaseException as error:
            redacted_error = _without_secrets(error)
            if redacted_error is error:
                raise
            raise redacted_error from None

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Mark known deviations and redact. Only failure_reports is further inside; Allure and JUnit come later."""
        _redact_error(call)
        report = yield
        if report.when == "call" and report.failed and recorded_result(report) == FAILED:
            properties = self._mark(report, item.nodeid)
            # On the item too: the report of the teardown is made from it.
            report.user_properties += properties
            item.user_properties += properties
        _redact_report(report)
        return report

    def _mark(self, report: pytest.TestReport, nodeid: str) -> list[tuple[str, object]]:
        """Turn an accepted deviation into one of pytest's expected failures; return the properties to record."""
        if reason := self.accepted.reason(nodeid):
            report.outcome = "skipped"
            report.wasxfail = f"known deviation: {reason}"
            return [(CASE_PROPERTY, {"known_deviation": reason})]
        if expired := self.accepted.expired(nodeid):
            report.sections.append(("expired known deviation", expired))
            return [(CASE_PROPERTY, {"expired_deviation": expired})]
        return []


def _redact_error(call: pytest.CallInfo[None]) -> None:
    """Redact an exception, which some reporters read instead of pytest's own report."""
    if call.excinfo is None:
        return
    error = _without_secrets(call.excinfo.value)
    if error is not call.excinfo.value:
        call.excinfo = pytest.ExceptionInfo.from_exception(error)


def _without_secrets(error: BaseException) -> BaseException:
    """Return the exception, redacted; another one where its text comes from what cannot be changed."""
    if not _has_secret(error):
        return error
    error.args = tuple(redacted(list(error.args)))
    for name, value in vars(error).items():
        setattr(error, name, redacted(value))
    if not _has_secret(error):
        return error
    text = "".join(traceback.format_exception_only(error)).strip()
    return RuntimeError(redact(text)).with_traceback(error.__traceback__)


def _has_secret(error: BaseException) -> bool:
    text = "".join(traceback.format_exception_only(error))
    return redact(text) != text


def _redact_report(report: pytest.TestReport) -> None:
    if isinstance(report.longrepr, tuple):
        path, line, reason = report.longrepr
        report.longrepr = (path, line, redact(reason))
    elif report.longrepr is not None:
        text = redact(str(report.longrepr))
        if text != str(report.longrepr):
            report.longrepr = text
    if hasattr(report, "wasxfail"):
        report.wasxfail = redact(report.wasxfail)
    report.sections = [(title, redact(content)) for title, content in report.sections]
    report.user_properties = [
        (name, redacted(value) if name in (PROPERTY, CASE_PROPERTY) or isinstance(value, str) else value)
        for name, value in report.user_properties
    ]
