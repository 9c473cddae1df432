// Max pooling keeps where each maximum was; its gradient scatters to those places, and the gradient of that gathers from them.
#include <cmath>
#include <limits>

#include "fovea/ops.h"
#include "ops/window.h"

namespace fovea {

namespace {

Types max_pool_shape(const OpInputs& in) {
    const Shape& x = in.shape(0);
    in.check(x.rank() == 4, "input must be [N, C, H, W], got {}", x);
    const Window window(in.attrs());
    check_window(in, window);
    const auto& [h, w] = window;
    in.check<ArgumentError>(std::max(h.before, h.after) < h.extent() && std::max(w.before, w.after) < w.extent() && std::min({h.before, h.after, w.before, w.after}) >= 0,
                            "pad [{}, {}, {}, {}] must be smaller than the kernel {}x{} and not negative", h.before, h.after, w.before, w.after, h.extent(), w.extent());
    const Shape y{x[0], x[1], windows_along(in, h, x[2], "height"), windows_along(in, w, x[3], "width")};
    return {Type{y}, Type{y, DType::i32}};
}

template <class T> void max_pool_loops(const OpRun& run) {
    const Window window(run.attrs());
    const Shape &in = run.shape(0), &out = run.out_shape();
    const std::int64_t H = in[2], W = in[3], P = out[2], Q = out[3];
    const T* x = run.in<T>(0);
    T* y = run.out<T>(0);
    std::int32_t* indices = run.out<std::int32_t>(1);
    for (std::int64_t plane = 0; plane < in[0] * in[1]; ++plane, x += H * W)
        for (std::int64_t p = 0; p < P; ++p) {
            const Range rows = window.h.taps(p, H);
            for (std::int64_t q = 0; q < Q; ++q) {
                const Range columns = window.w.taps(q, W);
                T best = -std::numeric_limits<T>::infinity();
                std::int64_t where = -1;
                for (std::int64_t r = rows.begin; r < rows.end; ++r) {
                    const std::int64_t row = (p * window.h.stride + r * window.h.dilation - window.h.before) * W;
                    for (std::int64_t s = columns.begin; s < columns.end; ++s) {
                        const std::int64_t i = row + q * window.w.stride + s * window.w.dilation - window.w.before;
                        if (where < 0 || x[i] > best || (std::isnan(x[i]) && !std::isnan(best))) best = x[i], where = i;
                    }
                }
                *y++ = best;
                *indices++ = static_cast<std::int32_t>(where);
            }
        }
}

/// indices [N, C, ...] address planes of `planes` [N, C, H, W].
void check_planes(const OpInputs& in, const Shape& indices, const Shape& planes) {
    in.check(planes.rank() == 4 && indices.rank() >= 2 && indices[0] == planes[0] && indices[1] == planes[1], "indices {} do not address planes {}", indices, planes);
}

Types max_pool_backward_shape(const OpInputs& in) {
    in.check(in.shape(0) == in.shape(1) && in.dtype(1) == DType::i32, "values {} and indices {} {} differ", in.shape(0), in.dtype(1), in.shape(1));
    if (!in.has(2)) {
        const auto size = in.attrs().integers("size");
        in.check<ArgumentError>(size.size() == 2 && size[0] >= 1 && size[1] >= 1 && in.shape(0).rank() >= 2, "size must be two numbers of at least 1, got [{}]", fmt::join(size, ", "));
        return Shape{in.shape(0)[0], in.shape(0)[1], size[0], size[1]};
    }
    check_planes(in, in.shape(1), in.shape(2));
    return in.shape(2);
}

/// f(element of the window grid, flat place in its plane counted from the first plane) for every window that has a place.
template <class F> void for_each_place(const Shape& grid, const Shape& planes, const std::int32_t* indices, F&& f) {
    const std::int64_t count = grid.elements(2, grid.rank()), size = planes[2] * planes[3];
    for (std::int64_t i = 0; i < grid.elements(); ++i)
        if (indices[i] >= 0 && indices[i] < size) f(i, i / count * size + indices[i]);
}

}  // namespace

Value max_pool(const Value& x, const MaxPoolSpec& spec, std::string_view name) {
    Attrs attrs{{"kernel", integers_of(spec.kernel)},
                {"stride", integers_of(spec.stride == Size2(0) ? spec.kernel : spec.stride)},
                {"pad", integers_of(spec.pad)},
                {"dilation", integers_of(spec.dilation)},
                {"ceil", spec.ceil}};
    if (spec.strict) attrs.set("strict", true);
    return x.graph().add("max_pool2d", {x}, std::move(attrs), name);
}

Value max_unpool(const Value& x, const Value& indices, const Value& like, std::string_view name) {
    return x.graph().add("max_pool2d_backward", {x, indices, like}, {}, name.empty() ? "max_unpool" : name);
}
Value max_unpool(const Value& x, const Value& indices, const Size2& size, std::string_view name) {
    return x.graph().add("max_pool2d_backward", {x, indices}, {{"size", integers_of(size)}}, name.empty() ? "max_unpool" : name);
}

void register_max_pool2d(OpRegistry& ops) {
    ops.add({.name = "max_pool2d",
             .shape = max_pool_shape,
             .gradient = [](const Grad& g) -> Values { return g.graph().add("max_pool2d_backward", {g.dy(), g.y(1), g.x()}); },
             .cost =
                 [](const OpInputs& in) {
                     const auto kernel = in.attrs().integers("kernel");
                     return Cost{0, max_pool_shape(in).front().shape.elements() * kernel[0] * kernel[1]};
                 },
             .reference = [](const OpRun& run) { run.with_real([&](auto tag) { max_pool_loops<decltype(tag)>(run); }); }});
    // dy, indices, like x (or the attribute size [2]) -> dx: each dy is added at the place its maximum came from.
    ops.add({.name = "max_pool2d_backward",
             .shape = max_pool_backward_shape,
             .gradient = [](const Grad& g) -> Values { return g.graph().add("gather_plane", {g.dy(), g.x(1)}); },
             .cost = [](const OpInputs& in) { return Cost{0, in.shape(0).elements()}; },
             .reference =
                 [](const OpRun& run) {
                     run.with_real([&](auto tag) {
                         using T = decltype(tag);
                         std::fill_n(run.out<T>(), run.out_shape().elements(), T(0));
                         for_each_place(run.shape(1), run.out_shape(), run.in<std::int32_t>(1), [&](auto i, auto place) { run.out<T>()[place] += run.in<T>(0)[i]; });
                     });
                 },
             .shape_only = 0b100});
    // x, indices -> the values of x at those places of its planes (0 where there is none): the transpose of max_pool2d_backward.
    ops.add({.name = "gather_plane",
             .shape =
                 [](const OpInputs& in) {
                     in.check(in.dtype(1) == DType::i32, "indices must be i32, got {}", in.dtype(1));
                     check_planes(in, in.shape(1), in.shape(0));
                     return Types(in.shape(1));
                 },
             .gradient = [](const Grad& g) -> Values { return g.graph().add("max_pool2d_backward", {g.dy(), g.x(1), g.x(0)}); },
             .cost = [](const OpInputs&) { return Cost{}; },
             .reference =
                 [](const OpRun& run) {
                     run.with_real([&](auto tag) {
                         using T = decltype(tag);
                         std::fill_n(run.out<T>(), run.out_shape().elements(), T(0));
                         for_each_place(run.shape(1), run.shape(0), run.in<std::int32_t>(1), [&](auto i, auto place) { run.out<T>()[i] = run.in<T>(0)[place]; });
                     });
                 }});
}

}  // namespace fovea
