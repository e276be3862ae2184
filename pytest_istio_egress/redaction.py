"""Removes secrets from everything that is printed or written: the one place that knows what a secret looks like."""

from __future__ import annotations

import json
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
_SECRET_HEADER = rf"(?:{_HEADERS}|(?:[\w-]*[_-])?(?:{_KEYS}))"
_UNTOUCHED = (
    r"(?![\[\s\"'\\]*(?:expected )?(?:\(redacted\)|(?:none|\*)(?=, got ))(?:, got (?:none|\(redacted\))|(?=[^,]|\Z)))"
)
"""Not what was redacted before: a report is made of records without secrets, and redacted as a whole once more."""

_NAMED = re.compile(
    rf"(?i)^(?:{_HEADERS})$|(?:^|[./_-])(?:{_KEYS}|secrets?|credentials?|pwd)$"
    r"|(?-i:[a-z](?:Password|Token|Secret|ApiKey|PrivateKey)$)"
    r"|^tls\.key$|^inline_?(?:bytes|string)$|^kubectl\.kubernetes\.io/last-applied-configuration$|^session_ticket_keys$"
)
"""The key of a secret, or the name of a pair whose value is one."""
_POINTS = re.compile(r"(?i)(?:secrets?|credentials?|serviceAccountToken)$")
_SECRET_DATA = ("data", "stringData", "string_data")
_OTHER_HALF = ("value", "raw_value", "rawValue", "expected", "seen")
_HEADER_FIELD = re.compile(r"\bheader (\S+)")
"""The header that a difference is about: `request header authorization`."""
_NO_VALUE = ("none", "*")
"""What a difference states where there is no value, or any value will do."""

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    # A block that was cut is a block too: then everything behind its first line goes.
    (re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?(?:-----END \1-----|\Z)", re.DOTALL), GONE),
    (re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/=]*(?:\s+[A-Za-z0-9+/=]{40,})*"), GONE),  # the same block in base64
    # A difference as a line of text.
    (re.compile(rf"(?i)(\bheader {_SECRET_HEADER}(?![\w-])[^:\n]*: expected ){_UNTOUCHED}.*"), rf"\1{GONE}"),
    (re.compile(rf"(?i)(\b(?:{_HEADERS}){_SHIFT}){_UNTOUCHED}[^\"'\n\\\]}}]+"), rf"\1{GONE}"),
    (
        re.compile(rf"(?i)((?<![\w-])(?:[\w-]*[_-])?(?:{_KEYS}){_SHIFT}){_UNTOUCHED}[^\s\"'\\\],}}&]+"),
        rf"\1{GONE}",
    ),
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
    """Return the same value without secrets: by the rules of text in every string (keys as well), and by its shape.

    Secret by shape are: the data of a Secret, literal environment variables of a container, inline bytes and strings
    of an Envoy's configuration, the value of a key such as `password`, the other half of a pair like
    `{name: DB_PASSWORD, value: ...}`, and both values of a difference like `{field: request header cookie, ...}`.
    """
    if isinstance(value, str):
        return redact(_redacted_json(value))
    if isinstance(value, Mapping):
        return {redacted(key): _redacted_item(key, item, value) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(redacted(item) for item in value)
    return value


def _redacted_item(key: Any, item: Any, mapping: Mapping[Any, Any]) -> Any:
    """Return one value of a mapping without secrets."""
    if _is_secret(key, item) or (mapping.get("kind") == "Secret" and key in _SECRET_DATA):
        return GONE
    if key in _OTHER_HALF and item not in _NO_VALUE and _names_secret(mapping):
        return GONE
    if key == "env":
        return _environment(item)
    if key == "text_format_source":  # the format of an Envoy's access log; its inline string is no secret
        return item
    return redacted(item)


def _names_secret(mapping: Mapping[Any, Any]) -> bool:
    """Whether one half of a pair is the name of a secret, so that the other half is the secret."""
    names = [mapping[half] for half in ("name", "key") if isinstance(mapping.get(half), str)]
    if isinstance(mapping.get("field"), str):
        names += _HEADER_FIELD.findall(mapping["field"])
    return any(_NAMED.search(name) for name in names)


def _redacted_json(text: str) -> str:
    """Look into a text that is JSON, such as an annotation with containers in it; any other text stays as it is."""
    if not text.startswith(("{", "[")):
        return text
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    cleaned = redacted(value)
    return text if cleaned == value else json.dumps(cleaned)


def _is_secret(key: Any, item: Any) -> bool:
    """Whether the value of a key is a secret; a value that only states whether there is one (true, null) is not.

    Neither is a reference to a Secret (`secret: {secretName: x}`), whose own values are checked one by one.
    """
    if not isinstance(key, str) or item is None or isinstance(item, bool) or item in ("true", "false"):
        return False
    return bool(_NAMED.search(key)) and not (isinstance(item, Mapping) and _POINTS.search(key))


def _environment(value: Any) -> Any:
    """Hide literal values of environment variables: the name of a secret one may be any."""
    if not isinstance(value, list):
        return redacted(value)
    return [
        {**redacted(item), "value": GONE} if isinstance(item, Mapping) and "value" in item else redacted(item)
        for item in value
    ]
