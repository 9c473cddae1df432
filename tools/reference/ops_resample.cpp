#include <cmath>

#include "case.h"
#include "core/text.h"

namespace fovea::reference {

namespace {

/// The rows of x by one factor. The op's factor is for both axes: the columns wait as channels, and the width is that of equal columns,
/// as many as leave at least one.
Value with_rows_scaled(const Value& x, InterpolateSpec spec, double scale) {
    const Shape s = x.shape();
    const Value tall = reshape(transpose(x, {0, 1, 3, 2}), {s[0], s[1] * s[3], s[2], 1});
    spec.scale = scale;
    const auto more = static_cast<std::int64_t>(std::ceil(1 / scale));
    const Value y = slice(interpolate(pad(tall, Pad4{0, 0, 0, more}, {.mode = PadMode::replicate}), spec), {.axis = 3, .stop = 1});
    return transpose(reshape(y, {s[0], s[1], s[3], y.shape()[2]}), {0, 1, 3, 2});
}

/// By "scale_factor": one, or one for height and one for width.
Value scaled(OpCase& op, InterpolateSpec spec) {
    const std::vector<double> factors = op.attrs().real2("scale_factor");
    require<ArgumentError>(factors[0] > 0 && factors[1] > 0, "{}: attribute 'scale_factor' must be above 0, got {} and {}", op.attrs().who(), factors[0], factors[1]);
    const Shape x = op.shape();
    require<ShapeError>(x.rank() == 4, "{}: input must be [N, C, H, W], got {}", op.attrs().who(), x);
    const auto size = [&](std::size_t i) { return static_cast<std::int64_t>(std::floor(static_cast<double>(x[static_cast<int>(i) + 2]) * factors[i])); };
    if (op.flag("recompute_scale_factor", false)) {  // the step is that between the sizes
        spec.size = Size2(size(0), size(1));
        return interpolate(op.x(), spec);
    }
    if (factors[0] != factors[1]) {
        const Value rows = with_rows_scaled(op.x(), spec, factors[0]);
        return transpose(with_rows_scaled(transpose(rows, {0, 1, 3, 2}), spec, factors[1]), {0, 1, 3, 2});
    }
    spec.scale = factors[0];
    return interpolate(op.x(), spec);
}

OpResult interpolated(OpCase& op) {
    const bool is_bilinear = op.attrs().choice("mode", "nearest", {"nearest", "bilinear"}) == "bilinear", align = op.flag("align_corners", false);
    require<ArgumentError>(is_bilinear || !align, "{}: attribute 'align_corners' is for mode \"bilinear\"", op.attrs().who());
    op.attrs().only("antialias", false);
    InterpolateSpec spec{.mode = is_bilinear ? Interpolation::bilinear : Interpolation::nearest, .align_corners = align};
    if (!op.attrs().has("size")) return scaled(op, spec);
    spec.size = op.size2("size");
    return interpolate(op.x(), spec);
}

}  // namespace

void add_resample_ops(OpTable& table) {
    table["interpolate"] = interpolated;
    table["pixel_shuffle"] = [](OpCase& op) -> OpResult { return pixel_shuffle(op.x(), op.integer({"upscale_factor", "factor"})); };
    table["pixel_unshuffle"] = [](OpCase& op) -> OpResult { return pixel_unshuffle(op.x(), op.integer({"downscale_factor", "factor"})); };
}

}  // namespace fovea::reference
