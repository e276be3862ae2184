"""The embedded cluster as a run's target: started by the settings, stopped after the run."""

from __future__ import annotations

from pytest_istio_egress.embedded import ClusterSpec, EmbeddedCluster, EmbeddedError, down, up
from pytest_istio_egress.embedded.progress import Lines
from pytest_istio_egress.run_target import Say, TargetError
from pytest_istio_egress.settings.options import Settings


def start(settings: Settings, say: Say, show: Say | None = None) -> EmbeddedCluster:
    """Start the cluster, or return it where it is running; raises TargetError where it cannot be started.

    `say` writes a line; `show` replaces the line that it showed before.
    """
    given = {name: getattr(settings, name) for name in ("name", "istio", "envoy", "proxy_binary", "ip_family")}
    try:
        with Lines(say, show) as progress:
            return up(
                ClusterSpec(**{key: value for key, value in given.items() if value is not None}),
                progress=progress,
                install_packages=settings.install_packages,
                tied_to_caller=not settings.keep_cluster,
            )
    except EmbeddedError as error:
        raise TargetError(_line(error, say)) from error


def end(name: str, say: Say) -> None:
    """Stop a cluster; raises TargetError where it cannot be stopped."""
    try:
        down(name)
    except EmbeddedError as error:
        raise TargetError(_line(error, say)) from error


def _line(error: EmbeddedError, say: Say) -> str:
    """Return the error's sentence and its hint, and print the log lines that follow, if any."""
    sentence, *log = str(error).splitlines()
    for line in log:
        say(line)
    return f"{sentence} (hint: {error.remedy})" if error.remedy else sentence
