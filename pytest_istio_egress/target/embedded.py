"""The embedded cluster as a run's target: started as the settings say, ended with the run."""

from __future__ import annotations

from pytest_istio_egress.embedded import ClusterSpec, EmbeddedCluster, EmbeddedError, down, up
from pytest_istio_egress.embedded.progress import Lines
from pytest_istio_egress.options import Settings
from pytest_istio_egress.target import Say, TargetError


def start(settings: Settings, say: Say) -> EmbeddedCluster:
    """Start the cluster, or find it where it runs already; raises TargetError where it can't be started."""
    asked = {name: getattr(settings, name) for name in ("name", "istio", "envoy", "proxy_binary")}
    try:
        with Lines(say) as progress:
            return up(
                ClusterSpec(**{key: value for key, value in asked.items() if value is not None}),
                progress=progress,
                install_packages=settings.install_packages,
                tied_to_caller=not settings.keep_cluster,
            )
    except EmbeddedError as error:
        raise TargetError(_line(error, say)) from error


def end(name: str, say: Say) -> None:
    """End a cluster; raises TargetError where it can't be ended."""
    try:
        down(name)
    except EmbeddedError as error:
        raise TargetError(_line(error, say)) from error


def _line(error: EmbeddedError, say: Say) -> str:
    """Return the error's one sentence and its remedy; say the log lines that follow it, if any."""
    sentence, *log = str(error).splitlines()
    for line in log:
        say(line)
    return f"{sentence}; try `{error.remedy}`" if error.remedy else sentence
