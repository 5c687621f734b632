# SPDX-License-Identifier: Apache-2.0
"""Training N:M sparse in torch."""
