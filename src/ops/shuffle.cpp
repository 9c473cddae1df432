// Rearrangements between channels and pixels, composed from reshape and transpose.
#include "fovea/ops.h"
#include "graph/op.h"

namespace fovea {

namespace {

/// Throws unless x is [N, C, H, W] with all but the batch known.
void require_planes(const Value& x, std::string_view op, std::string_view name) {
    const Shape& s = x.shape();
    require<ShapeError>(s.rank() == 4 && s[1] != dynamic && s[2] != dynamic && s[3] != dynamic, "{} '{}': takes [N, C, H, W] with known channels, height and width, got {}", op,
                        x.graph().path_of(name), s);
}

}  // namespace

Value pixel_shuffle(const Value& x, std::int64_t f, std::string_view name) {
    require_planes(x, "pixel_shuffle", name);
    const std::int64_t C = x.shape()[1], H = x.shape()[2], W = x.shape()[3];
    require<ShapeError>(f >= 1 && C % (f * f) == 0, "pixel_shuffle '{}': {} channels do not divide into cells of {}x{}; input {}", x.graph().path_of(name), C, f, f, x.shape());
    const Value cells = transpose(reshape(x, {0, C / (f * f), f, f, H, W}), {0, 1, 4, 2, 5, 3});
    return reshape(cells, {0, C / (f * f), H * f, W * f}, name.empty() ? "pixel_shuffle" : name);
}

Value pixel_unshuffle(const Value& x, std::int64_t f, std::string_view name) {
    require_planes(x, "pixel_unshuffle", name);
    const std::int64_t C = x.shape()[1], H = x.shape()[2], W = x.shape()[3];
    require<ShapeError>(f >= 1 && H % f == 0 && W % f == 0, "pixel_unshuffle '{}': {}x{} does not divide into cells of {}x{}; input {}", x.graph().path_of(name), H, W, f, f, x.shape());
    const Value cells = transpose(reshape(x, {0, C, H / f, f, W / f, f}), {0, 1, 3, 5, 2, 4});
    return reshape(cells, {0, C * f * f, H / f, W / f}, name.empty() ? "pixel_unshuffle" : name);
}

Value channel_shuffle(const Value& x, std::int64_t groups, std::string_view name) {
    require_planes(x, "channel_shuffle", name);
    const std::int64_t C = x.shape()[1], H = x.shape()[2], W = x.shape()[3];
    require<ShapeError>(groups >= 1 && C % groups == 0, "channel_shuffle '{}': {} channels do not divide into {} groups; input {}", x.graph().path_of(name), C, groups, x.shape());
    return reshape(transpose(reshape(x, {0, groups, C / groups, H * W}), {0, 2, 1, 3}), {0, C, H, W}, name.empty() ? "channel_shuffle" : name);
}

void register_shuffle(OpRegistry&) {}  // compositions only

}  // namespace fovea
