# SPDX-License-Identifier: Apache-2.0
"""Kept records of switching fit the RTL that is here; a comment is no change of it, a changed line is."""

from __future__ import annotations

import shutil
from pathlib import Path

from hwsim.core.machine import find, names
from hwsim.rtl_tools.sources import RTL
from hwsim.silicon.activity import rtl_digest


def test_kept_records_are_of_this_rtl() -> None:
    for name in names():
        if find(name).top:
            find(name).reference_activity()


def test_comments_are_no_change(tmp_path: Path) -> None:
    copy = tmp_path / "rtl"
    shutil.copytree(RTL, copy)
    file = copy / "common" / "fifo.v"
    before, text = rtl_digest("fifo"), file.read_text()
    file.write_text("// another word\n" + text.replace("endmodule", "/* and\nmore */ endmodule // fifo"))
    assert rtl_digest("fifo", copy) == before
    file.write_text(text.replace("endmodule", "wire more;\nendmodule"))
    assert rtl_digest("fifo", copy) != before
