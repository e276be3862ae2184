"""Takes secrets out of whatever is about to be read by somebody: the one place that knows what a secret looks like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

GONE = "(redacted)"

_HEADERS = r"(?:proxy-)?authorization|(?:set-)?cookie|x-api-key|x-auth-token|x-forwarded-client-cert"
_KEYS = (
    r"client-key-data|client-certificate-data|certificate-authority-data|(?:id|refresh|access|auth|bearer|session)"
    r"[-_]?token|token|password|passwd|passphrase|client[-_]secret|secret[-_]?(?:access[-_]?)?key|private[-_]key|api[-_]?key"
)
_SHIFT = r"[\"'\\]*\s*[:=]\s*[\[\s\"'\\]*"
"""What may stand between a name and its value: YAML, JSON (also as a string in JSON), a header, a query."""

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # A block that was cut is a block too: then everything behind its first line goes.
    (re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?(?:-----END \1-----|\Z)", re.DOTALL), GONE),
    (re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/=]*(?:\s+[A-Za-z0-9+/=]{40,})*"), GONE),  # the same block in base64
    (re.compile(rf"(?i)(\bheader (?:{_HEADERS})\b[^:\n]*: expected ).*"), rf"\1{GONE}"),
    (re.compile(rf"(?i)(\b(?:{_HEADERS}){_SHIFT})[^\"'\n\\\]}}]+"), rf"\1{GONE}"),
    (re.compile(rf"(?i)((?<![\w-])(?:{_KEYS}){_SHIFT})[^\s\"'\\\],}}&]+"), rf"\1{GONE}"),
    (re.compile(r"(?i)\b(bearer|basic|digest|negotiate)\s+(?=[\w.~+/-]*[0-9._=])[\w.~+/-]{8,}=*"), rf"\1 {GONE}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"), GONE),  # a JSON web token
    (re.compile(r"(\w://)[^/\s@\"']+@"), rf"\1{GONE}@"),
    (re.compile(r"((?<!\S)(?:-u|--(?:user|proxy-user|oauth2-bearer|pass))\s+)(?:'[^']*'|\S+)"), rf"\1{GONE}"),
)  # fmt: skip


def redact(text: str) -> str:
    """Return a text without tokens, passwords, keys, certificates and what headers carry of them."""
    for pattern, instead in _RULES:
        text = pattern.sub(instead, text)
    return text


def redacted(value: Any) -> Any:
    """Return the same value with every string in it redacted: lists, tuples and mappings (their keys as well)."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redacted(key): redacted(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(redacted(item) for item in value)
    return value
