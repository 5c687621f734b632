# SPDX-License-Identifier: Apache-2.0
"""Networks as shapes: the layer kinds, per sample, and the network that lists them.

A layer knows only sizes; weights and activations live in traces. Sizes are **per sample** (batch 1): the batch is a
parameter of lowering. Layers that use the same weights again say so (``shared``), and one that runs step by step on
them, as a recurrent one, has ``steps``. Left out: control flow, dynamic shapes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Size = Annotated[int, Field(ge=1, le=2**24)]
Pad = Annotated[int, Field(ge=0, le=2**16)]


class _Layer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, description="unique within the network")
    once: bool = Field(
        False,
        description="done once a step, whatever the batch, as what parameters alone decide; sizes are a step's",
    )


class _Weighted(_Layer):
    needs_input_grad: bool = Field(
        True, description="false where the input is the network's input: no BP product is needed"
    )
    sparsity: str | None = Field(
        None,
        description="pattern of this layer's weights, as in 2:4 or dense; none: the run's pattern and rules decide",
    )
    shared: int = Field(
        0,
        ge=0,
        le=2**40,
        description="elements of its weights that an earlier layer has too: counted and updated there, their gradients "
        "added up",
    )

    @property
    def elements(self) -> int:
        """Elements of its weights, shared or not."""
        raise NotImplementedError

    @property
    def weights(self) -> int:
        """Elements of weights that no earlier layer has."""
        return self.elements - self.shared

    @model_validator(mode="after")
    def _pattern(self) -> _Weighted:
        from ..pattern import NM

        if self.sparsity is not None:
            NM.parse(self.sparsity)
        return self

    @model_validator(mode="after")
    def _shares(self) -> _Weighted:
        if self.shared > self.elements:
            raise ValueError(f"shared={self.shared} must be at most the {self.elements} weights")
        return self


class Conv(_Weighted):
    """2-D convolution (a 1-D one has height 1).

    With padding P above and E below, a kernel of k rows that are d apart spans D = d (k - 1) + 1, and the output has
    floor((H + P + E - D) / s) + 1 rows. A transposed one leads from such outputs to such inputs: it has
    s (H - 1) - P - E + D + output_padding rows.
    """

    kind: Literal["conv"] = "conv"
    in_channels: Size
    out_channels: Size
    height: Size = Field(description="input height in pixels")
    width: Size = Field(description="input width in pixels")
    kernel: tuple[Size, Size]
    stride: tuple[Size, Size] = (1, 1)
    padding: tuple[Pad, Pad] = Field((0, 0), description="zeros above and left")
    padding_end: tuple[Pad, Pad] | None = Field(None, description="zeros below and right, where they are not as many")
    dilation: tuple[Size, Size] = Field((1, 1), description="distance of neighbouring elements of the kernel")
    transposed: bool = Field(False, description="spreads each input element over a kernel of outputs")
    output_padding: tuple[Pad, Pad] = Field((0, 0), description="further output rows and columns of a transposed one")
    groups: Size = 1
    images: Size = Field(1, description="images a sample, as the frames of a film: the same weights for each")

    @model_validator(mode="after")
    def _fits(self) -> Conv:
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ValueError(f"groups={self.groups} must divide in_channels and out_channels")
        if not self.transposed:
            if self.output_padding != (0, 0):
                raise ValueError("output_padding is of a transposed convolution")
            if self.out_height < 1 or self.out_width < 1:
                raise ValueError(f"kernel {self.kernel} is larger than the padded input")
        elif any(o >= s for o, s in zip(self.output_padding, self.stride, strict=True)):
            raise ValueError(f"output_padding {self.output_padding} must be below stride {self.stride}")
        elif self.out_height < 1 or self.out_width < 1:
            raise ValueError(f"padding {self.padding} leaves no output")
        return self

    @property
    def ends(self) -> tuple[int, int]:
        """Zeros below and right of the input."""
        return self.padding if self.padding_end is None else self.padding_end

    @property
    def spans(self) -> tuple[int, int]:
        """Rows and columns from the first to the last element of the kernel."""
        return self.dilation[0] * (self.kernel[0] - 1) + 1, self.dilation[1] * (self.kernel[1] - 1) + 1

    def _out(self, i: int) -> int:
        size, pads = (self.height, self.width)[i], self.padding[i] + self.ends[i]
        if self.transposed:
            return self.stride[i] * (size - 1) - pads + self.spans[i] + self.output_padding[i]
        return (size + pads - self.spans[i]) // self.stride[i] + 1

    @property
    def out_height(self) -> int:
        return self._out(0)

    @property
    def out_width(self) -> int:
        return self._out(1)

    @property
    def adjoint(self) -> Conv:
        """Of a transposed convolution, the plain one whose gradient of the inputs it is: from its outputs to its
        inputs, with the same weights."""
        return self.model_copy(
            update={"in_channels": self.out_channels, "out_channels": self.in_channels, "height": self.out_height,
                    "width": self.out_width, "transposed": False, "output_padding": (0, 0)}
        )  # fmt: skip

    @property
    def elements(self) -> int:
        return self.out_channels * self.in_channels // self.groups * self.kernel[0] * self.kernel[1]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the forward pass, one sample."""
        positions = self.height * self.width if self.transposed else self.out_height * self.out_width
        return self.elements * self.images * positions

    @property
    def moved(self) -> int:
        """Elements of a sample's operands and results, forward, each once."""
        pixels = self.in_channels * self.height * self.width + self.out_channels * self.out_height * self.out_width
        return self.elements + self.images * pixels


