"""Collects the shipped tests, under the same ids in every repository and independent of its pytest settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from types import ModuleType

import pytest

from pytest_istio_egress.model.case import AMBIENT_PLANE, BOTH_PLANES, MESH_WIDE_NOT_ALLOWED, PROFILES, case_of
from pytest_istio_egress.model.text import one_line
from pytest_istio_egress.settings.options import Settings
from pytest_istio_egress.suite import discovery as shipped
from pytest_istio_egress.suite.discovery import ROOT, id_of

MESH_WIDE = f"{ROOT}/mesh_wide"
MARKER = "istio_egress"


class CollectionHooks:
    """Hooks that collect the shipped tests and put the selected ones in order; the same in every process."""

    def __init__(self, config: pytest.Config, chosen: Settings) -> None:
        self.suite = suite_folder()
        self.allow_mesh_wide = chosen.runs_mesh_wide
        self.profile = chosen.profile
        self.data_plane = chosen.data_plane
        explicit = config.args_source is pytest.Config.ArgsSource.ARGS
        arguments = config.args if explicit else []
        invocation = config.invocation_params.dir
        config.args = chosen_paths(arguments, self.suite, invocation)
        config.args_source = pytest.Config.ArgsSource.ARGS
        self.own_paths = beside_suite(config.args, self.suite, invocation)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collect_directory(self, path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Collect the suite's folders regardless of the repository's settings."""
        if path.is_relative_to(self.suite):
            return CaseDirectory.of(parent, path, self.suite)
        if self.suite.is_relative_to(path) and not any(own.is_relative_to(path) for own in self.own_paths):
            return SuiteParent.of(parent, path, self.suite)
        return None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Deselect tests outside of profile and data plane, and put mesh-wide tests last, after all other selection."""
        deselected = [*outside_profile(items, self.profile), *outside_data_plane(items, self.data_plane)]
        if deselected:
            config.hook.pytest_deselected(items=deselected)
            items[:] = [item for item in items if item not in deselected]
        if hasattr(config, "workerinput"):
            from pytest_istio_egress.plugin.case_order import longest_first

            longest_first(items)
        arrange(items, allow_mesh_wide=self.allow_mesh_wide)


def suite_folder() -> Path:
    """Return the folder of the shipped tests; raises UsageError where it is missing."""
    try:
        return shipped.suite_folder()
    except shipped.SuiteMissingError as error:
        raise pytest.UsageError(str(error)) from None


def chosen_paths(arguments: Sequence[str], suite: Path, invocation: Path) -> list[str]:
    """Return the paths to collect: the whole suite, or the `arguments` with the suite's ids as paths.

    A path that exists below the `invocation` folder is left as it is; any other `conformance/...` is the suite's.
    """
    return [_path_of(argument, suite, invocation) for argument in arguments] or [str(suite)]


def _path_of(argument: str, suite: Path, invocation: Path) -> str:
    path = argument.partition("::")[0]
    names = argument.removeprefix(path)
    given = invocation / path
    if given.exists():
        # The suite is collected as the suite through a symbolic link or a relative path too.
        real = given.resolve()
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

    Not a pytest.Directory: for those, pytest loads every conftest.py from the root of the file system down. Files
    around an installed package, or around the virtual environment that it is in, must not affect the tests. (The
    conftest.py at the root of the user's own repository does affect them, as it does all tests that run there.)
    """

    suite: Path

    @classmethod
    def of(cls, parent: pytest.Collector, path: Path, suite: Path) -> CaseDirectory:
        """Return a collector with its stable id."""
        collector = cls.from_parent(parent, name=path.name, path=path, nodeid=id_of(path, suite))
        collector.suite = suite
        return collector

    def collect(self) -> Iterator[pytest.Collector]:
        """Yield areas and test modules by name, whatever python_files and norecursedirs of the repository are."""
        for path in sorted(self.path.iterdir()):
            if path.is_dir() and not path.name.startswith((".", "_")):
                yield CaseDirectory.of(self, path, self.suite)
            elif fnmatch(path.name, "test_*.py"):
                yield CaseModule.of(self, path, self.suite)


