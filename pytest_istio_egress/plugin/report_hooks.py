"""What is done to pytest's reports before anybody reads them: what a case says, no secrets, known deviations."""

from __future__ import annotations

import traceback
from collections.abc import Generator

import pytest

from pytest_istio_egress.model.case import case_of
from pytest_istio_egress.model.result_names import FAILED
from pytest_istio_egress.redaction import redact, redacted
from pytest_istio_egress.report.known_deviations import AcceptedDeviations
from pytest_istio_egress.report.results import CASE_PROPERTY, PROPERTY, said_outcome
from pytest_istio_egress.verdict.record import declaration


class ReportHooks:
    """Hooks of every process in which cases run; `accepted` are the deviations that are no news."""

    def __init__(self, known: AcceptedDeviations) -> None:
        self.accepted = known

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Say what is asked, also of a case that is skipped or whose fixtures fail."""
        case = case_of(getattr(item, "function", None))
        if case is not None:
            item.user_properties.append((CASE_PROPERTY, declaration(case)))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_fixture_setup(self) -> Generator[None, object, object]:
        """Clean what a fixture raises: Allure writes it down there and then."""
        try:
            return (yield)
        except BaseException as error:
            told = _without_secrets(error)
            if told is error:
                raise
            raise told from None

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Make the report fit to be read. Innermost but for the explanation: Allure and JUnit read it after this."""
        _clean_error(call)
        report = yield
        if report.when == "call" and report.failed and said_outcome(report) == FAILED:
            said = self._mark(report, item.nodeid)
            # On the item too: the report of the tear-down is made of it.
            report.user_properties += said
            item.user_properties += said
        _clean_report(report)
        return report

    def _mark(self, report: pytest.TestReport, case: str) -> list[tuple[str, object]]:
        """Let a deviation that is no news count as pytest's expected failures do; return what is to be recorded."""
        if reason := self.accepted.reason(case):
            report.outcome = "skipped"
            report.wasxfail = f"known deviation: {reason}"
            return [(CASE_PROPERTY, {"known": reason})]
        if expired := self.accepted.expired(case):
            report.sections.append(("known deviation, but expired", expired))
            return [(CASE_PROPERTY, {"expired": expired})]
        return []


def _clean_error(call: pytest.CallInfo[None]) -> None:
    """Take secrets out of an exception, which some reporters read instead of pytest's own report."""
    if call.excinfo is None:
        return
    told = _without_secrets(call.excinfo.value)
    if told is not call.excinfo.value:
        call.excinfo = pytest.ExceptionInfo.from_exception(told)


def _without_secrets(error: BaseException) -> BaseException:
    """Return the exception, its text redacted; another one where it makes its text of what can't be changed."""
    if not _tells(error):
        return error
    error.args = tuple(redacted(list(error.args)))
    for name, value in vars(error).items():
        setattr(error, name, redacted(value))
    if not _tells(error):
        return error
    text = "".join(traceback.format_exception_only(error)).strip()
    return RuntimeError(redact(text)).with_traceback(error.__traceback__)


def _tells(error: BaseException) -> bool:
    text = "".join(traceback.format_exception_only(error))
    return redact(text) != text


def _clean_report(report: pytest.TestReport) -> None:
    if isinstance(report.longrepr, tuple):
        path, line, reason = report.longrepr
        report.longrepr = (path, line, redact(reason))
    elif report.longrepr is not None:
        cleaned = redact(str(report.longrepr))
        if cleaned != str(report.longrepr):
            report.longrepr = cleaned
    if hasattr(report, "wasxfail"):
        report.wasxfail = redact(report.wasxfail)
    report.sections = [(title, redact(content)) for title, content in report.sections]
    report.user_properties = [
        (name, redacted(value) if name in (PROPERTY, CASE_PROPERTY) or isinstance(value, str) else value)
        for name, value in report.user_properties
    ]
