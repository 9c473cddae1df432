// A network as one graph of elementary operations: sums, products, powers, exponentials, comparisons, and moves of numbers. What each
// layer is made of is written down here once more, apart from the kernels, so that it can be read, drawn and run against them.
#include <limits>
#include <set>

#include "core/text.h"
#include "fovea/explain.h"
#include "fovea/ops.h"
#include "fovea/passes.h"
#include "graph/op.h"

namespace fovea {

namespace {

/// Operations that are kept as they are: arithmetic, choices, and moves (a window reader or a reshape computes nothing).
const std::set<std::string, std::less<>>& elementary_ops() {
    static const std::set<std::string, std::less<>> ops{
        "input", "parameter", "constant",                                                                              // sources
        "add", "subtract", "multiply", "divide", "exp", "log", "sin", "cos", "sqrt", "pow", "erf", "abs", "sign", "maximum", "minimum",  // arithmetic
        "greater", "greater_equal", "in_range", "where", "one_hot",                                                    // choices
        "sum", "max_over",                                                                                             // reductions
        "unfold", "reshape", "reshape_to", "transpose", "slice", "concat", "pad", "expand_to", "flip", "per_channel", "kept_shape", "channel_shuffle",  // moves
    };
    return ops;
}

class Elementary {
public:
    Elementary(const Graph& from, Graph& to) : from_(from), to_(to), map_(from, to) {}

    void run() {
        const std::vector<bool> is_needed = reachable(from_);
        for (const Node& node : from_.nodes()) {
            if (!is_needed[static_cast<std::size_t>(node.id)]) continue;
            if (elementary_ops().contains(node.op->name)) {
                map_.copy(node);
                continue;
            }
            const auto scope = to_.scope(node.path);
            map_.set(Value(const_cast<Graph*>(&from_), node.id, 0), composed(node));
        }
        for (const auto& [name, value] : from_.outputs()) to_.output(name, map_(value));
    }

private:
    [[nodiscard]] Value in(const Node& node, std::size_t i) const { return i < node.inputs.size() ? map_(node.inputs[i]) : Value{}; }
    [[nodiscard]] Value number(double value) const { return scalar(to_, value); }
    [[nodiscard]] Value logistic(const Value& x) const { return divide(number(1), add(number(1), exp(multiply(number(-1), x)))); }
    [[nodiscard]] Value activated(const Value& x, const Attrs& attrs) const {
        const std::string activation = attrs.text("activation");
        require(activation.empty() || activation == "relu", "no elementary form of activation '{}'", activation);
        return activation.empty() ? x : maximum(x, number(0));
    }
    /// The largest over axes, which stay with size 1. The op wants a value of the result's shape, which it never reads.
    [[nodiscard]] Value largest(const Value& x, const std::vector<std::int64_t>& axes) const {
        Shape kept = x.shape();
        for (const std::int64_t axis : axes) kept[static_cast<int>(axis)] = 1;
        return to_.add("max_over", {x, to_.constant(Tensor(kept), "shape")});
    }
    /// [C] -> [C, 1, 1]
    static Value as_channels(const Value& v) { return reshape(v, {v.shape()[0], 1, 1}); }

    /// Every window of x as a column, [N, C * R * S, P * Q], around it `outside` where the window hangs over.
    [[nodiscard]] Value windows(const Node& node, const Value& x, Size2 kernel, const Shape& y, double outside) const {
        const auto stride = node.attrs.integers("stride"), pads = node.attrs.integers("pad");
        const auto dilation = node.attrs.has("dilation") ? node.attrs.integers("dilation") : std::vector<std::int64_t>{1, 1};
        const auto past = [&](int axis, std::int64_t k, std::int64_t before) {  // what the last window needs behind the end; a remainder is cut off
            const auto a = static_cast<std::size_t>(axis);
            return (y[2 + axis] - 1) * stride[a] + dilation[a] * (k - 1) + 1 - before - x.shape()[2 + axis];
        };
        const Pad4 around{pads[0], past(0, kernel.h, pads[0]), pads[2], past(1, kernel.w, pads[2])};
        const Value padded = around == Pad4{0} ? x : pad(x, around, {.value = outside});
        return unfold(padded, {.kernel = kernel, .stride = {stride[0], stride[1]}, .dilation = {dilation[0], dilation[1]}}, "windows");
    }

