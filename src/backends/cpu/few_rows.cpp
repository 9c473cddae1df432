// Four rows of the weight against up to six samples: 24 sums in registers, each over the lanes of a vector until the end. The inputs go by
// stretches that stay in the first-level cache while all samples pass.
#include "backends/cpu/few_rows.h"

#include <algorithm>
#include <array>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "backends/cpu/few_rows.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace fovea::cpu::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::CappedTag<float, 16>;
using V = hn::Vec<D>;
constexpr int outputs_at_once = 4;
constexpr std::int64_t most_lanes = 16;

/// The lanes of the sums of one sample with `outputs` outputs so far.
using Sums = float[outputs_at_once][most_lanes];

/// Adds the products of inputs [begin, end).
template <int samples, int outputs> void add_products(Sums* sums, const float* x, const float* w, std::int64_t inputs, std::int64_t begin, std::int64_t end) {
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    V s[samples][outputs];
#pragma GCC unroll 6
    for (int r = 0; r < samples; ++r)
#pragma GCC unroll 4
        for (int o = 0; o < outputs; ++o) s[r][o] = hn::Load(d, sums[r][o]);
    const auto step = [&](auto load) HWY_ATTR {
        V weight[outputs];
#pragma GCC unroll 4
        for (int o = 0; o < outputs; ++o) weight[o] = load(w + o * inputs);
#pragma GCC unroll 6
        for (int r = 0; r < samples; ++r) {
            const V value = load(x + r * inputs);
#pragma GCC unroll 4
            for (int o = 0; o < outputs; ++o) s[r][o] = hn::MulAdd(value, weight[o], s[r][o]);
        }
    };
    std::int64_t i = begin;
    for (; i + lanes <= end; i += lanes) step([i, d](const float* at) HWY_ATTR { return hn::LoadU(d, at + i); });
    if (i < end) {
        const auto mask = hn::FirstN(d, static_cast<std::size_t>(end - i));
        step([&](const float* at) HWY_ATTR { return hn::MaskedLoad(mask, d, at + i); });
    }
#pragma GCC unroll 6
    for (int r = 0; r < samples; ++r)
#pragma GCC unroll 4
        for (int o = 0; o < outputs; ++o) hn::Store(s[r][o], d, sums[r][o]);
}

using Add = void (*)(Sums*, const float*, const float*, std::int64_t, std::int64_t, std::int64_t);
constexpr std::int64_t samples_at_once = 6;
template <int outputs> constexpr std::array<Add, samples_at_once> adds{add_products<1, outputs>, add_products<2, outputs>, add_products<3, outputs>,
                                                                       add_products<4, outputs>, add_products<5, outputs>, add_products<6, outputs>};
constexpr std::array<std::array<Add, samples_at_once>, outputs_at_once> all_adds{adds<1>, adds<2>, adds<3>, adds<4>};

void run(float* y, const float* x, const float* w, const float* bias, std::int64_t rows, std::int64_t inputs, std::int64_t outputs, std::int64_t begin, std::int64_t end) {
    const D d;
    constexpr std::int64_t stretch = 1024;
    HWY_ALIGN Sums sums[few_rows_limit];
    const std::int64_t groups = (rows + samples_at_once - 1) / samples_at_once;
    for (std::int64_t o = begin; o < end; o += outputs_at_once) {
        const auto count = std::min<std::int64_t>(outputs_at_once, end - o);
        std::fill_n(&sums[0][0][0], rows * outputs_at_once * most_lanes, 0.0f);
        for (std::int64_t first = 0; first < inputs; first += stretch)
            for (std::int64_t g = 0; g < groups; ++g) {
                const std::int64_t from = rows * g / groups, to = rows * (g + 1) / groups;
                all_adds[static_cast<std::size_t>(count - 1)][static_cast<std::size_t>(to - from - 1)](sums + from, x + from * inputs, w + o * inputs, inputs, first, std::min(inputs, first + stretch));
            }
        for (std::int64_t r = 0; r < rows; ++r)
            for (std::int64_t i = 0; i < count; ++i) y[r * outputs + o + i] = hn::GetLane(hn::SumOfLanes(d, hn::Load(d, sums[r][i]))) + (bias ? bias[o + i] : 0.0f);
    }
}

/// `rows` x `vectors` sums in registers; the last vector is `left` lanes where that is not 0.
template <int rows, int vectors> void outer_tile(float* c, std::int64_t ldc, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, std::int64_t k, std::int64_t left) {
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const auto mask = hn::FirstN(d, static_cast<std::size_t>(left > 0 ? left : lanes));
    V s[rows][vectors];
#pragma GCC unroll 6
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) s[r][v] = hn::Zero(d);
    for (std::int64_t i = 0; i < k; ++i, a += lda, b += ldb) {
        V value[vectors];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) value[v] = v + 1 == vectors ? hn::MaskedLoad(mask, d, b + v * lanes) : hn::LoadU(d, b + v * lanes);
#pragma GCC unroll 6
        for (int r = 0; r < rows; ++r) {
            const V factor = hn::Set(d, a[r]);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; ++v) s[r][v] = hn::MulAdd(factor, value[v], s[r][v]);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v)
            if (v + 1 == vectors) hn::BlendedStore(s[r][v], mask, d, c + r * ldc + v * lanes);
            else hn::StoreU(s[r][v], d, c + r * ldc + v * lanes);
}

template <int rows> void outer_stripe(float* c, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, std::int64_t columns, std::int64_t k) {
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(D()));
    std::int64_t j = 0;
    for (; j + 4 * lanes <= columns; j += 4 * lanes) outer_tile<rows, 4>(c + j, columns, a, lda, b + j, ldb, k, 0);
    for (; j < columns; j += lanes) outer_tile<rows, 1>(c + j, columns, a, lda, b + j, ldb, k, columns - j < lanes ? columns - j : 0);
}

void run_outer(float* c, const float* a, std::int64_t lda, const float* b, std::int64_t ldb, std::int64_t rows, std::int64_t columns, std::int64_t k) {
    switch (rows) {
        case 1: return outer_stripe<1>(c, a, lda, b, ldb, columns, k);
        case 2: return outer_stripe<2>(c, a, lda, b, ldb, columns, k);
        case 3: return outer_stripe<3>(c, a, lda, b, ldb, columns, k);
        case 4: return outer_stripe<4>(c, a, lda, b, ldb, columns, k);
        case 5: return outer_stripe<5>(c, a, lda, b, ldb, columns, k);
        default: return outer_stripe<6>(c, a, lda, b, ldb, columns, k);
    }
}

FewRows few_rows_kernel() { return run; }
OuterRows outer_rows_kernel() { return run_outer; }

}  // namespace
}  // namespace fovea::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea::cpu {

HWY_EXPORT(few_rows_kernel);
HWY_EXPORT(outer_rows_kernel);

OuterRows outer_rows() {
    static const OuterRows chosen = HWY_DYNAMIC_DISPATCH(outer_rows_kernel)();
    return chosen;
}

FewRows few_rows() {
    static const FewRows chosen = HWY_DYNAMIC_DISPATCH(few_rows_kernel)();
    return chosen;
}

}  // namespace fovea::cpu
#endif
