// Adaptive pooling: window i of P covers floor(i H / P) .. ceil((i + 1) H / P) of H inputs; windows may overlap by one.
#include <cmath>

#include "fovea/ops.h"
#include "ops/window.h"

namespace fovea {

namespace {

Shape pooled(const OpInputs& in, const Shape& x) {
    in.check(x.rank() == 4, "input must be [N, C, H, W], got {}", x);
    const auto size = in.attrs().integers("output");
    in.check<ArgumentError>(size.size() == 2 && size[0] >= 1 && size[1] >= 1, "output must be two sizes of at least 1, got [{}]", fmt::join(size, ", "));
    in.check(x[2] != 0 && x[3] != 0, "input {} has nothing to pool", x);
    return {x[0], x[1], size[0], size[1]};
}

Range bin(std::int64_t i, std::int64_t size, std::int64_t count) { return {i * size / count, ceil_div((i + 1) * size, count)}; }

/// f(window, first element of its plane, rows, columns) for every window of every plane.
template <class F> void for_each_window(const Shape& x, const Shape& y, F&& f) {
    std::int64_t o = 0;
    for (std::int64_t plane = 0; plane < x[0] * x[1]; ++plane)
        for (std::int64_t p = 0; p < y[2]; ++p)
            for (std::int64_t q = 0; q < y[3]; ++q) f(o++, plane * x[2] * x[3], bin(p, x[2], y[2]), bin(q, x[3], y[3]));
}

Cost cost_of_planes(const Shape& x) { return Cost{0, x.elements()}; }

void average(const OpRun& run) {
    run.with_real([&](auto tag) {
        using T = decltype(tag);
        const T* x = run.in<T>(0);
        const std::int64_t W = run.shape(0)[3];
        for_each_window(run.shape(0), run.out_shape(), [&](auto o, auto base, Range rows, Range columns) {
            double total = 0;
            for (std::int64_t h = rows.begin; h < rows.end; ++h)
                for (std::int64_t w = columns.begin; w < columns.end; ++w) total += static_cast<double>(x[base + h * W + w]);
            run.out<T>()[o] = static_cast<T>(total / static_cast<double>((rows.end - rows.begin) * (columns.end - columns.begin)));
        });
    });
}

void average_backward(const OpRun& run) {
    run.with_real([&](auto tag) {
        using T = decltype(tag);
        T* dx = run.out<T>();
        std::fill_n(dx, run.out_shape().elements(), T(0));
        const std::int64_t W = run.out_shape()[3];
        for_each_window(run.out_shape(), run.shape(0), [&](auto o, auto base, Range rows, Range columns) {
            const T share = run.in<T>(0)[o] / static_cast<T>((rows.end - rows.begin) * (columns.end - columns.begin));
            for (std::int64_t h = rows.begin; h < rows.end; ++h)
                for (std::int64_t w = columns.begin; w < columns.end; ++w) dx[base + h * W + w] += share;
        });
    });
}

void maximum_loops(const OpRun& run) {
    run.with_real([&](auto tag) {
        using T = decltype(tag);
        const T* x = run.in<T>(0);
        const std::int64_t W = run.shape(0)[3];
        for_each_window(run.shape(0), run.out_shape(), [&](auto o, auto base, Range rows, Range columns) {
            std::int64_t best = rows.begin * W + columns.begin;
            for (std::int64_t h = rows.begin; h < rows.end; ++h)
                for (std::int64_t w = columns.begin; w < columns.end; ++w) {
                    const T v = x[base + h * W + w], top = x[base + best];
                    if (v > top || (std::isnan(v) && !std::isnan(top))) best = h * W + w;
                }
            run.out<T>(0)[o] = x[base + best];
            run.out<std::int32_t>(1)[o] = static_cast<std::int32_t>(best);
        });
    });
}

}  // namespace

Value adaptive_avg_pool(const Value& x, const Size2& size, std::string_view name) { return x.graph().add("adaptive_avg_pool2d", {x}, {{"output", integers_of(size)}}, name); }
Value adaptive_max_pool(const Value& x, const Size2& size, std::string_view name) { return x.graph().add("adaptive_max_pool2d", {x}, {{"output", integers_of(size)}}, name); }
Value global_avg_pool(const Value& x, std::string_view name) { return mean(x, {.axes = {2, 3}, .keep = true}, name.empty() ? "global_avg_pool" : name); }
Value global_max_pool(const Value& x, std::string_view name) { return adaptive_max_pool(x, 1, name.empty() ? "global_max_pool" : name); }

Value subsample(const Value& x, const Size2& kernel, std::string_view name) {
    Graph& graph = x.graph();
    require<ShapeError>(x.shape().rank() == 4, "subsample '{}': input must be [N, C, H, W], got {}", graph.path_of(name), x.shape());
    const double area = static_cast<double>(kernel.h * kernel.w);
    const std::string path = name.empty() ? "subsample" : std::string(name);
    const Value coefficient = graph.parameter(path + ".weight", {x.shape()[1]}, Init::constant(1 / area)), bias = graph.parameter(path + ".bias", {x.shape()[1]});
    const Value total = scale_shift(avg_pool(x, {.kernel = kernel}), area, 0);
    return add(total * reshape(coefficient, {-1, 1, 1}), reshape(bias, {-1, 1, 1}), path);
}

Value spatial_pyramid_pool(const Value& x, const SpatialPyramidSpec& spec, std::string_view name) {
    require<ArgumentError>(!spec.levels.empty(), "spatial_pyramid_pool '{}': no levels are given", name);
    std::vector<Value> levels;
    for (std::int64_t level : spec.levels) levels.push_back(flatten(spec.average ? adaptive_avg_pool(x, level) : adaptive_max_pool(x, level)));
    return concat(levels, 1, name.empty() ? "spatial_pyramid_pool" : name);
}

void register_adaptive_pool2d(OpRegistry& ops) {
    ops.add({.name = "adaptive_avg_pool2d",
             .shape = [](const OpInputs& in) { return Types(pooled(in, in.shape(0))); },
             .gradient = [](const Grad& g) -> Values { return g.graph().add("adaptive_avg_pool2d_backward", {g.dy(), g.x()}, g.attrs()); },
             .cost = [](const OpInputs& in) { return cost_of_planes(in.shape(0)); },
             .reference = average});
    // dy, like x -> dx
    ops.add({.name = "adaptive_avg_pool2d_backward",
             .shape =
                 [](const OpInputs& in) {
                     const Shape y = pooled(in, in.shape(1));
                     in.check(in.shape(0) == y, "gradient must be {}, got {}", y, in.shape(0));
                     return Types(in.shape(1));
                 },
             .gradient = [](const Grad& g) -> Values { return g.graph().add("adaptive_avg_pool2d", {g.dy()}, g.attrs()); },
             .cost = [](const OpInputs& in) { return cost_of_planes(in.shape(1)); },
             .reference = average_backward,
             .shape_only = 0b10});
    // x -> y, indices as max_pool2d gives them.
    ops.add({.name = "adaptive_max_pool2d",
             .shape =
                 [](const OpInputs& in) {
                     const Shape y = pooled(in, in.shape(0));
                     return Types{Type{y}, Type{y, DType::i32}};
                 },
             .gradient = [](const Grad& g) -> Values { return g.graph().add("max_pool2d_backward", {g.dy(), g.y(1), g.x()}); },
             .cost = [](const OpInputs& in) { return cost_of_planes(in.shape(0)); },
             .reference = maximum_loops});
}

}  // namespace fovea
