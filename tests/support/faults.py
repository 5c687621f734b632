# SPDX-License-Identifier: Apache-2.0
"""Plants one-line faults in copies of the RTL and shows how many the comparison catches.

python -m tests.support.faults [CASES [FILE...]]
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from hwsim.rtl_tools.sources import RTL
from hwsim.verification.case import VerifyOptions
from tests.support.blocks import verify


class Fault(NamedTuple):
    """``old`` becomes ``new`` in one place of a file; ``block`` is the one that must notice."""

    file: str
    old: str
    new: str
    block: str


FAULTS = [
    Fault("common/fp16_mul.v", "a_1[15] ^ b_1[15]", "a_1[15] | b_1[15]", "fp16_mul"),
    Fault("common/fp16_mul.v", "8'd98", "8'd97", "fp16_mul"),
    Fault("common/fp16_mul.v", "a_1[10] | ~|a_1[14:10]", "a_1[10]", "fp16_mul"),
    Fault("common/fp16_mul.v", "(a_special && b_zero)", "(a_special && a_zero)", "fp16_mul"),
    Fault("common/leading_zeros.v", "1 << (v - 1)", "1 << v", "fp16_mul"),
    Fault("common/int8_mul.v", "$signed(a_1) * $signed(b_1)", "$signed(a_1) * {8'd0, b_1}", "int8_mul"),
    Fault("common/fp32_add.v", "shifted[0] | sticky", "shifted[0]", "fp32_add"),
    Fault("common/fp32_add.v", "norm_5[3] && (|norm_5[2:0] || norm_5[4])", "norm_5[3]", "fp32_add"),
    Fault("common/fp32_add.v", "|norm_5[2:0]", "|norm_5[2:1]", "fp32_add"),
    Fault("common/fp32_add.v", "a[31] & b[31]", "a[31] | b[31]", "fp32_add"),
    Fault("common/fp32_add.v", "28'h8000000 >> big_e_1[4:0]", "28'h4000000 >> big_e_1[4:0]", "fp32_add"),
    Fault("common/fp32_add.v", "b[30:0] > a[30:0]", "b[30:23] > a[30:23]", "fp32_add"),
    Fault("common/fp32_mul.v", "kept[0] && (sticky || kept[1])", "kept[0] && sticky", "fp32_mul"),
    Fault("common/fp32_mul.v", "10'sd126", "10'sd127", "fp32_mul"),
    Fault("common/fp32_mul.v", "10'sd1 - highest_2", "10'sd0 - highest_2", "fp32_mul"),
    Fault("common/fp32_mul.v", "|norm[22:0] || lost", "|norm[22:0]", "fp32_mul"),
    Fault("common/fp32_mul.v", "rounded[31:23] >= 9'd255", "rounded[31:23] > 9'd255", "fp32_mul"),
    Fault("common/fp16_to_fp32.v", "8'd113 - {4'd0, zeros}", "8'd112 - {4'd0, zeros}", "fp16_to_fp32"),
    Fault("common/fp32_to_fp16.v", "|moved[36:0] || kept[0]", "|moved[36:0]", "fp32_to_fp16"),
    Fault("common/fp32_to_fp16.v", "rounded[17:10] >= 8'd31", "rounded[17:10] >= 8'd32", "fp32_to_fp16"),
    Fault(
        "common/delay.v",
        "if (ce) begin\n                    data_reg <= {",
        "if (1'b1) begin\n data_reg <= {",
        "fp32_add",
    ),
    Fault("sat/sore_lane.v", "15] < bits[14:0]", "15] <= bits[14:0]", "sore"),
    Fault("sat/sore_lane.v", "+: 15] < bits[14:0]", "+: 16] < bits[15:0]", "sore"),
    Fault("sat/sore_lane.v", "j[COUNT_WIDTH-1:0] < n &&\n", "j[COUNT_WIDTH-1:0] <= n &&\n", "sore"),
    Fault("sat/sore_lane.v", "first || !held_reg[e]", "!held_reg[e]", "sore"),
    Fault("sat/sore.v", "(!last_index || free)", "1'b1", "sore"),
    Fault("sat/sore.v", "take_next  = round_reg != 32'd1", "take_next  = 1'b1", "sore"),
    Fault("sat/sore.v", "            take_reg  <= 1'b0;\n", "", "sore"),
    Fault("sat/wuve.v", "!valid_reg[STAGES-1] || m_axis_tready", "1'b1", "wuve"),
    Fault("sat/wuve.v", "localparam STAGES = 2", "localparam STAGES = 3", "wuve"),
    Fault("sat/wuve.v", "            valid_reg <= {STAGES{1'b0}};\n", "", "wuve"),
    Fault("sat/wuve_lane.v", ".DEPTH(MUL_LATENCY)) g_inst", ".DEPTH(MUL_LATENCY + 1)) g_inst", "wuve"),
    Fault("sat/wuve_lane.v", ".a(beta), .b(v)", ".a(beta), .b(w)", "wuve"),
    Fault("common/fp16_mul_fixed.v", "a_1[15] ^ b_1[15]", "a_1[15] | b_1[15]", "stce"),
    Fault("common/fp16_mul_fixed.v", "sign ? i >= {28'd0", "sign ? i > {28'd0", "stce"),
    Fault("common/exact_add.v", "start[WIDTH+2:WIDTH] | product[42:40]", "product[42:40]", "stce"),
    Fault("common/exact_round.v", "norm_3[0] && (sticky_3 || norm_3[1])", "norm_3[0]", "stce"),
    Fault("common/exact_round.v", "|norm[WIDTH-26:0]", "|norm[WIDTH-27:0]", "stce"),
    Fault("common/exact_round.v", "(a[WIDTH+1] && a[WIDTH])", "1'b0", "stce"),
    Fault("sat/uspe.v", ".ce(product_valid)", ".ce(1'b1)", "stce"),
    Fault("sat/sat_check.v", "(EXACT != 0 && adds)", "1'b0", "sat_core"),
    Fault("sat/uspe.v", "keep && sum_slot == product_slot ? sum", "1'b0 ? sum", "stce"),
    Fault("sat/uspe.v", "north_row - 1'b1", "north_row", "stce"),
    Fault("sat/uspe.v", "!product_first ? held : os ?", "!product_first ? held : !os ?", "stce"),
    Fault("sat/uspe.v", "weight_reg[{west_bank, west_entry}]", "weight_reg[{1'b0, west_entry}]", "stce"),
    Fault("sat/uspe.v", "sum_valid && sum_last && os", "sum_valid && os", "stce"),
    Fault("sat/west_lane.v", "wait_next  = row_delay - 32'd1", "wait_next  = row_delay", "stce"),
    Fault("sat/west_lane.v", "if (repeat_reg + 16'd1 == repeats)", "if (repeat_reg == repeats)", "stce"),
    Fault("sat/west_lane.v", "number_reg != interleave;", "1'b1;", "stce"),
    Fault("sat/drain_lane.v", "row_gap - 32'd1", "row_gap", "stce"),
    Fault("sat/stce_control.v", "started_reg < settled_reg + {16'd0, column_tiles}", "1'b1", "stce"),
    Fault("sat/stce_control.v", "lead_reg >= load_lead", "lead_reg > load_lead", "stce"),
    Fault(
        "sat/stce_control.v",
        "FLUSH    = MUL_LATENCY + ADD_LATENCY + 2",
        "FLUSH    = MUL_LATENCY + ADD_LATENCY + 1",
        "stce",
    ),
    Fault("sat/stce_control.v", "            loading_reg <= 1'b0;\n", "", "stce"),
    Fault("sat/output_address.v", "tile_reg + (top - gone_reg) + count_reg", "tile_reg + gone_reg + count_reg", "stce"),
    Fault("sat/stce.v", "accumulate || psum_wrapped", "psum_wrapped", "stce"),
    Fault("sat/weight_block.v", "in_last  = {1'b0, in_reg} + 1'b1 == m", "in_last  = {1'b0, in_reg} == m", "sat_core"),
    Fault("sat/weight_block.v", "direct && across && !second_reg", "1'b0", "sat_core"),
    Fault("sat/sat_engines.v", "both ? turn_reg : pregenerate_reg && across", "pregenerate_reg && across", "sat_core"),
    Fault("sat/sat_engines.v", "wuve_over && (!pregenerate_reg || sore_over)", "wuve_over", "sat_core"),
    Fault("sat/sat_load.v", "if (part_reg + 16'd1 == beats)", "if (part_reg == beats)", "sat_core"),
    Fault(
        "sat/sat_store.v",
        "line_end ? address_reg + 1'b1 : address_reg",
        "sent ? address_reg + 1'b1 : address_reg",
        "sat_core",
    ),
    Fault("sat/sat_control.v", "at_reg != program_commands", "1'b1", "sat_core"),
    Fault("sat/sat_control.v", "(ports & held) == 8'd0", "1'b1", "sat_core"),
    Fault("sat/sat_check.v", "word[5] > room - word[4]", "1'b0", "sat_core"),
    Fault("sat/sat_check.v", "dense_words > {", "dense_words >= {", "sat_check"),
    Fault("sat/sat_check.v", "group > GROUP_MAX[31:0]", "group > GROUP_MAX[31:0] + 32'd1", "sat_check"),
    Fault("sat/sat_control.v", "spent_reg == compute_reg[63:32]", "1'b0", "sat_core"),
    Fault("sat/sat_csr.v", "!busy && !start_reg && s_axil_wstrb", "s_axil_wstrb", "sat_core"),
    Fault("sat/sat_core.v", "+ output_base :", ":", "sat_core"),
    Fault("common/axi_burst.v", "beats < room ? beats : room", "beats", "sat_core"),
    Fault("common/axi_write.v", "error_next = error_reg || m_axi_bresp != 2'b00", "error_next = error_reg", "sat_core"),
    Fault(
        "common/ram.v",
        "read_data <= memory[read_address]",
        "read_data <= write ? write_data : memory[read_address]",
        "sat_core",
    ),
    Fault("common/delay_valid.v", "d && !rst", "d", "stce"),
    Fault("common/fp32_div.v", "remainder >= {1'b0, divisor}", "remainder > {1'b0, divisor}", "fp32_div"),
    Fault("common/fp32_div.v", "|moved[1:0] || lost", "|moved[1:0]", "fp32_div"),
    Fault("common/fp32_div.v", "(sticky || kept[0])", "sticky", "fp32_div"),
    Fault("common/fp32_div.v", "(a_zero && b_zero)", "1'b0", "fp32_div"),
    Fault("common/fp32_div.v", "11'sd1 - exp;", "11'sd0 - exp;", "fp32_div"),
    Fault("spatten/fp32_exp.v", "|fixed[23:0] || fixed[25]", "|fixed[23:0]", "fp32_exp"),
    Fault("spatten/fp32_exp.v", "scaled > 10'sd0", "scaled > -10'sd1", "fp32_exp"),
    Fault("spatten/fp32_exp.v", "exponent < 8'd126", "exponent < 8'd127", "fp32_exp"),
    Fault("spatten/fp32_exp.v", "32'h395e8083", "32'h395e8084", "fp32_exp"),
    Fault("spatten/zero_eliminator.v", "keep[i] && !moves", "keep[i] || !moves", "zero_eliminator"),
    Fault("spatten/zero_eliminator.v", "!keep[i]};", "keep[i]};", "zero_eliminator"),
    Fault("spatten/zero_eliminator.v", "!valid_reg || m_axis_tready", "1'b1", "zero_eliminator"),
    Fault("spatten/zero_eliminator.v", "!valid_reg || m_axis_tready", "!valid_reg", "zero_eliminator"),
    Fault("spatten/topk.v", "random_reg[0] ? 16'hB400", "random_reg[0] ? 16'hB500", "topk"),
    Fault("spatten/topk.v", "there && key > pivot_reg", "there && key >= pivot_reg", "topk"),
    Fault("spatten/topk.v", "missing_reg <= larger)", "missing_reg < larger)", "topk"),
    Fault("spatten/topk.v", "missing_reg <= not_below", "missing_reg < not_below", "topk"),
    Fault("spatten/topk.v", "s_cmd_k >= s_cmd_count;", "s_cmd_k > s_cmd_count;", "topk"),
    Fault("spatten/topk.v", "stall ? row[ROW_WIDTH-1:0] :", "1'b0 ? row[ROW_WIDTH-1:0] :", "topk"),
    Fault("spatten/topk.v", "cycle_reg == rows + THREE", "cycle_reg == rows + TWO", "topk"),
    Fault("spatten/topk.v", "remain > PLACE", "remain != PLACE", "topk"),
    Fault("spatten/topk.v", "missing_reg - {{PAD{1'b0}}, chosen}", "missing_reg", "topk"),
    Fault("spatten/packer.v", "flush && held_reg != 0", "1'b0", "topk"),
    Fault("spatten/packer.v", "filled >= LANES", "filled > LANES", "topk"),
    Fault("spatten/topk_ring.v", "region_reg <= next_reg;", "region_reg <= region_reg;", "topk"),
    Fault("spatten/topk_ring.v", "start ? region_reg : read_reg", "read_reg", "topk"),
    Fault("spatten/topk_histogram.v", "there && key > kth_reg", "there && key >= kth_reg", "topk_histogram"),
    Fault("spatten/topk_histogram.v", "remain > PLACE", "remain != PLACE", "topk_histogram"),
    Fault("spatten/topk_histogram.v", "mine ? key[LOW_WIDTH-1:0] :", "1'b1 ? key[LOW_WIDTH-1:0] :", "topk_histogram"),
    Fault("spatten/topk_histogram.v", "&& s_cmd_k < s_cmd_count ?", "?", "topk_histogram"),
    Fault("spatten/topk_histogram.v", "stall ? row[ROW_WIDTH-1:0] :", "1'b0 ? row[ROW_WIDTH-1:0] :", "topk_histogram"),
    Fault("spatten/topk_histogram.v", "cycle_reg == rows + TWO", "cycle_reg == rows + ONE", "topk_histogram"),
    Fault(
        "spatten/topk_histogram.v",
        "missing_reg            <= found_missing",
        "missing_reg <= missing_reg",
        "topk_histogram",
    ),
    Fault("spatten/topk_histogram.v", "missing_reg - equals", "missing_reg", "topk_histogram"),
    Fault("spatten/topk_histogram.v", "            beat_reg  <= 1'b0;\n", "", "topk_histogram"),
    Fault("spatten/histogram.v", "first_reg ? {COUNT_WIDTH{1'b0}} : count_reg", "count_reg", "prob_histogram"),
    Fault("spatten/histogram.v", "number >> BELOW >= FIRST", "number >> BELOW == FIRST", "prob_histogram"),
    Fault("spatten/histogram.v", "missing <= counts[SOME*b", "missing < counts[SOME*b", "prob_histogram"),
    Fault("spatten/histogram.v", "complete_k_reg    <= k_reg", "complete_k_reg <= s_k", "prob_histogram"),
    Fault("spatten/histogram.v", "valid_reg     <= g_step[s-1].valid", "valid_reg <= complete_reg", "prob_histogram"),
    Fault("spatten/histogram.v", "if (row_reg) begin", "if (1'b1) begin", "prob_histogram"),
    Fault("spatten/histogram.v", "            row_reg      <= 1'b0;\n", "", "prob_histogram"),
    Fault("spatten/prob_histogram.v", "high == 0 ?", "high <= 1 ?", "prob_histogram"),
    Fault("spatten/value_select.v", "start ? s_slot : slot_reg", "slot_reg", "value_select"),
    Fault("spatten/value_select.v", "start ? s_list : list_reg", "list_reg", "value_select"),
    Fault("spatten/value_select.v", "beat ? beats_reg + 1'b1", "beat ? beats_reg", "value_select"),
    Fault("spatten/importance_topk.v", "if (!beat || m_ready)", "if (1'b1)", "importance_topk"),
    Fault("spatten/importance_topk.v", ".valid(beat && m_ready)", ".valid(beat)", "importance_topk"),
    Fault("spatten/importance_topk.v", "waits_reg == 2'd1 && leaves", "1'b0", "importance_topk"),
    Fault("spatten/importance_topk.v", "if (write) begin", "if (1'b1) begin", "importance_topk"),
    Fault("spatten/importance_topk.v", "(over || over_reg) && stay", "over && stay", "importance_topk"),
    Fault("spatten/importance_topk.v", "leaves ? place_reg + 1'b1", "write ? place_reg + 1'b1", "importance_topk"),
    Fault("spatten/importance_topk.v", "(!(over || over_reg) || done)", "1'b1", "importance_topk"),
    Fault("spatten/importance_topk.v", "            waits_reg <= 2'd0;\n", "", "importance_topk"),
    Fault("spatten/value_bins.v", "missing_reg[mine]", "missing_reg[0]", "spatten_core"),
    Fault("spatten/value_engines.v", "seed_reg[slot])", "seed_reg[0])", "spatten_core"),
    Fault("spatten/score_buffers.v", "(SLOT_WIDTH+ROW_WIDTH)*n +:", "0 +:", "spatten_core"),
    Fault("spatten/token_store.v", "<= n[$clog2(ENGINES)-1:0];", "<= {$clog2(ENGINES){1'b0}};", "spatten_core"),
    Fault(
        "spatten/token_store.v",
        "output_reg <= engine_reg[",
        "output_reg <= {$clog2(ENGINES){1'b0}} & engine_reg[",
        "spatten_core",
    ),
    Fault(
        "spatten/token_store.v",
        "window_reg <= engine_reg[",
        "window_reg <= {$clog2(ENGINES){1'b0}} & engine_reg[",
        "spatten_core",
    ),
    Fault("common/int_to_fp32.v", "sticky || norm[WIDE-24]", "sticky", "int_to_fp32"),
    Fault("common/fp32_to_int.v", "sticky || whole[0]", "sticky", "fp32_to_int"),
    Fault("spatten/score_scale.v", "!first_reg && all_reg > row_reg", "all_reg > row_reg", "softmax"),
    Fault("spatten/exp_sum.v", "begins ? 32'd0 :", "1'b0 ? 32'd0 :", "softmax"),
    Fault("spatten/exp_sum.v", "alone_late ? {32*ADDER{1'b0}} :", "1'b0 ? {32*ADDER{1'b0}} :", "softmax"),
    Fault("spatten/exp_sum.v", "present_late[l] ? e : 32'd0", "e", "softmax"),
    Fault("spatten/normalize.v", "present_late[l] ? whole : {PROB_BITS{1'b0}}", "whole", "softmax"),
    Fault("common/ram_columns.v", "if (write[c])", "if (|write)", "spatten_core"),
    Fault("common/fifo.v", "count_reg != DEPTH[COUNT-1:0]", "1'b1", "spatten_core"),
    Fault("common/window_fifo.v", "i = p; i < DEPTH - 1", "i = 0; i < DEPTH - 1", "spatten_core"),
    Fault("common/window_fifo.v", "m_take[p] && valid_reg[p]", "m_take[0] && valid_reg[p]", "spatten_core"),
    Fault("spatten/crossbar.v", "|later ? later : wants", "wants", "spatten_core"),
    Fault("spatten/crossbar.v", "some & (~some + 1'b1)", "some", "spatten_core"),
    Fault("spatten/crossbar.v", "first & {SOURCES{m_ready[t]}}", "first", "spatten_core"),
    Fault("spatten/token_list.v", "{{ROW_WIDTH-2{1'b0}}, row[0]}", "{ROW_WIDTH-1{1'b0}}", "spatten_core"),
    Fault(
        "spatten/address_generator.v",
        "if (begins[BLOCK_WIDTH*token_index +: BLOCK_WIDTH] != end_of)",
        "if (1'b1)",
        "spatten_core",
    ),
    Fault("spatten/address_generator.v", "stop = stop || full_from[s];", "", "spatten_core"),
    Fault("spatten/vector_sram.v", "{1'b0, NUMBER} < {1'b0, first}", "1'b0", "spatten_core"),
    Fault("spatten/vector_walk.v", "token == line[TOKEN_WIDTH*v +: TOKEN_WIDTH] + 1'b1 &&", "", "spatten_core"),
    Fault("spatten/vector_walk.v", "(v != 0 || !first)", "1'b1", "spatten_core"),
    Fault("spatten/widen.v", "all[10*e+9]", "all[10*e+8]", "spatten_core"),
    Fault("spatten/query_key.v", "tag6[SECOND_AT] ? 4'd0 : shift6", "shift6", "spatten_core"),
    Fault("spatten/query_key.v", "begins6 ? {SCORE_WIDTH{1'b0}} : part_reg", "part_reg", "spatten_core"),
    Fault("spatten/prob_value.v", "keep | {LIST{!masked1}}", "{LIST{1'b1}}", "spatten_core"),
    Fault("spatten/prob_value.v", "first3 && part3 == 2'd0", "first3", "spatten_core"),
    Fault("spatten/piece_shift.v", "assign left = at[s] ?", "assign left = at[s] && s != 1 ?", "spatten_core"),
    Fault("spatten/group_sum.v", "(t-1)+2*n+1)", "(t-1)+2*n)", "spatten_core"),
    Fault("spatten/group_sum.v", "(l % (1 << k))", "l", "spatten_core"),
    Fault("spatten/head_importance.v", "i = 127; i > 0", "i = 127; i > 1", "spatten_core"),
    Fault("spatten/value_select.v", "list_reg <= s_list", "list_reg <= {LIST_WIDTH{1'b0}}", "spatten_core"),
    Fault("spatten/job_tracker.v", "all && left == 0", "left == 0", "spatten_core"),
    Fault("spatten/fetch.v", "|m_axi_rresp[2*c +: 2]", "1'b0", "spatten_core"),
    Fault("spatten/fetch.v", "next = ~offer_reg | m_axi_arready", "next = {CHANNELS{1'b1}}", "spatten_core"),
    Fault("spatten/fetch.v", "next = ~offer_reg | m_axi_arready", "next = ~offer_reg", "spatten_core"),
    Fault("spatten/fetch.v", "turn << $clog2(W)", "turn", "spatten_core"),
    Fault("spatten/fetch.v", "(u << ID_WIDTH - 1) + l", "l", "spatten_core"),
    Fault("spatten/head_check.v", "both <= BITS[6:0]", "1'b1", "spatten_core"),
    Fault("spatten/head_check.v", "key_rows <= HALF_KEYS", "key_rows < HALF_KEYS", "head_check"),
    Fault("spatten/head_check.v", "scale[30:23] < 8'd223", "scale[30:23] < 8'd224", "head_check"),
    Fault("spatten/head_check.v", "code > 3'd4 ? 6'd63 : ", "", "head_check"),
    Fault("spatten/head_check.v", "list_end <= PLACES", "list_end < PLACES", "head_check"),
    Fault("spatten/head_table.v", "&& wanted <= ALL_ROWS", "", "spatten_core"),
    Fault("spatten/query_check.v", "count <= keys &&", "count <= keys + 1'b1 &&", "query_check"),
    Fault("spatten/query_check.v", "<= 7'd32", "<= 7'd35", "query_check"),
    Fault("spatten/head_table.v", "query_bits(of[`HEAD_QUERY_BITS", "query_bits(of[`HEAD_KEY_BITS", "spatten_core"),
    Fault("spatten/answers.v", "m_status == 2'd0 ? found", "!error ? found", "spatten_core"),
    Fault("spatten/answers.v", "m_status == 2'd0 && again", "!error && again", "spatten_core"),
    Fault("spatten/fetch_schedule.v", "&& begun[query_head]", "", "spatten_core"),
    Fault("spatten/fetch_schedule.v", "&& !asked_reg[query_head]", "", "spatten_core"),
    Fault("spatten/vector_rows.v", "size[0] ? 7'd6 : size[1] ? 7'd5", "size[1] ? 7'd4", "spatten_core"),
    Fault(
        "spatten/value_queue.v",
        "for (i = SLOTS - 1; i >= 0; i = i - 1)",
        "for (i = 0; i < SLOTS; i = i + 1)",
        "spatten_core",
    ),
    Fault("spatten/query_schedule.v", "check_sum > limit", "check_sum >= limit", "spatten_core"),
    Fault("spatten/query_schedule.v", "fails && !asked_reg[check_head]", "fails", "spatten_core"),
    Fault("spatten/token_importance.v", "late_reg && late_row_reg == row_reg", "1'b0", "spatten_core"),
    Fault("spatten/token_importance.v", "sum[32] ? 32'hffffffff : sum[31:0]", "sum[31:0]", "spatten_core"),
    Fault("spatten/head_importance.v", "element[WIDTH-1] ? -element : element", "element", "spatten_core"),
    Fault("spatten/answers.v", "error_stays_reg || !output_valid", "!output_valid", "spatten_core"),
]


def caught(fault: Fault, cases: int) -> bool:
    """Whether the comparison of the fault's block finds it."""
    with tempfile.TemporaryDirectory() as folder:
        rtl = Path(folder) / "rtl"
        shutil.copytree(RTL, rtl)
        path = rtl / fault.file
        text = path.read_text(encoding="utf-8")
        assert text.count(fault.old) >= 1, f"{fault.file} no longer has {fault.old!r}"
        path.write_text(text.replace(fault.old, fault.new, 1), encoding="utf-8")
        (row,) = verify([fault.block], cases, 1, VerifyOptions(rtl, stop=True))  # a fault that does not compile is none
        return not row.agrees


def main() -> int:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    faults = [f for f in FAULTS if not sys.argv[2:] or Path(f.file).stem in sys.argv[2:]]
    missed = []
    for i, fault in enumerate(faults, 1):
        found = caught(fault, cases)
        missed += [] if found else [fault]
        print(f"{i:2}/{len(faults)} {'caught' if found else 'MISSED'}  {fault.file}: {fault.old!r} -> {fault.new!r}")
    print(f"{len(faults) - len(missed)} of {len(faults)} caught")
    return len(missed) > 1


if __name__ == "__main__":
    sys.exit(main())
