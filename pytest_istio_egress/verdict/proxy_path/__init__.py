"""The path of one request through the configuration of one proxy, as `istioctl proxy-config` shows it part by part.

listener 0.0.0.0_80 -> filter chain -> route configuration 80 -> virtual host -> route -> cluster -> endpoints

Istio's metadata in the configuration names the resource that a part comes from. Pure functions on a proxy's dump.
"""

from __future__ import annotations

from pytest_istio_egress.verdict.proxy_path.dump import Endpoint, ProxyDump
from pytest_istio_egress.verdict.proxy_path.origin import Origin
from pytest_istio_egress.verdict.proxy_path.path import PathStep, ProxyPath, RequestAtProxy, path_of, waypoint_path_of

__all__ = ["Endpoint", "Origin", "PathStep", "ProxyDump", "ProxyPath", "RequestAtProxy", "path_of", "waypoint_path_of"]
