// Convolutions and linear layers: what has weights.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "fovea/graph.h"
#include "fovea/ops/geometry.h"

namespace fovea {

/// Convolution with weights that exist already.
struct Conv2dGeometry {
    Size2 stride = 1;
    Pad4 pad = 0;
    PadMode pad_mode = PadMode::given;
    Size2 dilation = 1;
    std::int64_t groups = 1;
    bool flip = false;    ///< true convolution: the kernel is rotated by 180 degrees first
    bool strict = false;  ///< refuse a size that the stride does not divide instead of ignoring the last rows and columns
};

struct Conv2dSpec {
    std::int64_t out;
    Size2 kernel;
    Size2 stride = 1;
    Pad4 pad = 0;
    PadMode pad_mode = PadMode::given;
    Size2 dilation = 1;
    std::int64_t groups = 1;
    bool bias = true;
    bool flip = false;
    bool strict = false;
    std::optional<Init> init{};       ///< uniform as in PyTorch: kaiming_uniform with a = sqrt(5)
    std::optional<Init> bias_init{};  ///< uniform in +-1 / sqrt(fan_in)
};

/// 2-D cross-correlation.
///
///   x       [N, C, H, W]
///   weight  [K, C / groups, R, S]     parameter "<name>.weight"
///   bias    [K]                       parameter "<name>.bias"
///   returns [N, K, P, Q],             P = floor((H + pad.top + pad.bottom - dilation.h (R - 1) - 1) / stride.h) + 1
Value conv2d(const Value& x, const Conv2dSpec& spec, std::string_view name = {});
/// The same with given weights; an empty bias means none.
Value conv2d(const Value& x, const Value& weight, const Value& bias, const Conv2dGeometry& spec, std::string_view name = {});

struct ConvTranspose2dGeometry {
    Size2 stride = 1;
    Pad4 pad = 0;         ///< removed from the result, as it would be added to the input of the convolution this transposes
    Size2 output_pad = 0; ///< rows and columns added at the bottom and right
    Size2 dilation = 1;
    std::int64_t groups = 1;
};

struct ConvTranspose2dSpec {
    std::int64_t out;
    Size2 kernel;
    Size2 stride = 1;
    Pad4 pad = 0;
    Size2 output_pad = 0;
    Size2 dilation = 1;
    std::int64_t groups = 1;
    bool bias = true;
    std::optional<Init> init{};
    std::optional<Init> bias_init{};
};

/// The transpose of conv2d: every input pixel adds a scaled copy of the kernel, copies are summed where they overlap.
///
///   x       [N, C, P, Q]
///   weight  [C, out / groups, R, S]
///   returns [N, out, H, W],           H = (P - 1) stride.h - pad.top - pad.bottom + dilation.h (R - 1) + 1 + output_pad.h
Value conv_transpose2d(const Value& x, const ConvTranspose2dSpec& spec, std::string_view name = {});
Value conv_transpose2d(const Value& x, const Value& weight, const Value& bias, const ConvTranspose2dGeometry& spec, std::string_view name = {});

struct Conv1dSpec {
    std::int64_t out, kernel;
    std::int64_t stride = 1, pad = 0, dilation = 1, groups = 1;
    bool bias = true;
    std::optional<Init> init{};
    std::optional<Init> bias_init{};
};
/// x [N, C, W], weight [K, C / groups, S] -> [N, K, Q].
Value conv1d(const Value& x, const Conv1dSpec& spec, std::string_view name = {});

struct UnfoldSpec {
    Size2 kernel;
    Size2 stride = 1;
    Pad4 pad = 0;
    Size2 dilation = 1;
};
/// Every window of x [N, C, H, W] as a column: [N, C R S, P Q].
Value unfold(const Value& x, const UnfoldSpec& spec, std::string_view name = {});

struct LocallyConnected2dSpec {
    std::int64_t out;
    Size2 kernel;
    Size2 stride = 1;
    Pad4 pad = 0;
    bool bias = true;
    std::optional<Init> init{};  ///< uniform in +-1 / sqrt(C R S), as a convolution's
    std::optional<Init> bias_init{};
};
/// A convolution whose weights are not shared: each output pixel has a kernel of its own.
///   weight [P, Q, K, C, R, S]    parameter "<name>.weight"
///   bias   [K, P, Q]             parameter "<name>.bias"
Value locally_connected2d(const Value& x, const LocallyConnected2dSpec& spec, std::string_view name = {});
Value locally_connected2d(const Value& x, const Value& weight, const Value& bias, const UnfoldSpec& spec, std::string_view name = {});
struct LocallyConnected1dSpec {
    std::int64_t out, kernel;
    std::int64_t stride = 1, pad = 0;
    bool bias = true;
    std::optional<Init> init{};
    std::optional<Init> bias_init{};
};
/// x [N, C, W], weight [1, Q, K, C, 1, S] -> [N, K, Q].
Value locally_connected1d(const Value& x, const LocallyConnected1dSpec& spec, std::string_view name = {});

// ---- linear -----------------------------------------------------------------------------------------------------------------

struct LinearSpec {
    std::int64_t out;
    bool bias = true;
    std::optional<Init> init{};
    std::optional<Init> bias_init{};
};
/// y = x W^T + b over the last dimension: x [..., I], weight [out, I], bias [out] -> [..., out].
Value linear(const Value& x, const LinearSpec& spec, std::string_view name = {});
Value linear(const Value& x, const Value& weight, const Value& bias, std::string_view name = {});

struct MatmulSpec {
    bool transpose_a = false;
    bool transpose_b = false;
};
/// a [..., M, K] times b [..., K, N] with equal leading dimensions -> [..., M, N].
Value matmul(const Value& a, const Value& b, const MatmulSpec& spec = {}, std::string_view name = {});

}  // namespace fovea
