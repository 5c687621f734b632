# SPDX-License-Identifier: Apache-2.0
"""A plain systolic array: output-, weight- and input-stationary, dense, with three double-buffered memories."""
