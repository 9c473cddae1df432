// Real numbers on a grid of integers and back, as ONNX's QuantizeLinear and DequantizeLinear define it. Jacob et al. 2018, arXiv:1712.05877.
#include <algorithm>
#include <cmath>

#include "fovea/ops.h"
#include "graph/op.h"

namespace fovea {

namespace {

Types same_on_grid(const OpInputs& in) {
    const auto& a = in.attrs();
    const auto scale = a.reals("scale");
    const auto zero_point = a.integers("zero_point");
    const std::int64_t axis = a.integer("axis"), low = a.integer("low"), high = a.integer("high");
    const Shape& x = in.shape(0);
    in.check<ArgumentError>(low < high, "integers {} to {} are no range", low, high);
    in.check<ArgumentError>(!scale.empty() && zero_point.size() == scale.size(), "{} scales and {} zero points; as many of one as of the other are expected", scale.size(), zero_point.size());
    if (scale.size() > 1) {
        in.check<ArgumentError>(axis >= 0 && axis < x.rank(), "axis {} is outside a shape {}", axis, x);
        in.check(x[static_cast<int>(axis)] == static_cast<std::int64_t>(scale.size()), "{} scales along axis {} of {}", scale.size(), axis, x);
    }
    for (const double s : scale) in.check<ArgumentError>(std::isfinite(s) && s > 0, "scales must be positive, got {}", s);
    for (const std::int64_t z : zero_point) in.check<ArgumentError>(z >= low && z <= high, "zero point {} is outside {} to {}", z, low, high);
    return Types(in.type(0));
}

/// Round half to even without a library call, so that loops stay vectors: adding 1.5 * 2^(bits of the fraction) leaves no room for a fraction.
template <class T> T rounded(T v) {
    constexpr T shift = sizeof(T) == 4 ? T(12582912.0) : T(6755399441055744.0);
    return (v + shift) - shift;
}

/// Runs f(element range, scale, zero point) over runs of elements with one scale.
template <class F> void each_run(const OpRun& run, F&& f) {
    const auto scale = run.attrs().reals("scale");
    const auto zero_point = run.attrs().integers("zero_point");
    const Shape& x = run.shape(0);
    if (scale.size() == 1) return f(std::int64_t{0}, x.elements(), scale[0], zero_point[0]);
    const int axis = static_cast<int>(run.attrs().integer("axis"));
    const std::int64_t outer = x.elements(0, axis), inner = x.elements(axis + 1, x.rank());
    std::int64_t at = 0;
    for (std::int64_t o = 0; o < outer; ++o)
        for (std::size_t c = 0; c < scale.size(); ++c, at += inner) f(at, at + inner, scale[c], zero_point[c]);
}

enum class Way { to_grid, from_grid, both };

template <Way way> void loops(const OpRun& run) {
    run.with_real([&](auto tag) {
        using T = decltype(tag);
        const T* x = run.in<T>(0);
        T* y = run.out<T>();
        const T low = static_cast<T>(run.attrs().integer("low")), high = static_cast<T>(run.attrs().integer("high"));
        each_run(run, [&](std::int64_t begin, std::int64_t end, double scale, std::int64_t zero_point) {
            const T s = static_cast<T>(scale), z = static_cast<T>(zero_point);
            for (std::int64_t i = begin; i < end; ++i) {
                if constexpr (way == Way::from_grid) {
                    y[i] = (x[i] - z) * s;
                } else {
                    // Saturating first gives the same integers, since the bounds are whole; NaN stays.
                    const T v = x[i] / s + z, q = rounded(v < low ? low : v > high ? high : v);
                    y[i] = way == Way::both ? (q - z) * s : q;
                }
            }
        });
    });
}

/// The scales as a value that multiplies x.
Value scales(const Grad& g) {
    const auto scale = g.attrs().reals("scale");
    if (scale.size() == 1) return scalar(g.graph(), scale[0]);
    const auto count = static_cast<std::int64_t>(scale.size());
    Shape shape;
    for (int d = 0; d < g.x().shape().rank(); ++d) shape.push_back(d == g.attrs().integer("axis") ? count : 1);
    return g.graph().constant(Tensor::of<double>(std::span<const double>(scale), shape), "scale");
}

/// 1 where x lies within the grid. Straight-through: rounding counts as the identity. Bengio et al. 2013, arXiv:1308.3432.
Value is_within(const Grad& g) {
    const auto scale = g.attrs().reals("scale");
    const auto zero_point = g.attrs().integers("zero_point");
    Shape shape;
    for (int d = 0; d < g.x().shape().rank() && scale.size() > 1; ++d) shape.push_back(d == g.attrs().integer("axis") ? static_cast<std::int64_t>(scale.size()) : 1);
    Tensor low(shape, DType::f64), high(shape, DType::f64);
    for (std::size_t i = 0; i < scale.size(); ++i) {
        low.set(static_cast<std::int64_t>(i), static_cast<double>(g.attrs().integer("low") - zero_point[i]) * scale[i]);
        high.set(static_cast<std::int64_t>(i), static_cast<double>(g.attrs().integer("high") - zero_point[i]) * scale[i]);
    }
    return greater_equal(g.x(), g.graph().constant(low, "low")) * greater_equal(g.graph().constant(high, "high"), g.x());
}

}  // namespace

void register_quantize(OpRegistry& ops) {
    const auto cost = [](std::int64_t operations) { return [operations](const OpInputs& in) { return Cost{0, operations * in.shape(0).elements()}; }; };
    ops.add({.name = "quantize",
             .shape = same_on_grid,
             .gradient = [](const Grad& g) -> Values { return g.dy() * is_within(g) / scales(g); },
             .cost = cost(3),
             .reference = loops<Way::to_grid>});
    ops.add({.name = "dequantize",
             .shape = same_on_grid,
             .gradient = [](const Grad& g) -> Values { return g.dy() * scales(g); },
             .cost = cost(2),
             .reference = loops<Way::from_grid>});
    ops.add({.name = "fake_quantize",
             .shape = same_on_grid,
             .gradient = [](const Grad& g) -> Values { return g.dy() * is_within(g); },
             .cost = cost(5),
             .reference = loops<Way::both>});
}

}  // namespace fovea
