"""Which virtual host and route of a route configuration take a request, by Envoy's rules of matching."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pytest_istio_egress.verdict.proxy_path.dump import Part


def virtual_host_of(route_config: Part, authority: str) -> Part | None:
    """Return the virtual host whose domain matches the authority (`host` or `host:port`) best, None where none does."""
    if route_config.get("ignore_port_in_host_matching"):
        authority = _without_port(authority)
    best: Part | None = None
    best_rank = (-1, 0)
    for host in route_config.get("virtual_hosts") or []:
        for domain in host.get("domains") or []:
            rank = _domain_rank(str(domain).lower(), authority.lower())
            if rank is not None and rank > best_rank:
                best, best_rank = host, rank
    return best


def _without_port(authority: str) -> str:
    host, separator, port = authority.rpartition(":")
    return host if separator and port.isdigit() and not host.endswith(":") else authority


def _domain_rank(domain: str, authority: str) -> tuple[int, int] | None:
    """Return Envoy's order: exact, wildcard in front, wildcard at the end, any; among wildcards the longest."""
    if domain == "*":
        return 0, 0
    if domain.startswith("*"):
        return (2, len(domain)) if authority.endswith(domain[1:]) else None
    if domain.endswith("*"):
        return (1, len(domain)) if authority.startswith(domain[:-1]) else None
    return (3, 0) if domain == authority else None


def route_of(virtual_host: Part, *, method: str, path: str, authority: str, headers: Mapping[str, str]) -> Part | None:
    """Return the first route that matches a request; `path` has the query, names of `headers` are in lower case."""
    known = {**headers, ":method": method, ":path": path, ":authority": authority}
    return next(
        (route for route in virtual_host.get("routes") or [] if _matches(route.get("match") or {}, known)), None
    )


def _matches(match: Part, headers: Mapping[str, str]) -> bool:
    path, _, query = headers[":path"].partition("?")
    if not _path_matches(match, path):
        return False
    if not all(_header_matches(each, headers) for each in match.get("headers") or []):
        return False
    values = dict(part.partition("=")[::2] for part in query.split("&") if part)
    return all(_parameter_matches(each, values) for each in match.get("query_parameters") or [])


def _path_matches(match: Part, path: str) -> bool:
    wanted = match.get("prefix") or match.get("path") or match.get("path_separated_prefix") or ""
    if match.get("case_sensitive") is False:
        path, wanted = path.lower(), str(wanted).lower()
    if "path" in match:
        return path == wanted
    if "path_separated_prefix" in match:
        return path == wanted or path.startswith(f"{wanted}/")
    if "safe_regex" in match:
        return _regex_matches(match["safe_regex"].get("regex", ""), path)
    return path.startswith(wanted)


def _header_matches(matcher: Part, headers: Mapping[str, str]) -> bool:
    value = headers.get(str(matcher.get("name", "")).lower())
    inverted = bool(matcher.get("invert_match"))
    if "present_match" in matcher:
        return (value is not None) is (bool(matcher["present_match"]) is not inverted)
    if value is None:
        return inverted and bool(matcher.get("treat_missing_header_as_empty", True))
    return _string_matches(matcher.get("string_match") or matcher, value) is not inverted


def _parameter_matches(matcher: Part, values: Mapping[str, str]) -> bool:
    value = values.get(str(matcher.get("name", "")))
    return value is not None and _string_matches(matcher.get("string_match") or {}, value)


def _string_matches(matcher: Any, value: str) -> bool:
    if "exact" in matcher:
        return bool(value == matcher["exact"])
    if "prefix" in matcher:
        return value.startswith(matcher["prefix"])
    if "suffix" in matcher:
        return value.endswith(matcher["suffix"])
    if "contains" in matcher:
        return matcher["contains"] in value
    if "safe_regex" in matcher:
        return _regex_matches(matcher["safe_regex"].get("regex", ""), value)
    return True


def _regex_matches(pattern: str, value: str) -> bool:
    """Whether an RE2 pattern matches a whole value; one that Python cannot read matches nothing."""
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error:
        return False


def rewritten_path(route: Part, path: str) -> str:
    """Return the path that a route sends in place of one; empty where it leaves it, or replaces it by a pattern."""
    action, match = route.get("route") or {}, route.get("match") or {}
    prefix = match.get("prefix") or match.get("path_separated_prefix") or match.get("path") or ""
    if "prefix_rewrite" not in action or not path.startswith(prefix):
        return ""
    return str(action["prefix_rewrite"]) + path[len(prefix) :]


def clusters_of_route(route: Part | None) -> tuple[str, ...]:
    """Return the clusters that a route may choose, none for a direct response or a redirect."""
    action = (route or {}).get("route") or {}
    if "cluster" in action:
        return (str(action["cluster"]),)
    weighted = (action.get("weighted_clusters") or {}).get("clusters") or []
    return tuple(str(each["name"]) for each in weighted)