    /// y[n, k, p] = sum over i of x[n, i, p] w[k, i] within each group, + bias + residual.
    [[nodiscard]] Value convolution(const Node& node) const {
        const Value x = in(node, 0), w = in(node, 1);
        const Shape &y = node.outputs[0].shape, &s = w.shape();
        const std::int64_t G = node.attrs.integer("groups"), I = s[1] * s[2] * s[3], P = y[2] * y[3];
        const Value columns = reshape(windows(node, x, {s[2], s[3]}, y, 0), {y[0], G, 1, I, P});
        const Value weights = reshape(w, {1, G, s[0] / G, I, 1});
        Value result = reshape(sum(multiply(columns, weights, "products"), {.axes = {3}}), {y[0], y[1], y[2], y[3]});
        if (const Value bias = in(node, 2); !bias.is_empty()) result = add(result, as_channels(bias));
        if (const Value residual = in(node, 3); !residual.is_empty()) result = add(result, residual);
        return activated(result, node.attrs);
    }

    [[nodiscard]] Value linear_layer(const Node& node) const {
        const Value x = in(node, 0), w = in(node, 1);
        Value result = sum(multiply(unsqueeze(x, x.shape().rank() - 1), w, "products"), {.axes = {-1}});
        if (const Value bias = in(node, 2); !bias.is_empty()) result = add(result, bias);
        return activated(result, node.attrs);
    }

    [[nodiscard]] Value pool(const Node& node) const {
        const Value x = in(node, 0);
        const Shape& y = node.outputs[0].shape;
        const auto kernel = node.attrs.integers("kernel");
        const bool is_max = node.op->name == "max_pool2d";
        const Value columns = reshape(windows(node, x, {kernel[0], kernel[1]}, y, is_max ? -std::numeric_limits<double>::infinity() : 0), {y[0], y[1], kernel[0] * kernel[1], y[2] * y[3]});
        const Value plane = is_max ? largest(columns, {2}) : sum(columns, {.axes = {2}});
        const Value result = reshape(plane, {y[0], y[1], y[2], y[3]});
        return is_max ? result : divide(result, window_sizes(node, x.shape(), y));
    }

    /// How many values each mean is over: fewer at the borders unless padding counts.
    [[nodiscard]] Value window_sizes(const Node& node, const Shape& x, const Shape& y) const {
        const auto kernel = node.attrs.integers("kernel"), stride = node.attrs.integers("stride"), pads = node.attrs.integers("pad");
        const bool counts_pad = node.attrs.flag("count_include_pad", true);
        const auto count = [&](int axis, std::int64_t p) {
            const auto a = static_cast<std::size_t>(axis);
            const std::int64_t start = p * stride[a] - pads[2 * a], stop = std::min(start + kernel[a], x[2 + axis] + pads[2 * a + 1]);
            return counts_pad ? stop - start : std::min(stop, x[2 + axis]) - std::max<std::int64_t>(start, 0);
        };
        Tensor sizes(Shape{y[2], y[3]}, DType::f64);
        for (std::int64_t p = 0; p < y[2]; ++p)
            for (std::int64_t q = 0; q < y[3]; ++q) sizes.set(p * y[3] + q, static_cast<double>(count(0, p) * count(1, q)));
        return to_.constant(sizes, "window_sizes");
    }

    [[nodiscard]] Value mean_of(const Node& node) const {
        const Value total = sum(in(node, 0), {.axes = node.attrs.integers("axes"), .keep = node.attrs.flag("keep")});
        return divide(total, number(static_cast<double>(node.inputs[0].shape().elements()) / static_cast<double>(total.shape().elements())));
    }

