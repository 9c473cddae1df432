// linear and matmul, row-major: our own kernel for few rows, oneDNN's matrix product for more. Results with a row per sample go by rows; a
// weight gradient is cut along its own rows, so that no sum is ever split between threads.
#include "backends/cpu/few_rows.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/linear_bf16.h"
#include "backends/cpu/simd.h"

namespace fovea::cpu {

namespace {

void matrix_product(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
                    std::int64_t ldc) {
    if (m == 0 || n == 0) return;
    const dnnl_status_t status = dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1.0f, a, lda, b, ldb, beta, c, ldc);
    if (status != dnnl_success) throw BackendError("cpu backend: oneDNN's matrix product failed (status " + std::to_string(status) + ")");
}

/// Pieces of a product's rows: a function of the sizes alone.
int row_pieces(std::int64_t m, std::int64_t n, std::int64_t k) {
    constexpr std::int64_t piece_macs = 64 << 10;
    return static_cast<int>(std::clamp<std::int64_t>(m * n * k / piece_macs, 1, std::clamp<std::int64_t>(m / 8, 1, 8)));
}

}  // namespace

std::optional<Kernel> plan_linear(const Node& node, const PlanContext& context) {
    if (auto kernel = plan_linear_bf16(node, context)) return kernel;
    const Shape &x = node.inputs[0].shape(), &w = node.inputs[1].shape();
    const std::int64_t out = w[0], in = w[1], rows = x.elements() / std::max<std::int64_t>(1, in);
    if (x.elements() == 0) return {};
    const bool has_bias = node.inputs.size() > 2;
    const UnaryKernel activate = activation_kernel(node);
    Kernel kernel;
    kernel.in.resize(node.inputs.size());
    kernel.out.resize(1);
    // A weight that every part would read from memory again is read once instead: by outputs, all rows at a time.
    constexpr std::int64_t cached_weights = 64 << 10;
    const bool is_few = rows <= few_rows_limit, by_rows = context.is_sharded() && rows == context.rows && !(is_few && out * in > cached_weights);
    kernel.name = is_few ? std::string("few_rows:") + simd().name : "sgemm";
    // Outputs [first, last) of the rows [begin, end).
    const auto product = [=](const KernelArgs& args, std::int64_t begin, std::int64_t end, std::int64_t first, std::int64_t last) {
        float* y = as_f32(args.out[0]) + begin * out;
        const float *x_rows = as_f32(args.in[0]) + begin * in, *w_data = as_f32(args.in[1]), *bias = has_bias ? as_f32(args.in[2]) : nullptr;
        if (is_few) {
            few_rows()(y, x_rows, w_data, bias, end - begin, in, out, first, last);
        } else {
            if (has_bias)
                for (std::int64_t r = 0; r < end - begin; ++r) std::copy(bias + first, bias + last, y + r * out + first);
            matrix_product(false, true, end - begin, last - first, in, x_rows, in, w_data + first * in, in, has_bias ? 1.0f : 0.0f, y + first, out);
        }
        if (!activate) return;
        for (std::int64_t r = 0; r < end - begin; ++r) activate(y + r * out + first, y + r * out + first, last - first);
    };
    if (by_rows) {
        kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = 1, .run = [=](const KernelArgs& args, const Part& part) { product(args, part.begin, part.end, 0, out); }});
        return kernel;
    }
    // The outputs are cut; each piece reads its own rows of the weight.
    constexpr std::int64_t piece_weights = 64 << 10, most_pieces = 16, least_outputs = 8;
    const int parts = static_cast<int>(std::clamp<std::int64_t>(out * in / piece_weights, 1, std::clamp<std::int64_t>(out / least_outputs, 1, most_pieces)));
    kernel.phases.push_back({.parts = parts, .run = [=](const KernelArgs& args, const Part& part) {
                                 const auto [first, last] = piece(part, out);
                                 product(args, 0, rows, first, last);
                             }});
    return kernel;
}

std::optional<Kernel> plan_matmul(const Node& node, const PlanContext& context) {
    const Shape &a = node.inputs[0].shape(), &b = node.inputs[1].shape(), &c = node.outputs[0].shape;
    if (a.rank() != 2 || b.rank() != 2 || node.inputs.size() > 2 || c.elements() == 0) return {};
    const bool ta = node.attrs.flag("transpose_a"), tb = node.attrs.flag("transpose_b");
    const std::int64_t m = c[0], n = c[1], k = ta ? a[0] : a[1];
    Kernel kernel;
    kernel.name = "sgemm";
    kernel.in.resize(2);
    kernel.out.resize(1);
    const auto product = [=, lda = a[1], ldb = b[1]](const KernelArgs& args, std::int64_t begin, std::int64_t end) {
        const float* from = as_f32(args.in[0]) + (ta ? begin : begin * lda);
        matrix_product(ta, tb, end - begin, n, k, from, lda, as_f32(args.in[1]), ldb, 0.0f, as_f32(args.out[0]) + begin * n, n);
    };
    if (!ta && context.is_sharded() && m == context.rows) {
        kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = 1, .run = [product](const KernelArgs& args, const Part& part) { product(args, part.begin, part.end); }});
    } else {
        kernel.phases.push_back({.parts = row_pieces(m, n, k), .run = [product, m](const KernelArgs& args, const Part& part) {
                                     const auto [begin, end] = piece(part, m);
                                     product(args, begin, end);
                                 }});
    }
    return kernel;
}

}  // namespace fovea::cpu
