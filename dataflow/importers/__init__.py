# SPDX-License-Identifier: Apache-2.0
"""Networks from files."""

from .network_files import IMPORTERS, find_network, read_network, write_network_yaml

__all__ = ["IMPORTERS", "find_network", "read_network", "write_network_yaml"]
