# SPDX-License-Identifier: Apache-2.0
"""Networks from files."""

from .network_files import FACTORY, IMPORTERS, factory_file, find_network, read_network, write_network_yaml

__all__ = ["FACTORY", "IMPORTERS", "factory_file", "find_network", "read_network", "write_network_yaml"]
