// Normalisations by statistics of each sample, composed of means and products: instance norm (Ulyanov et al. 2016,
// arXiv:1607.08022), group norm (Wu & He 2018, arXiv:1803.08494), layer norm (Ba et al. 2016, arXiv:1607.06450), L2 over channels.
#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/layer.h"

namespace fovea {

namespace {

/// (x - mean) / sqrt(var + eps) with the biased variance over the axes.
Value standardize(const Value& x, const std::vector<std::int64_t>& axes, double eps) {
    const ReduceSpec over{.axes = axes, .keep = true};
    const Value centred = x - mean(x, over);
    return centred * rsqrt(mean(square(centred), over) + eps);
}

std::vector<std::int64_t> axes_from(int first, const Shape& shape) {
    std::vector<std::int64_t> axes;
    for (int i = first; i < shape.rank(); ++i) axes.push_back(i);
    return axes;
}

/// y * "<base>.weight" + "<base>.bias", one pair per channel.
Value scale_channels(const Value& y, const std::string& base) {
    Graph& graph = y.graph();
    const Shape shape{y.shape()[1]};
    const Value weight = graph.parameter(base + ".weight", shape, Init::ones()), bias = graph.parameter(base + ".bias", shape, Init::zeros());
    return add(y * per_channel(weight, y), per_channel(bias, y), base);
}

void need_channels(const Value& x, std::string_view op, const std::string& base, int rank) {
    require<ShapeError>(x.shape().rank() >= rank && x.shape()[1] > 0, "{} '{}': the input is [N, C, ...] with at least {} dimensions, got {}", op, x.graph().path_of(base), rank, x.shape());
}

}  // namespace

Value instance_norm(const Value& x, const InstanceNormSpec& spec, std::string_view name) {
    const std::string base = layer_name(x.graph(), name, "instance_norm");
    need_channels(x, "instance_norm", base, 3);
    const Value y = standardize(x, axes_from(2, x.shape()), spec.eps);
    return spec.affine ? scale_channels(y, base) : y;
}

Value group_norm(const Value& x, const GroupNormSpec& spec, std::string_view name) {
    const std::string base = layer_name(x.graph(), name, "group_norm");
    need_channels(x, "group_norm", base, 2);
    require<ArgumentError>(spec.groups > 0 && x.shape()[1] % spec.groups == 0, "group_norm '{}': {} channels do not divide into {} groups", x.graph().path_of(base), x.shape()[1],
                           spec.groups);
    const Value y = reshape_to(standardize(reshape(x, {0, spec.groups, -1}), {2}, spec.eps), x);
    return spec.affine ? scale_channels(y, base) : y;
}

Value layer_norm(const Value& x, const LayerNormSpec& spec, std::string_view name) {
    Graph& graph = x.graph();
    const std::string base = layer_name(graph, name, "layer_norm");
    if (spec.channels_first) {
        need_channels(x, "layer_norm", base, 2);
        const Value y = standardize(x, {1}, spec.eps);
        return spec.affine ? scale_channels(y, base) : y;
    }
    require<ArgumentError>(spec.dims > 0 && spec.dims < x.shape().rank(), "layer_norm '{}': dims counts the last dimensions that are normalised, 1..{} here, got {}", graph.path_of(base),
                           x.shape().rank() - 1, spec.dims);
    const std::vector<std::int64_t> axes = axes_from(x.shape().rank() - spec.dims, x.shape());
    const Value y = standardize(x, axes, spec.eps);
    if (!spec.affine) return y;
    Shape shape;
    for (std::int64_t axis : axes) shape.push_back(x.shape()[static_cast<int>(axis)]);
    require<ShapeError>(!shape.is_dynamic(), "layer_norm '{}': its weight needs known sizes, got {}", graph.path_of(base), x.shape());
    const Value weight = graph.parameter(base + ".weight", shape, Init::ones()), bias = graph.parameter(base + ".bias", shape, Init::zeros());
    return add(y * weight, bias, base);
}

Value l2_normalize(const Value& x, const L2NormalizeSpec& spec, std::string_view name) {
    const Value norm = sqrt(sum(square(x), {.axes = {spec.axis}, .keep = true}));
    return divide(x, maximum(norm, spec.eps), name.empty() ? "l2_normalize" : name);
}

Value l2_norm(const Value& x, const L2NormSpec& spec, std::string_view name) {
    const std::string base = layer_name(x.graph(), name, "l2_norm");
    need_channels(x, "l2_norm", base, 2);
    const Value scale = x.graph().parameter(base + ".weight", {x.shape()[1]}, Init::constant(spec.scale));
    return multiply(l2_normalize(x, {.eps = spec.eps}), per_channel(scale, x), base);
}

Value subtract_mean(const Value& x, std::string_view name) {
    need_channels(x, "subtract_mean", std::string(name), 3);
    return subtract(x, mean(x, {.axes = axes_from(2, x.shape()), .keep = true}), name.empty() ? "subtract_mean" : name);
}

void register_normalize(OpRegistry&) {}  // composed

}  // namespace fovea
