"""No two probes of a run come from the same port, until all ports had their turn."""

from pytest_istio_egress.pipeline.source_ports import EACH, FIRST, LAST, SourcePorts

EPHEMERAL = range(32_768, 61_000)
"""What Linux gives to connections that name no port."""
ISTIOS = range(15_000, 15_091)


def ports(given: str) -> range:
    first, last = map(int, given.split("-"))
    return range(first, last + 1)


def test_each_port_comes_again_only_after_all_others() -> None:
    source_ports = SourcePorts()
    turn = (LAST + 1 - FIRST) // EACH
    first = [source_ports.take() for _ in range(turn)]
    assert len({port for given in first for port in ports(given)}) == turn * EACH
    assert [source_ports.take() for _ in range(turn)] == first


def test_they_are_nobody_elses() -> None:
    assert not set(range(FIRST, LAST + 1)) & {*ISTIOS, *EPHEMERAL}


def test_two_workers_begin_in_different_places() -> None:
    assert len({SourcePorts().take() for _ in range(20)}) > 1