    [[nodiscard]] Value adaptive_pool(const Node& node) const {
        const Shape &x = node.inputs[0].shape(), &y = node.outputs[0].shape;
        if (x == y) return in(node, 0);
        require(y[2] == 1 && y[3] == 1, "no elementary form of {} '{}' from {} to {}", node.op->name, node.path, x, y);
        const ReduceSpec plane{.axes = {2, 3}, .keep = true};
        return node.op->name == "adaptive_max_pool2d" ? largest(in(node, 0), {2, 3}) : divide(sum(in(node, 0), plane), number(static_cast<double>(x[2] * x[3])));
    }

    /// (x - mean) / sqrt(variance + eps) * scale + shift, with running statistics or with those of the batch.
    [[nodiscard]] Value batch_norm_of(const Node& node) const {
        const Value x = in(node, 0);
        Value average, variance;
        if (node.op->name == "batch_norm_inference") {
            average = as_channels(in(node, 3)), variance = as_channels(in(node, 4));
        } else {
            const ReduceSpec batch{.axes = {0, 2, 3}, .keep = true};
            const Value count = number(static_cast<double>(x.shape().elements() / x.shape()[1]));
            average = divide(sum(x, batch), count);
            const Value centred = subtract(x, average);
            variance = divide(sum(multiply(centred, centred), batch), count);
        }
        Value y = divide(subtract(x, average), sqrt(add(variance, number(node.attrs.real("eps")))));
        if (const Value scale = in(node, 1); !scale.is_empty()) y = multiply(y, as_channels(scale));
        if (const Value shift = in(node, 2); !shift.is_empty()) y = add(y, as_channels(shift));
        if (const Value residual = in(node, 5); !residual.is_empty()) y = add(y, residual);
        return activated(y, node.attrs);
    }

    /// x / (k + alpha * sum of squares over neighbouring channels)^beta
    [[nodiscard]] Value response_norm(const Node& node) const {
        const Value x = in(node, 0), squares = multiply(x, x);
        const std::int64_t size = node.attrs.integer("size"), below = size / 2, C = x.shape()[1];
        std::vector<std::int64_t> before(static_cast<std::size_t>(x.shape().rank()), 0), after = before;
        before[1] = below, after[1] = size - 1 - below;
        const Value padded = pad(squares, before, after);
        Value total;
        for (std::int64_t i = 0; i < size; ++i) {
            const Value shifted = slice(padded, {.axis = 1, .start = i, .stop = i + C});
            total = total.is_empty() ? shifted : add(total, shifted);
        }
        const double alpha = node.attrs.real("alpha") / (node.attrs.flag("divide_by_size", true) ? static_cast<double>(size) : 1);
        return divide(x, pow(add(number(node.attrs.real("k")), multiply(number(alpha), total)), node.attrs.real("beta")));
    }

    /// x - max, so that exp cannot overflow; and the sum of its exponentials.
    struct Exponentials {
        Value shifted, exponentials, total;
    };
    [[nodiscard]] Exponentials exponentials(const Value& x, std::int64_t axis) const {
        const ReduceSpec over{.axes = {axis}, .keep = true};
        const Value shifted = subtract(x, largest(x, {axis})), e = exp(shifted);
        return {shifted, e, sum(e, over)};
    }

    [[nodiscard]] Value cross_entropy_of(const Node& node) const {
        const Value x = in(node, 0), labels = in(node, 1);
        require(x.shape().rank() == 2 && in(node, 2).is_empty() && node.attrs.real("label_smoothing", 0) == 0 && node.attrs.text("reduction", "mean") == "mean",
                "only the plain mean of cross-entropy has an elementary form here; '{}' is another", node.path);
        const Exponentials e = exponentials(x, 1);
        const Value losses = subtract(log(e.total), sum(multiply(e.shifted, one_hot(labels, x)), {.axes = {1}, .keep = true}));
        return divide(sum(losses), number(static_cast<double>(x.shape()[0])));
    }

