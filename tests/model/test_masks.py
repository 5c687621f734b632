# SPDX-License-Identifier: Apache-2.0
"""N:M mask selection against a sort in plain Python, ties, NaN and signed zeros included."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from algorithms.pruning.masks import compress, decompress, nm_mask
from dataflow.errors import InputError
from dataflow.pattern import NM
from hwsim.sat.timing.functional import sore

SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 6e-8, -6e-8, 65504.0, math.inf, -math.inf, math.nan]


def brute(group: list[float], n: int) -> list[bool]:
    """The n largest magnitudes of a group, NaN above all, the lower index first."""
    key = [(-1.0 if math.isnan(v) else 0.0, -abs(v) if not math.isnan(v) else 0.0, i) for i, v in enumerate(group)]
    kept = sorted(range(len(group)), key=lambda i: key[i])[:n]
    return [i in kept for i in range(len(group))]


@given(st.data())
def test_mask_is_a_sort(data: st.DataObject) -> None:
    m = data.draw(st.integers(1, 16))
    n = data.draw(st.integers(1, m))
    values = data.draw(st.lists(st.sampled_from(SPECIAL), min_size=3 * m, max_size=3 * m))
    dtype = data.draw(st.sampled_from([torch.float16, torch.float32]))
    mask = nm_mask(torch.tensor(values, dtype=dtype), NM(n, m), 0).tolist()
    rounded = torch.tensor(values, dtype=dtype).tolist()
    for g in range(3):
        assert mask[g * m : (g + 1) * m] == brute(rounded[g * m : (g + 1) * m], n)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("dim", [0, 1, 2, 3, -1])
@pytest.mark.parametrize("pattern", ["1:2", "2:4", "2:8", "3:8", "8:8", "1:8"])
def test_any_dimension(dtype: torch.dtype, dim: int, pattern: str) -> None:
    nm = NM.parse(pattern)
    x = torch.randn(8, 16, 8, 24, generator=torch.Generator().manual_seed(3)).to(dtype)
    mask = nm_mask(x, nm, dim)
    groups = mask.movedim(dim, -1).reshape(-1, nm.m_group)
    assert (groups.sum(1) == nm.n_keep).all()
    values = x.abs().double().movedim(dim, -1).reshape(-1, nm.m_group)
    if not nm.is_dense:
        kept = torch.where(groups, values, math.inf).amin(1)
        dropped = torch.where(groups, -math.inf, values).amax(1)
        assert (kept >= dropped).all()


def test_mask_is_what_the_hardware_selects() -> None:
    """SORE on the same FP16 weights, quantized to few magnitudes so that ties are everywhere."""
    rng = np.random.default_rng(5)
    for pattern in ("2:4", "2:8", "3:8", "2:16", "8:16"):
        nm = NM.parse(pattern)
        w = (rng.integers(-3, 4, (nm.m_group * 20, 33)) / 4).astype(np.float16)
        values, index = sore(w, nm)
        mine, places = compress(torch.from_numpy(w), nm, 0)
        np.testing.assert_array_equal(places.numpy(), index)
        np.testing.assert_array_equal(mine.numpy().view(np.uint16), values.view(np.uint16))


def test_compress_round_trip() -> None:
    x = torch.randn(5, 24, 7)
    nm = NM(2, 8)
    values, index = compress(x, nm, 1)
    assert values.shape == (5, 6, 7)
    torch.testing.assert_close(decompress(values, index, nm, 1), x * nm_mask(x, nm, 1), rtol=0, atol=0)


def test_length_must_be_whole_groups() -> None:
    with pytest.raises(InputError, match="no multiple of M=8"):
        nm_mask(torch.zeros(12), NM(2, 8), 0)
    assert nm_mask(torch.zeros(0, 8), NM(2, 8), 0).shape == (0, 8)
