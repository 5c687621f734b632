# SPDX-License-Identifier: Apache-2.0
"""torch: N:M training methods, models, data, training loops and the traces they leave. Only it imports torch."""
