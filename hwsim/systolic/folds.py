# SPDX-License-Identifier: Apache-2.0
"""Cycles, use and memory accesses of one matrix product on a systolic array, in closed form.

A product of P x K inputs and K x F weights is cut into folds that fill the array: two of the three sizes lie on its
rows and columns, the third streams through. Folds come one after the other, and each costs the full array:

| dataflow | rows | columns | streams | cycles of a fold | of which nothing is multiplied |
| --- | --- | --- | --- | --- | --- |
| os | P | F | K | K + R + C - 2 | skew |
| ws | K | F | P | R + P + R + C - 2 | load, skew |
| is | K | P | F | R + F + R + C - 2 | load, skew |

`stepped` clocks such an array; cycles and accesses here equal its own. ``as_scalesim`` gives what SCALE-Sim 3.0.0
(scalesim-project/SCALE-Sim, commit 1d62b68) reports instead: the index of the last cycle for their number, in os R + C
writes more a fold, no reads of partial sums, and in ws and is `Fold.compute_util` over C - 1 cycles more a fold.
"""

from __future__ import annotations

from dataclasses import dataclass

from .config import Dataflow


@dataclass(frozen=True, slots=True)
class Folds:
    """One product on an array; all counts are of the whole product."""

    rows: int
    cols: int
    dataflow: Dataflow
    pixels: int
    """P: rows of the inputs."""
    reduction: int
    """K."""
    filters: int
    """F: columns of the weights."""
    as_scalesim: bool = False

    @property
    def sizes(self) -> tuple[int, int, int]:
        """What lies on the array's rows, on its columns, and streams."""
        if self.dataflow == "os":
            return self.pixels, self.filters, self.reduction
        if self.dataflow == "ws":
            return self.reduction, self.filters, self.pixels
        return self.reduction, self.pixels, self.filters

    @property
    def row_folds(self) -> int:
        return -(-self.sizes[0] // self.rows)

    @property
    def col_folds(self) -> int:
        return -(-self.sizes[1] // self.cols)

    @property
    def count(self) -> int:
        """Folds of the product."""
        return self.row_folds * self.col_folds

    @property
    def streamed(self) -> int:
        """Cycles of a fold in which a PE multiplies."""
        return self.sizes[2]

    @property
    def fold_cycles(self) -> int:
        load = 0 if self.dataflow == "os" else self.rows
        return load + self.streamed + self.rows + self.cols - 2

    @property
    def cycles(self) -> int:
        return self.count * self.fold_cycles - self.as_scalesim

    @property
    def macs(self) -> int:
        return self.pixels * self.reduction * self.filters

    @property
    def mapping(self) -> float:
        """Share of PEs that a fold uses, mean over the folds."""
        on_rows, on_cols, _ = self.sizes
        return on_rows * on_cols / (self.count * self.rows * self.cols)

    @property
    def overall_util(self) -> float:
        """Multiplies over PEs times cycles."""
        return self.macs / (self.cycles * self.rows * self.cols)

    @property
    def compute_util(self) -> float:
        """Share of PEs times cycles of a fold that multiply, mean over the folds."""
        more = self.cols - 1 if self.as_scalesim and self.dataflow != "os" else 0
        return self.mapping * self.streamed / (self.fold_cycles + more)

    @property
    def ifmap_reads(self) -> int:
        """Words of inputs that enter the array."""
        times = 1 if self.dataflow == "is" else -(-self.filters // self.cols)
        return times * self.pixels * self.reduction

    @property
    def filter_reads(self) -> int:
        """Words of weights that enter the array."""
        times = {"os": self.row_folds, "ws": 1, "is": self.col_folds}[self.dataflow]
        return times * self.reduction * self.filters

    @property
    def ofmap_writes(self) -> int:
        """Sums that leave the array; in ws and is those of each fold of the reduction."""
        outputs = self.pixels * self.filters
        if self.dataflow == "os":
            return outputs + (self.count * (self.rows + self.cols) if self.as_scalesim else 0)
        return self.row_folds * outputs

    @property
    def ofmap_reads(self) -> int:
        """Partial sums that are read again to be added to."""
        if self.dataflow == "os" or self.as_scalesim:
            return 0
        return (self.row_folds - 1) * self.pixels * self.filters
