// conv2d and its two gradients. The three ops are closed under differentiation: each gradient of each is one of the others, because
// y = conv(x, w) is bilinear. conv2d_backward_input with a bias is also the transposed convolution.
#include <cmath>

#include "core/team.h"
#include "fovea/ops.h"
#include "ops/activation.h"
#include "ops/layer.h"
#include "ops/window.h"

namespace fovea {

namespace {

/// x [N, C, H, W], w [K, C / groups, R, S], y [N, K, P, Q].
struct Sizes {
    std::int64_t N, C, H, W, K, R, S, P, Q, groups, group_in, group_out;
    Sizes(const Shape& x, const Shape& w, const Shape& y, const Attrs& attrs)
        : N(x[0]), C(x[1]), H(x[2]), W(x[3]), K(w[0]), R(w[2]), S(w[3]), P(y[2]), Q(y[3]), groups(attrs.integer("groups")), group_in(C / groups), group_out(K / groups) {}
    [[nodiscard]] std::int64_t multiply_adds() const { return N * K * P * Q * group_in * R * S; }
};

Attrs geometry_of(const Attrs& attrs) {
    return {{"stride", attrs.integers("stride")}, {"pad", attrs.integers("pad")}, {"dilation", attrs.integers("dilation")}, {"groups", attrs.integer("groups")}};
}
Attrs geometry_with_bias(const Attrs& attrs, bool bias) {
    Attrs result = geometry_of(attrs);
    result.set("bias", bias);
    return result;
}

Window window_of(const Attrs& attrs, const Shape& w) { return Window(attrs, {w[2], w[3]}); }

void check_ranks(const OpInputs& in, const Shape& x, const Shape& w) {
    in.check(x.rank() == 4, "input must be [N, C, H, W], got {}", x);
    in.check(w.rank() == 4, "weight must be [K, C / groups, R, S], got {}", w);
    in.check<ArgumentError>(in.attrs().integer("groups") >= 1, "groups must be at least 1, got {}", in.attrs().integer("groups"));
}

Types conv2d_shape(const OpInputs& in) {
    const Shape &x = in.shape(0), &w = in.shape(1);
    check_ranks(in, x, w);
    const std::int64_t groups = in.attrs().integer("groups");
    in.check(x[1] == w[1] * groups, "input has {} channels, weight takes {} (groups {}); input {}, weight {}", x[1], w[1] * groups, groups, x, w);
    in.check(w[0] % groups == 0, "{} output channels do not divide into {} groups; weight {}", w[0], groups, w);
    if (in.has(2)) in.check(in.shape(2) == Shape{w[0]}, "bias must be [{}], got {}", w[0], in.shape(2));
    const Window window = window_of(in.attrs(), w);
    check_window(in, window);
    const Shape y{x[0], w[0], windows_along(in, window.h, x[2], "height"), windows_along(in, window.w, x[3], "width")};
    if (in.has(3)) in.check(in.shape(3) == y, "residual must be {}, got {}", y, in.shape(3));
    return y;
}

/// y += w x for one output plane; the innermost loop runs along a row.
template <class T> void correlate_plane(const Sizes& s, const Window& window, const T* x, const T* w, T* y) {
    for (std::int64_t c = 0; c < s.group_in; ++c)
        for (std::int64_t r = 0; r < s.R; ++r) {
            const Range rows = window.h.outputs(r, s.H, s.P);
            for (std::int64_t t = 0; t < s.S; ++t) {
                const Range columns = window.w.outputs(t, s.W, s.Q);
                const T weight = w[(c * s.R + r) * s.S + t];
                const std::int64_t step = window.w.stride, shift = t * window.w.dilation - window.w.before;
                for (std::int64_t p = rows.begin; p < rows.end; ++p) {
                    const T* from = x + (c * s.H + p * window.h.stride + r * window.h.dilation - window.h.before) * s.W + shift;
                    T* to = y + p * s.Q;
                    if (step == 1)
                        for (std::int64_t q = columns.begin; q < columns.end; ++q) to[q] += weight * from[q];
                    else
                        for (std::int64_t q = columns.begin; q < columns.end; ++q) to[q] += weight * from[q * step];
                }
            }
        }
}

template <class T> void conv2d_loops(const OpRun& run) {
    const Sizes s(run.shape(0), run.shape(1), run.out_shape(), run.attrs());
    const Window window = window_of(run.attrs(), run.shape(1));
    const T *x = run.in<T>(0), *w = run.in<T>(1);
    const T *bias = run.has(2) ? run.in<T>(2) : nullptr, *residual = run.has(3) ? run.in<T>(3) : nullptr;
    T* y = run.out<T>();
    parallel_for(s.N * s.K, [&](std::int64_t plane) {
        const std::int64_t n = plane / s.K, k = plane % s.K, group = k / s.group_out;
        T* to = y + plane * s.P * s.Q;
        std::fill_n(to, s.P * s.Q, bias ? bias[k] : T(0));
        correlate_plane(s, window, x + (n * s.C + group * s.group_in) * s.H * s.W, w + k * s.group_in * s.R * s.S, to);
        if (residual)
            for (std::int64_t i = 0; i < s.P * s.Q; ++i) to[i] += residual[plane * s.P * s.Q + i];
    });
    activate(run);
}

Types backward_input_shape(const OpInputs& in) {
    const Shape &dy = in.shape(0), &w = in.shape(1);
    check_ranks(in, dy, w);
    const std::int64_t groups = in.attrs().integer("groups"), channels = w[1] * groups;
    in.check(dy[1] == w[0], "input has {} channels, weight takes {}; input {}, weight {}", dy[1], w[0], dy, w);
    in.check(w[0] % groups == 0, "{} input channels do not divide into {} groups; weight {}", w[0], groups, w);
    if (in.has(3)) in.check(in.shape(3) == Shape{channels}, "bias must be [{}], got {}", channels, in.shape(3));
    const Window window = window_of(in.attrs(), w);
    check_window(in, window);
    if (in.has(2)) {
        const Shape& like = in.shape(2);
        in.check(like.rank() == 4 && like[1] == channels && like[0] == dy[0], "result would be {}, weight {} makes {} channels", like, w, channels);
        return like;
    }
    const auto output_pad = in.attrs().has("output_pad") ? in.attrs().integers("output_pad") : std::vector<std::int64_t>{0, 0};
    const auto size = [&](const Axis& axis, std::int64_t count, std::int64_t extra) {
        if (count == dynamic) return dynamic;
        in.check<ArgumentError>(extra >= 0 && (extra < axis.stride || extra < axis.dilation), "output_pad {} must be smaller than the stride {} or the dilation {}", extra,
                                axis.stride, axis.dilation);
        const std::int64_t result = (count - 1) * axis.stride + axis.extent() - axis.before - axis.after + extra;
        in.check(result >= 1, "nothing is left: ({} - 1) * {} + {} - {} - {} + {} = {}; input {}", count, axis.stride, axis.extent(), axis.before, axis.after, extra, result, dy);
        return result;
    };
    return Shape{dy[0], channels, size(window.h, dy[2], output_pad[0]), size(window.w, dy[3], output_pad[1])};
}

template <class T> void backward_input_loops(const OpRun& run) {
    const Sizes s(run.out_shape(), run.shape(1), run.shape(0), run.attrs());
    const Window window = window_of(run.attrs(), run.shape(1));
    const T *dy = run.in<T>(0), *w = run.in<T>(1), *bias = run.has(3) ? run.in<T>(3) : nullptr;
    T* dx = run.out<T>();
    parallel_for(s.N * s.C, [&](std::int64_t plane) {
        const std::int64_t n = plane / s.C, channel = plane % s.C, group = channel / s.group_in, c = channel % s.group_in;
        T* to_plane = dx + plane * s.H * s.W;
        std::fill_n(to_plane, s.H * s.W, bias ? bias[channel] : T(0));
        for (std::int64_t k = group * s.group_out; k < (group + 1) * s.group_out; ++k)
            for (std::int64_t r = 0; r < s.R; ++r) {
                const Range rows = window.h.outputs(r, s.H, s.P);
                for (std::int64_t t = 0; t < s.S; ++t) {
                    const Range columns = window.w.outputs(t, s.W, s.Q);
                    const T weight = w[((k * s.group_in + c) * s.R + r) * s.S + t];
                    const std::int64_t step = window.w.stride, shift = t * window.w.dilation - window.w.before;
                    for (std::int64_t p = rows.begin; p < rows.end; ++p) {
                        const T* from = dy + ((n * s.K + k) * s.P + p) * s.Q;
                        T* to = to_plane + (p * window.h.stride + r * window.h.dilation - window.h.before) * s.W + shift;
                        for (std::int64_t q = columns.begin; q < columns.end; ++q) to[q * step] += weight * from[q];
                    }
                }
            }
    });
}

Types backward_weight_shape(const OpInputs& in) {
    const Shape &x = in.shape(0), &dy = in.shape(1), &w = in.shape(2);
    check_ranks(in, x, w);
    const std::int64_t groups = in.attrs().integer("groups");
    in.check(dy.rank() == 4 && dy[0] == x[0] && dy[1] == w[0] && x[1] == w[1] * groups, "input {}, gradient {} and weight {} (groups {}) do not belong together", x, dy, w, groups);
    Types types{Type{w}};
    if (in.attrs().flag("bias")) types.push_back(Type{Shape{w[0]}});
    return types;
}

template <class T> void backward_weight_loops(const OpRun& run) {
    const Sizes s(run.shape(0), run.out_shape(), run.shape(1), run.attrs());
    const Window window = window_of(run.attrs(), run.out_shape());
    const T *x = run.in<T>(0), *dy = run.in<T>(1);
    T *dw = run.out<T>(0), *db = run.outputs() > 1 ? run.out<T>(1) : nullptr;
    parallel_for(s.K, [&](std::int64_t k) {
        const std::int64_t group = k / s.group_out;
        for (std::int64_t c = 0; c < s.group_in; ++c)
            for (std::int64_t r = 0; r < s.R; ++r) {
                const Range rows = window.h.outputs(r, s.H, s.P);
                for (std::int64_t t = 0; t < s.S; ++t) {
                    const Range columns = window.w.outputs(t, s.W, s.Q);
                    const std::int64_t step = window.w.stride, shift = t * window.w.dilation - window.w.before;
                    double total = 0;  // N P Q terms: a float would lose three digits on the first layers of a large network
                    for (std::int64_t n = 0; n < s.N; ++n)
                        for (std::int64_t p = rows.begin; p < rows.end; ++p) {
                            const T* from = x + ((n * s.C + group * s.group_in + c) * s.H + p * window.h.stride + r * window.h.dilation - window.h.before) * s.W + shift;
                            const T* seed = dy + ((n * s.K + k) * s.P + p) * s.Q;
                            T row = 0;
                            for (std::int64_t q = columns.begin; q < columns.end; ++q) row += from[q * step] * seed[q];
                            total += static_cast<double>(row);
                        }
                    dw[((k * s.group_in + c) * s.R + r) * s.S + t] = static_cast<T>(total);
                }
            }
        if (!db) return;
        double total = 0;
        for (std::int64_t n = 0; n < s.N; ++n)
            for (std::int64_t i = 0; i < s.P * s.Q; ++i) total += static_cast<double>(dy[(n * s.K + k) * s.P * s.Q + i]);
        db[k] = static_cast<T>(total);
    });
}

Values conv2d_gradient(const Grad& g) {
    require<ArgumentError>(!g.has(3) && g.attrs().text("activation").empty(), "conv2d '{}': a fused node has no gradient; take gradients before fusing", g.node().path);
    const Value dx = g.graph().add("conv2d_backward_input", {g.dy(), g.x(1), g.x(0)}, geometry_of(g.attrs()));
    const Value dw = g.graph().add("conv2d_backward_weight", {g.x(0), g.dy(), g.x(1)}, geometry_with_bias(g.attrs(), g.has(2)));
    return Values{dx, dw, g.has(2) ? dw.sibling(1) : Value{}};
}

Values backward_input_gradient(const Grad& g) {
    const Value ddy = g.graph().add("conv2d", {g.dy(), g.x(1)}, geometry_of(g.attrs()));
    const Value dw = g.graph().add("conv2d_backward_weight", {g.dy(), g.x(0), g.x(1)}, geometry_with_bias(g.attrs(), false));
    return Values{ddy, dw, Value{}, g.has(3) ? sum(g.dy(), {.axes = {0, 2, 3}}) : Value{}};
}

Values backward_weight_gradient(const Grad& g) {
    const Value db = g.node().outputs.size() > 1 ? g.dy(1) : Value{};
    Value dx, ddy;
    if (!g.dy(0).is_empty()) {
        dx = g.graph().add("conv2d_backward_input", {g.x(1), g.dy(0), g.x(0)}, geometry_of(g.attrs()));
        ddy = g.graph().add("conv2d", {g.x(0), g.dy(0), db}, geometry_of(g.attrs()));
    } else {
        ddy = expand_to(reshape(db, {1, -1, 1, 1}), g.x(1));
    }
    return Values{dx, ddy};
}

/// Zeros around x for the modes that depend on its size; reflect and replicate pad with an op of their own.
Pad4 resolve_pad(const Value& x, const Conv2dGeometry& spec, Size2 kernel, std::string_view name) {
    const auto same = [&](std::int64_t size, std::int64_t k, std::int64_t stride, std::int64_t dilation) {
        require<ShapeError>(size != dynamic || stride == 1, "conv2d '{}': pad_mode same with stride {} needs a known height and width; input {}", name, stride, x.shape());
        const std::int64_t past = stride == 1 ? 0 : (ceil_div(size, stride) - 1) * stride - (size - 1);
        return std::max<std::int64_t>(0, dilation * (k - 1) + past);
    };
    switch (spec.pad_mode) {
        case PadMode::given: return spec.pad;
        case PadMode::valid:
        case PadMode::reflect:
        case PadMode::replicate: return 0;
        case PadMode::dlib: return {spec.stride.h == 1 ? kernel.h / 2 : 0, spec.stride.w == 1 ? kernel.w / 2 : 0};
        case PadMode::same:
        case PadMode::same_lower: {
            const std::int64_t h = same(x.shape()[2], kernel.h, spec.stride.h, spec.dilation.h), w = same(x.shape()[3], kernel.w, spec.stride.w, spec.dilation.w);
            if (spec.pad_mode == PadMode::same) return {h / 2, h - h / 2, w / 2, w - w / 2};
            return {h - h / 2, h / 2, w - w / 2, w / 2};
        }
    }
    return spec.pad;
}

}  // namespace

Value conv2d(const Value& x, const Value& weight, const Value& bias, const Conv2dGeometry& spec, std::string_view name) {
    require<ShapeError>(x.shape().rank() == 4, "conv2d '{}': input must be [N, C, H, W], got {}", x.graph().path_of(name), x.shape());
    require<ShapeError>(weight.shape().rank() == 4, "conv2d '{}': weight must be [K, C / groups, R, S], got {}", x.graph().path_of(name), weight.shape());
    require<ArgumentError>(spec.stride.h >= 1 && spec.stride.w >= 1, "conv2d '{}': stride must be at least 1, got {}x{}", x.graph().path_of(name), spec.stride.h, spec.stride.w);
    const Pad4 zeros = resolve_pad(x, spec, {weight.shape()[2], weight.shape()[3]}, name);
    Attrs attrs{{"stride", integers_of(spec.stride)}, {"pad", integers_of(zeros)}, {"dilation", integers_of(spec.dilation)}, {"groups", spec.groups}};
    if (spec.strict) attrs.set("strict", true);
    const bool has_border = spec.pad_mode == PadMode::reflect || spec.pad_mode == PadMode::replicate;
    const Value around = has_border ? pad(x, spec.pad, {.mode = spec.pad_mode}) : x;
    return x.graph().add("conv2d", {around, spec.flip ? flip(weight, {2, 3}) : weight, bias}, std::move(attrs), name);
}

Value conv2d(const Value& x, const Conv2dSpec& spec, std::string_view name) {
    Graph& graph = x.graph();
    const std::string path = layer_name(graph, name, "conv2d");
    require<ShapeError>(x.shape().rank() == 4, "conv2d '{}': input must be [N, C, H, W], got {}", graph.path_of(path), x.shape());
    const std::int64_t channels = x.shape()[1];
    require<ArgumentError>(spec.out >= 1 && spec.groups >= 1 && spec.kernel.h >= 1 && spec.kernel.w >= 1, "conv2d '{}': out {}, groups {} and kernel {}x{} must be at least 1",
                           graph.path_of(path), spec.out, spec.groups, spec.kernel.h, spec.kernel.w);
    require<ShapeError>(channels != dynamic && channels % spec.groups == 0 && spec.out % spec.groups == 0,
                        "conv2d '{}': {} input and {} output channels do not divide into {} groups; input {}", graph.path_of(path), channels, spec.out, spec.groups, x.shape());
    const Shape shape{spec.out, channels / spec.groups, spec.kernel.h, spec.kernel.w};
    const Value weight = graph.parameter(path + ".weight", shape, spec.init.value_or(default_weight_init()));
    const Value bias = spec.bias ? graph.parameter(path + ".bias", {spec.out}, spec.bias_init.value_or(default_bias_init(shape.elements(1, 4)))) : Value{};
    return conv2d(x, weight, bias,
                  {.stride = spec.stride, .pad = spec.pad, .pad_mode = spec.pad_mode, .dilation = spec.dilation, .groups = spec.groups, .flip = spec.flip, .strict = spec.strict}, path);
}

Value conv1d(const Value& x, const Conv1dSpec& spec, std::string_view name) {
    Graph& graph = x.graph();
    const std::string path = layer_name(graph, name, "conv1d");
    require<ShapeError>(x.shape().rank() == 3 && x.shape()[1] != dynamic, "conv1d '{}': input must be [N, C, W], got {}", graph.path_of(path), x.shape());
    const std::int64_t channels = x.shape()[1];
    require<ArgumentError>(spec.out >= 1 && spec.groups >= 1 && spec.kernel >= 1, "conv1d '{}': out {}, groups {} and kernel {} must be at least 1", graph.path_of(path), spec.out,
                           spec.groups, spec.kernel);
    require<ShapeError>(channels % spec.groups == 0 && spec.out % spec.groups == 0, "conv1d '{}': {} input and {} output channels do not divide into {} groups; input {}",
                        graph.path_of(path), channels, spec.out, spec.groups, x.shape());
    const Shape shape{spec.out, channels / spec.groups, spec.kernel};
    const Value weight = graph.parameter(path + ".weight", shape, spec.init.value_or(default_weight_init()));
    const Value bias = spec.bias ? graph.parameter(path + ".bias", {spec.out}, spec.bias_init.value_or(default_bias_init(shape.elements(1, 3)))) : Value{};
    const Value y = conv2d(unsqueeze(x, 2), unsqueeze(weight, 2), bias,
                           {.stride = {1, spec.stride}, .pad = {0, spec.pad}, .dilation = {1, spec.dilation}, .groups = spec.groups}, path);
    return squeeze(y, 2);
}

Value conv_transpose2d(const Value& x, const Value& weight, const Value& bias, const ConvTranspose2dGeometry& spec, std::string_view name) {
    return x.graph().add("conv2d_backward_input", {x, weight, Value{}, bias},
                         {{"stride", integers_of(spec.stride)},
                          {"pad", integers_of(spec.pad)},
                          {"dilation", integers_of(spec.dilation)},
                          {"groups", spec.groups},
                          {"output_pad", integers_of(spec.output_pad)}},
                         name.empty() ? "conv_transpose2d" : name);
}

Value conv_transpose2d(const Value& x, const ConvTranspose2dSpec& spec, std::string_view name) {
    Graph& graph = x.graph();
    const std::string path = layer_name(graph, name, "conv_transpose2d");
    require<ShapeError>(x.shape().rank() == 4, "conv_transpose2d '{}': input must be [N, C, H, W], got {}", graph.path_of(path), x.shape());
    const std::int64_t channels = x.shape()[1];
    require<ArgumentError>(spec.out >= 1 && spec.groups >= 1 && spec.kernel.h >= 1 && spec.kernel.w >= 1,
                           "conv_transpose2d '{}': out {}, groups {} and kernel {}x{} must be at least 1", graph.path_of(path), spec.out, spec.groups, spec.kernel.h, spec.kernel.w);
    require<ShapeError>(channels != dynamic && channels % spec.groups == 0 && spec.out % spec.groups == 0,
                        "conv_transpose2d '{}': {} input and {} output channels do not divide into {} groups; input {}", graph.path_of(path), channels, spec.out, spec.groups,
                        x.shape());
    const Shape shape{channels, spec.out / spec.groups, spec.kernel.h, spec.kernel.w};
    const Value weight = graph.parameter(path + ".weight", shape, spec.init.value_or(default_weight_init()));
    const Value bias = spec.bias ? graph.parameter(path + ".bias", {spec.out}, spec.bias_init.value_or(default_bias_init(shape.elements(1, 4)))) : Value{};
    return conv_transpose2d(x, weight, bias, {.stride = spec.stride, .pad = spec.pad, .output_pad = spec.output_pad, .dilation = spec.dilation, .groups = spec.groups}, path);
}

void register_conv2d(OpRegistry& ops) {
    ops.add({.name = "conv2d",
             .shape = conv2d_shape,
             .gradient = conv2d_gradient,
             .cost =
                 [](const OpInputs& in) {
                     const Shape y = conv2d_shape(in).front().shape;
                     const Sizes s(in.shape(0), in.shape(1), y, in.attrs());
                     const std::int64_t extra = (in.has(2) + in.has(3) + !in.attrs().text("activation").empty()) * y.elements();
                     return Cost{s.multiply_adds(), 2 * s.multiply_adds() + extra};
                 },
             .reference = [](const OpRun& run) { run.with_real([&](auto tag) { conv2d_loops<decltype(tag)>(run); }); }});
    // dy, w, like x (may be absent: the size follows from output_pad), optional bias [C] -> dx.
    ops.add({.name = "conv2d_backward_input",
             .shape = backward_input_shape,
             .gradient = backward_input_gradient,
             .cost =
                 [](const OpInputs& in) {
                     const Shape dx = backward_input_shape(in).front().shape;
                     const std::int64_t macs = Sizes(dx, in.shape(1), in.shape(0), in.attrs()).multiply_adds();
                     return Cost{macs, 2 * macs + in.has(3) * dx.elements()};
                 },
             .reference = [](const OpRun& run) { run.with_real([&](auto tag) { backward_input_loops<decltype(tag)>(run); }); },
             .shape_only = 0b100});
    // x, dy, like w -> dw [, db].
    ops.add({.name = "conv2d_backward_weight",
             .shape = backward_weight_shape,
             .gradient = backward_weight_gradient,
             .cost =
                 [](const OpInputs& in) {
                     const std::int64_t macs = Sizes(in.shape(0), in.shape(2), in.shape(1), in.attrs()).multiply_adds();
                     return Cost{macs, 2 * macs + in.attrs().flag("bias") * in.shape(1).elements()};
                 },
             .reference = [](const OpRun& run) { run.with_real([&](auto tag) { backward_weight_loops<decltype(tag)>(run); }); },
             .shape_only = 0b100});
}

}  // namespace fovea