class Linear(_Weighted):
    """A matrix of ``in_features x out_features`` weights applied to ``rows`` vectors a sample (tokens, or 1).

    Of a mixture of experts: ``experts`` such matrices, of which each vector goes through ``active``. Of a recurrent
    layer: ``steps`` such products, each on the results of the one before.
    """

    kind: Literal["linear"] = "linear"
    in_features: Size
    out_features: Size
    rows: Size = 1
    experts: Size = Field(1, description="matrices to choose from")
    active: Size = Field(1, description="matrices that a vector goes through")
    steps: Size = Field(1, description="products one after the other with the same weights, of ``rows`` vectors each")

    @model_validator(mode="after")
    def _chosen(self) -> Linear:
        if self.active > self.experts:
            raise ValueError(f"active={self.active} must be at most experts={self.experts}")
        if self.steps > 1 and self.experts > 1:
            raise ValueError("steps and experts: a recurrent layer has one matrix")
        return self

    @property
    def elements(self) -> int:
        return self.experts * self.in_features * self.out_features

    @property
    def macs(self) -> int:
        return self.steps * self.rows * self.active * self.in_features * self.out_features

    @property
    def moved(self) -> int:
        """Elements of a sample's operands and results, forward, each once a step; matrices that no vector needs are
        not."""
        matrices = min(self.experts, self.rows * self.active)
        vectors = self.rows * self.active * (self.in_features + self.out_features)
        return self.steps * (matrices * self.in_features * self.out_features + vectors)


class MatMul(_Layer):
    """An activation x activation product (attention's Q K^T and P V): ``count`` times ``rows x reduction x cols``."""

    kind: Literal["matmul"] = "matmul"
    rows: Size
    reduction: Size
    cols: Size
    count: Size = Field(1, description="independent products a sample (heads)")
    weights: int = Field(
        0, ge=0, le=2**40, description="elements of parameters among its operands, where both are made of parameters"
    )

    @property
    def macs(self) -> int:
        return self.count * self.rows * self.reduction * self.cols

    @property
    def moved(self) -> int:
        """Elements of a sample's operands and results, forward, each once."""
        return self.count * (self.rows * self.reduction + self.reduction * self.cols + self.rows * self.cols)


class Elementwise(_Layer):
    """Anything that costs memory bandwidth but no multiply slot of the array: normalization, pooling, softmax, add.

    ``ff_*`` and ``bp_*`` are the FP16 elements a sample read from and written to DRAM in the forward and backward pass.
    """

    kind: Literal["elementwise"] = "elementwise"
    op: str = Field(description="what it is: batchnorm, layernorm, softmax, add, pool, relu, gelu, embedding, loss ...")
    ff_read: int = Field(ge=0, le=2**40)
    ff_write: int = Field(ge=0, le=2**40)
    bp_read: int = Field(ge=0, le=2**40)
    bp_write: int = Field(ge=0, le=2**40)
    parameters: int = Field(
        0, ge=0, le=2**40, description="learned elements, as an embedding's table, where the network says how many"
    )

    @property
    def macs(self) -> int:
        return 0

    @property
    def moved(self) -> int:
        """Elements of a sample that the forward pass reads and writes."""
        return self.ff_read + self.ff_write


Layer = Annotated[Conv | Linear | MatMul | Elementwise, Field(discriminator="kind")]
Weighted = Conv | Linear


Phase = Literal["training", "prefill", "decode"]
"""What a language model is run for: a training step; the first pass over a prompt; one more token."""


