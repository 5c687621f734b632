# SPDX-License-Identifier: Apache-2.0
"""What torch's operations are to the reader: those that cost nothing, with the reason, and those that only move data.

An operation that stands nowhere here and has no form of its own in `algorithms.graphs.reader` is refused by name.
In-place forms (``relu_``) and copies of views (``slice_copy``) are looked up as what they are forms of.
"""

from __future__ import annotations

VIEW = "a view: no element moves"
MOVED = "moves elements: its producer writes them where they are needed"
FUSED = "element by element: done on the way out of its neighbour"
BROADCAST = "with a scalar, a parameter or a smaller operand: done on the way out of its neighbour"
CONSTANT = "a constant"
ALONE = "made of parameters and constants alone"
INDEX = "indices and masks"
ASKED = "bookkeeping: no tensor comes of it"


def _names(text: str) -> frozenset[str]:
    return frozenset(f"aten.{name}" for name in text.split())


VIEWS = _names(
    "t transpose view _unsafe_view permute expand unsqueeze squeeze reshape detach alias slice select split "
    "split_with_sizes unsafe_split unsafe_split_with_sizes unsafe_chunk chunk unbind unfold diagonal as_strided "
    "view_as_real view_as_complex lift_fresh lift narrow expand_as view_as swapaxes movedim numpy_T mT "
    "_reshape_alias _neg_view _conj conj real imag flatten unflatten resolve_conj resolve_neg squeeze_multiple"
)

MOVES = _names(
    "clone contiguous _to_copy to copy cat concat stack repeat repeat_interleave constant_pad_nd reflection_pad1d "
    "reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d _pad_circular roll flip "
    "rot90 pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle im2col col2im tril triu index_select "
    "index _unsafe_index gather scatter scatter_add scatter_reduce index_put _index_put_impl _unsafe_index_put "
    "index_add index_copy index_fill index_reduce masked_select masked_scatter select_scatter slice_scatter "
    "diagonal_scatter take take_along_dim diag_embed diag block_diag fill zero set resize unfold_copy "
    "max_unpool2d max_unpool3d tile complex polar _pack_padded_sequence _pad_packed_sequence"
)

KEEPS_ELEMENTS = _names(
    "clone contiguous _to_copy to cat concat stack repeat constant_pad_nd roll flip rot90 pixel_shuffle "
    "pixel_unshuffle channel_shuffle native_channel_shuffle expand unfold _reshape_alias reshape _unsafe_view view"
)
"""Moves that depend on no values and can be done again on numbers of elements."""

FUSES = _names(
    "relu gelu silu sigmoid tanh hardswish hardsigmoid hardtanh leaky_relu elu celu selu softplus mish threshold "
    "log_sigmoid_forward log_sigmoid hardshrink softshrink prelu _prelu_kernel rrelu rrelu_with_noise relu6 "
    "rrelu_with_noise_functional clamp clamp_min clamp_max abs neg exp exp2 expm1 log log1p log2 log10 sqrt rsqrt "
    "square reciprocal sin cos tan asin acos atan sinh cosh asinh acosh atanh erf erfc erfinv floor ceil round sign "
    "sgn trunc frac nan_to_num dropout native_dropout alpha_dropout feature_dropout feature_alpha_dropout "
    "_fused_dropout bernoulli masked_fill where logit isnan isinf isfinite logical_not angle sinc digamma lgamma "
    "i0 special_i0 fake_quantize_per_tensor_affine_cachemask fake_quantize_per_channel_affine_cachemask "
    "_fake_quantize_per_tensor_affine_cachemask_tensor_qparams _fake_quantize_learnable_per_tensor_affine "
    "_fake_quantize_learnable_per_channel_affine positive xlogy ldexp deg2rad rad2deg _weight_norm_interface "
    "_weight_norm heaviside glu embedding_renorm"
)

COMBINES = _names(
    "add sub rsub mul div maximum minimum pow fmod remainder floor_divide true_divide atan2 addcmul addcdiv lerp hypot "
    "logaddexp logaddexp2 fmax fmin copysign nextafter multiply subtract divide float_power"
)
"""Element by element of two tensors or more: `ADDS` cost an addition's traffic, the others a gate's."""

ADDS = _names("add sub rsub subtract")

CONSTANTS = _names(
    "zeros ones full empty arange linspace logspace eye scalar_tensor rand randn randint randperm normal zeros_like "
    "ones_like full_like empty_like rand_like randn_like randint_like new_zeros new_ones new_full new_empty "
    "new_empty_strided empty_strided tril_indices triu_indices uniform exponential random complex32 empty_permuted "
    "hann_window hamming_window blackman_window bartlett_window kaiser_window vander meshgrid lift_fresh_copy "
    "_efficientzerotensor normal_functional bernoulli_p fill_diagonal"
)

INDICES = _names(
    "eq ne lt le gt ge logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor bitwise_not "
    "bitwise_left_shift bitwise_right_shift __and__ __or__ __xor__ __lshift__ __rshift__ any all argmax argmin nonzero "
    "bucketize searchsorted isin one_hot histc bincount unique_consecutive _unique2 equal is_nonzero multinomial "
    "is_same_size count_nonzero isclose allclose argsort nonzero_static"
)

SCALARS = _names(
    "_local_scalar_dense item sym_size sym_stride sym_numel sym_storage_offset _assert_async _assert_scalar "
    "_assert_tensor_metadata sym_constrain_range sym_constrain_range_for_size record_stream dim size numel "
    "_functional_assert_async is_pinned _has_same_storage_numel"
)

REDUCES = _names(
    "mean sum amax amin max min aminmax prod logsumexp var var_mean std std_mean norm linalg_vector_norm nansum "
    "nanmean median nanmedian mode kthvalue max_pool1d max_pool2d max_pool3d max_pool1d_with_indices "
    "max_pool2d_with_indices max_pool3d_with_indices mkldnn_max_pool2d avg_pool1d avg_pool2d avg_pool3d "
    "_adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d "
    "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d fractional_max_pool2d fractional_max_pool3d quantile "
    "nanquantile cummax_last segment_reduce"
)
"""Fewer elements of more: read once, and the results written."""

UPSAMPLES = _names(
    "upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d "
    "_upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d upsample_bicubic2d upsample_trilinear3d "
    "_upsample_bilinear2d_aa _upsample_bicubic2d_aa _upsample_lanczos2d_aa grid_sampler_2d grid_sampler_3d "
    "grid_sampler _grid_sampler_2d_cpu_fallback"
)

PASSES = _names("cumsum cumprod logcumsumexp cummax cummin sort topk msort renorm _cummax_helper _cummin_helper")
"""Over all elements once."""

SOFTMAXES = _names(
    "_softmax _log_softmax _safe_softmax softmax log_softmax _masked_softmax _sparse_softmax special_softmax"
)

NORMS = {
    f"aten.{name}": kind
    for kind, names in {
        "batchnorm": "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training cudnn_batch_norm "
        "_native_batch_norm_legit_functional _batch_norm_with_update _batch_norm_no_update batch_norm "
        "_batch_norm_with_update_functional miopen_batch_norm mkldnn_batch_norm",
        "layernorm": "native_layer_norm native_group_norm _fused_rms_norm rms_norm",
    }.items()
    for name in names.split()
}

LOSSES = _names(
    "nll_loss nll_loss_forward nll_loss2d nll_loss2d_forward nll_loss_nd mse_loss binary_cross_entropy "
    "binary_cross_entropy_with_logits smooth_l1_loss huber_loss kl_div soft_margin_loss multi_margin_loss "
    "multilabel_margin_loss_forward l1_loss _ctc_loss"
)
