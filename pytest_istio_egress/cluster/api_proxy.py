"""The proxy on the way to the API server: what requests and exec can both use, and the password for it.

http://proxy:3128                 as it is
http://user:password@proxy:3128   requests and exec get a header for it; the Kubernetes client drops it otherwise
https://..., socks5://...         refused: the Kubernetes client cannot exec through these
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from kubernetes import client
from kubernetes.client.rest import should_bypass_proxies
from urllib3 import make_headers


class UnsupportedProxyError(Exception):
    """The client cannot exec through this proxy. The message is one line."""


def set_up_proxy(configuration: client.Configuration) -> None:
    """Prepare the proxy of a configuration; raises UnsupportedProxyError for one that exec cannot use."""
    if not configuration.proxy or should_bypass_proxies(configuration.host, configuration.no_proxy or ""):
        return
    proxy = urlsplit(configuration.proxy)
    place = proxy.netloc.rpartition("@")[2]
    if proxy.scheme.lower() not in ("http", ""):
        raise UnsupportedProxyError(
            f"the Kubernetes client for Python cannot run commands in pods through the proxy {proxy.scheme}://{place}: "
            "it supports http:// only. Use an HTTP proxy, or a tunnel: `ssh -L 6443:API-SERVER:6443 BASTION`, and a "
            "kubeconfig without proxy-url, with server https://127.0.0.1:6443 and tls-server-name API-SERVER"
        )
    if proxy.username is not None:
        user = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        configuration.proxy_headers = make_headers(proxy_basic_auth=user)
        configuration.proxy = f"http://{place}"
