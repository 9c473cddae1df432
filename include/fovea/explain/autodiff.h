// Derivatives of scalar expressions, pass by pass: forward mode makes one for each input, reverse mode one for each output.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/explain.h"

namespace fovea {

/// Scalar functions of named variables, taken apart into operations.
struct Expression {
    struct Operand {
        enum class Kind { variable, step, number };
        Kind kind = Kind::number;
        std::size_t index = 0;  ///< of the variable or the step
        double number = 0;
    };
    struct Step {
        std::string op;  ///< "+", "-", "*", "/", "^" (by a number), "negate", or a function's name
        std::vector<Operand> operands;
    };
    std::vector<std::string> variables;  ///< in the order they are first read
    std::vector<Step> steps;             ///< by how many lie below each other, then from left to right: the order of textbooks
    std::vector<Operand> outputs;
    std::vector<std::string> texts;      ///< of the outputs, as they were written
    char step_letter = 'v', output_letter = 'y';  ///< others where a variable is called so

    /// "x1", "v3", "0.5"
    [[nodiscard]] std::string name(const Operand& operand) const;
    /// "y"; "y1", "y2" where there are several.
    [[nodiscard]] std::string output_name(std::size_t output) const;
    /// "x1 * x2"
    [[nodiscard]] std::string text(const Step& step) const;
};
/// Numbers, names, + - * / ^, parentheses, pi and functions (ln, sin, tanh, relu, ...); ';' between outputs. Throws ArgumentError with the column,
/// what was expected there and what came.
[[nodiscard]] Expression parse_expression(std::string_view text);

/// A number for each of some variables.
using Assignment = std::map<std::string, double, std::less<>>;

enum class DerivativeMode { forward, reverse };
[[nodiscard]] std::string_view name_of(DerivativeMode mode);

/// One sweep over an expression in f64 on the reference backend. The derivatives are those of jvp() and gradients(): formulas are read off their nodes.
struct DerivativePass {
    /// What reverse mode adds to an adjoint, and for whom.
    struct Addition {
        std::string reader;   ///< the step that read the value, or the output it is
        std::string formula;  ///< "v3_bar * cos(x2)"
        double value = 0;
    };
    struct Row {
        std::string name, expression;  ///< "v3", "sin(x2)"; a variable has no expression
        double value = 0;
        std::string formula;           ///< "x2_dot * cos(x2)"; of an adjoint only where it is given, not added up
        double derivative = 0;         ///< the tangent or the adjoint
        std::vector<Addition> additions{};  ///< reverse mode: they make the adjoint, in this order
    };
    DerivativeMode mode = DerivativeMode::forward;
    std::string of;               ///< the input or output a Jacobian's pass is for
    std::vector<Row> rows;        ///< as the pass goes: from the variables on, or from the outputs back
    std::vector<double> result;   ///< J v, by output; J^T u, by variable in the order asked for
    std::int64_t operations = 0;  ///< beside those of the function itself, by the ops' own cost rules
};
/// How everything moves while the variables move along `direction`; one that is not named there is fixed. Throws ArgumentError.
[[nodiscard]] DerivativePass forward_pass(const Expression& expression, const Assignment& at, const Assignment& direction);
/// How sum(output * cotangent) answers to everything that depends on the variables `wrt`; empty: all.
[[nodiscard]] DerivativePass reverse_pass(const Expression& expression, const Assignment& at, const std::vector<double>& cotangent, const std::vector<std::string>& wrt = {});

/// Derivatives of each output with respect to each variable, and the passes they took.
struct Jacobian {
    Expression expression;
    Assignment at;
    DerivativeMode mode = DerivativeMode::forward;
    std::vector<std::string> wrt;
    std::vector<double> values;               ///< of the outputs
    std::vector<std::vector<double>> slopes;  ///< [output][variable]
    std::vector<DerivativePass> passes;
    std::int64_t function_operations = 0;
};
[[nodiscard]] Jacobian jacobian(const Expression& expression, const Assignment& at, DerivativeMode mode, const std::vector<std::string>& wrt = {});

/// A row per value; in reverse mode a row per addition.
[[nodiscard]] Sheet pass_sheet(const DerivativePass& pass);
/// The derivatives as one mode has them; what each mode took, and how far they are apart, stands below.
[[nodiscard]] Sheet jacobian_sheet(const std::vector<Jacobian>& by_mode);

}  // namespace fovea
