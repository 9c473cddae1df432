#include <regex>

#include "case.h"
#include "core/text.h"
#include "fill.h"

namespace fovea::reference {

namespace {

/// Inputs x and, unless it is not affine, gamma and beta; running statistics are described by the attributes. In training the outputs are y and both new statistics.
OpResult batch_normalised(OpCase& op) {
    const Shape channels{op.shape()[1]};
    const Value mean = op.described(op.text("running_mean", "0*s('running_mean')"), channels), var = op.described(op.text("running_var", "1+0*s('running_var')"), channels);
    op.agrees("affine", 1);
    const Value gamma = op.has(1) ? op.x(1) : op.described("1+0*s('ones')", channels), beta = op.has(2) ? op.x(2) : op.described("0*s('zeros')", channels);
    require<ArgumentError>(!op.attrs().is_null("momentum"), "{}: a null momentum, the mean over all batches, is not supported", op.attrs().who());
    const double eps = op.real("eps", 1e-5), momentum = op.real("momentum", 0.1);
    Graph& graph = op.graph();
    if (!op.flag("training", true)) return graph.add("batch_norm_inference", {op.x(), gamma, beta, mean, var}, {{"eps", eps}});
    const Value y = graph.add("batch_norm", {op.x(), gamma, beta, mean, var}, {{"eps", eps}, {"momentum", momentum}});
    return {{y, y.sibling(3), y.sibling(4)}, 1};
}

/// "alpha_divided_by_size": PyTorch's and Caffe's convention, else Krizhevsky's.
OpResult local_response(OpCase& op) {
    return lrn(op.x(), {.size = op.integer("size"), .alpha = op.real("alpha", 1e-4), .beta = op.real("beta", 0.75), .k = op.real("k", 1),
                        .convention = op.flag("alpha_divided_by_size", true) ? LrnConvention::torch : LrnConvention::krizhevsky});
}

/// gamma and beta, where the case has them, over dimension `axis` of y.
OpResult affine(OpCase& op, const Value& y, std::int64_t axis) {
    if (!op.has(1)) return y;
    std::vector<std::int64_t> shape(static_cast<std::size_t>(y.shape().rank()), 1);
    shape[static_cast<std::size_t>(axis)] = y.shape()[static_cast<int>(axis)];
    const Value scaled = y * reshape(op.x(1), shape);
    return op.has(2) ? scaled + reshape(op.x(2), shape) : scaled;
}

/// Over the last dimensions, "normalized_shape", whose weight and bias have that shape, or over the channels, which are the last dimension
/// ("C of NHWC") unless the case says otherwise.
OpResult layer_normalised(OpCase& op) {
    op.agrees("elementwise_affine", 1);
    const double eps = op.real("eps", 1e-5);
    if (!op.attrs().has("normalized_shape")) {
        const bool is_first = op.attrs().choice("over", "C of NHWC", {"C of NHWC", "C of NCHW"}) == "C of NCHW";
        return affine(op, layer_norm(op.x(), {.eps = eps, .channels_first = is_first, .affine = false}), is_first ? 1 : op.shape().rank() - 1);
    }
    const auto shape = op.attrs().integers("normalized_shape");
    const auto dims = op.shape().dims();
    require<ArgumentError>(shape.size() <= dims.size() && std::ranges::equal(shape, dims.last(shape.size())), "{}: attribute 'normalized_shape' must be the last dimensions of {}, got [{}]",
                           op.attrs().who(), op.shape(), fmt::join(shape, ", "));
    const Value y = layer_norm(op.x(), {.eps = eps, .dims = static_cast<int>(shape.size()), .affine = false});
    if (!op.has(1)) return y;
    return op.has(2) ? y * op.x(1) + op.x(2) : y * op.x(1);
}

OpResult group_normalised(OpCase& op) {
    op.agrees("affine", 1);
    return affine(op, group_norm(op.x(), {.groups = op.integer({"num_groups", "groups"}), .eps = op.real("eps", 1e-5), .affine = false}), 1);
}

OpResult instance_normalised(OpCase& op) {
    op.agrees("affine", 1);
    op.attrs().only("track_running_stats", false);
    return affine(op, instance_norm(op.x(), {.eps = op.real("eps", 1e-5)}), 1);
}

/// x / max(|x|_p, eps) along a dimension.
OpResult normalised(OpCase& op) {
    const std::int64_t axis = op.axis("dim", 1);
    const double p = op.real("p", 2), eps = op.real("eps", 1e-12);
    require<ArgumentError>(p > 0, "{}: attribute 'p' must be above 0, got {}", op.attrs().who(), p);
    if (p == 2) return affine(op, l2_normalize(op.x(), {.axis = axis, .eps = eps}), axis);
    const ReduceSpec along{.axes = {axis}, .keep = true};
    const Value size = abs(op.x()), norm = p == 1 ? sum(size, along) : pow(sum(pow(size, p), along), 1 / p);
    return affine(op, op.x() / maximum(norm, eps), axis);
}

/// Dropout under a mask the case gives: "keep where u('mask') >= p", one draw for the elements of each of the `leading` indices, which
/// `index` numbers. Kept values are divided by 1 - p.
OpResult masked(OpCase& op, int leading, const std::string& index) {
    const double p = op.real("p");
    static const std::regex form(R"(^(?:.*: )?keep where u\('([^']+)'\)(\[[^\]]*\])? >= p$)");
    const std::string mask = op.text("mask", "keep where u('mask') >= p");
    std::smatch match;
    require<ArgumentError>(std::regex_match(mask, match, form) && (!match[2].matched || match[2] == index), "{}: attribute 'mask' must be \"keep where u('NAME'){} >= p\", got \"{}\"",
                           op.attrs().who(), index, mask);
    if (!op.flag("training", true)) return op.x();
    Shape shape = op.shape();
    for (int d = leading; d < shape.rank(); ++d) shape[d] = 1;
    Tensor draws(shape, DType::f64);
    for (std::int64_t i = 0; i < draws.elements(); ++i) draws.set(i, unit(match[1].str(), i) >= p ? 1 / (1 - p) : 0);
    return op.x() * op.constant(draws);
}

OpResult path_dropped(OpCase& op) {
    const bool by_row = op.attrs().choice("mode", "row", {"row", "batch"}) == "row";
    return masked(op, by_row ? 1 : 0, by_row ? "[n]" : "[0]");
}

}  // namespace

void add_norm_ops(OpTable& table) {
    table["batch_norm"] = batch_normalised;
    table["local_response_norm"] = local_response;
    table["group_norm"] = group_normalised;
    table["instance_norm"] = instance_normalised;
    table["layer_norm"] = layer_normalised;
    table["normalize"] = normalised;
    table["mean_subtract"] = [](OpCase& op) -> OpResult { return subtract_mean(op.x()); };
    table["dropout"] = [](OpCase& op) { return masked(op, op.shape().rank(), ""); };
    table["dropout2d"] = [](OpCase& op) { return masked(op, 2, "[n*C+c]"); };
    table["stochastic_depth"] = path_dropped;
}

}  // namespace fovea::reference
