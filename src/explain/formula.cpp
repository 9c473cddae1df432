// Nodes of scalar operations as formulas: what a gradient rule has appended to the graph, for people.
#include <cmath>

#include "core/text.h"
#include "explain/expression.h"

namespace fovea {

namespace {

/// How tightly a text holds together: one that is weaker than its place needs parentheses.
enum class Bond { comparison, sum, product, power, atom };

struct Text {
    std::string text;
    Bond bond = Bond::atom;
};

Text of_number(double value) { return {short_number(value), value < 0 ? Bond::sum : Bond::atom}; }

class Formula {
public:
    explicit Formula(const std::map<int, std::string>& names) : names_(names) {}

    [[nodiscard]] Text of(const Value& value) const {
        if (const auto it = names_.find(value.id()); it != names_.end()) return {it->second};
        const Node& node = value.node();
        const std::string_view op = op_name(node);
        const auto part = [&](std::size_t input, Bond least) { return held(of(node.inputs[input]), least); };
        if (op == "constant") return of_number(node.attrs.tensor("value").at(0));
        if (op == "reshape" || op == "expand_to") return of(node.inputs[0]);
        if (op == "add") return plus(part(0, Bond::sum), of(node.inputs[1]));
        if (op == "subtract") return {part(0, Bond::sum) + " - " + part(1, Bond::product), Bond::sum};
        if (op == "multiply") return {part(0, Bond::product) + " * " + part(1, Bond::product), Bond::product};
        if (op == "divide") return {part(0, Bond::product) + " / " + part(1, Bond::power), Bond::product};
        if (op == "scale_shift") return line(of(node.inputs[0]), node.attrs.real("scale"), node.attrs.real("shift"));
        if (op == "square") return {part(0, Bond::atom) + "^2", Bond::power};
        if (op == "pow") return {part(0, Bond::atom) + "^" + short_number(node.attrs.real("exponent")), Bond::power};
        if (op == "greater") return {part(0, Bond::sum) + " > " + part(1, Bond::sum), Bond::comparison};
        if (op == "greater_equal") return {part(0, Bond::sum) + " >= " + part(1, Bond::sum), Bond::comparison};
        if (op == "relu_backward") return {fmt::format("{} * ({} > 0)", part(0, Bond::product), part(1, Bond::sum)), Bond::product};
        if (op == "tanh_backward") return {fmt::format("{} * (1 - {}^2)", part(0, Bond::product), part(1, Bond::atom)), Bond::product};
        if (op == "sigmoid_backward") return {fmt::format("{0} * {1} * (1 - {2})", part(0, Bond::product), part(1, Bond::product), part(1, Bond::product)), Bond::product};
        std::string operands;
        for (const Value& input : node.inputs) operands += (operands.empty() ? "" : ", ") + of(input).text;
        return {fmt::format("{}({})", op == "log" ? "ln" : op, operands)};
    }

private:
    static std::string held(const Text& text, Bond least) { return text.bond < least ? "(" + text.text + ")" : text.text; }

    static Text plus(const std::string& left, const Text& right) {
        const std::string text = held(right, Bond::sum);
        return {text.starts_with('-') ? left + " - " + text.substr(1) : left + " + " + text, Bond::sum};
    }

    /// scale * x + shift
    static Text line(const Text& x, double scale, double shift) {
        Text scaled = x;
        if (scale == -1) scaled = {"-" + held(x, Bond::product), Bond::sum};
        else if (scale != 1) scaled = {short_number(scale) + " * " + held(x, Bond::product), scale < 0 ? Bond::sum : Bond::product};
        if (shift == 0) return scaled;
        return scale < 0 ? plus(short_number(shift), scaled) : plus(held(scaled, Bond::sum), of_number(shift));
    }

    const std::map<int, std::string>& names_;
};

}  // namespace

std::string formula_of(const Value& value, const std::map<int, std::string>& names) { return Formula(names).of(value).text; }

}  // namespace fovea
