# SPDX-License-Identifier: Apache-2.0
"""The generator of faults: every kind, the original behind the switch, and that every file of the RTL is read."""

from __future__ import annotations

from hwsim.rtl_tools.sources import RTL, sources
from tests.support.mutants.equivalent import equivalents, same
from tests.support.mutants.generate import all_mutants, mutants_of, planted, sample
from tests.support.mutants.report import report, score, scores
from tests.support.mutants.run import Result

SMALL = """// a comment
`resetall
module small (
    input  wire       clk,
    input  wire       rst,
    input  wire       valid,
    input  wire       ready,
    input  wire [3:0] room,
    output wire       take
);
    localparam LAST = 4'd9;
    reg [3:0] count_reg;
    assign take = valid && ready && count_reg < room;
    always @(posedge clk) begin
        if (take) begin
            count_reg <= count_reg + 4'd1;
        end
        if (rst) begin
            count_reg <= 4'd0;
        end
    end
endmodule
"""


def test_kinds() -> None:
    found = {(m.line, m.kind, m.old, m.new) for m in mutants_of("small.v", SMALL)}
    assert {
        (13, "dropped", "valid && ready", "(valid) && 1'b1"),
        (13, "operator", "valid && ready", "valid || ready"),
        (13, "comparison", "count_reg < room", "count_reg <= room"),
        (15, "condition", "take", "1'b1"),
        (15, "negated", "take", "!(take)"),
        (16, "constant", "4'd1", "4'h0"),
        (16, "dropped", "count_reg + 4'd1", "count_reg"),
        (16, "width", "count_reg + 4'd1", "(count_reg + 4'd1) & ({(3+1){1'b1}} >> 1)"),
        (16, "hold", "count_reg <= count_reg + 4'd1;", "; // no count_reg <= count_reg + 4'd1;"),
        (18, "reset", "rst", "1'b0"),
        (19, "reset", "count_reg <= 4'd0;", "; // no count_reg <= 4'd0;"),
    } <= found
    assert {m.switched for m in mutants_of("small.v", SMALL) if m.line == 11} == {False}


def test_the_original_is_behind_the_switch() -> None:
    """With no fault chosen, what is left of the planted text is the original."""
    numbered = list(enumerate((m for m in mutants_of("small.v", SMALL) if m.switched), 1))
    text = planted(SMALL, numbered)
    assert all(f"mutant_switch::number=={n} " in text or f"mutant_switch::number=={n})" in text for n, _ in numbered)
    assert text.count("endmodule") == 1
    assert len(text.splitlines()) == len(SMALL.splitlines()) + 1


def test_every_module_is_read() -> None:
    found = all_mutants()
    assert set(found) == {p.stem for p in sources()}
    assert sum(map(len, found.values())) > 10_000
    for mutants in found.values():
        for m in mutants:
            assert m.start < m.end
        taken = sample(mutants, 12)
        assert len(taken) == min(12, len(mutants))
        assert taken == sample(mutants, 12)


def test_equivalent_ones_are_still_there() -> None:
    for entry in equivalents():
        text = (RTL / entry.file).read_text(encoding="utf-8")
        assert entry.reason
        assert any(same(entry, m) for m in mutants_of(entry.file, text)), entry


def test_what_is_known_in_a_block_alone_stands_for_nothing_else() -> None:
    block = "    generate if (1) begin : g_one\n        wire hidden = take;\n    end endgenerate\n    always"
    text = SMALL.replace("    always", block)
    assert any(m.old == "take" for m in mutants_of("small.v", text))
    assert not any(m.kind == "signal" and m.new == "hidden" for m in mutants_of("small.v", text))


def test_assertions_are_no_circuit() -> None:
    checks = "`ifdef CHECKS\n    assert property (@(posedge clk) take |-> valid);\n`endif\nendmodule"
    found = mutants_of("small.v", SMALL.replace("endmodule", checks))
    assert [(m.line, m.new) for m in found] == [(m.line, m.new) for m in mutants_of("small.v", SMALL)]


def test_what_is_skipped_changes_no_other_choice() -> None:
    found = mutants_of("small.v", SMALL)
    drawn = sample(found, 6)
    again = sample(found, 6, skip=lambda m: m == drawn[2])
    assert drawn[2] not in again
    assert len(again) == 6
    assert set(drawn) - {drawn[2]} <= set(again) | {drawn[-1]}


def test_zeros_have_no_narrower_ones() -> None:
    assert not [m for m in mutants_of("small.v", SMALL.replace("4'd0;", "{4{1'b0}};")) if m.kind == "width"
                and "1'b0}" in m.old]  # fmt: skip


def test_report() -> None:
    faults = mutants_of("common/small.v", SMALL)[:3]
    results = [Result(m, state, "block") for m, state in zip(faults, ("caught", "survived", "waiting"), strict=True)]
    assert score(results) == 50
    text = report(results)
    assert "of 3 faults" in text
    assert "| common/small | 1 | 1 | 50% |  | 1 |" in text
    assert f"| common/small.v:{faults[1].line} |" in text
    assert scores(results).splitlines()[0] == "module,kind,caught,survived,unbuilt,waiting"
    assert sum(int(line.split(",")[2]) for line in scores(results).splitlines()[1:]) == 1