    [[nodiscard]] Value composed(const Node& node) const {
        const std::string& op = node.op->name;
        const Attrs& attrs = node.attrs;
        if (op == "conv2d") return convolution(node);
        if (op == "linear") return linear_layer(node);
        if (op == "max_pool2d" || op == "avg_pool2d") return pool(node);
        if (op == "adaptive_avg_pool2d" || op == "adaptive_max_pool2d") return adaptive_pool(node);
        if (op == "mean") return mean_of(node);
        if (op == "batch_norm" || op == "batch_norm_inference") return batch_norm_of(node);
        if (op == "lrn") return response_norm(node);
        if (op == "softmax_cross_entropy") return cross_entropy_of(node);
        const Value x = in(node, 0);
        if (op == "softmax") {
            const Exponentials e = exponentials(x, attrs.integer("axis", 1));
            return divide(e.exponentials, e.total);
        }
        if (op == "log_softmax") {
            const Exponentials e = exponentials(x, attrs.integer("axis", 1));
            return subtract(e.shifted, log(e.total));
        }
        if (op == "relu") return maximum(x, number(0));
        if (op == "clamp") return minimum(maximum(x, number(attrs.real("low"))), number(attrs.real("high")));
        if (op == "relu6") return minimum(maximum(x, number(0)), number(6));
        if (op == "sigmoid") return logistic(x);
        if (op == "tanh") return subtract(multiply(number(2), logistic(multiply(number(2), x))), number(1));
        if (op == "silu") return multiply(x, logistic(multiply(number(attrs.real("beta", 1)), x)));
        if (op == "hard_sigmoid" || op == "hard_swish") {
            const Value gate = divide(minimum(maximum(add(x, number(3)), number(0)), number(6)), number(6));
            return op == "hard_sigmoid" ? gate : multiply(x, gate);
        }
        if (op == "square") return multiply(x, x);
        if (op == "rsqrt") return divide(number(1), sqrt(x));
        if (op == "scale_shift") {
            const double scale = attrs.real("scale"), shift = attrs.real("shift");
            const Value scaled = scale == 1 ? x : multiply(number(scale), x);
            return shift == 0 ? scaled : add(scaled, number(shift));
        }
        fail<Error>("no elementary form of {} '{}'; src/explain/elementary.cpp lists those there are", op, node.path);
    }

    const Graph& from_;
    Graph& to_;
    Rewriter map_;
};

/// A string of the DOT language, on two lines where there is a second.
std::string dot_string(std::string_view text, std::string_view second = {}) {
    std::string safe = "\"";
    for (const char c : text) safe += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
    return safe + (second.empty() ? "" : "\\n") + std::string(second) + "\"";
}

}  // namespace

Graph to_elementary(const Graph& graph) {
    for (const Value& input : graph.inputs())
        require<ShapeError>(!input.shape().is_dynamic(), "elementary: input '{}' is {}; give its shape with specialize()", input.path(), input.shape());
    Graph result;
    Elementary(graph, result).run();
    return result;
}

std::string to_dot(const Graph& graph, std::string_view title) {
    std::string text = fmt::format("digraph {} {{\n  rankdir=TB; node [shape=box, fontname=\"sans-serif\", fontsize=10];\n", dot_string(title));
    const std::vector<bool> is_needed = reachable(graph);
    for (const Node& node : graph.nodes()) {
        if (!is_needed[static_cast<std::size_t>(node.id)]) continue;
        const bool is_source = node.inputs.empty();
        std::string label = is_source ? node.path : node.op->name;
        if (node.op->name == "constant" && node.outputs[0].shape.rank() == 0) label = fmt::format("{}", node.attrs.tensor("value").at(0));
        text += fmt::format("  n{} [label={}, tooltip={}{}];\n", node.id, dot_string(label, node.outputs[0].shape.str()), dot_string(node.path),
                            node.op->name == "parameter" ? ", style=filled, fillcolor=lightgrey" : is_source ? ", shape=ellipse" : "");
        for (const Value& input : node.inputs)
            if (!input.is_empty()) text += fmt::format("  n{} -> n{};\n", input.id(), node.id);
    }
    for (const auto& [name, value] : graph.outputs()) text += fmt::format("  out_{} [label={}, shape=ellipse];\n  n{} -> out_{};\n", value.id(), dot_string(name), value.id(), value.id());
    return text + "}\n";
}

}  // namespace fovea
