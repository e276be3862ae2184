"""One verdict on several answers to the same probe: how many were as expected, and how many had to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.verdict.verdict import Answer, NoVerdict, Verdict


def judged(answers: Sequence[Answer], late: Sequence[Verdict] = (), *, accept_late: bool = True) -> Answer:
    """Return the verdict on the answers to one probe, in the order in which they came.

    `late` are the failures before these, while configuration may still have been on its way; with `accept_late=False`
    they count like the others. One error among the counted answers decides: nothing is known then.
    """
    verdicts = [answer for answer in answers if isinstance(answer, Verdict)]
    if len(verdicts) < len(answers):
        return next(answer for answer in answers if isinstance(answer, NoVerdict))
    sent = [*late, *verdicts]
    counted = verdicts if accept_late else sent
    passed = [verdict for verdict in counted if verdict.passed]
    failed = [verdict for verdict in counted if not verdict.passed]
    unexpected = tuple(verdict for verdict in sent if not verdict.passed) if passed else ()
    expected = verdicts[0].expected
    allowed = expected.times - expected.needed
    if len(failed) <= allowed:
        return replace(passed[-1], attempts=len(sent), unexpected=unexpected)
    differences = failed[-1].differences
    if differences and len(counted) > 1 and (passed or expected.times > 1):
        needed = f"{len(counted) - allowed} of {len(counted)}"
        differences = (*differences, Difference("client", "answers as expected", needed, str(len(passed))))
    return replace(failed[-1], attempts=len(sent), unexpected=unexpected, differences=differences)
