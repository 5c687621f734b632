# SPDX-License-Identifier: Apache-2.0
"""Serving: tables of a model's times on machines, as schedulers of servers read them."""
