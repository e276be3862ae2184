"""A VirtualService leaves routes to a delegate, of its own namespace or of another that exports it.

curl /anything/PATH -> sidecar: the delegate for that path -> outside, with the delegate's header
                                a delegate that is not exported, or wider than its root: the root's next route
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get, reached

URL = "http://delegating.test/anything"


def by_root() -> Outcome:
    return reached(route="of-the-root", request_headers={"x-delegate": None})


def by_delegate(name: str) -> Outcome:
    return reached(route=name, request_headers={"x-delegate": name})


@documented(
    source="reference/config/networking/virtual-service/#Delegate",
    summary="The routes of a delegate apply below its root's match, if it is exported to the root's namespace",
    outcomes=["virtual-service/delegate-applies", "virtual-service/delegate-without-effect"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get(URL), by_root(), id="no-delegate"),
        pytest.param(get(f"{URL}/here"), by_delegate("here"), id="of-the-roots-namespace"),
        pytest.param(get(f"{URL}/exported/deeper"), by_delegate("exported"), id="of-another-namespace"),
        pytest.param(get(f"{URL}/exported"), by_root(), id="beside-the-delegates-match"),
        pytest.param(get(f"{URL}/not-exported"), by_root(), id="not-exported-to-the-root"),
        pytest.param(get(f"{URL}/narrow"), by_root(), id="match-wider-than-the-roots"),
    ],
)
def test_routes_of_delegate_apply(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
