// Every window of a plane as a column (im2col), and its transpose (col2im).
#include "fovea/ops.h"
#include "ops/window.h"

namespace fovea {

namespace {

Shape unfolded(const OpInputs& in, const Shape& x) {
    in.check(x.rank() == 4, "input must be [N, C, H, W], got {}", x);
    const Window window(in.attrs());
    check_window(in, window);
    const std::int64_t P = windows_along(in, window.h, x[2], "height"), Q = windows_along(in, window.w, x[3], "width");
    return {x[0], x[1] == dynamic ? dynamic : x[1] * window.h.kernel * window.w.kernel, P == dynamic || Q == dynamic ? dynamic : P * Q};
}

/// f(place in the columns, place in x) for every element of every window that lies inside.
template <class F> void for_each_tap(const Shape& x, const Attrs& attrs, F&& f) {
    const auto [h, w] = Window(attrs);
    const std::int64_t P = (h.padded(x[2]) - h.extent()) / h.stride + 1, Q = (w.padded(x[3]) - w.extent()) / w.stride + 1;
    std::int64_t row = 0;
    for (std::int64_t plane = 0; plane < x[0] * x[1]; ++plane)
        for (std::int64_t r = 0; r < h.kernel; ++r)
            for (std::int64_t s = 0; s < w.kernel; ++s, ++row) {
                const Range rows = h.outputs(r, x[2], P), columns = w.outputs(s, x[3], Q);
                for (std::int64_t p = rows.begin; p < rows.end; ++p)
                    for (std::int64_t q = columns.begin; q < columns.end; ++q)
                        f((row * P + p) * Q + q, (plane * x[2] + p * h.stride + r * h.dilation - h.before) * x[3] + q * w.stride + s * w.dilation - w.before);
            }
}

}  // namespace

Value unfold(const Value& x, const UnfoldSpec& spec, std::string_view name) {
    return x.graph().add("unfold", {x},
                         {{"kernel", integers_of(spec.kernel)}, {"stride", integers_of(spec.stride)}, {"pad", integers_of(spec.pad)}, {"dilation", integers_of(spec.dilation)}}, name);
}

void register_unfold(OpRegistry& ops) {
    ops.add({.name = "unfold",
             .shape = [](const OpInputs& in) { return Types(unfolded(in, in.shape(0))); },
             .gradient = [](const Grad& g) -> Values { return g.graph().add("unfold_backward", {g.dy(), g.x()}, g.attrs()); },
             .cost = [](const OpInputs&) { return Cost{}; },
             .reference =
                 [](const OpRun& run) {
                     run.with_real([&](auto tag) {
                         using T = decltype(tag);
                         std::fill_n(run.out<T>(), run.out_shape().elements(), T(0));
                         for_each_tap(run.shape(0), run.attrs(), [to = run.out<T>(), from = run.in<T>(0)](auto column, auto i) { to[column] = from[i]; });
                     });
                 }});
    // dy, like x -> dx: columns summed where windows overlap.
    ops.add({.name = "unfold_backward",
             .shape =
                 [](const OpInputs& in) {
                     const Shape y = unfolded(in, in.shape(1));
                     in.check(in.shape(0) == y, "gradient must be {}, got {}", y, in.shape(0));
                     return Types(in.shape(1));
                 },
             .gradient = [](const Grad& g) -> Values { return g.graph().add("unfold", {g.dy()}, g.attrs()); },
             .cost = [](const OpInputs& in) { return Cost{0, in.shape(0).elements()}; },
             .reference =
                 [](const OpRun& run) {
                     run.with_real([&](auto tag) {
                         using T = decltype(tag);
                         std::fill_n(run.out<T>(), run.out_shape().elements(), T(0));
                         for_each_tap(run.out_shape(), run.attrs(), [to = run.out<T>(), from = run.in<T>(0)](auto column, auto i) { to[i] += from[column]; });
                     });
                 },
             .shape_only = 0b10});
}

}  // namespace fovea
