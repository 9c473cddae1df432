// The fill rule of the reference records: every tensor is a pure function of its name and shape.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "fovea/graph.h"

namespace fovea::reference {

/// u(i) of `name`, in [0, 1).
[[nodiscard]] double unit(std::string_view name, std::int64_t i);
/// s(i) = 2 u(i) - 1.
[[nodiscard]] inline double signed_unit(std::string_view name, std::int64_t i) { return 2 * unit(name, i) - 1; }

/// s as f32 values: inputs, dense targets.
[[nodiscard]] Tensor image(std::string_view name, const Shape& shape);
/// A parameter or buffer, f32; integers and scalars stay 0.
[[nodiscard]] Tensor parameter(const ParameterInfo& info, double gain);
/// (37 i + 11) mod classes.
[[nodiscard]] Tensor labels(const Shape& shape, std::int64_t classes);
/// The dot product with s under the name "probe".
[[nodiscard]] double probe(const Tensor& tensor);

}  // namespace fovea::reference
