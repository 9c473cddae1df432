// The elementary functions gradients are written in: powers, exponentials, waves, signs, comparisons, choices.
#include <cmath>
#include <numbers>

#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/broadcast.h"
#include "ops/unary.h"

namespace fovea {

Value exp(const Value& x, std::string_view name) { return x.graph().add("exp", {x}, {}, name); }
Value log(const Value& x, std::string_view name) { return x.graph().add("log", {x}, {}, name); }
Value sin(const Value& x, std::string_view name) { return x.graph().add("sin", {x}, {}, name); }
Value cos(const Value& x, std::string_view name) { return x.graph().add("cos", {x}, {}, name); }
Value sqrt(const Value& x, std::string_view name) { return x.graph().add("sqrt", {x}, {}, name); }
Value rsqrt(const Value& x, std::string_view name) { return x.graph().add("rsqrt", {x}, {}, name); }
Value square(const Value& x, std::string_view name) { return x.graph().add("square", {x}, {}, name); }
Value abs(const Value& x, std::string_view name) { return x.graph().add("abs", {x}, {}, name); }
Value sign(const Value& x, std::string_view name) { return x.graph().add("sign", {x}, {}, name); }
Value erf(const Value& x, std::string_view name) { return x.graph().add("erf", {x}, {}, name); }
Value pow(const Value& x, double exponent, std::string_view name) { return x.graph().add("pow", {x}, {{"exponent", exponent}}, name); }
Value maximum(const Value& a, const Value& b, std::string_view name) { return a.graph().add("maximum", {a, b}, {}, name); }
Value minimum(const Value& a, const Value& b, std::string_view name) { return a.graph().add("minimum", {a, b}, {}, name); }
Value maximum(const Value& a, double b) { return maximum(a, scalar(a.graph(), b)); }
Value minimum(const Value& a, double b) { return minimum(a, scalar(a.graph(), b)); }
Value greater(const Value& a, const Value& b) { return a.graph().add("greater", {a, b}); }
Value greater(const Value& a, double b) { return greater(a, scalar(a.graph(), b)); }
Value greater_equal(const Value& a, const Value& b) { return a.graph().add("greater_equal", {a, b}); }
Value greater_equal(const Value& a, double b) { return greater_equal(a, scalar(a.graph(), b)); }

Value clamp(const Value& x, double low, double high, std::string_view name) {
    require<ArgumentError>(low <= high, "clamp '{}': low {} is above high {}", x.graph().path_of(name), low, high);
    return x.graph().add("clamp", {x}, {{"low", low}, {"high", high}}, name);
}

Value in_range(const Value& x, double low, double high, bool closed) { return x.graph().add("in_range", {x}, {{"low", low}, {"high", high}, {"closed", closed}}); }

Value where(const Value& condition, const Value& a, const Value& b, std::string_view name) {
    // The op itself takes equal shapes and scalars only, so that it stays elementwise; other shapes are repeated first.
    Value common = condition;
    for (const Value& part : {a, b})
        if (part.shape().rank() > 0 && part.shape() != common.shape()) common = add(common, part);
    const auto fit = [&](const Value& v) { return v.shape().rank() == 0 ? v : expand_to(v, common); };
    return condition.graph().add("where", {expand_to(condition, common), fit(a), fit(b)}, {}, name);
}

namespace {

// d max(a, b) / da: 1 where a wins, 1/2 at a tie (as in PyTorch), 0 elsewhere.
Value wins(const Value& a, const Value& b) { return 0.5 * (greater(a, b) + greater_equal(a, b)); }

Values no_gradient(const Grad& g) { return Values(static_cast<std::size_t>(g.inputs())); }

}  // namespace

void register_elementary(OpRegistry& ops) {
    ops.add(unary_op("exp", [](auto x) { return std::exp(x); }, [](const Grad& g) -> Values { return g.dy() * g.y(); }));
    ops.add(unary_op("log", [](auto x) { return std::log(x); }, [](const Grad& g) -> Values { return g.dy() / g.x(); }));
    ops.add(unary_op("sin", [](auto x) { return std::sin(x); }, [](const Grad& g) -> Values { return g.dy() * cos(g.x()); }));
    ops.add(unary_op("cos", [](auto x) { return std::cos(x); }, [](const Grad& g) -> Values { return -(g.dy() * sin(g.x())); }));
    ops.add(unary_op("sqrt", [](auto x) { return std::sqrt(x); }, [](const Grad& g) -> Values { return 0.5 * g.dy() / g.y(); }));
    ops.add(unary_op("rsqrt", [](auto x) { return 1 / std::sqrt(x); }, [](const Grad& g) -> Values { return -0.5 * g.dy() * (g.y() / g.x()); }, 2));
    ops.add(unary_op("square", [](auto x) { return x * x; }, [](const Grad& g) -> Values { return 2.0 * g.dy() * g.x(); }));
    ops.add(unary_op("abs", [](auto x) { return std::abs(x); }, [](const Grad& g) -> Values { return g.dy() * sign(g.x()); }));
    ops.add(unary_op("sign", [](auto x) { return static_cast<decltype(x)>((x > 0) - (x < 0)); }, no_gradient));
    ops.add(unary_op("erf", [](auto x) { return std::erf(x); },
                     [](const Grad& g) -> Values { return g.dy() * (2 * std::numbers::inv_sqrtpi * exp(-square(g.x()))); }));
    ops.add({.name = "pow",
             .shape = [](const OpInputs& in) { return Types(in.type(0)); },
             .gradient = [](const Grad& g) -> Values {
                 const double p = g.attrs().real("exponent");
                 return p == 0 ? Value{} : g.dy() * (p * pow(g.x(), p - 1));
             },
             .cost = [](const OpInputs& in) { return Cost{0, in.shape(0).elements()}; },
             .reference = [](const OpRun& run) { run.map([p = run.attrs().real("exponent")](auto x) { return std::pow(x, static_cast<decltype(x)>(p)); }); },
             .is_elementwise = true});
    ops.add(binary_op("maximum", [](auto a, auto b) { return a > b ? a : b; }, [](const Grad& g) {
        return Values{sum_to(g.dy() * wins(g.x(0), g.x(1)), g.x(0)), sum_to(g.dy() * wins(g.x(1), g.x(0)), g.x(1))};
    }));
    ops.add(binary_op("minimum", [](auto a, auto b) { return a < b ? a : b; }, [](const Grad& g) {
        return Values{sum_to(g.dy() * wins(g.x(1), g.x(0)), g.x(0)), sum_to(g.dy() * wins(g.x(0), g.x(1)), g.x(1))};
    }));
    ops.add(binary_op("greater", [](auto a, auto b) { return static_cast<decltype(a)>(a > b); }, no_gradient));
    ops.add(binary_op("greater_equal", [](auto a, auto b) { return static_cast<decltype(a)>(a >= b); }, no_gradient));
    // The derivative is 1 on both edges, as in PyTorch's clamp (relu6 and hard_tanh have 0 there).
    ops.add({.name = "clamp",
             .shape = [](const OpInputs& in) { return Types(in.type(0)); },
             .gradient = [](const Grad& g) -> Values { return g.dy() * in_range(g.x(), g.attrs().real("low"), g.attrs().real("high"), true); },
             .cost = [](const OpInputs& in) { return Cost{0, 2 * in.shape(0).elements()}; },
             .reference =
                 [](const OpRun& run) {
                     run.map([low = run.attrs().real("low"), high = run.attrs().real("high")](auto x) {
                         using T = decltype(x);
                         return std::min(std::max(x, static_cast<T>(low)), static_cast<T>(high));
                     });
                 },
             .is_elementwise = true});
    // 1 where low <= x <= high (closed) or low < x < high, else 0.
    ops.add({.name = "in_range",
             .shape = [](const OpInputs& in) { return Types(in.type(0)); },
             .gradient = no_gradient,
             .cost = [](const OpInputs& in) { return Cost{0, 2 * in.shape(0).elements()}; },
             .reference =
                 [](const OpRun& run) {
                     const bool closed = run.attrs().flag("closed");
                     run.map([closed, low = run.attrs().real("low"), high = run.attrs().real("high")](auto x) {
                         using T = decltype(x);
                         const T a = static_cast<T>(low), b = static_cast<T>(high);
                         return static_cast<T>((x > a && x < b) || (closed && (x == a || x == b)));
                     });
                 },
             .is_elementwise = true});
    // condition != 0 ? a : b. a and b have the shape of the condition or are scalars.
    ops.add({.name = "where",
             .shape =
                 [](const OpInputs& in) {
                     for (int i : {1, 2})
                         in.check(in.shape(i) == in.shape(0) || in.shape(i).rank() == 0, "operand {} is {}, the condition is {}", i, in.shape(i), in.shape(0));
                     return Types(Type{in.shape(0), in.dtype(1)});
                 },
             .gradient =
                 [](const Grad& g) {
                     const Value zero = scalar(g.graph(), 0);
                     return Values{Value{}, sum_to(where(g.x(0), g.dy(), zero), g.x(1)), sum_to(where(g.x(0), zero, g.dy()), g.x(2))};
                 },
             .cost = [](const OpInputs& in) { return Cost{0, in.shape(0).elements()}; },
             .reference =
                 [](const OpRun& run) {
                     run.with_real([&](auto tag) {
                         using T = decltype(tag);
                         const T *c = run.in<T>(0), *a = run.in<T>(1), *b = run.in<T>(2);
                         const std::int64_t step_a = run.shape(1).rank() == 0 ? 0 : 1, step_b = run.shape(2).rank() == 0 ? 0 : 1;
                         for (std::int64_t i = 0; i < run.out_shape().elements(); ++i) run.out<T>()[i] = c[i] != 0 ? a[i * step_a] : b[i * step_b];
                     });
                 },
             .is_elementwise = true});
}

}  // namespace fovea
