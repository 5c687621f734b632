# SPDX-License-Identifier: Apache-2.0
"""Design-space exploration: a space of designs and workloads as YAML, run on any number of workers, nothing lost."""
