# SPDX-License-Identifier: Apache-2.0
"""Standard cells: a module as generic gates that `hwsim.silicon.cells` prices, or as cells of a liberty file.

Memories of `RAM_WORDS` words or more stay whole and are priced as SRAM (`hwsim.silicon.sram`); smaller ones are
flip-flops with their multiplexers. Out of a liberty file come gate equivalents (area over a NAND2's) and each module's
longest path between its own ports and flip-flops, without wires: good for comparing modules, not for a frequency.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from dataflow.errors import InputError

from ..rtl_tools.plain import plain_path
from .netlist import Cost, Flow, ram_size, unknown

RAM_WORDS = 32
_MEMORIES = ("opt", "memory -nomap -nosat", "opt_clean", "opt -fast -full",
             f"memory_map t:$mem_v2 r:SIZE<{RAM_WORDS} %i", "opt -undriven -fine")  # fmt: skip
WORDS = ("proc", "opt_expr", "opt_clean", "opt -nodffe -nosdff", "wreduce", "peepopt", "opt_clean", *_MEMORIES)
"""Down to operators on words, flip-flops and memories."""
_COARSE = (*WORDS[: -len(_MEMORIES)], "alumacc", *_MEMORIES, "techmap", "opt -fast")
"""As Yosys's own ``synth``, without sharing of resources, which takes hours on wide modules."""
_GATES = "AND,NAND,OR,NOR,XOR,XNOR,MUX,AOI3,OAI3"

PLACES = tuple(Path(f"/usr/share/qflow/tech/{name}/{name}_stdcells.lib") for name in ("osu018", "osu035", "osu050"))
"""Where Debian's packages qflow-tech-* put liberty files."""


_SCRIPT = "+strash;ifraig;dc2;strash;map"
GATES = Flow("gates", (*_COARSE, f"abc -script {_SCRIPT} -g {_GATES}", "opt -fast", "opt_clean"))
"""abc's own script proves and collects choices: hours on wide adder trees, for a few percent of the area."""


_PACKED = {b"\x1f\x8b": "gzip", b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
"""First bytes of compressed files."""


def find_library(path: Path | None = None) -> Path:
    """A liberty file: the one named, or an installed one.

    Raises:
        InputError: there is none.
    """
    for place in (path,) if path is not None else PLACES:
        if place.is_file():
            return place
    if path is not None:
        raise InputError(f"--liberty {path}: no such file")
    raise InputError(
        "no standard-cell library is installed: apt-get install qflow-tech-osu018 (Debian), or name a liberty file "
        "with --liberty"
    )


class Library:
    """A liberty file's cells and their areas."""

    def __init__(self, path: Path) -> None:
        try:
            content = path.read_bytes()
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
        for mark, kind in _PACKED.items():
            if content.startswith(mark):
                raise InputError(f"{path}: is a {kind} file: unpack it, and name the liberty file that is in it")
        text = content.decode("utf-8", errors="replace")
        if re.search(r"\blibrary\s*\(", text) is None:
            raise InputError(f"{path}: not a liberty file: no `library (...)` in it")
        cells = re.split(r"\bcell\s*\(\s*\"?(\w+)\"?\s*\)\s*\{", text)
        self.path = path
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        self.area: dict[str, float] = {}
        self.flipflops: set[str] = set()
        for name, body in zip(cells[1::2], cells[2::2], strict=True):
            if match := re.search(r"\barea\s*:\s*\"?([\d.eE+-]+)", body):
                self.area[name] = float(match[1])
            if re.search(r"\bff\s*\(", body):
                self.flipflops.add(name)
        nands = [a for n, a in self.area.items() if re.fullmatch(r"(?i)(.*_)?nand0?2_?x?1", n)]
        if not nands:
            raise InputError(f"{path}: no cell NAND2X1 (or of such a name) with an area: gate equivalents need one")
        self.nand2 = min(nands)

    def flow(self) -> Flow:
        """Mapping to its cells; abc sizes them and says how long each module's longest path is."""
        q = str(plain_path(self.path))
        script = (
            "+strash;&get,-n;&fraig,-x;&put;scorr;dc2;strash;&get,-n;&dch,-f;&nf;&put;buffer;upsize;dnsize;stime,-p"
        )
        commands = (*_COARSE, f"dfflibmap -liberty {q}", f"abc -liberty {q} -script {script}", "opt_clean")
        return Flow("liberty", commands, self.digest)

    def price(self) -> Callable[[str], Cost]:
        """Area and gate equivalents of its cells."""

        def found(cell: str) -> Cost:
            size = ram_size(cell)
            if size is not None:
                return {"area_um2": 0.0, "gates": 0.0, "flipflops": 0.0, "sram_bits": size[0] * size[1]}
            if cell not in self.area:
                raise unknown(cell)
            area = self.area[cell]
            return {"area_um2": area, "gates": area / self.nand2, "flipflops": cell in self.flipflops}

        return found
