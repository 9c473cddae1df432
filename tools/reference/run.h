// Running graphs and writing down what came out.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "fovea/runtime.h"

namespace fovea::reference {

using Json = nlohmann::ordered_json;

/// How everything of one call of the tool is computed.
struct How {
    Precision precision = Precision::f32;
    std::string backend = "cpu";
    [[nodiscard]] DType real() const { return precision == Precision::f64 ? DType::f64 : DType::f32; }
};

/// Compiles a copy of the graph whose outputs are `wanted` and runs it once. `state`, when given, holds the parameters and
/// receives the graph's updates; without it the graph must have none.
[[nodiscard]] std::vector<Tensor> evaluate(const Graph& graph, const std::vector<Value>& wanted, const std::map<std::string, Tensor>& inputs, const How& how,
                                           const std::shared_ptr<State>& state = nullptr, bool inference = false);
/// Parameters in the precision of the run.
[[nodiscard]] std::shared_ptr<State> make_state(const Parameters& parameters, const How& how);

/// A number as JSON: NaN and infinities, which JSON lacks, as text.
[[nodiscard]] Json number(double value);
/// The first `count` values.
[[nodiscard]] Json first_values(const Tensor& tensor, std::int64_t count);
[[nodiscard]] double l2(const Tensor& tensor);
[[nodiscard]] Json shape_of(const Tensor& tensor);
/// shape, outputs (first 32), l2, sum, probe and, for batches, the argmax of each sample.
[[nodiscard]] Json summary(const Tensor& tensor);

}  // namespace fovea::reference
