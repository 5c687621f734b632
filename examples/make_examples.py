# SPDX-License-Identifier: Apache-2.0
"""Writes the example files that are not written by hand: ``python examples/make_examples.py`` in the repository.

``mine.onnx`` (needs the ``onnx`` package), ``mine.csv`` and ``reads.trace``. The same bytes every time.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent


def write_onnx(path: Path) -> None:
    """A small convolutional network with random weights: two convolutions, pooling, a classifier of ten classes."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    shapes = {"w1": (16, 3, 3, 3), "w2": (32, 16, 3, 3), "w3": (10, 32)}
    weights = [numpy_helper.from_array((rng.normal(size=s) * 0.1).astype(np.float32), n) for n, s in shapes.items()]
    conv = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["image", "w1"], ["a"], name="conv1", strides=[2, 2], **conv),
        helper.make_node("Relu", ["a"], ["b"], name="relu1"),
        helper.make_node("Conv", ["b", "w2"], ["c"], name="conv2", strides=[2, 2], **conv),
        helper.make_node("Relu", ["c"], ["d"], name="relu2"),
        helper.make_node("GlobalAveragePool", ["d"], ["e"], name="pool"),
        helper.make_node("Flatten", ["e"], ["f"], name="flatten"),
        helper.make_node("Gemm", ["f", "w3"], ["classes"], name="classifier", transB=1),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 32, 32])
    classes = helper.make_tensor_value_info("classes", TensorProto.FLOAT, ["batch", 10])
    graph = helper.make_graph(nodes, "mine", [image], [classes], initializer=weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="hwsim")
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def write_workload(path: Path) -> None:
    """A small transformer (4 layers, 4 heads of 64) that reads 64 tokens and writes 8 more, pruned as it goes."""
    from dataflow.attention.pruning import AttentionPruning, Quantization, RatioSchedule
    from dataflow.attention.workload import Transformer, make_workload

    model = Transformer(layers=4, heads=4, dimension=64, length=64, generated=8)
    pruning = AttentionPruning(
        tokens=RatioSchedule(average=0.3), values=0.5, quantization=Quantization(msb=6, lsb=4, threshold=0.1)
    )
    make_workload("mine", model, pruning).write(path)


def write_transactions(path: Path) -> None:
    """400 memory transactions: a stream of reads, then reads and writes at random places of 1 MiB."""
    rng = np.random.default_rng(0)
    lines = [f"LD {i * 64:#x}" for i in range(200)]
    lines += [f"{('LD', 'ST')[int(rng.integers(2))]} {int(rng.integers(1 << 14)) * 64:#x}" for _ in range(200)]
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    write_onnx(FOLDER / "mine.onnx")
    write_workload(FOLDER / "mine.csv")
    write_transactions(FOLDER / "reads.trace")
