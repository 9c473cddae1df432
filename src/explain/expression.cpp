// Expressions as people write them, "ln(x1) + x1*x2 - sin(x2)", taken apart into operations by recursive descent.
#include "explain/expression.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numbers>
#include <numeric>

#include "core/text.h"
#include "fovea/ops.h"

namespace fovea {

namespace {

using Operand = Expression::Operand;
using Kind = Operand::Kind;

struct Function {
    std::string_view name;
    std::size_t operands;
    Value (*node)(const std::vector<Value>& x);
};

const std::vector<Function>& functions() {
    static const std::vector<Function> list{
        {"ln", 1, [](const auto& x) { return log(x[0]); }},       {"log", 1, [](const auto& x) { return log(x[0]); }},         {"exp", 1, [](const auto& x) { return exp(x[0]); }},
        {"sin", 1, [](const auto& x) { return sin(x[0]); }},      {"cos", 1, [](const auto& x) { return cos(x[0]); }},         {"tanh", 1, [](const auto& x) { return tanh(x[0]); }},
        {"sqrt", 1, [](const auto& x) { return sqrt(x[0]); }},    {"abs", 1, [](const auto& x) { return abs(x[0]); }},         {"erf", 1, [](const auto& x) { return erf(x[0]); }},
        {"relu", 1, [](const auto& x) { return relu(x[0]); }},    {"sigmoid", 1, [](const auto& x) { return sigmoid(x[0]); }}, {"softplus", 1, [](const auto& x) { return softplus(x[0]); }},
        {"max", 2, [](const auto& x) { return maximum(x[0], x[1]); }}, {"min", 2, [](const auto& x) { return minimum(x[0], x[1]); }},
    };
    return list;
}

const Function* find_function(std::string_view name) {
    const auto it = std::ranges::find(functions(), name, &Function::name);
    return it == functions().end() ? nullptr : &*it;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

Operand number(double value) { return {.kind = Kind::number, .number = value}; }

double folded(char op, double a, double b) {
    switch (op) {
        case '+': return a + b;
        case '-': return a - b;
        case '*': return a * b;
        case '/': return a / b;
        default: return std::pow(a, b);
    }
}

class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}

    Expression run() {
        do {
            (void)peek();
            const std::size_t start = at_;
            result_.outputs.push_back(sum());
            const std::string_view whole = text_.substr(start, at_ - start);
            result_.texts.emplace_back(whole.substr(0, whole.find_last_not_of(" \t\n") + 1));
        } while (accept(';'));
        if (at_ < text_.size()) expected("an operator or the end");
        require<ArgumentError>(!result_.variables.empty(), "'{}' has no variable, so it has no derivative", text_);
        order_steps();
        result_.step_letter = free_letter("vwst");
        result_.output_letter = free_letter("yfgh");
        return std::move(result_);
    }

private:
    /// The next character that is no space; 0 at the end.
    char peek() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n')) ++at_;
        return at_ < text_.size() ? text_[at_] : '\0';
    }
    bool accept(char wanted) {
        if (peek() != wanted || at_ == text_.size()) return false;
        ++at_;
        return true;
    }
    template <class... Args> [[noreturn]] void fail_at(std::size_t at, fmt::format_string<Args...> what, Args&&... args) const {
        constexpr std::size_t shown = 200;
        fail<ArgumentError>("column {} of '{}{}': {}", at + 1, text_.substr(0, shown), text_.size() > shown ? "..." : "", fmt::format(what, std::forward<Args>(args)...));
    }
    [[noreturn]] void expected(std::string_view what) {
        (void)peek();
        std::size_t end = std::min(at_ + 1, text_.size());
        while (end < text_.size() && (static_cast<unsigned char>(text_[end]) & 0xC0) == 0x80) ++end;  // the whole of a UTF-8 character
        fail_at(at_, "expected {}, got {}", what, at_ == text_.size() ? std::string("the end") : fmt::format("'{}'", text_.substr(at_, end - at_)));
    }

    Operand apply(std::string op, std::vector<Operand> operands) {
        if (op.size() == 1 && std::ranges::all_of(operands, [](const Operand& o) { return o.kind == Kind::number; })) return number(folded(op[0], operands[0].number, operands[1].number));
        int level = 1;
        for (const Operand& operand : operands)
            if (operand.kind == Kind::step) level = std::max(level, levels_[operand.index] + 1);
        result_.steps.push_back({std::move(op), std::move(operands)});
        levels_.push_back(level);
        return {.kind = Kind::step, .index = levels_.size() - 1};
    }

    Operand sum() {
        Operand left = product();
        for (char op = peek(); op == '+' || op == '-'; op = peek()) {
            ++at_;
            left = apply(std::string(1, op), {left, product()});
        }
        return left;
    }

    Operand product() {
        Operand left = factor();
        for (char op = peek(); op == '*' || op == '/'; op = peek()) {
            ++at_;
            left = apply(std::string(1, op), {left, factor()});
        }
        return left;
    }

    /// -x^2 is -(x^2). Every way down leads through here, so this bounds the stack.
    Operand factor() {
        constexpr int deepest = 200;
        if (++depth_ > deepest) fail_at(at_, "more than {} parentheses and signs inside one another", deepest);
        Operand x;
        if (accept('-')) {
            x = factor();
            x = x.kind == Kind::number ? number(-x.number) : apply("negate", {x});
        } else {
            x = power();
        }
        --depth_;
        return x;
    }

