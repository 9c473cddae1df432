// One operator case: a tiny graph whose inputs are the case's, and what a builder makes of it. A builder knows an operator, never a
// case: any case of the same form passes through it.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "fields.h"
#include "fovea/ops.h"

namespace fovea::reference {

class OpCase {
public:
    OpCase(const Json& json);

    [[nodiscard]] Graph& graph() { return graph_; }
    [[nodiscard]] std::size_t inputs() const { return inputs_.size(); }
    [[nodiscard]] bool has(std::size_t i) const { return i < inputs_.size(); }
    /// Input i; an empty Value beyond the last, but the first is needed.
    [[nodiscard]] Value x(std::size_t i = 0);
    [[nodiscard]] const std::map<std::string, Tensor>& given() const { return given_; }
    /// Of input i, which is needed.
    [[nodiscard]] const Type& type(std::size_t i = 0) const;
    [[nodiscard]] const Shape& shape(std::size_t i = 0) const { return type(i).shape; }

    // Attributes; `otherwise` where the case has none of that name, which without it is needed.
    [[nodiscard]] Fields& attrs() { return attrs_; }
    [[nodiscard]] double real(FieldName name, double otherwise) { return attrs_.real(name, otherwise); }
    [[nodiscard]] double real(FieldName name) { return attrs_.real(name); }
    [[nodiscard]] std::int64_t integer(FieldName name, std::int64_t otherwise) { return attrs_.integer(name, otherwise); }
    [[nodiscard]] std::int64_t integer(FieldName name) { return attrs_.integer(name); }
    [[nodiscard]] bool flag(FieldName name, bool otherwise) { return attrs_.flag(name, otherwise); }
    [[nodiscard]] std::string text(FieldName name, const std::string& otherwise) { return attrs_.text(name, otherwise); }
    [[nodiscard]] Size2 size2(FieldName name, const Size2& otherwise) { return attrs_.size2(name, otherwise); }
    [[nodiscard]] Size2 size2(FieldName name) { return attrs_.size2(name); }
    /// "padding" on both sides: a number or [height, width].
    [[nodiscard]] Pad4 padding();
    [[nodiscard]] Reduction reduction(const std::string& otherwise = "mean");
    /// A dimension of input 0; negative ones count from the end.
    [[nodiscard]] std::int64_t axis(FieldName name, std::int64_t otherwise);
    /// A flag such as "bias" says again whether there is an input i: throws ArgumentError where it says otherwise.
    void agrees(const char* name, std::size_t i);
    /// Throws ArgumentError naming the attributes and inputs that nobody read.
    void finish() const;

    /// A constant of the run's precision.
    [[nodiscard]] Value constant(const Tensor& tensor) { return graph_.constant(tensor); }
    [[nodiscard]] Value constant(const std::vector<double>& values);
    /// A buffer described by text: "0.1*s('running_mean')", "1+0.25*s('running_var')".
    [[nodiscard]] Value described(const std::string& text, const Shape& shape);

private:
    Graph graph_;
    Fields attrs_;
    std::vector<Value> inputs_;
    std::set<std::size_t> read_;  ///< inputs
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

/// All cases of a file, by "FILESTEM/NAME"; the names of operators that no table has go to `unknown`, those that failed to `failed`:
/// also a case with an attribute or an input that its operator does not read, as the answer would be another case's. Throws FormatError
/// when the file has no list of cases.
[[nodiscard]] Json run_cases(const Json& file, const std::string& stem, const How& how, std::vector<std::string>& unknown, std::vector<std::string>& failed);

}  // namespace fovea::reference
