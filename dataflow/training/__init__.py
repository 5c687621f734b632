# SPDX-License-Identifier: Apache-2.0
"""N:M training methods, and traces of training steps."""
