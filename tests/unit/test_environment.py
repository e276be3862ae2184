"""The environment is created once; a failure to create it is final for the run."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.environment import Environment
from pytest_istio_egress.cluster.names import Names


def test_failed_creation_is_reported_again_without_another_try(tmp_path: Path) -> None:
    environment = Environment(cast(Api, None), Names("k3x9q", "gw0"), tmp_path, 1.0)
    with pytest.raises(ClusterError, match=r"outside\.yaml") as first:
        environment.build()
    (tmp_path / "outside.yaml").write_text("")  # another try would get further, and fail otherwise
    with pytest.raises(ClusterError) as second:
        environment.build()
    assert second.value is first.value
    assert not environment.built
