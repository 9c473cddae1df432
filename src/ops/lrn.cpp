// Local response normalisation. Krizhevsky et al. 2012, sec. 3.3: y_c = x_c (k + a sum of x_j^2 over the window of c)^-beta.
// The window of c is [c - size / 2, c + (size - 1) / 2], clipped at the ends; a is alpha / size (PyTorch, Caffe) or alpha (the paper).
#include <algorithm>
#include <cmath>

#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/channels.h"

namespace fovea {

Value lrn(const Value& x, const LrnSpec& spec, std::string_view name) {
    Graph& graph = x.graph();
    require<ArgumentError>(spec.size > 0, "lrn '{}': size must be positive, got {}", graph.path_of(name), spec.size);
    require<ShapeError>(x.shape().rank() >= 2, "lrn '{}': the input is [N, C, ...], got {}", graph.path_of(name), x.shape());
    const bool divide_by_size = spec.convention != LrnConvention::krizhevsky;
    if (!spec.within_channel)
        return graph.add("lrn", {x}, {{"size", spec.size}, {"alpha", spec.alpha}, {"beta", spec.beta}, {"k", spec.k}, {"divide_by_size", divide_by_size}}, name);
    require<ArgumentError>(spec.size % 2 == 1, "lrn '{}': a region within a channel has an odd size, got {}", graph.path_of(name), spec.size);
    // Caffe's WITHIN_CHANNEL: the mean of squares over size x size, the padding counted.
    const double area = static_cast<double>(spec.size * spec.size);
    const Value squares = avg_pool(square(x), {.kernel = spec.size, .stride = 1, .pad = spec.size / 2});
    return multiply(x, pow(scale_shift(squares, divide_by_size ? spec.alpha : spec.alpha * area, spec.k), -spec.beta), name.empty() ? "lrn" : name);
}

namespace {

/// How many channels the window reaches below and above its own.
struct Window {
    explicit Window(const Attrs& attrs) : below(attrs.integer("size") / 2), above((attrs.integer("size") - 1) / 2) {}
    std::int64_t below, above;
};

double strength(const Attrs& attrs) { return attrs.flag("divide_by_size", true) ? attrs.real("alpha") / static_cast<double>(attrs.integer("size")) : attrs.real("alpha"); }

/// f(channel values read by a function of c, first index, stride) for every position.
template <class F> void each_position(const Channels& dims, F&& f) {
    for (std::int64_t n = 0; n < dims.samples; ++n)
        for (std::int64_t i = 0; i < dims.area; ++i) f(n * dims.channels * dims.area + i);
}

/// Sum of v over channels [c - below, c + above].
double window_sum(const std::vector<double>& v, std::int64_t c, std::int64_t below, std::int64_t above) {
    double total = 0;
    for (std::int64_t j = std::max<std::int64_t>(0, c - below); j <= std::min(c + above, static_cast<std::int64_t>(v.size()) - 1); ++j) total += v[static_cast<std::size_t>(j)];
    return total;
}

void lrn_loops(const OpRun& run) {
    run.with_real([&](auto tag) {
        using T = decltype(tag);
        const Channels dims(run.shape(0));
        const Window window(run.attrs());
        const double a = strength(run.attrs()), beta = run.attrs().real("beta"), k = run.attrs().real("k");
        std::vector<double> squares(static_cast<std::size_t>(dims.channels));
        each_position(dims, [&](std::int64_t first) {
            const T* x = run.in<T>(0) + first;
            for (std::int64_t c = 0; c < dims.channels; ++c) squares[static_cast<std::size_t>(c)] = static_cast<double>(x[c * dims.area]) * x[c * dims.area];
            for (std::int64_t c = 0; c < dims.channels; ++c)
                run.out<T>()[first + c * dims.area] = static_cast<T>(x[c * dims.area] * std::pow(k + a * window_sum(squares, c, window.below, window.above), -beta));
        });
    });
}

// With s the bracket: dx_i = dy_i s_i^-beta - 2 a beta x_i sum over the j whose window holds i of dy_j x_j s_j^(-beta - 1).
void lrn_backward_loops(const OpRun& run) {
    run.with_real([&](auto tag) {
        using T = decltype(tag);
        const Channels dims(run.shape(0));
        const Window window(run.attrs());
        const double a = strength(run.attrs()), beta = run.attrs().real("beta"), k = run.attrs().real("k");
        std::vector<double> squares(static_cast<std::size_t>(dims.channels)), power(squares), ratio(squares);
        each_position(dims, [&](std::int64_t first) {
            const T *x = run.in<T>(0) + first, *dy = run.in<T>(2) + first;
            for (std::int64_t c = 0; c < dims.channels; ++c) squares[static_cast<std::size_t>(c)] = static_cast<double>(x[c * dims.area]) * x[c * dims.area];
            for (std::int64_t c = 0; c < dims.channels; ++c) {
                const double s = k + a * window_sum(squares, c, window.below, window.above);
                power[static_cast<std::size_t>(c)] = std::pow(s, -beta);
                ratio[static_cast<std::size_t>(c)] = dy[c * dims.area] * static_cast<double>(x[c * dims.area]) * power[static_cast<std::size_t>(c)] / s;
            }
            for (std::int64_t c = 0; c < dims.channels; ++c)
                run.out<T>()[first + c * dims.area] =
                    static_cast<T>(dy[c * dims.area] * power[static_cast<std::size_t>(c)] - 2 * a * beta * x[c * dims.area] * window_sum(ratio, c, window.above, window.below));
        });
    });
}

Value summed(const Value& x, std::int64_t below, std::int64_t above) { return x.graph().add("channel_window_sum", {x}, {{"below", below}, {"above", above}}); }

Values expand_backward(const Node& node) {
    const Value x = node.inputs[0], dy = node.inputs[2];
    const Window window(node.attrs);
    const double a = strength(node.attrs), beta = node.attrs.real("beta");
    const Value s = scale_shift(summed(square(x), window.below, window.above), a, node.attrs.real("k")), power = pow(s, -beta);
    return dy * power - 2 * a * beta * (x * summed(dy * x * (power / s), window.above, window.below));
}

}  // namespace

void register_lrn(OpRegistry& ops) {
    const auto cost = [](const OpInputs& in) { return Cost{0, (in.attrs().integer("size", 5) + 4) * in.shape(0).elements()}; };
    const auto same = [](const OpInputs& in) {
        in.check(in.shape(0).rank() >= 2, "the input is [N, C, ...], got {}", in.shape(0));
        return Types(in.type(0));
    };
    ops.add({.name = "lrn",
             .shape = same,
             .gradient = [](const Grad& g) -> Values { return g.graph().add("lrn_backward", {g.x(), g.y(), g.dy()}, g.attrs()); },
             .cost = cost,
             .reference = lrn_loops});
    // x, y, dy -> dx. The loops do without y; a kernel may use it.
    ops.add({.name = "lrn_backward", .shape = same, .expand = expand_backward, .cost = cost, .reference = lrn_backward_loops});
    ops.add({.name = "channel_window_sum",
             .shape = same,
             .gradient = [](const Grad& g) -> Values { return summed(g.dy(), g.attrs().integer("above"), g.attrs().integer("below")); },
             .cost = cost,
             .reference =
                 [](const OpRun& run) {
                     run.with_real([&](auto tag) {
                         using T = decltype(tag);
                         const Channels dims(run.shape(0));
                         const std::int64_t below = run.attrs().integer("below"), above = run.attrs().integer("above");
                         std::vector<double> line(static_cast<std::size_t>(dims.channels));
                         each_position(dims, [&](std::int64_t first) {
                             for (std::int64_t c = 0; c < dims.channels; ++c) line[static_cast<std::size_t>(c)] = static_cast<double>(run.in<T>(0)[first + c * dims.area]);
                             for (std::int64_t c = 0; c < dims.channels; ++c) run.out<T>()[first + c * dims.area] = static_cast<T>(window_sum(line, c, below, above));
                         });
                     });
                 }});
}

}  // namespace fovea
