# SPDX-License-Identifier: Apache-2.0
"""Pretrained models whose weights come in Python packages."""
