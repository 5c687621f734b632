# SPDX-License-Identifier: Apache-2.0
"""The SpAtten authors' workload format: read, written, refused."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from pydantic import ValidationError

from dataflow.attention.pruning import AttentionPruning, Quantization, RatioSchedule
from dataflow.attention.workload import (
    COLUMNS,
    KV_HEAD,
    MODELS,
    PUBLISHED,
    as_run,
    find_workload,
    make_workload,
    read_workload,
    stream_workload,
    usual_pruning,
)
from dataflow.errors import InputError

HEADER = ",".join(COLUMNS)
ROW = "0,1,2,64.0,993,921,6,16,0.05,True,4,184,6,True,False,False,-1"
NAME = "configs/one.yml" + "," * 16


def written(folder: Path, *lines: str) -> Path:
    path = folder / "work.csv"
    path.write_text("\n".join([HEADER, *lines]) + "\n")
    return path


def test_the_authors_file(tmp_path: Path) -> None:
    found = read_workload(PUBLISHED["gpt2-small-wikitext2"])
    assert len(found.rows) == 4608
    assert found.name.startswith("configs/gpt2/wikitext2/")
    assert found.rows.key_fetch_num.sum() == 1_283_172
    found.write(tmp_path / "again.csv")
    again = read_workload(tmp_path / "again.csv")
    assert again.name == found.name
    assert again.authors
    pd.testing.assert_frame_equal(again.rows, found.rows)
    assert "query_num" not in (tmp_path / "again.csv").read_text()


def test_the_authors_file_without_techniques() -> None:
    found = read_workload(PUBLISHED["gpt2-small-wikitext2-dense"])
    none = ["quant_key_bit", "quant_query_bit", "quant_value_bit", "auto_requant_incre", "auto_requant_thres", "topk"]
    assert len(found.rows) == 4608
    assert (found.rows[none] == -1).all(axis=None)
    assert (found.rows.key_fetch_num == found.rows.sentence_length_L).all()
    assert found.rows.key_fetch_num.sum() == 144 * sum(range(993, 1025))


DENSE = "0,1,2,64.0,993,921,-1,-1,-1,False,-1,184,-1,True,False,False,-1"


@pytest.mark.parametrize(
    "row",
    [
        DENSE,
        DENSE.replace("-1", "-1.0").replace("False", "FALSE").replace("921", "921.0"),
        DENSE.replace("-1", "").replace("False", "0").replace("True", "1.0"),
        DENSE.replace(",", " , "),
    ],
)
def test_nothing_is_written_in_several_ways(tmp_path: Path, row: str) -> None:
    """-1, -1.0 or an empty field: a row without quantization, LSBs and top-k; also truth in several ways."""
    expected = read_workload(written(tmp_path, DENSE)).rows
    assert (expected[["quant_key_bit", "auto_requant_incre", "auto_requant_thres", "topk"]] == -1).all(axis=None)
    for last in ([], [NAME], ["configs/one.yml"], ["," * 16]):
        found = read_workload(written(tmp_path, row, *last))
        pd.testing.assert_frame_equal(found.rows, expected)
        assert found.name == ("configs/one.yml" if last and last[0] != "," * 16 else "")


def test_a_budget_may_be_above_the_sentence(tmp_path: Path) -> None:
    """Of the longest sentence to come: the top-k keeps all."""
    row = ROW.replace("False,-1", "True,1003")
    assert read_workload(written(tmp_path, row)).rows.topk.tolist() == [1003]


def test_both_readings_of_what_is_not_quantized(tmp_path: Path) -> None:
    rows = read_workload(
        written(
            tmp_path,
            DENSE,
            ROW.replace("921,6,", "921,10,"),  # 10 + 4 bits, as the paper names it
            ROW.replace("921,6,", "921,12,").replace("184,6,", "184,10,").replace("True,4", "False,-1"),
            ROW,
        )
    ).rows
    names = ["quant_key_bit", "auto_requant_incre", "if_requant", "quant_value_bit"]
    assert as_run(rows, "operands") is rows
    found = as_run(rows, "release")
    split = [8, 4, True, 8]
    assert found[names].to_numpy().tolist() == [split, [8, 4, True, 6], split, [6, 4, True, 6]]
    assert found.auto_requant_thres.tolist() == [1, 1, 1, 0.05]
    assert found.dtypes.equals(rows.dtypes)
    others = [name for name in rows if name not in (*names, "auto_requant_thres")]
    pd.testing.assert_frame_equal(found[others], rows[others])


def test_counts_are_rounded_up_but_not_above_the_sentence(tmp_path: Path) -> None:
    lines = [ROW.replace(",921,", f",{k},").replace(",184,", f",{v},") for k, v in
             ((921, 184), (921, 921), (993, 990), (0, 0), (1, 1), (992, 0))]  # fmt: skip
    rows = read_workload(written(tmp_path, *lines)).rows
    found = as_run(rows, "release", 8)
    assert found.key_fetch_num.tolist() == [928, 928, 993, 0, 8, 992]
    assert found.value_fetch_num.tolist() == [184, 928, 992, 0, 8, 0]
    assert as_run(rows, "release", 1) is rows


def test_a_file_of_ours_is_known_by_its_column(tmp_path: Path) -> None:
    """So that what was made here is read again as it was run, though its bits be -1."""
    made = make_workload("gpt2-small", MODELS["gpt2-small"], AttentionPruning())
    made.write(tmp_path / "made.csv")
    assert not made.authors
    assert not read_workload(tmp_path / "made.csv").authors
    assert read_workload(written(tmp_path, ROW)).authors


def test_a_small_file(tmp_path: Path) -> None:
    found = read_workload(written(tmp_path, ROW, ROW.replace("True,4", "False,4"), NAME))
    assert found.name == "configs/one.yml"
    assert found.rows.if_requant.tolist() == [True, False]
    assert found.rows.query_num.tolist() == [1, 1]
    assert read_workload(written(tmp_path, ROW)).name == ""


def test_pieces_are_the_whole(tmp_path: Path) -> None:
    lines = [ROW.replace("0,1,2", f"{i},1,2", 1) for i in range(25)]
    path = written(tmp_path, *lines, NAME)
    pieces = list(stream_workload(path, 7))
    assert [len(p) for p in pieces] == [7, 7, 7, 4]
    pd.testing.assert_frame_equal(pd.concat(pieces, ignore_index=True), read_workload(path).rows)
    assert [len(p) for p in stream_workload(written(tmp_path, *lines[:7], NAME), 7)] == [7]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "no rows"),
        ([NAME], "no rows"),
        ([ROW, ROW.replace(",921,", ",994,")], "3: key_fetch_num is above sentence_length_L"),
        ([ROW.replace(",184,", ",922,")], "2: value_fetch_num is above key_fetch_num"),
        ([ROW.replace("64.0", "48")], "2: embedding_length_D must be one of 32, 64, 128"),
        ([ROW.replace(",6,16", ",0,16")], "2: quant_key_bit='0': must be -1 or a whole number, 2 to 16"),
        ([ROW.replace(",6,16", ",40,16")], "2: quant_key_bit='40': must be -1 or a whole number, 2 to 16"),
        ([ROW.replace("0.05", "much")], "2: auto_requant_thres='much': must be -1 or 0 to 1"),
        ([ROW.replace("True,4", "maybe,4")], "2: if_requant='maybe': must be True or False"),
        ([ROW.replace("993", "12.5")], "2: sentence_length_L='12.5': must be a whole number"),
        ([ROW.replace("993", "nan")], "2: sentence_length_L='nan'"),
        ([ROW.replace("False,-1", "True,-1")], "2: if_topk without topk"),
        ([ROW.replace("0.05", "-0.5")], "2: auto_requant_thres='-0.5': must be -1 or 0 to 1"),
        ([ROW.replace("True,4", "True,-2")], "2: auto_requant_incre='-2': must be -1 or a whole number, 0 to 16"),
        ([ROW.replace("True,4", ",4")], "2: if_requant='': must be True or False"),
        ([ROW, ROW.replace("True,4", "True,-1")], "3: if_requant without auto_requant_incre"),
        ([ROW.replace("False,-1", "False,-2")], "2: topk='-2': must be -1 or a whole number, 0 to 1,048,576"),
        ([ROW.replace("False,-1", "False,nan")], "2: topk='nan'"),
        ([ROW.replace("False,-1", "True,")], "2: if_topk without topk"),
        ([ROW.replace("921", "")], "2: key_fetch_num='': must be a whole number"),
        (["," * 16, ROW], "2: no values behind iteration_id"),
        ([NAME, ROW], "2: no values behind iteration_id"),
        ([ROW, ROW + ",7"], "more fields than the header|Expected 17 fields"),
        ([ROW.rsplit(",", 3)[0]], "2: if_rescale_previous_importance|2: if_topk=''"),
        ([ROW + ",7"], "more fields than the header|Expected 17 fields"),
    ],
)
def test_broken_rows(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        read_workload(written(tmp_path, *lines))
    assert "work.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_broken_files(tmp_path: Path) -> None:
    path = tmp_path / "work.csv"
    with pytest.raises(InputError, match="No such file"):
        read_workload(path)
    path.write_text("")
    with pytest.raises(InputError, match="empty"):
        read_workload(path)
    path.write_text(HEADER.replace(",topk", "") + "\n" + ROW.rsplit(",", 1)[0] + "\n")
    with pytest.raises(InputError, match="column topk is missing"):
        read_workload(path)
    path.write_text(HEADER + ",color\n" + ROW + ",red\n")
    with pytest.raises(InputError, match="unknown column 'color'"):
        read_workload(path)
    path.write_bytes(b"\xc3\x28\x00\x01")
    with pytest.raises(InputError, match="not a UTF-8"):
        read_workload(path)


def test_the_authors_shape_is_made_from_its_settings() -> None:
    """What their file fetches, layer by layer and iteration by iteration, from the settings that its name tells.

    Other are only the bits of a query (the multipliers' 12) and which queries were computed again (spread evenly).
    """
    alive = (0.9, 0.7, 0.2, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1)
    pruning = AttentionPruning(
        tokens=RatioSchedule(alive=alive), values=0.8, quantization=Quantization(msb=6, lsb=4, threshold=0.05)
    )
    made = make_workload("gpt2-small", MODELS["gpt2-small"], pruning, refetched=0.07).rows
    authors = read_workload(PUBLISHED["gpt2-small-wikitext2"]).rows
    keys = made.groupby(["iteration_id", "layer_id"]).key_fetch_num.first().unstack()
    assert (keys.loc[0] == 993).all()
    assert keys.loc[1:].drop_duplicates().to_numpy().tolist() == [[921, 716, 204, 204, 204, 204, *[102] * 6]]
    different = ["quant_query_bit", "if_requant"]
    pd.testing.assert_frame_equal(made.drop(columns=different), authors.drop(columns=different))
    assert made.if_requant.sum() == int(0.07 * 4608)


def test_generation_cascades_over_layers_and_iterations() -> None:
    """Keys and heads never rise again but for the newest token; the first iteration has all."""
    pruning = AttentionPruning(
        tokens=RatioSchedule(average=0.2), heads=RatioSchedule(average=0.05, spared=0.3), values=0.5,
        quantization=Quantization(msb=6, lsb=4),
    )  # fmt: skip
    work = make_workload("gpt2-small", MODELS["gpt2-small"], pruning)
    first = work.rows[work.rows.iteration_id == 0]
    assert (first.key_fetch_num == 993).all()
    assert len(first) == 144
    later = work.rows[work.rows.iteration_id > 0]
    by_layer = later.groupby(["iteration_id", "layer_id"])
    keys, heads = by_layer.key_fetch_num.first().unstack(), by_layer.size().unstack()
    assert keys[0].tolist() == keys[1].tolist() == list(range(994, 1025))
    assert (keys[[*range(2, 12)]].nunique() == 1).all()
    assert keys.loc[1].tolist()[2:5] == [819, 655, 524]
    assert (heads.diff(axis=1).iloc[:, 1:] <= 0).all(axis=None)
    assert heads.loc[1].tolist() == heads.loc[31].tolist()
    assert heads.loc[1, 11] < 12
    assert (work.rows.value_fetch_num <= work.rows.key_fetch_num // 2 + 16).all()
    assert work.rows.if_requant.mean() == pytest.approx(0.059, abs=0.001)
    assert (work.rows.query_num == 1).all()
    assert (work.rows.quant_query_bit == 12).all()


def test_an_encoder_prunes_queries_with_keys(tmp_path: Path) -> None:
    dense = make_workload("bert-base", MODELS["bert-base"], AttentionPruning())
    assert len(dense.rows) == 144
    assert (dense.rows.query_num == 64).all()
    assert not dense.rows[["if_topk", "if_accumulate_importance", "if_rescale_previous_importance"]].any(axis=None)
    dense.write(tmp_path / "bert.csv")
    pd.testing.assert_frame_equal(read_workload(tmp_path / "bert.csv").rows, dense.rows)
    work = find_workload("bert-base").rows
    assert (work.query_num == work.key_fetch_num).all()
    assert (work.value_fetch_num == work.key_fetch_num).all()  # no local value pruning
    assert work.key_fetch_num.iloc[-1] < 64
    assert (work[["quant_query_bit", "quant_key_bit", "quant_value_bit"]] == 6).all(axis=None)
    assert not work.if_requant.any()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"alive": (1, 0.5, 0.6)}, "must be shares above 0, at most 1, that never rise"),
        ({"alive": (1.1,)}, "must be shares"),
        ({"alive": (1, 0)}, "must be shares"),
        ({"alive": ()}, "at least 1 item"),
        ({"alive": (1,), "average": 0.1}, "alive is in place of average and start"),
    ],
)
def test_shares_that_cannot_be(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RatioSchedule.model_validate(fields)


def test_shares_are_stretched_over_the_layers() -> None:
    schedule = RatioSchedule(alive=(1, 0.5, 0.25))
    assert schedule.counts(64, 6) == [64, 64, 32, 32, 16, 16]
    assert schedule.counts(64, 4) == [64, 64, 32, 16]
    assert schedule.counts(2, 3) == [2, 1, 1]
    assert schedule.ratios(6) == [0, 0, 0.5, 0, 0.5, 0]
    assert RatioSchedule(average=0.5, spared=0.5).counts(9, 4) == [9, 9, 4, 2]


def test_a_workload_is_found_by_name_and_by_file(tmp_path: Path) -> None:
    for name, path in PUBLISHED.items():
        assert find_workload(name).rows.equals(read_workload(path).rows)
    made = find_workload("bert-base")
    assert made.rows.equals(make_workload("bert-base", MODELS["bert-base"], usual_pruning(MODELS["bert-base"])).rows)
    made.write(tmp_path / "workload.csv")
    assert find_workload(tmp_path / "workload.csv").name == find_workload(tmp_path).name == "bert-base"
    assert find_workload(made) is made
    with pytest.raises(InputError, match=r"^workload 'bert-bse': did you mean bert-base\? Known: .*; or a .csv file"):
        find_workload("bert-bse")
    with pytest.raises(InputError, match="nope.csv: cannot be read: No such file"):
        find_workload("nope.csv")


def test_heads_that_share_keys(tmp_path: Path) -> None:
    """A column of ours: it is read, written, kept from the authors' form, and what cannot be is refused."""
    made = make_workload("llama-3-8b", MODELS["llama-3-8b"]._replace(length=8, generated=2), AttentionPruning())
    assert made.rows[KV_HEAD].tolist() == [head // 4 for head in range(32)] * 64
    made.write(tmp_path / "made.csv")
    pd.testing.assert_frame_equal(read_workload(tmp_path / "made.csv").rows, made.rows)
    own = tmp_path / "own.csv"
    own.write_text(f"{HEADER},{KV_HEAD}\n{ROW},0\n{ROW.replace('0,1,2', '0,1,3', 1)},0\n")
    assert not read_workload(own).authors
    assert read_workload(own).rows[KV_HEAD].tolist() == [0, 0]
    for old, new, what in (
        (",0\n0,1,3", ",x\n0,1,3", "kv_head_id='x': must be a whole number, 0 to 10,000"),
        ("0,1,3", "0,1,2", ""),
        ("0,1,3,64.0,993,921,6", "0,1,3,64.0,993,921,8", "quant_key_bit differs from the row before, which shares"),
        ("0,1,3,64.0,993,921", "0,1,3,32,993,921", "embedding_length_D differs from the row before, which shares"),
    ):
        other = tmp_path / "other.csv"
        other.write_text(own.read_text().replace(old, new, 1))
        if what:
            with pytest.raises(InputError, match=what):
                read_workload(other)
        else:
            assert len(read_workload(other).rows) == 2
    other.write_text(own.read_text().replace("0,1,3", "0,1,2", 1)[:-2] + "1\n")
    with pytest.raises(InputError, match=r"other.csv:3: the head has another kv_head_id than in the row before"):
        read_workload(other)
