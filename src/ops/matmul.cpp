// Matrix product, each side optionally transposed; closed under differentiation.
#include "core/team.h"
#include "fovea/ops.h"
#include "graph/op.h"

namespace fovea {

namespace {

/// op(a) is [M, K], op(b) is [K, N], `batch` of them.
struct Sizes {
    std::int64_t batch, M, K, N;
    bool transpose_a, transpose_b;
    Sizes(const Shape& a, const Shape& b, const Attrs& attrs) : transpose_a(attrs.flag("transpose_a")), transpose_b(attrs.flag("transpose_b")) {
        batch = a.elements(0, a.rank() - 2);
        M = transpose_a ? a[-1] : a[-2];
        K = transpose_a ? a[-2] : a[-1];
        N = transpose_b ? b[-2] : b[-1];
    }
};

Types matmul_shape(const OpInputs& in) {
    const Shape &a = in.shape(0), &b = in.shape(1);
    in.check(a.rank() >= 2 && a.rank() == b.rank(), "takes matrices of equal rank, got {} and {}", a, b);
    for (int i = 0; i < a.rank() - 2; ++i) in.check(a[i] == b[i], "leading dimensions of {} and {} differ", a, b);
    const Sizes s(a, b, in.attrs());
    const std::int64_t rows_of_b = s.transpose_b ? b[-1] : b[-2];
    in.check(s.K == rows_of_b, "{}{} has {} columns, {}{} has {} rows", a, s.transpose_a ? " transposed" : "", s.K, b, s.transpose_b ? " transposed" : "", rows_of_b);
    Shape c = a;
    c[-2] = s.M, c[-1] = s.N;
    return c;
}

Values matmul_gradient(const Grad& g) {
    const bool ta = g.attrs().flag("transpose_a"), tb = g.attrs().flag("transpose_b");
    const Value a = g.x(0), b = g.x(1), dc = g.dy();
    const Value da = ta ? matmul(b, dc, {.transpose_a = tb, .transpose_b = true}) : matmul(dc, b, {.transpose_b = !tb});
    const Value db = tb ? matmul(dc, a, {.transpose_a = true, .transpose_b = ta}) : matmul(a, dc, {.transpose_a = !ta});
    return Values{da, db};
}

template <class T> void matmul_loops(const OpRun& run) {
    const Sizes s(run.shape(0), run.shape(1), run.attrs());
    const T *a = run.in<T>(0), *b = run.in<T>(1);
    T* c = run.out<T>();
    const std::int64_t a_row = s.transpose_a ? 1 : s.K, a_column = s.transpose_a ? s.M : 1;
    parallel_for(s.batch * s.M, [&](std::int64_t row) {
        const std::int64_t batch = row / s.M, m = row % s.M;
        const T *from = a + batch * s.M * s.K + m * a_row, *right = b + batch * s.K * s.N;
        T* to = c + row * s.N;
        std::vector<double> total(static_cast<std::size_t>(s.N), 0.0);
        if (s.transpose_b) {
            for (std::int64_t n = 0; n < s.N; ++n)
                for (std::int64_t k = 0; k < s.K; ++k) total[static_cast<std::size_t>(n)] += static_cast<double>(from[k * a_column]) * static_cast<double>(right[n * s.K + k]);
        } else {
            for (std::int64_t k = 0; k < s.K; ++k) {
                const double left = static_cast<double>(from[k * a_column]);
                for (std::int64_t n = 0; n < s.N; ++n) total[static_cast<std::size_t>(n)] += left * static_cast<double>(right[k * s.N + n]);
            }
        }
        for (std::int64_t n = 0; n < s.N; ++n) to[n] = static_cast<T>(total[static_cast<std::size_t>(n)]);
    });
}

}  // namespace

Value matmul(const Value& a, const Value& b, const MatmulSpec& spec, std::string_view name) {
    return a.graph().add("matmul", {a, b}, {{"transpose_a", spec.transpose_a}, {"transpose_b", spec.transpose_b}}, name);
}

void register_matmul(OpRegistry& ops) {
    ops.add({.name = "matmul",
             .shape = matmul_shape,
             .gradient = matmul_gradient,
             .cost =
                 [](const OpInputs& in) {
                     const Sizes s(in.shape(0), in.shape(1), in.attrs());
                     return Cost{0, 2 * s.batch * s.M * s.N * s.K};  // not a layer: PyTorch's multiply-adds leave it out
                 },
             .reference = [](const OpRun& run) { run.with_real([&](auto tag) { matmul_loops<decltype(tag)>(run); }); }});
}

}  // namespace fovea
