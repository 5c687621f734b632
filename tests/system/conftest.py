# SPDX-License-Identifier: Apache-2.0
"""What tests of sweeps share."""

import pytest


@pytest.fixture(scope="session")
def network(tmp_path_factory) -> str:
    """Path of a network of one layer: a point takes milliseconds."""
    path = tmp_path_factory.mktemp("network") / "small.yaml"
    path.write_text("name: small\nlayers:\n- {kind: linear, name: a, in_features: 64, out_features: 64}\n")
    return str(path)
