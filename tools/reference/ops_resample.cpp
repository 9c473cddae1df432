#include "case.h"
#include "core/text.h"

namespace fovea::reference {

namespace {

OpResult interpolated(OpCase& op) {
    const std::string mode = op.text("mode", "nearest");
    require<ArgumentError>(mode == "nearest" || mode == "bilinear", "interpolation '{}' is not known", mode);
    InterpolateSpec spec{.mode = mode == "bilinear" ? Interpolation::bilinear : Interpolation::nearest, .align_corners = op.flag("align_corners", false)};
    if (op.has_attr("size"))
        spec.size = op.size2("size", 1);
    else
        spec.scale = op.real("scale_factor");
    return interpolate(op.x(), spec);
}

}  // namespace

void add_resample_ops(OpTable& table) {
    table["interpolate"] = interpolated;
    table["pixel_shuffle"] = [](OpCase& op) -> OpResult { return pixel_shuffle(op.x(), op.integer("factor", 2)); };
    table["pixel_unshuffle"] = [](OpCase& op) -> OpResult { return pixel_unshuffle(op.x(), op.integer("factor", 2)); };
}

}  // namespace fovea::reference
