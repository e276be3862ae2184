"""Redaction removes secrets in any form, and nothing else."""

from __future__ import annotations

import base64
import json

import pytest
import yaml

from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.redaction import GONE, redact, redacted

TOKEN = "s3cr3t-Abc123.xyz_789"
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\nq83vEjRWeJ\n-----END RSA PRIVATE KEY-----\n"
WEB_TOKEN = "eyJhbGciOiJSUzI1NiIs.eyJpc3MiOiJrdWJl.c2lnbmF0dXJl"
ENCODED = base64.b64encode(KEY.encode()).decode()
KUBECONFIG = {
    "users": [{"name": "me", "user": {"token": TOKEN, "client-key-data": ENCODED, "password": "hunter2hunter2"}}],
    "clusters": [{"cluster": {"certificate-authority-data": ENCODED, "server": "https://10.0.0.1:6443"}}],
}


@pytest.mark.parametrize(
    "text",
    [
        f"curl --header 'Authorization: Bearer {TOKEN}' http://api.test/",
        f"Authorization: {TOKEN}\nnext",
        json.dumps({"headers": {"Authorization": [f"Bearer {TOKEN}"]}}),
        json.dumps(json.dumps({"headers": {"authorization": [TOKEN]}})),
        f"set-cookie: session={TOKEN}; Path=/",
        f"external server request header authorization: expected none, got {TOKEN}",
        f"response header cookie: expected {TOKEN}, got none",
        f"external server request header x-session-token: expected a, got {TOKEN}",
        f"http://api.test/?access_token={TOKEN}&page=2",
        f"https://me:{TOKEN}@registry.test/path",
        f"curl -u me:{TOKEN} http://api.test",
        f"curl --proxy-user 'me:{TOKEN}' http://api.test",
        yaml.dump(KUBECONFIG),
        json.dumps(KUBECONFIG),
        repr(KUBECONFIG),
        KEY,
        json.dumps(KEY),
        KEY[:70],
        f"tls.key: {ENCODED}",
        f"a web token {WEB_TOKEN} in a sentence",
    ],
)
def test_secret_in_text_is_removed(text: str) -> None:
    cleaned = redact(text)
    for secret in (TOKEN, "hunter2", "MIIEpAIBAA", "q83vEjRW", ENCODED[:60], WEB_TOKEN[:30]):
        assert secret not in cleaned
    assert redact(cleaned) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        '[2026-11-21T11:55:08.962Z] "GET /headers HTTP/1.1" 200 - via_upstream - "-" 0 437 36 "-" "istio-egress/86128b"'
        ' "f78c2eaa-3547-4f34-b122-a43c2f93dd49" "api.test" "192.0.2.80:80" outbound|80||api.test 10.244.0.46:38144',
        "curl --user-agent istio-egress/86128b400006 --resolve api.test:80:192.0.2.80 http://api.test/",
        "HTTP status: expected 502, got 200",
        "a basic question about bearer tokens and cookies",
        "conformance/tls/test_x.py::test_token[bearer]",
        "external server request header x-envoy-decorator-operation: expected a, got b",
        "external server request header authorization: expected none, got (redacted)",
        "registry.k8s.io@sha256:0123",
    ],
)
def test_text_without_secret_is_unchanged(text: str) -> None:
    assert redact(text) == text


def test_values_of_any_shape() -> None:
    cleaned = redacted({"a": [f"token: {TOKEN}", 1, None], f"token={TOKEN}": ("x", KEY)})
    assert TOKEN not in repr(cleaned)
    assert cleaned["a"][1:] == [1, None]


PLANTED = "pl4nted"
"""What no rule of text knows: only its place says that it is a secret."""


@pytest.mark.parametrize(
    "value",
    [
        {"kind": "Secret", "data": {"anything": PLANTED}, "stringData": {"other": PLANTED}},
        {"containers": [{"name": "x", "env": [{"name": "HARMLESS", "value": PLANTED}]}]},
        {"header": {"key": "x-api-key", "value": PLANTED}},
        {"header": {"name": "Authorization", "rawValue": PLANTED}},
        {"metadata": {"annotations": {"example.com/db-password": PLANTED}}},
        {"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": PLANTED}}},
        {
            "metadata": {
                "annotations": {"example.com/api_key": PLANTED, "client-secret": PLANTED, "dbPassword": PLANTED}
            }
        },
        {"tls_certificates": [{"private_key": {"inline_bytes": PLANTED}, "password": {"inline_string": PLANTED}}]},
        {"typed_config": {"hmac_secret": {"name": "x", "secret": {"inline_bytes": PLANTED}}}},
        {"session_ticket_keys": {"keys": [{"inlineString": PLANTED}]}},
        {"request_headers_to_add": [{"header": {"key": "authorization", "value": PLANTED}}]},
        {"users": [{"user": {"token": {"nested": [PLANTED]}}}]},
        {"overrides": json.dumps({"containers": [{"env": [{"name": "HARMLESS", "value": PLANTED}]}]})},
        f"proxyMetadata: {{API_TOKEN: {PLANTED}}}",
        f"DB_PASSWORD={PLANTED}",
    ],
    ids=range(15),
)
def test_told_by_its_place(value: object) -> None:
    cleaned = redacted(value)
    assert PLANTED not in repr(cleaned)
    assert "redacted" in repr(cleaned)
    assert redacted(cleaned) == cleaned
    assert json.loads(json.dumps(cleaned)) == cleaned


@pytest.mark.parametrize(
    "value",
    [
        {"volumes": [{"name": "c", "secret": {"secretName": "outside-certificate"}}]},
        {"tls": {"mode": "SIMPLE", "credentialName": "outside-ca"}},
        {"automountServiceAccountToken": False, "token": None},
        {"log_format": {"text_format_source": {"inline_string": "[%START_TIME%]"}}},
        {"kind": "ConfigMap", "data": {"a": "b"}},
        [{"name": "a", "value": "b"}],
    ],
    ids=range(6),
)
def test_shapes_without_a_secret_stay(value: object) -> None:
    assert redacted(value) == value


@pytest.mark.parametrize(
    "field", ["request header authorization", "response header Set-Cookie", "request header x-token"]
)
def test_difference_about_a_secret_header_has_no_values(field: str) -> None:
    difference = Difference("external server", field, "none", TOKEN)
    cleaned = redacted([difference.to_mapping()])
    assert cleaned == [{"hop": "external server", "field": field, "expected": "none", "seen": GONE}]
    assert redact(str(Difference.from_mapping(cleaned[0]))) == str(Difference.from_mapping(cleaned[0]))


def test_difference_about_another_header_keeps_its_values() -> None:
    difference = Difference("external server", "request header x-added-by", "gateway", "none").to_mapping()
    assert redacted(difference) == difference
