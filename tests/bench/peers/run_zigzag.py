# SPDX-License-Identifier: Apache-2.0
"""Runs in a venv that has ZigZag and nothing of ours: its own ResNet-18 on its own array of 32 x 32, its own options;
prints its own seconds and cycles as JSON."""

import json
import sys
import time
from pathlib import Path

import zigzag
from zigzag.api import get_hardware_performance_zigzag

inputs = Path(zigzag.__file__).parent / "inputs"
begun, cpu = time.perf_counter(), time.process_time()
_, cycles, _ = get_hardware_performance_zigzag(
    str(inputs / "workload" / "resnet18.onnx"),
    str(inputs / "hardware" / "tpu_like.yaml"),
    str(inputs / "mapping" / "tpu_like.yaml"),
    dump_folder=sys.argv[1],
    loma_show_progress_bar=False,
)
print()
print(json.dumps({"seconds": time.perf_counter() - begun, "cpu_seconds": time.process_time() - cpu,
                  "cycles": [float(cycles)]}))  # fmt: skip
