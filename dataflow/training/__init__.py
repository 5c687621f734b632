# SPDX-License-Identifier: Apache-2.0
"""N:M training methods, and traces of training steps."""

from pathlib import Path

REFERENCE_ACCURACY = Path(__file__).with_name("accuracy")
"""Folder of the reference table of ``hwsim train --full``, with the networks it trained as shapes."""
