# SPDX-License-Identifier: Apache-2.0
"""Torch models as networks of shapes: recorded operations, which parameters are weights, what becomes a layer."""
