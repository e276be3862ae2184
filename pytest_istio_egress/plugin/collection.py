"""Finds the shipped cases, under the same ids in every repository and whatever that repository's settings say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from types import ModuleType

import pytest

from pytest_istio_egress.model.case import PROFILES, case_of
from pytest_istio_egress.suite import discovery as shipped
from pytest_istio_egress.suite.discovery import ROOT, id_of

MESH_WIDE = f"{ROOT}/mesh_wide"
MARKER = "istio_egress"
MESH_WIDE_NOT_ALLOWED = "changes mesh-wide configuration: allow it with --istio-egress-allow-mesh-wide"


def suite_folder() -> Path:
    """Return the folder of the shipped cases; where there is none, pytest ends with that line."""
    try:
        return shipped.suite_folder()
    except shipped.SuiteMissingError as error:
        raise pytest.UsageError(str(error)) from None


def chosen_paths(given: Sequence[str], suite: Path, invocation: Path) -> list[str]:
    """Return what to collect: the whole suite, or the `given` arguments with the suite's ids made paths.

    What exists below the `invocation` folder is meant as it stands; `conformance/...` that does not is the suite's.
    """
    return [_path_of(argument, suite, invocation) for argument in given] or [str(suite)]


def _path_of(argument: str, suite: Path, invocation: Path) -> str:
    path = argument.partition("::")[0]
    names = argument.removeprefix(path)
    there = invocation / path
    if there.exists():
        # However it was reached (a symbolic link, a relative path), the suite is collected as the suite.
        real = there.resolve()
        inside = real.relative_to(suite.resolve()) if real.is_relative_to(suite.resolve()) else None
    else:
        parts = Path(path).parts
        inside = Path(*parts[1:]) if parts[:1] == (ROOT,) else None
    if inside is None or not (suite / inside).exists():
        return argument
    return f"{suite / inside}{names}"


def beside_suite(chosen: Sequence[str], suite: Path, invocation: Path) -> list[Path]:
    """Return the chosen paths that are the user's own."""
    paths = [invocation / argument.partition("::")[0] for argument in chosen]
    return [path for path in paths if not path.is_relative_to(suite)]


class CaseDirectory(pytest.Collector):
    """The suite's folder or one of its areas.

    Not a pytest.Directory: for those, pytest loads every conftest.py from the root of the file system down. What
    lies around an installed package, or around the virtual environment that it is in, must not rule the cases. (The
    conftest.py at the root of the user's own repository does, as it does all that pytest runs there.)
    """

    suite: Path

    @classmethod
    def of(cls, parent: pytest.Collector, path: Path, suite: Path) -> CaseDirectory:
        """Make one under its stable id."""
        made = cls.from_parent(parent, name=path.name, path=path, nodeid=id_of(path, suite))
        made.suite = suite
        return made

    def collect(self) -> Iterator[pytest.Collector]:
        """Yield areas and case modules by name; python_files and norecursedirs of the repository don't count."""
        for path in sorted(self.path.iterdir()):
            if path.is_dir() and not path.name.startswith((".", "_")):
                yield CaseDirectory.of(self, path, self.suite)
            elif fnmatch(path.name, "test_*.py"):
                yield CaseModule.of(self, path, self.suite)


class SuiteParent(pytest.Collector):
    """A folder above the suite with nothing else of the run in it: it leads on, and that is all that's looked at."""

    suite: Path

    @classmethod
    def of(cls, parent: pytest.Collector, path: Path, suite: Path) -> SuiteParent:
        """Make one."""
        made = cls.from_parent(parent, name=path.name, path=path, nodeid=path.as_posix())
        made.suite = suite
        return made

    def collect(self) -> Iterator[pytest.Collector]:
        """Yield the next folder on the way."""
        below = self.path / self.suite.relative_to(self.path).parts[0]
        yield (CaseDirectory if below == self.suite else SuiteParent).of(self, below, self.suite)


class CaseModule(pytest.Module):
    """A module of cases, imported under a name that no other module has."""

    suite: Path

    @classmethod
    def of(cls, parent: pytest.Collector, path: Path, suite: Path) -> CaseModule:
        """Make one under its stable id."""
        made: CaseModule = cls.from_parent(parent, path=path, nodeid=id_of(path, suite))
        made.suite = suite
        made.add_marker(MARKER)
        return made

    def _getobj(self) -> ModuleType:
        # pytest's own way to import a module depends on --import-mode.
        try:
            return shipped.import_case_module(self.path, self.suite)
        except Exception as error:
            trace = pytest.ExceptionInfo.from_exception(error).getrepr(style="short")
            raise pytest.Collector.CollectError(f"{self.path} can't be imported:\n{trace}") from error

    def funcnamefilter(self, name: str) -> bool:
        """Whether a function is a case; the repository's python_functions doesn't count."""
        return name.startswith("test_")

    def classnamefilter(self, name: str) -> bool:  # noqa: ARG002  # none is, whatever its name
        """Whether a class holds cases."""
        return False


def scope_of(nodeid: str) -> str:
    """Return what a test shares an xdist worker with: its module, or all that is mesh-wide."""
    return MESH_WIDE if is_mesh_wide(nodeid) else nodeid.partition("::")[0]


def is_mesh_wide(nodeid: str) -> bool:
    """Whether a test changes configuration that every proxy of the mesh obeys."""
    return nodeid.startswith(MESH_WIDE + "/")


def arrange(items: list[pytest.Item], *, allow_mesh_wide: bool) -> None:
    """Put the mesh-wide cases last; mark them as skipped where they are not allowed."""
    items.sort(key=lambda item: is_mesh_wide(item.nodeid))
    if not allow_mesh_wide:
        skip = pytest.mark.skip(reason=MESH_WIDE_NOT_ALLOWED)
        for item in items:
            if is_mesh_wide(item.nodeid):
                item.add_marker(skip)


def outside_profile(items: Iterable[pytest.Item], profile: str) -> list[pytest.Item]:
    """Return the cases that a profile leaves out; what isn't one of ours stays."""
    kept = PROFILES[: PROFILES.index(profile) + 1]
    cases = ((item, case_of(getattr(item, "function", None))) for item in items)
    return [item for item, case in cases if case is not None and case.profile not in kept]


def needs_cluster(ids: Iterable[str], *, allow_mesh_wide: bool) -> bool:
    """Whether any of the selected tests will be run at all."""
    return any(allow_mesh_wide or not is_mesh_wide(nodeid) for nodeid in ids)
