// Matrix products of bf16 rows and panels with f32 sums, and the linear layer made of them. The outputs are cut, so that the weights are read
// once however many rows there are.
#include "backends/cpu/linear_bf16.h"

#include <algorithm>
#include <array>
#include <utility>

#include "backends/cpu/kernels.h"
#include "backends/cpu/simd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/linear_bf16.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace fovea::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
using P = LinearPanels;
constexpr int lanes = 16, vectors = P::width / lanes;

/// sum + a0 b0 + a1 b1 of the pairs of bf16 in each lane. Newer than our Highway's targets, as its rounding is (simd.cpp).
HWY_INLINE V multiply_pairs(V sum, V a, V b) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum.raw) : "v"(a.raw), "v"(b.raw));
    return sum;
}

template <int rows> void product_of(float* y, const Bf16* x, const Bf16* panel, const float* bias, const P& w, std::int64_t first) {
    const D d;
    V sums[rows][vectors];
#pragma GCC unroll 12
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 2
        for (int k = 0; k < vectors; ++k) sums[r][k] = hn::Zero(d);
    const std::int64_t pairs = w.pairs();
    const auto *in = reinterpret_cast<const float*>(x), *weights = reinterpret_cast<const float*>(panel);  // pairs move as one lane
    for (std::int64_t c = 0; c < pairs; ++c, weights += P::width) {
        V row[vectors];
#pragma GCC unroll 2
        for (int k = 0; k < vectors; ++k) row[k] = hn::LoadU(d, weights + k * lanes);
#pragma GCC unroll 12
        for (int r = 0; r < rows; ++r) {
            const V value = hn::Set(d, in[r * pairs + c]);
#pragma GCC unroll 2
            for (int k = 0; k < vectors; ++k) sums[r][k] = multiply_pairs(sums[r][k], value, row[k]);
        }
    }
    const std::int64_t count = std::min(P::width, w.outputs - first);
#pragma GCC unroll 12
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 2
        for (int k = 0; k < vectors; ++k) {
            const std::int64_t here = std::clamp<std::int64_t>(count - k * lanes, 0, lanes);
            const auto mask = hn::FirstN(d, static_cast<std::size_t>(here));
            const V shift = bias ? hn::MaskedLoad(mask, d, bias + first + k * lanes) : hn::Zero(d);
            hn::BlendedStore(hn::Add(sums[r][k], shift), mask, d, y + r * w.outputs + first + k * lanes);
        }
}

using Product = void (*)(float*, const Bf16*, const Bf16*, const float*, const P&, std::int64_t);
template <int... r> constexpr auto products_of(std::integer_sequence<int, r...>) { return std::array<Product, sizeof...(r)>{product_of<r + 1>...}; }
constexpr auto products = products_of(std::make_integer_sequence<int, P::most_rows>());

void product(float* y, const Bf16* x, const Bf16* panel, const float* bias, std::int64_t rows, const P& w, std::int64_t first) {
    const std::int64_t groups = (rows + P::most_rows - 1) / P::most_rows;
    for (std::int64_t i = 0, begin = 0; i < groups; ++i) {
        const std::int64_t end = rows * (i + 1) / groups;
        products[static_cast<std::size_t>(end - begin - 1)](y + begin * w.outputs, x + begin * 2 * w.pairs(), panel, bias, w, first);
        begin = end;
    }
}

void pack(Bf16* panel, const float* w, const P& g, std::int64_t first) {
    constexpr std::int64_t step = 256;
    Bf16 line[step];
    for (std::int64_t k = 0; k < P::width; ++k)
        for (std::int64_t begin = 0; begin < 2 * g.pairs(); begin += step) {
            const std::int64_t end = std::min(begin + step, 2 * g.pairs()), have = first + k < g.outputs ? std::clamp<std::int64_t>(g.inputs - begin, 0, end - begin) : 0;
            if (have > 0) simd().to_bf16(line, w + (first + k) * g.inputs + begin, have);
            std::fill(line + have, line + (end - begin), Bf16{0});
            for (std::int64_t c = begin; c < end; ++c) panel[(c / 2 * P::width + k) * 2 + c % 2] = line[c - begin];
        }
}

LinearKernels linear_table() { return {product, pack}; }
#else
LinearKernels linear_table() { return {nullptr, nullptr}; }
#endif

}  // namespace
}  // namespace fovea::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea::cpu {

