"""The proxy on the way to the API server: that of kubectl, for requests and for exec.

http://proxy:3128                 as it is
http://proxy, proxy:3128          with port 80, and with http://: exec assumes neither
http://user:password@proxy:3128   requests and exec get a header for it; the Kubernetes client drops it otherwise
https://..., socks5://...         refused: the Kubernetes client cannot exec through these

A kubeconfig's proxy-url comes first, and NO_PROXY does not apply to it; else HTTPS_PROXY, unless NO_PROXY has the host,
or the host is this machine. The Kubernetes client applies NO_PROXY to both, reads ALL_PROXY as well, uses a proxy even
to this machine, and compares hosts in other ways for exec.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies

from kubernetes import client
from kubernetes.client.rest import should_bypass_proxies
from urllib3 import make_headers

_NO_HOST = "none.invalid"
"""In place of an empty NO_PROXY, for which exec reads the environment."""


class UnsupportedProxyError(Exception):
    """The client cannot exec through this proxy. The message is one line."""


def set_up_proxy(configuration: client.Configuration) -> None:
    """Prepare the proxy of a configuration; raises UnsupportedProxyError for one that exec cannot use."""
    of_environment = is_of_environment(configuration)
    if of_environment:
        configuration.proxy = getproxies().get(urlsplit(configuration.host).scheme)  # not ALL_PROXY
    if not configuration.proxy:
        return
    host = urlsplit(configuration.host).hostname or ""
    exempt = is_loopback(host) or should_bypass_proxies(configuration.host, configuration.no_proxy or "")
    if of_environment and exempt:
        configuration.no_proxy = host
        return
    configuration.no_proxy = _NO_HOST
    if "://" not in configuration.proxy:  # HTTPS_PROXY=proxy:3128
        configuration.proxy = f"http://{configuration.proxy}"
    proxy = urlsplit(configuration.proxy)
    if proxy.scheme.lower() != "http":
        or_exempt = ", or exempt the API server from HTTPS_PROXY with NO_PROXY" if of_environment else ""
        raise UnsupportedProxyError(
            "the Kubernetes client for Python cannot run commands in pods through the proxy "
            f"{without_password(configuration.proxy)}: it supports http:// only. Use an HTTP proxy{or_exempt}, or a "
            "tunnel: `ssh -L 6443:API-SERVER:6443 BASTION`, and a kubeconfig without proxy-url, with server "
            "https://127.0.0.1:6443 and tls-server-name API-SERVER"
        )
    if proxy.username is not None:
        user = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        configuration.proxy_headers = make_headers(proxy_basic_auth=user)
    place = proxy.netloc.rpartition("@")[2]
    configuration.proxy = f"http://{place}" if proxy.port else f"http://{place.rstrip(':')}:80"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, which kubectl reaches without the environment's proxy."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_of_environment(configuration: client.Configuration) -> bool:
    """Whether the proxy of a configuration is that of the environment; older Kubernetes clients do not tell."""
    return bool(getattr(configuration, "_proxy_from_env", configuration.proxy in getproxies().values()))


def proxy_used(configuration: client.Configuration) -> str:
    """Return the proxy that requests go through, without a password; empty where there is none."""
    bypassed = should_bypass_proxies(configuration.host, configuration.no_proxy or "")
    return "" if bypassed else without_password(configuration.proxy or "")


def without_password(proxy: str) -> str:
    """Return the URL of a proxy without user and password; of an empty text an empty one."""
    if not proxy:
        return ""
    parts = urlsplit(proxy)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
