# SPDX-License-Identifier: Apache-2.0
"""What a user asks SAT to run, as one checked object: one step (`SatRun`), or a study of many (`SatStudy`)."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field, model_validator

from dataflow.errors import InputError
from dataflow.importers import find_network
from dataflow.networks.network import Network
from dataflow.networks.zoo import PAPER_NETWORKS
from dataflow.pattern import PatternText
from dataflow.pruned import PrunedFolder, pruned_file
from dataflow.training.methods import Method
from hwsim.core.machine import Settings
from hwsim.core.training import Batch, CsvPadding, TrainingRun

from .config import SatConfig
from .result import StepResult


class SatRun(TrainingRun):
    """One simulation of a training step (or of some of its passes) on a SAT machine."""

    silicon: bool = Field(
        False, description="columns of area and energy from the RTL's cells too (Yosys; minutes once for each machine)"
    )
    machine: SatConfig = SatConfig()

    def masks(self) -> dict[str, np.ndarray]:
        """Masks of a pruned model's layers that have no N:M pattern, bool [reduction, cols], a convolution's taps
        before its channels; none: no such model.

        Raises:
            InputError: masks that are missing or damaged.
        """
        file = pruned_file(self.network)
        if file is None or Method.parse(self.method).is_dense:
            return {}
        folder = PrunedFolder.read(file)
        wanted = [name for name, layer in folder.model.layers.items() if layer.nm is None and name not in self.skip]
        masks = {name: folder.mask(name) for name in wanted}
        return {name: np.moveaxis(mask, 1, -1).reshape(len(mask), -1).T for name, mask in masks.items()}

    def bounds(self, result: StepResult) -> dict[str, float]:
        """Cycles that a step cannot be below."""
        traffic = result.total("dram_read_bytes") + result.total("dram_write_bytes")
        return {"DRAM bandwidth": traffic / self.machine.dram_bytes_per_cycle,
                "multipliers": result.total("macs_done") / self.machine.peak_macs_per_cycle}  # fmt: skip

    def measure(self, *, detail: bool = False) -> dict[str, Any]:
        """Schedule and simulate the step: totals as columns; ``detail`` adds ``parts``, a row a step.

        Raises:
            InputError: as `hwsim.sat.timing.step.simulate`.
        """
        from hwsim.sat.energy import total_energy_j
        from hwsim.sat.result import CAUSES

        from .timing.step import simulate

        result = simulate(self.machine, self.workload(self.read_network()), masks=self.masks())
        energy = total_energy_j(result)
        machine = self.machine
        traffic = result.total("dram_read_bytes") + result.total("dram_write_bytes")
        bounds = self.bounds(result)
        buffers = (machine.west_buffer_bytes, machine.north_buffer_bytes, machine.output_buffer_bytes)
        row: dict[str, Any] = {
            "cycles": result.cycles,
            "seconds": result.seconds,
            "energy_j": sum(energy.values()),
            "samples_per_s": self.batch / result.seconds,
            "samples_per_j": self.batch / sum(energy.values()),
            "utilization": result.utilization,
            "macs": result.total("macs"),
            "macs_done": result.total("macs_done"),
            "dram_bytes": traffic,
            "bound": max(bounds, key=bounds.__getitem__),
            "share_of_bound": max(bounds.values()) / result.cycles,
            "multipliers": machine.peak_macs_per_cycle,
            "sram_bytes": sum(buffers),
            "dram_bytes_per_cycle": machine.dram_bytes_per_cycle,
            **{f"{cause}_cycles": result.total(cause) for cause in CAUSES},
            **{f"energy_{name}_j": value for name, value in energy.items()},
        }
        if self.silicon:
            from .silicon import silicon_columns

            row |= silicon_columns(result)
        if detail:
            row["parts"] = [
                {"step": r.step, "layer": r.layer, "phase": r.phase, "kind": r.kind, "pattern": r.pattern,
                 "mapping": r.mapping, "cycles": r.cycles, "dram_bytes": r.dram_bytes}
                for r in result.steps
            ]  # fmt: skip
        return row


class SatStudy(Settings):
    """A study: BDWP at each pattern against dense, for each network, on one machine."""

    networks: tuple[str, ...] = Field(
        PAPER_NETWORKS,
        min_length=1,
        description="names from `hwsim networks`, network files, trace folders",
    )
    patterns: tuple[PatternText, ...] = Field(("2:4", "2:8", "2:16"), min_length=1, description="N:M patterns")
    batch: Batch = 512
    csv_padding: CsvPadding = "valid"
    machine: SatConfig = SatConfig()

    @model_validator(mode="after")
    def _sparse(self) -> SatStudy:
        if "dense" in self.patterns or len(set(self.patterns)) < len(self.patterns):
            raise ValueError("patterns: each N:M pattern once, without dense (every one is compared with it)")
        return self

    def read_networks(self) -> list[Network]:
        """The networks, each of another name."""
        found = [find_network(name, csv_padding=self.csv_padding) for name in self.networks]
        for i, network in enumerate(found):
            if network.name in (n.name for n in found[:i]):
                raise InputError(f"networks: {network.name!r} appears twice")
        return found