HWY_EXPORT(linear_table);

const LinearKernels& linear_bf16() {
    static const LinearKernels chosen = HWY_DYNAMIC_DISPATCH(linear_table)();
    return chosen;
}

namespace {

class PanelLayout final : public LayoutDetail {
public:
    explicit PanelLayout(const LinearPanels& panels) : panels_(panels) {}
    [[nodiscard]] std::string name() const override { return "panels bf16"; }
    [[nodiscard]] std::size_t bytes() const override { return static_cast<std::size_t>(panels_.panels() * panels_.panel_elements()) * sizeof(Bf16); }
    [[nodiscard]] bool equals(const LayoutDetail& other) const override {
        const auto* same = dynamic_cast<const PanelLayout*>(&other);
        return same && same->panels_.outputs == panels_.outputs && same->panels_.inputs == panels_.inputs;
    }
    [[nodiscard]] bool is_one_way() const override { return true; }

private:
    LinearPanels panels_;
};

}  // namespace

std::optional<Kernel> plan_linear_panels(const Type& type, const Layout& from, const Layout& to) {
    if (!dynamic_cast<const PanelLayout*>(to.get())) return {};
    const LinearPanels w{type.shape[0], type.shape[1]};
    Kernel kernel;
    kernel.name = "simd:panels";
    kernel.in = {from};
    kernel.out = {to};
    kernel.phases.push_back({.parts = split_parts(w.panels(), w.panel_elements() * 6), .run = [w](const KernelArgs& args, const Part& part) {
                                 const auto [begin, end] = piece(part, w.panels());
                                 for (std::int64_t p = begin; p < end; ++p) linear_bf16().pack(as_bf16(args.out[0]) + p * w.panel_elements(), as_f32(args.in[0]), w, p * LinearPanels::width);
                             }});
    return kernel;
}

std::optional<Kernel> plan_linear_bf16(const Node& node, const PlanContext& context) {
    const Shape &x = node.inputs[0].shape(), &k = node.inputs[1].shape();
    if (!context.stores_bf16 || !context.has_fixed_parameters || node.inputs[1].node().op->name != "parameter" || x.elements() == 0) return {};
    const LinearPanels w{k[0], k[1]};
    const std::int64_t rows = x.elements() / w.inputs;
    const bool has_bias = node.inputs.size() > 2;
    const UnaryKernel activate = activation_kernel(node);
    Kernel kernel;
    kernel.name = "simd:bf16";
    kernel.in.resize(node.inputs.size());
    kernel.in[1] = std::make_shared<PanelLayout>(w);
    kernel.out.resize(1);
    kernel.scratch_bytes = static_cast<std::size_t>(rows * 2 * w.pairs()) * sizeof(Bf16);
    kernel.phases.push_back({.parts = split_parts(rows, w.inputs * 6), .reads = 1, .writes = 0, .uses_scratch = true, .run = [=](const KernelArgs& args, const Part& part) {
                                 const auto [begin, end] = piece(part, rows);
                                 for (std::int64_t r = begin; r < end; ++r) {
                                     Bf16* to = as_bf16(args.scratch) + r * 2 * w.pairs();
                                     if (w.inputs % 2) to[w.inputs] = {0};
                                     simd().to_bf16(to, as_f32(args.in[0]) + r * w.inputs, w.inputs);
                                 }
                             }});
    const int parts = split_parts(w.panels(), w.panel_elements() * 2);
    kernel.phases.push_back({.parts = parts, .reads = ~1u, .uses_scratch = true, .run = [=](const KernelArgs& args, const Part& part) {
                                 const auto [begin, end] = piece(part, w.panels());
                                 float* y = as_f32(args.out[0]);
                                 for (std::int64_t p = begin; p < end; ++p)
                                     linear_bf16().product(y, as_bf16(args.scratch), as_bf16(args.in[1]) + p * w.panel_elements(), has_bias ? as_f32(args.in[2]) : nullptr, rows, w,
                                                           p * LinearPanels::width);
                                 if (!activate) return;
                                 const std::int64_t first = begin * LinearPanels::width, count = std::min(end * LinearPanels::width, w.outputs) - first;
                                 for (std::int64_t r = 0; r < rows; ++r) activate(y + r * w.outputs + first, y + r * w.outputs + first, count);
                             }});
    return kernel;
}

}  // namespace fovea::cpu
#endif
