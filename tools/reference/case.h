// One operator case: a tiny graph whose inputs are the case's, and what a builder makes of it. A builder knows an operator, never a
// case: any case of the same form passes through it.
#pragma once

#include <limits>
#include <map>
#include <string>
#include <vector>

#include "fovea/ops.h"
#include "run.h"

namespace fovea::reference {

class OpCase {
public:
    OpCase(const Json& json);

    [[nodiscard]] Graph& graph() { return graph_; }
    [[nodiscard]] const Json& attrs() const { return attrs_; }
    [[nodiscard]] std::size_t inputs() const { return inputs_.size(); }
    [[nodiscard]] bool has(std::size_t i) const { return i < inputs_.size(); }
    /// Input i; an empty Value beyond the last.
    [[nodiscard]] Value x(std::size_t i = 0) const { return has(i) ? inputs_[i] : Value{}; }
    [[nodiscard]] const std::map<std::string, Tensor>& given() const { return given_; }
    [[nodiscard]] const Shape& shape(std::size_t i = 0) const { return inputs_[i].shape(); }

    // Attributes; `otherwise` where the case has none of that name.
    [[nodiscard]] bool has_attr(const char* name) const { return attrs_.contains(name) && !attrs_[name].is_null(); }
    [[nodiscard]] double real(const char* name, double otherwise) const { return has_attr(name) ? attrs_[name].get<double>() : otherwise; }
    [[nodiscard]] double real(const char* name) const { return attrs_.at(name).get<double>(); }
    [[nodiscard]] std::int64_t integer(const char* name, std::int64_t otherwise) const { return has_attr(name) ? attrs_[name].get<std::int64_t>() : otherwise; }
    [[nodiscard]] bool flag(const char* name, bool otherwise) const { return has_attr(name) ? attrs_[name].get<bool>() : otherwise; }
    [[nodiscard]] std::string text(const char* name, const std::string& otherwise) const { return has_attr(name) ? attrs_[name].get<std::string>() : otherwise; }
    /// A number for both, or [height, width].
    [[nodiscard]] Size2 size2(const char* name, std::int64_t otherwise) const;
    [[nodiscard]] Pad4 padding() const;
    [[nodiscard]] Reduction reduction() const;

    /// A constant of the run's precision.
    [[nodiscard]] Value constant(const Tensor& tensor) { return graph_.constant(tensor); }
    [[nodiscard]] Value constant(const std::vector<double>& values);
    /// A buffer described by text: "0.1*s('running_mean')", "1+0.25*s('running_var')".
    [[nodiscard]] Value described(const std::string& text, const Shape& shape);

private:
    Graph graph_;
    Json attrs_;
    std::vector<Value> inputs_;
    std::map<std::string, Tensor> given_;
};

struct OpResult {
    OpResult(const Value& value) : outputs{value} {}
    OpResult(std::vector<Value> values, std::size_t with_gradient) : outputs(std::move(values)), differentiable(with_gradient) {}
    std::vector<Value> outputs;
    /// Gradients are those of the first so many outputs.
    std::size_t differentiable = 1;
};

using OpBuilder = OpResult (*)(OpCase&);
using OpTable = std::map<std::string, OpBuilder, std::less<>>;

// One table per group, each in its own file.
void add_activation_ops(OpTable& table);
void add_conv_ops(OpTable& table);
void add_detect_ops(OpTable& table);
void add_loss_ops(OpTable& table);
void add_norm_ops(OpTable& table);
void add_pool_ops(OpTable& table);
void add_resample_ops(OpTable& table);

/// Parameters after each step of an optimiser case. Throws ArgumentError for an unknown optimiser.
[[nodiscard]] Json run_optimiser(const Json& json, const How& how);
[[nodiscard]] bool is_optimiser(std::string_view op);

/// All cases of a file, by "FILESTEM/NAME"; the names of operators that no table has go to `unknown`, those that failed to `failed`.
[[nodiscard]] Json run_cases(const Json& file, const std::string& stem, const How& how, std::vector<std::string>& unknown, std::vector<std::string>& failed);

}  // namespace fovea::reference
