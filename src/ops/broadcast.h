// Broadcasting as numpy does it: shapes are aligned at the last dimension; a dimension of 1 repeats.
#pragma once

#include <functional>

#include "graph/op.h"

namespace fovea {

/// The common shape; throws ShapeError through `in` when the shapes do not fit. A dynamic dimension fits itself and 1.
[[nodiscard]] Shape broadcast_shape(const OpInputs& in, const Shape& a, const Shape& b);

/// For each element of `out` in row-major order, calls f(i_out, i_a, i_b) with the flat indices of the operands.
template <class F> void for_each_broadcast(const Shape& out, const Shape& a, const Shape& b, F&& f) {
    std::int64_t stride_a[Shape::max_rank]{}, stride_b[Shape::max_rank]{}, index[Shape::max_rank]{};
    const auto strides = [&](const Shape& s, std::int64_t* stride) {
        std::int64_t step = 1;
        for (int i = s.rank() - 1, o = out.rank() - 1; i >= 0; --i, --o) {
            stride[o] = s[i] == 1 ? 0 : step;
            step *= s[i];
        }
    };
    strides(a, stride_a);
    strides(b, stride_b);
    const std::int64_t count = out.elements();
    std::int64_t ia = 0, ib = 0;
    for (std::int64_t i = 0; i < count; ++i) {
        f(i, ia, ib);
        for (int d = out.rank() - 1; d >= 0; --d) {
            ia += stride_a[d], ib += stride_b[d];
            if (++index[d] < out[d]) break;
            index[d] = 0;
            ia -= stride_a[d] * out[d], ib -= stride_b[d] * out[d];
        }
    }
}

/// An op z = f(x, y) over broadcast shapes; f is generic over float and double.
template <class F> OpDef binary_op(std::string name, F f, std::function<Values(const Grad&)> gradient) {
    OpDef op;
    op.name = std::move(name);
    op.shape = [](const OpInputs& in) { return Types(broadcast_shape(in, in.shape(0), in.shape(1))); };
    op.gradient = std::move(gradient);
    op.cost = [](const OpInputs& in) { return Cost{0, broadcast_shape(in, in.shape(0), in.shape(1)).elements()}; };
    op.reference = [f](const OpRun& run) {
        if (run.shape(0) == run.shape(1)) return run.zip(f);
        run.with_real([&](auto tag) {
            using T = decltype(tag);
            const T *x = run.in<T>(0), *y = run.in<T>(1);
            T* z = run.out<T>();
            for_each_broadcast(run.out_shape(), run.shape(0), run.shape(1), [&](auto i, auto a, auto b) { z[i] = static_cast<T>(f(x[a], y[b])); });
        });
    };
    op.is_elementwise = true;
    return op;
}

}  // namespace fovea
