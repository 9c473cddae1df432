// Linear layers on bf16 weights: what few rows wait for is the weights' way from memory, and half the bytes take half the time.
#pragma once

#include <optional>

#include "backends/cpu/bf16.h"

namespace fovea::cpu {

/// Weights [K, C] as panels of 32 outputs: [K / 32][C / 2][32][2], ends padded with zeros.
struct LinearPanels {
    static constexpr std::int64_t width = 32, most_rows = 12;
    std::int64_t outputs, inputs;
    [[nodiscard]] std::int64_t panels() const { return (outputs + width - 1) / width; }
    [[nodiscard]] std::int64_t pairs() const { return (inputs + 1) / 2; }
    [[nodiscard]] std::int64_t panel_elements() const { return pairs() * 2 * width; }
};

struct LinearKernels {
    /// y[r, k] = bias[k] + sum over c of x[r, c] w[k, c] for `rows` rows and the outputs of one panel; x [rows][2 pairs], y a whole row apart.
    void (*product)(float* y, const Bf16* x, const Bf16* panel, const float* bias, std::int64_t rows, const LinearPanels& weights, std::int64_t first_output);
    /// The panel from its rows of the row-major weight.
    void (*pack)(Bf16* panel, const float* w, const LinearPanels& weights, std::int64_t first_output);
};
/// Null functions where the processor has no bf16 products.
[[nodiscard]] const LinearKernels& linear_bf16();

/// A linear layer of an inference program on packed weights; nothing elsewhere: a training step would pack them each time.
[[nodiscard]] std::optional<Kernel> plan_linear_bf16(const Node& node, const PlanContext& context);
/// The reorder into the layout it wants its weights in; nothing for another `to`.
[[nodiscard]] std::optional<Kernel> plan_linear_panels(const Type& type, const Layout& from, const Layout& to);

}  // namespace fovea::cpu
