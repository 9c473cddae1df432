// What each ONNX operator becomes: layers, activations, arithmetic. (Operators that move elements: onnx_read_moves.cpp.)
#include <algorithm>
#include <cmath>

#include "io/onnx_read_rules.h"

namespace fovea {

namespace {

using Integers = std::vector<std::int64_t>;
constexpr double infinity = std::numeric_limits<double>::infinity();

/// A list of attribute `name` with `count` entries that a window can have.
Integers sizes(const ReadNode& n, std::string_view name, std::size_t count, std::int64_t otherwise) {
    Integers all = n.integers(name, Integers(count, otherwise));
    n.need(all.size() == count, "{} holds {} numbers, {} are expected", name, all.size(), count);
    for (const std::int64_t v : all) n.need(std::abs(v) <= 1 << 24, "{} {} is beyond any size", name, v);
    return all;
}

/// Attributes of a window over H and W; a window over one dimension is one of height 1.
struct WindowOf {
    WindowOf(const ReadNode& n, int rank, Size2 kernel_) : kernel(kernel_) {
        n.need(rank == 3 || rank == 4, "over an input of {} dimensions; images [N, C, H, W] and sequences [N, C, W] are read", rank);
        const std::size_t dims = static_cast<std::size_t>(rank - 2);
        const auto two = [&](std::string_view name) {
            const Integers v = sizes(n, name, dims, 1);
            return dims == 2 ? Size2(v[0], v[1]) : Size2(1, v[0]);
        };
        stride = two("strides");
        dilation = two("dilations");
        n.need(stride.h >= 1 && stride.w >= 1 && dilation.h >= 1 && dilation.w >= 1, "strides and dilations must be at least 1");
        const Integers p = sizes(n, "pads", 2 * dims, 0);
        pad = dims == 2 ? Pad4(p[0], p[2], p[1], p[3]) : Pad4(0, 0, p[0], p[1]);
        const std::string automatic = n.text("auto_pad", "NOTSET");
        if (automatic == "SAME_UPPER") mode = PadMode::same;
        if (automatic == "SAME_LOWER") mode = PadMode::same_lower;
        if (automatic == "VALID") mode = PadMode::valid, pad = 0;
        n.need(mode != PadMode::given || automatic == "NOTSET" || automatic.empty(), "auto_pad {}", automatic);
    }
    /// The zeros of SAME around an input of known size, for windows that take numbers only.
    void resolve(const ReadNode& n, const Shape& x) {
        if (mode != PadMode::same && mode != PadMode::same_lower) return;
        const auto total = [&](std::int64_t size, std::int64_t k, std::int64_t s, std::int64_t d) {
            n.need(size != dynamic, "auto_pad over an open size");
            return std::max<std::int64_t>(0, ((size + s - 1) / s - 1) * s + d * (k - 1) + 1 - size);
        };
        const std::int64_t h = total(x[2], kernel.h, stride.h, dilation.h), w = total(x[3], kernel.w, stride.w, dilation.w);
        pad = mode == PadMode::same ? Pad4(h / 2, h - h / 2, w / 2, w - w / 2) : Pad4(h - h / 2, h / 2, w - w / 2, w / 2);
    }
    Size2 kernel, stride = 1, dilation = 1;
    Pad4 pad = 0;
    PadMode mode = PadMode::given;
};

Size2 kernel_of(const ReadNode& n, int rank) {
    n.need(rank == 3 || rank == 4, "over an input of {} dimensions; images [N, C, H, W] and sequences [N, C, W] are read", rank);
    const Integers k = sizes(n, "kernel_shape", static_cast<std::size_t>(rank - 2), 0);
    n.need(std::ranges::all_of(k, [](auto v) { return v >= 1; }), "the kernel must be at least 1");
    return rank == 4 ? Size2(k[0], k[1]) : Size2(1, k[0]);
}

/// A sequence [N, C, W] goes through a layer for images as [N, C, 1, W].
template <class F> Value as_image(const Value& x, F&& layer) { return x.shape().rank() == 3 ? squeeze(layer(unsqueeze(x, 2)), 2) : layer(x); }

// ---- layers -----------------------------------------------------------------------------------------------------------------

Value image_weight(const ReadNode& n) {
    const int rank = n.shape(1).rank();
    n.need(rank == n.shape(0).rank(), "weight {} for input {}", n.shape(1), n.shape(0));
    if (rank == 4) return n.value(1, Role::weight);
    return unsqueeze(n.value(1, Role::weight), 2);
}

void conv(const ReadNode& n) {
    const int rank = n.shape(0).rank();
    n.need(rank == 3 || rank == 4, "over an input of {} dimensions; images [N, C, H, W] and sequences [N, C, W] are read", rank);
    const Value weight = image_weight(n), bias = n.has(2) ? n.value(2, Role::weight) : Value{};
    const Size2 kernel{weight.shape()[2], weight.shape()[3]};
    WindowOf window(n, rank, kernel);
    n.set(as_image(n.value(0), [&](const Value& x) {
        return conv2d(x, weight, bias, {.stride = window.stride, .pad = window.pad, .pad_mode = window.mode, .dilation = window.dilation, .groups = n.integer("group", 1)}, n.path());
    }));
}

void conv_transpose(const ReadNode& n) {
    const int rank = n.shape(0).rank();
    n.need(rank == 3 || rank == 4, "over an input of {} dimensions; images [N, C, H, W] and sequences [N, C, W] are read", rank);
    const Value weight = image_weight(n), bias = n.has(2) ? n.value(2, Role::weight) : Value{};
    WindowOf window(n, rank, {weight.shape()[2], weight.shape()[3]});
    n.need(window.mode == PadMode::given || window.mode == PadMode::valid, "auto_pad");
    n.need(!n.has_attribute("output_shape"), "output_shape; pads say the same");
    const Integers extra = sizes(n, "output_padding", static_cast<std::size_t>(rank - 2), 0);
    const Size2 output_pad = rank == 4 ? Size2(extra[0], extra[1]) : Size2(0, extra[0]);
    n.set(as_image(n.value(0), [&](const Value& x) {
        return conv_transpose2d(x, weight, bias, {.stride = window.stride, .pad = window.pad, .output_pad = output_pad, .dilation = window.dilation, .groups = n.integer("group", 1)}, n.path());
    }));
}

Value turned(const Value& x) {
    Integers order(static_cast<std::size_t>(x.shape().rank()));
    for (std::size_t d = 0; d < order.size(); ++d) order[d] = static_cast<std::int64_t>(d);
    std::swap(order[order.size() - 1], order[order.size() - 2]);
    return transpose(x, order);
}
Value same(const Value& x) { return x; }

void gemm(const ReadNode& n) {
    n.need(n.shape(0).rank() == 2 && n.shape(1).rank() == 2, "of {} and {}", n.shape(0), n.shape(1));
    const double alpha = n.real("alpha", 1), beta = n.real("beta", 1);
    const Value a = n.integer("transA", 0) ? turned(n.value(0)) : n.value(0);
    const Value b = n.weight(1, n.integer("transB", 0) ? std::function(same) : std::function(turned));
    const std::int64_t out = b.shape()[0];
    const bool has_bias = n.has(2) && beta != 0;
    const Shape bias_shape = has_bias ? n.shape(2) : Shape{};
    const bool is_vector = has_bias && bias_shape.rank() >= 1 && bias_shape[-1] == out && bias_shape.elements() == out;
    if (alpha == 1 && beta == 1 && (!has_bias || is_vector))
        return n.set(linear(a, b, !has_bias ? Value{} : bias_shape.rank() == 1 ? n.value(2, Role::weight) : n.weight(2, [out](const Value& c) { return reshape(c, {out}); }), n.path()));
    Value y = linear(a, b, {}, n.path());
    if (alpha != 1) y = y * alpha;
    if (has_bias) y = y + (beta == 1 ? n.value(2, Role::weight) : n.value(2, Role::weight) * beta);
    n.set(y);
}

void matrix_product(const ReadNode& n) {
    const int ra = n.shape(0).rank(), rb = n.shape(1).rank();
    n.need(ra >= 2 && rb >= 2, "of {} and {}", n.shape(0), n.shape(1));
    if (rb == 2) return n.set(linear(n.value(0), n.weight(1, turned), {}, n.path()));
    // A matrix times every matrix of b, from the other side: (b^T a^T)^T.
    if (ra == 2) return n.set(turned(linear(turned(n.value(1)), n.value(0, Role::weight), {}, n.path())));
    n.set(matmul(n.value(0), n.value(1), {}, n.path()));
}

void batch_norm_of(const ReadNode& n) {
    n.need(n.integer("spatial", 1) == 1, "spatial = 0");
    const Value x = n.value(0), gamma = n.value(1, Role::weight), beta = n.value(2, Role::weight), mean = n.value(3, Role::buffer), var = n.value(4, Role::buffer);
    const double eps = n.real("epsilon", 1e-5);
    const auto is_parameter = [](const Value& v) { return op_name(v.node()) == "parameter"; };
    if (!is_parameter(mean) || !is_parameter(var)) return n.set(x.graph().add("batch_norm_inference", {x, gamma, beta, mean, var}, {{"eps", eps}}, n.path()));
    // ONNX's momentum is the weight of the old statistics, ours that of the new batch.
    const Value y = x.graph().add("batch_norm", {x, gamma, beta, mean, var}, {{"eps", eps}, {"momentum", 1 - n.real("momentum", 0.9)}}, n.path());
    const auto& updates = n.graph().updates();
    if (std::ranges::none_of(updates, [&](const auto& u) { return u.first == mean || u.first == var; }) && mean != var) {
        n.graph().update(mean, y.sibling(3));
        n.graph().update(var, y.sibling(4));
    }
    n.set(y);
}

/// (x - mean) / sqrt(var + eps) over axes, then scale and shift.
Value standardized(const Value& x, const Integers& axes, double eps) {
    const ReduceSpec over{.axes = axes, .keep = true};
    const Value centred = x - mean(x, over);
    return centred * rsqrt(mean(square(centred), over) + eps);
}

void instance_norm_of(const ReadNode& n) {
    const Value x = n.value(0);
    Integers axes;
    for (int d = 2; d < x.shape().rank(); ++d) axes.push_back(d);
    n.need(!axes.empty(), "of {}", x.shape());
    n.set(add(standardized(x, axes, n.real("epsilon", 1e-5)) * per_channel(n.value(1, Role::weight), x), per_channel(n.value(2, Role::weight), x), n.path()));
}

void layer_norm_of(const ReadNode& n) {
    n.need(n.outputs() == 1, "mean and deviation as further outputs");
    const Value x = n.value(0);
    Integers axes;
    for (std::int64_t d = checked_axis(n, n.integer("axis", -1), x.shape().rank()); d < x.shape().rank(); ++d) axes.push_back(d);
    Value y = standardized(x, axes, n.real("epsilon", 1e-5)) * n.value(1, Role::weight);
    if (n.has(2)) y = y + n.value(2, Role::weight);
    n.set(y);
}

void lrn_of(const ReadNode& n) {
    const std::int64_t size = n.integer("size", 0);
    n.need(size >= 1 && size % 2 == 1, "a window of {} channels; odd ones are read", size);
    n.set(fovea::lrn(n.value(0), {.size = size, .alpha = n.real("alpha", 1e-4), .beta = n.real("beta", 0.75), .k = n.real("bias", 1)}, n.path()));
}

// ---- pooling ----------------------------------------------------------------------------------------------------------------

void max_pool_of(const ReadNode& n) {
    const int rank = n.shape(0).rank();
    WindowOf window(n, rank, kernel_of(n, rank));
    n.need(n.integer("storage_order", 0) == 0, "storage_order 1");
    Value places;
    n.set(as_image(n.value(0), [&](const Value& x) {
        window.resolve(n, x.shape());
        const Value y = fovea::max_pool(x, {.kernel = window.kernel, .stride = window.stride, .pad = window.pad, .dilation = window.dilation, .ceil = n.integer("ceil_mode", 0) != 0}, n.path());
        places = y.sibling(1);
        return y;
    }));
    if (n.outputs() > 1 && !n.proto().output(1).empty()) n.set(places, 1);
}

void max_unpool_of(const ReadNode& n) {
    const Value places = n.value(1);
    n.need(op_name(places.node()) == "max_pool2d" && places.output() == 1, "places that no MaxPool made");
    const Shape& pooled = places.node().inputs[0].shape();
    if (n.has(2)) {
        const auto wanted = n.numbers(2);
        n.need(wanted.size() == 4 && wanted[2] == static_cast<double>(pooled[2]) && wanted[3] == static_cast<double>(pooled[3]), "into another size than {}", pooled);
    }
    n.set(fovea::max_unpool(n.value(0), places, places.node().inputs[0], n.path()));
}

void average_pool(const ReadNode& n) {
    const int rank = n.shape(0).rank();
    WindowOf window(n, rank, kernel_of(n, rank));
    n.need(window.dilation == Size2(1), "dilations");
    n.set(as_image(n.value(0), [&](const Value& x) {
        window.resolve(n, x.shape());
        const AvgPoolSpec spec{.kernel = window.kernel, .stride = window.stride, .pad = window.pad, .ceil = n.integer("ceil_mode", 0) != 0, .count_include_pad = n.integer("count_include_pad", 0) != 0};
        return avg_pool(x, spec, n.path());
    }));
}

template <Value (*pool)(const Value&, std::string_view)> void global_pool(const ReadNode& n) {
    n.set(as_image(n.value(0), [&](const Value& x) { return pool(x, n.path()); }));
}

// ---- arithmetic -------------------------------------------------------------------------------------------------------------

/// A known number that takes no part in the shape of the result.
std::optional<double> plain_number(const ReadNode& n, int i) {
    const Operand& given = n.operand(i);
    if (!given.is_known() || given.tensor.elements() != 1 || given.tensor.shape().rank() > n.shape(1 - i).rank()) return std::nullopt;
    return given.tensor.at(0);
}

/// Whether `gate` is op(x).
bool is_op_of(const Value& gate, std::string_view op, const Value& x) { return op_name(gate.node()) == op && gate.node().inputs[0] == x; }

void add_values(const ReadNode& n) {
    if (const auto c = plain_number(n, 1)) return n.set(scale_shift(n.value(0), 1, *c, n.path()));
    if (const auto c = plain_number(n, 0)) return n.set(scale_shift(n.value(1), 1, *c, n.path()));
    n.set(add(n.value(0), n.value(1), n.path()));
}

void subtract_values(const ReadNode& n) {
    if (const auto c = plain_number(n, 1)) return n.set(scale_shift(n.value(0), 1, -*c, n.path()));
    if (const auto c = plain_number(n, 0)) return n.set(scale_shift(n.value(1), -1, *c, n.path()));
    n.set(subtract(n.value(0), n.value(1), n.path()));
}

void multiply_values(const ReadNode& n) {
    if (const auto c = plain_number(n, 1)) return n.set(scale_shift(n.value(0), *c, 0, n.path()));
    if (const auto c = plain_number(n, 0)) return n.set(scale_shift(n.value(1), *c, 0, n.path()));
    const Value a = n.value(0), b = n.value(1);
    // x sigmoid(x) and x hard_sigmoid(x) have ops of their own.
    for (const auto& [x, gate] : {std::pair(a, b), std::pair(b, a)}) {
        if (is_op_of(gate, "sigmoid", x)) return n.set(silu(x, {}, n.path()));
        if (is_op_of(gate, "hard_sigmoid", x)) return n.set(hard_swish(x, n.path()));
    }
    n.set(multiply(a, b, n.path()));
}

void divide_values(const ReadNode& n) {
    if (const auto c = plain_number(n, 1)) return n.set(scale_shift(n.value(0), 1 / *c, 0, n.path()));
    n.set(divide(n.value(0), n.value(1), n.path()));
}

/// op over any number of inputs, from the left.
ReadRule folded(Value (*op)(const Value&, const Value&, std::string_view), bool is_mean = false) {
    return [op, is_mean](const ReadNode& n) {
        n.need(n.inputs() >= 1, "no inputs");
        Value y = n.value(0);
        for (int i = 1; i < n.inputs(); ++i) y = op(y, n.value(i), n.path());
        n.set(is_mean ? y / static_cast<double>(n.inputs()) : y);
    };
}

template <auto op> void unary(const ReadNode& n) { n.set(op(n.value(0), n.path())); }

void power(const ReadNode& n) {
    const auto exponent = plain_number(n, 1);
    n.need(exponent.has_value(), "with an exponent that is no fixed number");
    n.set(*exponent == 2 ? square(n.value(0), n.path()) : *exponent == 0.5 ? sqrt(n.value(0), n.path()) : pow(n.value(0), *exponent, n.path()));
}

void clip(const ReadNode& n) {
    const double low = n.number("min", 1, -infinity), high = n.number("max", 2, infinity);
    const Value x = n.value(0);
    constexpr double largest = 3.4e38;  // older exporters write the largest float for "none"
    const bool has_low = low > -largest, has_high = high < largest;
    if (low == 0 && high == 6) return n.set(relu6(x, n.path()));
    if (has_low && has_high) return n.set(clamp(x, low, high, n.path()));
    n.set(low == 0 && !has_high ? relu(x, n.path()) : has_low ? maximum(x, low) : has_high ? minimum(x, high) : x);
}

void hard_sigmoid_of(const ReadNode& n) {
    const double alpha = n.real("alpha", 0.2), beta = n.real("beta", 0.5);
    const Value x = n.value(0);
    // The nearest float to 1/6 is what files hold.
    if (std::abs(alpha - 1.0 / 6) < 1e-7 && beta == 0.5) return n.set(hard_sigmoid(x, n.path()));
    n.set(clamp(scale_shift(x, alpha, beta), 0, 1, n.path()));
}

void elu_of(const ReadNode& n) { n.set(elu(n.value(0), {.alpha = n.real("alpha", 1)}, n.path())); }
void celu_of(const ReadNode& n) { n.set(celu(n.value(0), {.alpha = n.real("alpha", 1)}, n.path())); }
void selu_of(const ReadNode& n) {
    const double alpha = n.real("alpha", 1.67326319217681884765625), gamma = n.real("gamma", 1.05070102214813232421875);
    n.set(n.graph().add("elu", {n.value(0)}, {{"alpha", alpha}, {"scale", gamma}}, n.path()));
}

void prelu_of(const ReadNode& n) {
    const Value x = n.value(0);
    const Shape& slope = n.shape(1);
    const std::int64_t count = slope.elements();
    n.need(x.shape().rank() >= 2 && (count == 1 || (count == x.shape()[1] && slope.rank() >= 1 && slope.rank() < x.shape().rank() && slope[0] == count)), "slopes {} for {}", slope, x.shape());
    n.set(prelu_with_slope(x, slope.rank() == 1 ? n.value(1, Role::weight) : n.weight(1, [count](const Value& v) { return reshape(v, {count}); }), n.path()));
}

void gelu_of(const ReadNode& n) { n.set(gelu(n.value(0), {.approximate = n.text("approximate", "none") == "tanh"}, n.path())); }

void shrink_of(const ReadNode& n) {
    const double lambda = n.real("lambd", 0.5), bias = n.real("bias", 0);
    n.need(bias == 0 || bias == lambda, "lambd {} with bias {}", lambda, bias);
    n.set(bias == 0 ? hardshrink(n.value(0), {.lambda = lambda}, n.path()) : softshrink(n.value(0), {.lambda = lambda}, n.path()));
}

template <Value (*op)(const Value&, const AxisSpec&, std::string_view)> void softmax_of(const ReadNode& n) {
    const Value x = n.value(0);
    const int rank = x.shape().rank();
    const std::int64_t axis = checked_axis(n, n.integer("axis", n.opset() >= 13 ? -1 : 1), rank);
    if (n.opset() >= 13 || axis == rank - 1) return n.set(op(x, {.axis = axis}, n.path()));
    // Before operator set 13: over all dimensions from the axis on, as one.
    n.set(reshape_to(op(flattened(n, x, axis), {.axis = 1}, n.path()), x));
}

template <bool is_greater, bool is_closed> void compare(const ReadNode& n) {
    const Value a = n.value(is_greater ? 0 : 1), b = n.value(is_greater ? 1 : 0);
    n.set(is_closed ? greater_equal(a, b) : greater(a, b));
}

/// Truth values are 0 and 1 here.
bool is_truth(const Value& v) {
    const auto op = op_name(v.node());
    return op == "greater" || op == "greater_equal" || op == "in_range";
}

void cast_value(const ReadNode& n) {
    const auto to = static_cast<int>(n.integer("to", onnx_type::f32));
    const Value x = n.value(0);
    if (to == onnx_type::boolean) return n.set(is_truth(x) ? x : 1.0 - in_range(x, 0, 0, true));
    n.need(to == onnx_type::f32 || to == onnx_type::f64 || to == onnx_type::f16 || to == onnx_type::bf16, "of data to data type {}", to);
    n.set(x);
}

void dropout_of(const ReadNode& n) {
    const double ratio = n.number("ratio", 1, 0.5);
    n.need(ratio >= 0 && ratio < 1, "a ratio of {}", ratio);
    n.set(dropout(n.value(0), {.drop = ratio}, n.path()));
}

}  // namespace

std::int64_t checked_axis(const ReadNode& n, std::int64_t axis, int rank) {
    n.need(axis >= -rank && axis < rank, "axis {} of {} dimensions", axis, rank);
    return axis < 0 ? axis + rank : axis;
}

void add_layer_rules(std::map<std::string, ReadRule, std::less<>>& rules) {
    rules.merge(std::map<std::string, ReadRule, std::less<>>{
        {"Conv", conv},
        {"ConvTranspose", conv_transpose},
        {"Gemm", gemm},
        {"MatMul", matrix_product},
        {"BatchNormalization", batch_norm_of},
        {"InstanceNormalization", instance_norm_of},
        {"LayerNormalization", layer_norm_of},
        {"LRN", lrn_of},
        {"MaxPool", max_pool_of},
        {"MaxUnpool", max_unpool_of},
        {"AveragePool", average_pool},
        {"GlobalAveragePool", global_pool<global_avg_pool>},
        {"GlobalMaxPool", global_pool<global_max_pool>},
        {"Dropout", dropout_of},
        {"Relu", unary<relu>},
        {"LeakyRelu", [](const ReadNode& n) { n.set(leaky_relu(n.value(0), {.slope = n.real("alpha", 0.01)}, n.path())); }},
        {"PRelu", prelu_of},
        {"Sigmoid", unary<sigmoid>},
        {"HardSigmoid", hard_sigmoid_of},
        {"HardSwish", unary<hard_swish>},
        {"Tanh", unary<fovea::tanh>},
        {"Clip", clip},
        {"Elu", elu_of},
        {"Celu", celu_of},
        {"Selu", selu_of},
        {"Softplus", [](const ReadNode& n) { n.set(softplus(n.value(0), {}, n.path())); }},
        {"Softsign", unary<softsign>},
        {"Mish", unary<mish>},
        {"Gelu", gelu_of},
        {"Shrink", shrink_of},
        {"ThresholdedRelu", [](const ReadNode& n) { n.set(threshold(n.value(0), {.threshold = n.real("alpha", 1), .value = 0}, n.path())); }},
        {"Softmax", softmax_of<softmax>},
        {"LogSoftmax", softmax_of<log_softmax>},
        {"Add", add_values},
        {"Sub", subtract_values},
        {"Mul", multiply_values},
        {"Div", divide_values},
        {"Sum", folded(add)},
        {"Mean", folded(add, true)},
        {"Max", folded(static_cast<Value (*)(const Value&, const Value&, std::string_view)>(maximum))},
        {"Min", folded(static_cast<Value (*)(const Value&, const Value&, std::string_view)>(minimum))},
        {"Pow", power},
        {"Neg", [](const ReadNode& n) { n.set(-n.value(0)); }},
        {"Abs", unary<fovea::abs>},
        {"Sign", unary<sign>},
        {"Exp", unary<fovea::exp>},
        {"Log", unary<fovea::log>},
        {"Sin", unary<fovea::sin>},
        {"Cos", unary<fovea::cos>},
        {"Sqrt", unary<fovea::sqrt>},
        {"Reciprocal", [](const ReadNode& n) { n.set(op_name(n.value(0).node()) == "sqrt" ? rsqrt(n.value(0).node().inputs[0], n.path()) : pow(n.value(0), -1, n.path())); }},
        {"Erf", unary<fovea::erf>},
        {"Greater", compare<true, false>},
        {"GreaterOrEqual", compare<true, true>},
        {"Less", compare<false, false>},
        {"LessOrEqual", compare<false, true>},
        {"Not", [](const ReadNode& n) { n.set(1.0 - n.value(0)); }},
        {"And", [](const ReadNode& n) { n.set(multiply(n.value(0), n.value(1), n.path())); }},
        {"Or", [](const ReadNode& n) { n.set(maximum(n.value(0), n.value(1), n.path())); }},
        {"Where", [](const ReadNode& n) { n.set(where(n.value(0), n.value(1), n.value(2), n.path())); }},
        {"Cast", cast_value},
    });
}

}  // namespace fovea
