"""fixtures/outside.yaml: the evidence of the external server is that of the connection that it reports on."""

from __future__ import annotations

from pathlib import Path

FIXTURE = Path(__file__).parents[2] / "fixtures" / "outside.yaml"


def test_no_tls_session_is_resumed_because_a_resumed_one_reports_an_earlier_server_name() -> None:
    text = FIXTURE.read_text(encoding="utf-8")
    assert "$ssl_server_name" in text
    assert "ssl_session_tickets off;" in text
    assert "ssl_session_cache off;" in text