class SuiteParent(pytest.Collector):
    """A folder above the suite that contains nothing else of the run: only the way to the suite is collected."""

    suite: Path

    @classmethod
    def of(cls, parent: pytest.Collector, path: Path, suite: Path) -> SuiteParent:
        """Return a collector."""
        collector = cls.from_parent(parent, name=path.name, path=path, nodeid=path.as_posix())
        collector.suite = suite
        return collector

    def collect(self) -> Iterator[pytest.Collector]:
        """Yield the next folder on the way to the suite."""
        below = self.path / self.suite.relative_to(self.path).parts[0]
        yield (CaseDirectory if below == self.suite else SuiteParent).of(self, below, self.suite)


class CaseModule(pytest.Module):
    """A module of tests, imported under a name that no other module has."""

    suite: Path

    @classmethod
    def of(cls, parent: pytest.Collector, path: Path, suite: Path) -> CaseModule:
        """Return a collector with its stable id."""
        collector: CaseModule = cls.from_parent(parent, path=path, nodeid=id_of(path, suite))
        collector.suite = suite
        collector.add_marker(MARKER)
        return collector

    def _getobj(self) -> ModuleType:
        # pytest's own way to import a module depends on --import-mode.
        try:
            return shipped.import_case_module(self.path, self.suite)
        except Exception as error:
            trace = pytest.ExceptionInfo.from_exception(error).getrepr(style="short")
            raise pytest.Collector.CollectError(f"cannot import {self.path}: {one_line(error)}\n{trace}") from error

    def funcnamefilter(self, name: str) -> bool:
        """Whether a function is a test, whatever the repository's python_functions is."""
        return name.startswith("test_")

    def classnamefilter(self, name: str) -> bool:  # noqa: ARG002  # none is, whatever its name
        """Whether a class contains tests."""
        return False


def scope_of(nodeid: str) -> str:
    """Return the scope that stays on one xdist worker: the test's module, or all mesh-wide tests."""
    return MESH_WIDE if is_mesh_wide(nodeid) else nodeid.partition("::")[0]


def is_mesh_wide(nodeid: str) -> bool:
    """Whether a test changes configuration that affects every proxy of the mesh."""
    return nodeid.startswith(MESH_WIDE + "/")


def arrange(items: list[pytest.Item], *, allow_mesh_wide: bool) -> None:
    """Put the mesh-wide tests last; skip them where they are not allowed."""
    items.sort(key=lambda item: is_mesh_wide(item.nodeid))
    if not allow_mesh_wide:
        skip = pytest.mark.skip(reason=MESH_WIDE_NOT_ALLOWED)
        for item in items:
            if is_mesh_wide(item.nodeid):
                item.add_marker(skip)


def outside_profile(items: Iterable[pytest.Item], profile: str) -> list[pytest.Item]:
    """Return the shipped tests that a profile leaves out."""
    profiles = PROFILES[: PROFILES.index(profile) + 1]
    cases = ((item, case_of(getattr(item, "function", None))) for item in items)
    return [item for item, case in cases if case is not None and case.profile not in profiles]


def outside_data_plane(items: Iterable[pytest.Item], data_plane: str | None) -> list[pytest.Item]:
    """Return the shipped tests of the data plane that was not chosen."""
    if data_plane in (None, BOTH_PLANES):
        return []
    cases = ((item, case_of(getattr(item, "function", None))) for item in items)
    return [item for item, case in cases if case and case.is_ambient is not (data_plane == AMBIENT_PLANE)]


def needs_cluster(ids: Iterable[str], *, allow_mesh_wide: bool) -> bool:
    """Whether any of the selected tests will run at all."""
    return any(allow_mesh_wide or not is_mesh_wide(nodeid) for nodeid in ids)