class Operation(BaseModel):
    """One operation of the graph that a network was read from, and what it became."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="node or module path")
    op: str = Field(description="its kind, as the graph calls it: Conv, aten.mm ...")
    layers: tuple[str, ...] = Field((), description="names of the layers that it became")
    free: str | None = Field(None, description="why it costs nothing, where it became no layer")
    ignored: bool = Field(False, description="free because the user said so, although it is not modelled")


class Network(BaseModel):
    """A named list of layers in forward order. Layer names are unique."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    phase: Phase = Field("training", description="what the layers' rows are of; prefill, decode: a forward pass alone")
    context: Size | None = Field(None, description="tokens of a sequence, where the network is a language model")
    layers: tuple[Layer, ...] = Field(min_length=1)
    ignored: tuple[str, ...] = Field(
        (),
        description="operations of its graph that the user took for free, though none models them",
    )
    operations: tuple[Operation, ...] = Field(
        (), exclude=True, repr=False, description="of the graph it was read from, in order; empty where it was no graph"
    )

    @model_validator(mode="after")
    def _unique(self) -> Network:
        seen: set[str] = set()
        for layer in self.layers:
            if layer.name in seen:
                raise ValueError(f"layer name {layer.name!r} appears twice")
            seen.add(layer.name)
        return self

    @property
    def macs(self) -> int:
        """Forward multiply-accumulates, one sample."""
        return sum(layer.macs for layer in self.layers)

    @property
    def weights(self) -> int:
        """Elements of parameters that products use, each once."""
        return sum(layer.weights for layer in self.layers if not isinstance(layer, Elementwise))

    @property
    def parameters(self) -> int | None:
        """Weights, embeddings, norms and biases; None where the network does not say how many the latter are."""
        more = sum(layer.parameters for layer in self.layers if isinstance(layer, Elementwise))
        return self.weights + more if more else None

    @property
    def title(self) -> str:
        """Its name, with what it is run for where it is a language model."""
        return self.name + phase_text(self.phase, self.context)


def phase_text(phase: str, context: int | None) -> str:
    """What a language model is run for, behind its name; empty for other networks."""
    if context is None:
        return ""
    return {
        "prefill": f", prefill of {context:,} tokens",
        "decode": f", decode of one token at context {context:,}",
    }.get(phase, f", sequences of {context:,} tokens")


def elementwise(
    name: str, op: str, elements: int, inputs: int = 1, outputs: int | None = None, parameters: int = 0
) -> Elementwise:
    """An element-wise layer over ``elements`` input elements a sample, with the DRAM traffic that ``op`` costs.

    The one place that states it (elements moved, reads R and writes W, of n inputs and o outputs):

    - ``relu``, ``gelu``, ``dropout``, ``bias``: none; done on the way out of, or into, the neighbouring product.
    - ``batchnorm``, ``layernorm``: FF 1R 1W (statistics are gathered as the producer writes); BP reads x and dy once
      for the two sums, then x and dy again for dx: 4R 1W.
    - ``add``: FF reads each input, writes one; BP nothing (every branch reads the same gradient).
    - ``gate``: FF two inputs R, 1W; BP three R, 2W.
    - ``rope``: FF 1R 1W; BP 1R 1W (a rotation back).
    - ``pool``, ``upsample``: FF n R, o W; BP o R, n W.
    - ``softmax``: FF 1R 1W; BP 2R 1W.
    - ``embedding``: FF o R, o W; BP o R, o W (gradient rows read, added).
    - anything else: FF 1R 1W, BP 2R 1W.
    """
    o = elements if outputs is None else outputs
    ff_r, ff_w, bp_r, bp_w = {
        "relu": (0, 0, 0, 0),
        "gelu": (0, 0, 0, 0),
        "dropout": (0, 0, 0, 0),
        "bias": (0, 0, 0, 0),
        "batchnorm": (elements, elements, 4 * elements, elements),
        "layernorm": (elements, elements, 4 * elements, elements),
        "add": (inputs * elements, elements, 0, 0),
        "gate": (2 * elements, elements, 3 * elements, 2 * elements),
        "rope": (elements, elements, elements, elements),
        "pool": (elements, o, o, elements),
        "upsample": (elements, o, o, elements),
        "embedding": (o, o, o, o),
    }.get(op, (elements, o, 2 * elements, elements))
    return Elementwise(
        name=name, op=op, ff_read=ff_r, ff_write=ff_w, bp_read=bp_r, bp_write=bp_w, parameters=parameters
    )
