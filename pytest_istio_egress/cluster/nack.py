"""What a proxy's own log says of configuration that it refused (NACK); pure."""

from __future__ import annotations

import re

_REFUSED = re.compile(
    r"(?:gRPC|delta) config for \S*?\.(?P<kind>\w+) rejected: (?P<why>.*?)"
    r"(?:\tthread=\d+)?(?=\n(?:\d{4}-|\[\d{4}-)|\s*\Z)",
    re.DOTALL,
)
"""One entry. Envoy may show all of the resource, over many lines, before it says what is wrong with it."""
_NAME = re.compile(r'^name: "(.*)"$', re.MULTILINE)
_REASON = re.compile(r"^: (.*)\Z", re.MULTILINE | re.DOTALL)


def refused(log: str) -> list[str]:
    """Return kind, name and Envoy's reason of each resource that was refused, each once."""
    found = []
    for entry in _REFUSED.finditer(log):
        why = entry["why"]
        name, reason = _NAME.search(why), _REASON.search(why)
        told = f"{name[1]}: {reason[1]}" if name and reason else why
        found.append(f"{entry['kind']} {' '.join(told.split())}")
    return list(dict.fromkeys(found))