    /// Binds to the right: 2^3^2 is 2^9. What is no number above becomes a^b = exp(b ln a).
    Operand power() {
        (void)peek();
        const std::size_t start = at_;
        const Operand base = primary();
        if (!accept('^')) return base;
        const Operand exponent = factor();
        if (exponent.kind == Kind::number) return apply("^", {base, exponent});
        if (base.kind != Kind::number) return apply("exp", {apply("*", {exponent, apply("ln", {base})})});
        if (!(base.number > 0)) fail_at(start, "expected a positive number under an exponent that varies, got {}", short_number(base.number));
        return apply("exp", {apply("*", {exponent, number(std::log(base.number))})});
    }

    Operand primary() {
        const char c = peek();
        if (accept('(')) {
            const Operand x = sum();
            if (!accept(')')) expected("an operator or ')'");
            return x;
        }
        if (is_digit(c) || c == '.') {
            double value = 0;
            const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
            if (error != std::errc()) expected("a number");
            at_ = static_cast<std::size_t>(end - text_.data());
            return number(value);
        }
        if (is_letter(c)) return named();
        expected("a number, a name or '('");
    }

    Operand named() {
        const std::size_t start = at_;
        while (at_ < text_.size() && (is_letter(text_[at_]) || is_digit(text_[at_]))) ++at_;
        const std::string name(text_.substr(start, at_ - start));
        const Function* function = find_function(name);
        if (peek() == '(') {
            if (!function) {
                std::vector<std::string_view> names;
                for (const Function& f : functions()) names.push_back(f.name);
                fail_at(start, "no function '{}'; there are {}", name, fmt::join(names, ", "));
            }
            ++at_;
            std::vector<Operand> operands;
            do operands.push_back(sum());
            while (accept(','));
            if (!accept(')')) expected("an operator, ',' or ')'");
            if (operands.size() != function->operands) fail_at(start, "{} takes {} value{}, got {}", name, function->operands, function->operands == 1 ? "" : "s", operands.size());
            return apply(name == "log" ? "ln" : name, std::move(operands));
        }
        if (function) expected(fmt::format("'(' behind the function {}", name));
        if (name == "pi") return number(std::numbers::pi);
        auto& variables = result_.variables;
        const auto it = std::ranges::find(variables, name);
        const auto index = static_cast<std::size_t>(it - variables.begin());
        if (it == variables.end()) variables.push_back(name);
        return {.kind = Kind::variable, .index = index};
    }

    void order_steps() {
        std::vector<std::size_t> order(levels_.size()), place(levels_.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        std::ranges::stable_sort(order, {}, [&](std::size_t step) { return levels_[step]; });
        std::vector<Expression::Step> steps;
        for (const std::size_t step : order) {
            place[step] = steps.size();
            steps.push_back(std::move(result_.steps[step]));
        }
        result_.steps = std::move(steps);
        const auto renumber = [&](Operand& operand) {
            if (operand.kind == Kind::step) operand.index = place[operand.index];
        };
        for (Expression::Step& step : result_.steps) std::ranges::for_each(step.operands, renumber);
        std::ranges::for_each(result_.outputs, renumber);
    }

    /// The first that is no variable's name, alone or with digits behind it.
    [[nodiscard]] char free_letter(std::string_view letters) const {
        for (const char letter : letters)
            if (std::ranges::none_of(result_.variables, [&](const std::string& name) { return name[0] == letter && std::all_of(name.begin() + 1, name.end(), is_digit); })) return letter;
        return '_';
    }

    std::string_view text_;
    std::size_t at_ = 0;
    int depth_ = 0;
    Expression result_;
    std::vector<int> levels_;  ///< of each step: how many operations lie below one another in it
};

}  // namespace

std::string short_number(double value) { return fmt::format("{:.6g}", value == 0 ? 0 : value); }  // a zero has no sign

Expression parse_expression(std::string_view text) { return Parser(text).run(); }

std::string Expression::name(const Operand& operand) const {
    switch (operand.kind) {
        case Kind::variable: return variables[operand.index];
        case Kind::step: return fmt::format("{}{}", step_letter, operand.index + 1);
        case Kind::number: break;
    }
    return short_number(operand.number);
}

std::string Expression::output_name(std::size_t output) const { return outputs.size() == 1 ? std::string(1, output_letter) : fmt::format("{}{}", output_letter, output + 1); }

std::string Expression::text(const Step& step) const {
    const std::string first = name(step.operands[0]);
    if (step.op == "negate") return "-" + first;
    if (step.op == "^") return fmt::format("{}^{}", first, name(step.operands[1]));
    if (step.op.size() == 1) return fmt::format("{} {} {}", first, step.op, name(step.operands[1]));
    return step.operands.size() == 1 ? fmt::format("{}({})", step.op, first) : fmt::format("{}({}, {})", step.op, first, name(step.operands[1]));
}

Value applied(const Expression::Step& step, const std::vector<Value>& operands) {
    const Value& x = operands[0];
    if (step.op == "negate") return -x;
    if (step.op == "+") return add(x, operands[1]);
    if (step.op == "-") return subtract(x, operands[1]);
    if (step.op == "*") return multiply(x, operands[1]);
    if (step.op == "/") return divide(x, operands[1]);
    if (step.op == "^") return step.operands[1].number == 2 ? square(x) : pow(x, step.operands[1].number);
    const Function* function = find_function(step.op);
    require<ArgumentError>(function != nullptr && function->operands == operands.size(), "no operation '{}' of {} values", step.op, operands.size());
    return function->node(operands);
}

}  // namespace fovea
