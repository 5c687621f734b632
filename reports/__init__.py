# SPDX-License-Identifier: Apache-2.0
"""Tables, figures and pages; published reference figures with their sources."""
