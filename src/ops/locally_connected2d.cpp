// A convolution without shared weights. Differentiated through its expansion: a matrix product per output pixel over unfold's columns.
#include <cmath>

#include "fovea/ops.h"
#include "ops/layer.h"
#include "ops/window.h"

namespace fovea {

namespace {

/// x [N, C, H, W], w [P, Q, K, C, R, S] -> [N, K, P, Q]
Types locally_connected_shape(const OpInputs& in) {
    const Shape &x = in.shape(0), &w = in.shape(1);
    in.check(x.rank() == 4 && w.rank() == 6, "takes an input [N, C, H, W] and a weight [P, Q, K, C, R, S], got {} and {}", x, w);
    in.check(x[1] == w[3], "input has {} channels, weight takes {}; input {}, weight {}", x[1], w[3], x, w);
    const Window window(in.attrs(), {w[4], w[5]});
    check_window(in, window);
    const std::int64_t P = windows_along(in, window.h, x[2], "height"), Q = windows_along(in, window.w, x[3], "width");
    in.check((P == dynamic || P == w[0]) && (Q == dynamic || Q == w[1]), "weight has kernels for {}x{} outputs, the input makes {}x{}; input {}, weight {}", w[0], w[1], P, Q, x, w);
    if (in.has(2)) in.check(in.shape(2) == Shape{w[2], w[0], w[1]}, "bias must be {}, got {}", Shape{w[2], w[0], w[1]}, in.shape(2));
    return Shape{x[0], w[2], w[0], w[1]};
}

template <class T> void locally_connected_loops(const OpRun& run) {
    const Shape &x = run.shape(0), &w = run.shape(1);
    const std::int64_t N = x[0], C = x[1], H = x[2], W = x[3], P = w[0], Q = w[1], K = w[2], R = w[4], S = w[5];
    const Window window(run.attrs(), {R, S});
    const T *from = run.in<T>(0), *weight = run.in<T>(1), *bias = run.has(2) ? run.in<T>(2) : nullptr;
    T* to = run.out<T>();
    for (std::int64_t p = 0; p < P; ++p) {
        const Range rows = window.h.taps(p, H);
        for (std::int64_t q = 0; q < Q; ++q) {
            const Range columns = window.w.taps(q, W);
            for (std::int64_t k = 0; k < K; ++k) {
                const T* kernel = weight + ((p * Q + q) * K + k) * C * R * S;
                for (std::int64_t n = 0; n < N; ++n) {
                    double total = bias ? static_cast<double>(bias[(k * P + p) * Q + q]) : 0.0;
                    for (std::int64_t c = 0; c < C; ++c)
                        for (std::int64_t r = rows.begin; r < rows.end; ++r) {
                            const T* row = from + ((n * C + c) * H + p * window.h.stride + r * window.h.dilation - window.h.before) * W + q * window.w.stride - window.w.before;
                            for (std::int64_t s = columns.begin; s < columns.end; ++s)
                                total += static_cast<double>(kernel[(c * R + r) * S + s]) * static_cast<double>(row[s * window.w.dilation]);
                        }
                    to[((n * K + k) * P + p) * Q + q] = static_cast<T>(total);
                }
            }
        }
    }
}

Values expand_locally_connected(const Node& node) {
    const Value x = node.inputs[0], w = node.inputs[1];
    const Attrs attrs = node.attrs;
    const Shape s = w.shape();
    const std::int64_t places = s[0] * s[1], taps = s[3] * s[4] * s[5];
    Attrs window = attrs;
    window.set("kernel", std::vector<std::int64_t>{s[4], s[5]});
    const Value bias = node.inputs.size() > 2 ? node.inputs[2] : Value{};
    const Value columns = transpose(x.graph().add("unfold", {x}, std::move(window)), {2, 0, 1});                              // [P Q, N, C R S]
    const Value products = matmul(columns, reshape(w, {places, s[2], taps}), {.transpose_b = true});                          // [P Q, N, K]
    const Value y = reshape(transpose(products, {1, 2, 0}), {0, s[2], s[0], s[1]});
    return bias.is_empty() ? y : y + bias;
}

}  // namespace

Value locally_connected2d(const Value& x, const Value& weight, const Value& bias, const UnfoldSpec& spec, std::string_view name) {
    return x.graph().add("locally_connected2d", {x, weight, bias}, {{"stride", integers_of(spec.stride)}, {"pad", integers_of(spec.pad)}, {"dilation", integers_of(spec.dilation)}}, name);
}

Value locally_connected2d(const Value& x, const LocallyConnected2dSpec& spec, std::string_view name) {
    Graph& graph = x.graph();
    const std::string path = layer_name(graph, name, "locally_connected2d");
    const Shape& s = x.shape();
    require<ShapeError>(s.rank() == 4 && s[1] != dynamic && s[2] != dynamic && s[3] != dynamic,
                        "locally_connected2d '{}': input must be [N, C, H, W] with known channels, height and width, got {}", graph.path_of(path), s);
    require<ArgumentError>(spec.out >= 1 && spec.kernel.h >= 1 && spec.kernel.w >= 1 && spec.stride.h >= 1 && spec.stride.w >= 1,
                           "locally_connected2d '{}': out {}, kernel {}x{} and stride {}x{} must be at least 1", graph.path_of(path), spec.out, spec.kernel.h, spec.kernel.w,
                           spec.stride.h, spec.stride.w);
    const std::int64_t P = floor_div(s[2] + spec.pad.top + spec.pad.bottom - spec.kernel.h, spec.stride.h) + 1;
    const std::int64_t Q = floor_div(s[3] + spec.pad.left + spec.pad.right - spec.kernel.w, spec.stride.w) + 1;
    require<ShapeError>(P >= 1 && Q >= 1, "locally_connected2d '{}': kernel {}x{} does not fit into {}", graph.path_of(path), spec.kernel.h, spec.kernel.w, s);
    const double bound = 1 / std::sqrt(static_cast<double>(s[1] * spec.kernel.h * spec.kernel.w));
    const Value weight = graph.parameter(path + ".weight", {P, Q, spec.out, s[1], spec.kernel.h, spec.kernel.w}, spec.init.value_or(Init::uniform(-bound, bound)));
    const Value bias = spec.bias ? graph.parameter(path + ".bias", {spec.out, P, Q}, spec.bias_init.value_or(Init::uniform(-bound, bound))) : Value{};
    return locally_connected2d(x, weight, bias, {.kernel = spec.kernel, .stride = spec.stride, .pad = spec.pad}, path);
}

Value locally_connected1d(const Value& x, const LocallyConnected1dSpec& spec, std::string_view name) {
    require<ShapeError>(x.shape().rank() == 3, "locally_connected1d '{}': input must be [N, C, W], got {}", x.graph().path_of(name), x.shape());
    const LocallyConnected2dSpec flat{.out = spec.out, .kernel = {1, spec.kernel}, .stride = {1, spec.stride}, .pad = {0, spec.pad}, .bias = spec.bias, .init = spec.init, .bias_init = spec.bias_init};
    return squeeze(locally_connected2d(unsqueeze(x, 2), flat, layer_name(x.graph(), name, "locally_connected1d")), 2);
}

void register_locally_connected2d(OpRegistry& ops) {
    ops.add({.name = "locally_connected2d",
             .shape = locally_connected_shape,
             .expand = expand_locally_connected,
             .cost =
                 [](const OpInputs& in) {
                     const std::int64_t macs = in.shape(0)[0] * in.shape(1).elements();
                     return Cost{macs, 2 * macs + in.has(2) * locally_connected_shape(in).front().shape.elements()};
                 },
             .reference = [](const OpRun& run) { run.with_real([&](auto tag) { locally_connected_loops<decltype(tag)>(run); }); }});
}

}  // namespace fovea
