// linear and matmul, row-major: our own kernel for few rows, oneDNN's matrix product for more. Results with a row per sample go by rows, or
// with a large weight by outputs; a weight gradient is cut along its own rows, so that no sum is ever split between threads.
#include <bit>

#include "backends/cpu/few_rows.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/linear_bf16.h"
#include "backends/cpu/simd.h"

namespace fovea::cpu {

namespace {

void matrix_product(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
                    std::int64_t ldc) {
    if (m == 0 || n == 0) return;
    const SingleThreaded single;  // the caller's threads are the only ones
    const dnnl_status_t status = dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', m, n, k, 1.0f, a, lda, b, ldb, beta, c, ldc);
    if (status != dnnl_success) throw BackendError("cpu backend: oneDNN's matrix product failed (status " + std::to_string(status) + ")");
}

/// A weight of more elements comes from beyond a core's cache each time it is read: all rows pass at once, and the outputs are cut.
constexpr std::int64_t cached_weights = 256 << 10;

/// Pieces of a product's outputs, of whole vectors: a function of the sizes alone. Each piece packs all rows, which many rows must be worth.
int output_pieces(std::int64_t rows, std::int64_t outputs, std::int64_t weights) {
    constexpr std::int64_t piece_weights = 64 << 10, most_pieces = 16;
    const std::int64_t least_outputs = std::clamp<std::int64_t>(rows, 8, 256);
    const auto pieces = std::clamp<std::int64_t>(weights / piece_weights, 1, std::clamp<std::int64_t>(outputs / least_outputs, 1, most_pieces));
    return static_cast<int>(std::bit_floor(static_cast<std::uint64_t>(pieces)));  // as many for each of two or four threads
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
    constexpr std::int64_t few_rows_cached = 64 << 10;
    const bool is_few = rows <= few_rows_limit, by_rows = context.is_sharded() && rows == context.rows && out * in <= (is_few ? few_rows_cached : cached_weights);
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
    kernel.phases.push_back({.parts = output_pieces(rows, out, out * in), .run = [=](const KernelArgs& args, const Part& part) {
                                 const auto [first, last] = piece(part, out);
                                 product(args, 0, rows, first, last);
                             }});
    return kernel;
}

namespace {

constexpr std::size_t gradient_input = 1;  ///< of every update: parameter, gradient, ...

/// The update that follows a weight gradient at once and is all that reads it, of tensors that lie as the gradient does; or null.
const Node* update_of(const Node& gradient, const PlanContext& context) {
    const Node* next = context.only_reader ? context.only_reader(gradient) : nullptr;
    if (!next || next->id != gradient.id + 1 || !next->op->is_elementwise || !next->op->name.ends_with("_update") || next->inputs[gradient_input].id() != gradient.id) return nullptr;
    const Shape& shape = gradient.outputs[0].shape;
    const auto fits = [&](const Value& v) { return v.is_empty() || v.id() == gradient.id || v.shape().rank() == 0 || (v.shape() == shape && !context.layout(v)); };
    constexpr std::size_t most = 10;
    return next->inputs.size() <= most && next->outputs.size() <= most && std::ranges::all_of(next->inputs, fits) && std::ranges::all_of(next->outputs, [&](const Type& type) { return type.shape == shape; })
               ? next
               : nullptr;
}

/// c = a^T b [m, n], the gradient of a large weight, block by block: each goes into the update while it is in the core's cache, and the whole is
/// never in memory.
Kernel plan_updated_weight(const Node& node, const Node& update, const PlanContext& context) {
    const std::int64_t k = node.inputs[0].shape()[0], m = node.inputs[0].shape()[1], n = node.inputs[1].shape()[1];
    constexpr std::int64_t most_rows = outer_rows_limit, most_columns = 4096;
    Kernel kernel;
    kernel.name = std::string("few_rows update:") + simd().name;
    kernel.in.resize(2);
    kernel.out.resize(update.outputs.size());
    kernel.through = {&update};
    kernel.workspace_bytes = static_cast<std::size_t>(most_rows * std::min(n, most_columns)) * sizeof(float);
    // Where the update's inputs are among the kernel's; output o replaces the o-th tensor.
    std::vector<int> from;
    for (const Value& input : update.inputs) {
        const bool is_gradient = !input.is_empty() && input.id() == node.id, is_tensor = !input.is_empty() && !is_gradient && input.shape().rank() > 0;
        if (is_tensor && kernel.in_place.size() < update.outputs.size()) kernel.in_place.push_back(static_cast<int>(kernel.in.size()));
        from.push_back(is_gradient ? -1 : static_cast<int>(kernel.in.size()));
        if (!is_gradient) kernel.in.emplace_back();
    }
    kernel.phases.push_back({.parts = row_pieces(m, n, k), .run = [=, outputs = update.outputs.size(), slice = update_slice(update, context.real)](const KernelArgs& args, const Part& part) {
                                 const auto [begin, end] = piece(part, m);
                                 float* block = as_f32(args.workspace);
                                 std::vector<std::byte*> in;
                                 for (int i : from) in.push_back(i < 0 ? nullptr : args.in[static_cast<std::size_t>(i)]);
                                 for (std::int64_t column = 0; column < n; column += most_columns)  // k rows of so many columns stay in the second-level cache
                                     for (std::int64_t row = begin; row < end; row += most_rows) {
                                         const std::int64_t rows = std::min(most_rows, end - row), columns = std::min(most_columns, n - column);
                                         outer_rows()(block, as_f32(args.in[0]) + row, m, as_f32(args.in[1]) + column, n, rows, columns, k);
                                         for (std::int64_t r = 0; r < rows; ++r) {
                                             const std::int64_t at = (row + r) * n + column;
                                             in[gradient_input] = reinterpret_cast<std::byte*>(block + r * columns - at);  // slices count from the tensor's first element
                                             slice({.in = in, .out = args.out.first(outputs), .seed = args.seed, .step = args.step}, at, columns);
                                         }
                                     }
                             }});
    return kernel;
}

}  // namespace

std::optional<Kernel> plan_matmul(const Node& node, const PlanContext& context) {
    const Shape &a = node.inputs[0].shape(), &b = node.inputs[1].shape(), &c = node.outputs[0].shape;
    if (a.rank() != 2 || b.rank() != 2 || node.inputs.size() > 2 || c.elements() == 0) return {};
    const bool ta = node.attrs.flag("transpose_a"), tb = node.attrs.flag("transpose_b");
    const std::int64_t m = c[0], n = c[1], k = ta ? a[0] : a[1];
    if (ta && !tb && m * n > cached_weights)
        if (const Node* update = update_of(node, context)) return plan_updated_weight(node, *update, context);
    Kernel kernel;
    kernel.name = "sgemm";
    kernel.in.resize(2);
    kernel.out.resize(1);
    // Outputs [first, last) of the rows [begin, end).
    const auto product = [=, lda = a[1], ldb = b[1]](const KernelArgs& args, std::int64_t begin, std::int64_t end, std::int64_t first, std::int64_t last) {
        const float *from = as_f32(args.in[0]) + (ta ? begin : begin * lda), *by = as_f32(args.in[1]) + (tb ? first * ldb : first);
        matrix_product(ta, tb, end - begin, last - first, k, from, lda, by, ldb, 0.0f, as_f32(args.out[0]) + begin * n + first, n);
    };
    if (!ta && n * k > cached_weights) {
        kernel.phases.push_back({.parts = output_pieces(m, n, n * k), .run = [=](const KernelArgs& args, const Part& part) {
                                     constexpr std::int64_t lanes = 16;
                                     const auto [begin, end] = piece(part, (n + lanes - 1) / lanes);
                                     product(args, 0, m, begin * lanes, std::min(n, end * lanes));
                                 }});
    } else if (!ta && context.is_sharded() && m == context.rows) {
        kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = 1, .run = [=](const KernelArgs& args, const Part& part) { product(args, part.begin, part.end, 0, n); }});
    } else {
        kernel.phases.push_back({.parts = row_pieces(m, n, k), .run = [=](const KernelArgs& args, const Part& part) {
                                     const auto [begin, end] = piece(part, m);
                                     product(args, begin, end, 0, n);
                                 }});
    }
    return kernel;
}

}  // namespace fovea::cpu
