// Forward and reverse mode over an expression, made visible. Baydin, Pearlmutter, Radul, Siskind 2018, arXiv:1502.05767, tables 2 and 3. The derivatives are the
// nodes that jvp() and gradients() append; here they are only run, counted and read.
#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "explain/expression.h"
#include "fovea/ops.h"
#include "fovea/passes.h"
#include "fovea/runtime.h"

namespace fovea {

namespace {

using Operand = Expression::Operand;
using Kind = Operand::Kind;

/// A value as one operation reads it. It is a node of its own, so that reverse mode says what comes back along this way alone.
struct Read {
    Operand of;
    std::size_t reader = 0;  ///< a step
    Value value;
};

/// The expression as a graph of scalars.
struct Scalars {
    explicit Scalars(const Expression& expression_) : expression(expression_) {
        for (const std::string& name : expression.variables) variables.push_back(graph.input(name, Shape{}));
        for (std::size_t s = 0; s < expression.steps.size(); ++s) {
            std::vector<Value> operands;
            for (const Operand& operand : expression.steps[s].operands) {
                operands.push_back(operand.kind == Kind::number ? scalar(graph, operand.number) : reshape(at(operand), {}, "read"));
                if (operand.kind != Kind::number) reads.push_back({operand, s, operands.back()});
            }
            steps.push_back(applied(expression.steps[s], operands));
        }
    }

    /// Empty for a number.
    [[nodiscard]] Value at(const Operand& operand) const { return operand.kind == Kind::number ? Value{} : operand.kind == Kind::step ? steps[operand.index] : variables[operand.index]; }

    /// Another input, called like what it belongs to: '.' is in no variable's name.
    Value seed(const std::string& name, double value) {
        const Value input = graph.input("seed." + name, Shape{});
        given["seed." + name] = Tensor::scalar(value, DType::f64);
        return input;
    }

    /// The names of what the function itself computes.
    [[nodiscard]] std::map<int, std::string> names() const {
        std::map<int, std::string> result;
        for (std::size_t i = 0; i < variables.size(); ++i) result[variables[i].id()] = expression.variables[i];
        for (std::size_t i = 0; i < steps.size(); ++i) result[steps[i].id()] = expression.name({.kind = Kind::step, .index = i});
        return result;
    }

    /// What `values` take beside the function itself; the function's own where there are none.
    [[nodiscard]] std::int64_t operations(const std::vector<Value>& values = {}) const {
        const std::vector<bool> own = reachable(graph, steps), needed = values.empty() ? own : reachable(graph, values);
        std::int64_t count = 0;
        for (const Node& node : graph.nodes()) {
            const auto id = static_cast<std::size_t>(node.id);
            if (needed[id] && (values.empty() || !own[id])) count += cost_of(node).operations;
        }
        return count;
    }

    void give(const Assignment& at) {
        for (const std::string& name : expression.variables) {
            const auto it = at.find(name);
            require<ArgumentError>(it != at.end(), "no value for '{}'; the expression reads {}", name, fmt::join(expression.variables, ", "));
            given[name] = Tensor::scalar(it->second, DType::f64);
        }
        for (const auto& [name, value] : at) (void)index_of(name);
    }

    [[nodiscard]] std::size_t index_of(std::string_view name) const {
        const auto it = std::ranges::find(expression.variables, name);
        require<ArgumentError>(it != expression.variables.end(), "no variable '{}'; the expression reads {}", name, fmt::join(expression.variables, ", "));
        return static_cast<std::size_t>(it - expression.variables.begin());
    }

    /// Runs the graph once, by the plain loops in f64, for everything in `wanted`; value_of() then knows it.
    void run(const std::vector<std::vector<Value>>& wanted) {
        graph.clear_outputs();
        std::vector<int> ids;
        for (const auto& values : wanted)
            for (const Value& value : values) {
                if (value.is_empty() || value.node().inputs.empty() || std::ranges::find(ids, value.id()) != ids.end()) continue;
                graph.output(fmt::format("{}", value.id()), value);
                ids.push_back(value.id());
            }
        if (ids.empty()) return;
        Session session(compile(graph, {}, {.backend = "reference", .precision = Precision::f64, .fuse = false}), std::make_shared<State>(Parameters{}));
        const std::vector<Tensor> results = session.run(given);
        for (std::size_t i = 0; i < ids.size(); ++i) computed[ids[i]] = results[i].at(0);
    }

    /// 0 for an empty Value: nothing depends on it.
    [[nodiscard]] double value_of(const Value& value) const {
        if (value.is_empty()) return 0;
        const Node& node = value.node();
        if (op_name(node) == "input") return given.at(node.path).at(0);
        if (op_name(node) == "constant") return node.attrs.tensor("value").at(0);
        return computed.at(node.id);
    }
    [[nodiscard]] double value_of(const Operand& operand) const { return operand.kind == Kind::number ? operand.number : value_of(at(operand)); }

    const Expression& expression;
    Graph graph;
    std::vector<Value> variables, steps;
    std::vector<Read> reads;
    std::map<std::string, Tensor> given;
    std::map<int, double> computed;
};

/// A number for each variable and each step; empty where there is none.
struct Beside {
    std::vector<Value> variables, steps;
    [[nodiscard]] Value at(const Operand& operand) const { return operand.kind == Kind::number ? Value{} : operand.kind == Kind::step ? steps[operand.index] : variables[operand.index]; }
};

std::string dot(const std::string& name) { return name + "_dot"; }
std::string bar(const std::string& name) { return name + "_bar"; }

/// Whether each variable and step depends on one of the variables `wrt`.
struct Active {
    Active(const Expression& expression, const Scalars& scalars, const std::vector<std::string>& wrt) : variables(expression.variables.size(), false) {
        for (const std::string& name : wrt) variables[scalars.index_of(name)] = true;
        for (const Expression::Step& step : expression.steps) steps.push_back(std::ranges::any_of(step.operands, [&](const Operand& o) { return at(o); }));
    }
    [[nodiscard]] bool at(const Operand& operand) const { return operand.kind == Kind::step ? steps[operand.index] : operand.kind == Kind::variable && variables[operand.index]; }
    std::vector<bool> variables, steps;
};

/// The reverse pass's row of a value: what was added to its adjoint, the value as an output first, then its readers from the last one back.
DerivativePass::Row adjoint_row(const Scalars& scalars, const Operand& operand, const Beside& bars, const std::vector<double>& cotangent, const std::vector<Value>& read_bars) {
    const Expression& expression = scalars.expression;
    DerivativePass::Row row{.name = expression.name(operand), .value = scalars.value_of(operand), .derivative = scalars.value_of(bars.at(operand))};
    if (operand.kind == Kind::step) row.expression = expression.text(expression.steps[operand.index]);
    const auto is_this = [&](const Operand& other) { return other.kind == operand.kind && other.index == operand.index; };
    for (std::size_t o = 0; o < expression.outputs.size(); ++o)
        if (is_this(expression.outputs[o])) row.additions.push_back({expression.output_name(o), bar(expression.output_name(o)), cotangent[o]});
    for (std::size_t r = scalars.reads.size(); r-- > 0;) {
        const Read& read = scalars.reads[r];
        if (!is_this(read.of) || read_bars[r].is_empty()) continue;
        const std::string reader = expression.name({.kind = Kind::step, .index = read.reader});
        std::map<int, std::string> names = scalars.names();
        names[bars.steps[read.reader].id()] = bar(reader);  // one node may be the adjoint of several: here it is the reader's
        row.additions.push_back({reader, formula_of(read_bars[r], names), scalars.value_of(read_bars[r])});
    }
    return row;
}

}  // namespace

std::string_view name_of(DerivativeMode mode) { return mode == DerivativeMode::forward ? "forward" : "reverse"; }

DerivativePass forward_pass(const Expression& expression, const Assignment& at, const Assignment& direction) {
    Scalars scalars(expression);
    scalars.give(at);
    Beside dots{std::vector<Value>(expression.variables.size()), {}};
    std::vector<Value> moving, speeds;
    for (const auto& [name, speed] : direction) {
        const std::size_t i = scalars.index_of(name);
        moving.push_back(scalars.variables[i]);
        speeds.push_back(dots.variables[i] = scalars.seed(name, speed));
    }
    dots.steps = jvp(scalars.steps, moving, speeds);

    DerivativePass pass{.mode = DerivativeMode::forward};
    std::vector<Value> ends;
    for (const Operand& output : expression.outputs)
        if (const Value end = dots.at(output); !end.is_empty()) ends.push_back(end);
    if (!ends.empty()) pass.operations = scalars.operations(ends);
    scalars.run({scalars.steps, dots.steps});
    for (std::size_t i = 0; i < expression.variables.size(); ++i) {
        const double speed = scalars.value_of(dots.variables[i]);
        pass.rows.push_back({.name = expression.variables[i], .value = scalars.value_of(scalars.variables[i]), .formula = short_number(speed), .derivative = speed});
    }
    for (std::size_t s = 0; s < expression.steps.size(); ++s) {
        const Expression::Step& step = expression.steps[s];
        std::map<int, std::string> names = scalars.names();
        for (const Operand& operand : step.operands)
            if (const Value speed = dots.at(operand); !speed.is_empty() && op_name(speed.node()) != "constant") names[speed.id()] = dot(expression.name(operand));
        pass.rows.push_back({.name = expression.name({.kind = Kind::step, .index = s}), .expression = expression.text(step), .value = scalars.value_of(scalars.steps[s]),
                             .formula = formula_of(dots.steps[s], names), .derivative = scalars.value_of(dots.steps[s])});
    }
    for (std::size_t o = 0; o < expression.outputs.size(); ++o) {
        const Operand& output = expression.outputs[o];
        const double slope = scalars.value_of(dots.at(output));
        pass.rows.push_back({.name = expression.output_name(o), .expression = expression.name(output), .value = scalars.value_of(output),
                             .formula = output.kind == Kind::number ? "0" : dot(expression.name(output)), .derivative = slope});
        pass.result.push_back(slope);
    }
    return pass;
}

DerivativePass reverse_pass(const Expression& expression, const Assignment& at, const std::vector<double>& cotangent, const std::vector<std::string>& wrt) {
    require<ArgumentError>(cotangent.size() == expression.outputs.size(), "reverse pass: {} cotangents for {} outputs", cotangent.size(), expression.outputs.size());
    Scalars scalars(expression);
    scalars.give(at);
    const std::vector<std::string>& asked = wrt.empty() ? expression.variables : wrt;
    const Active active(expression, scalars, asked);
    std::vector<Value> ys, seeds;
    for (std::size_t o = 0; o < expression.outputs.size(); ++o) {
        if (!active.at(expression.outputs[o])) continue;
        ys.push_back(scalars.at(expression.outputs[o]));
        seeds.push_back(scalars.seed(expression.output_name(o), cotangent[o]));
    }
    // One sweep gives the adjoints of everything on the way, too; where nothing moves no way is gone.
    std::vector<Value> xs;
    std::vector<Value*> results;
    Beside bars{std::vector<Value>(scalars.variables.size()), std::vector<Value>(scalars.steps.size())};
    std::vector<Value> read_bars(scalars.reads.size());
    const auto want = [&](const Operand& of, const Value& value, Value& result) {
        if (!active.at(of)) return;
        xs.push_back(value);
        results.push_back(&result);
    };
    for (std::size_t i = 0; i < scalars.variables.size(); ++i) want({.kind = Kind::variable, .index = i}, scalars.variables[i], bars.variables[i]);
    for (std::size_t s = 0; s < scalars.steps.size(); ++s) want({.kind = Kind::step, .index = s}, scalars.steps[s], bars.steps[s]);
    for (std::size_t r = 0; r < scalars.reads.size(); ++r) want(scalars.reads[r].of, scalars.reads[r].value, read_bars[r]);
    const std::vector<Value> found = gradients(ys, xs, seeds);
    for (std::size_t i = 0; i < found.size(); ++i) *results[i] = found[i];

    DerivativePass pass{.mode = DerivativeMode::reverse};
    std::vector<Value> ends;
    for (const Value& end : bars.variables)
        if (!end.is_empty()) ends.push_back(end);
    if (!ends.empty()) pass.operations = scalars.operations(ends);
    scalars.run({scalars.steps, bars.variables, bars.steps, read_bars});
    for (std::size_t o = 0; o < expression.outputs.size(); ++o)
        pass.rows.push_back({.name = expression.output_name(o), .expression = expression.name(expression.outputs[o]), .value = scalars.value_of(expression.outputs[o]),
                             .formula = short_number(cotangent[o]), .derivative = cotangent[o]});
    const auto add_row = [&](const Operand& operand) {
        if (active.at(operand)) pass.rows.push_back(adjoint_row(scalars, operand, bars, cotangent, read_bars));
    };
    for (std::size_t s = expression.steps.size(); s-- > 0;) add_row({.kind = Kind::step, .index = s});
    for (std::size_t i = expression.variables.size(); i-- > 0;) add_row({.kind = Kind::variable, .index = i});
    for (const std::string& name : asked) pass.result.push_back(scalars.value_of(bars.variables[scalars.index_of(name)]));
    return pass;
}

Jacobian jacobian(const Expression& expression, const Assignment& at, DerivativeMode mode, const std::vector<std::string>& wrt) {
    Jacobian result{.expression = expression, .at = at, .mode = mode, .wrt = wrt.empty() ? expression.variables : wrt};
    const std::size_t outputs = expression.outputs.size(), inputs = result.wrt.size();
    result.slopes.assign(outputs, std::vector<double>(inputs, 0.0));
    if (mode == DerivativeMode::forward) {
        for (std::size_t i = 0; i < inputs; ++i) {
            Assignment direction;
            for (const std::string& name : result.wrt) direction[name] = name == result.wrt[i] ? 1 : 0;
            result.passes.push_back(forward_pass(expression, at, direction));
            result.passes.back().of = result.wrt[i];
            for (std::size_t o = 0; o < outputs; ++o) result.slopes[o][i] = result.passes.back().result[o];
        }
    } else {
        for (std::size_t o = 0; o < outputs; ++o) {
            std::vector<double> cotangent(outputs, 0.0);
            cotangent[o] = 1;
            result.passes.push_back(reverse_pass(expression, at, cotangent, result.wrt));
            result.passes.back().of = expression.output_name(o);
            result.slopes[o] = result.passes.back().result;
        }
    }
    Scalars function(expression);
    function.give(at);
    function.run({function.steps});
    for (const Operand& output : expression.outputs) result.values.push_back(function.value_of(output));
    result.function_operations = function.operations();
    return result;
}

Sheet pass_sheet(const DerivativePass& pass) {
    const bool is_forward = pass.mode == DerivativeMode::forward;
    Sheet sheet{.notes = {fmt::format("operations beside the function's: {}", pass.operations)}};
    const std::string of = pass.of.empty() ? "" : fmt::format(" for {}", pass.of);
    if (is_forward) {
        sheet.title = fmt::format("forward pass{}: how fast each value moves", of);
        sheet.columns = {{"", "name"}, {"is", "expression"}, {"value", "value", true}, {"tangent", "formula"}, {"=", "tangent", true}};
        for (const DerivativePass::Row& row : pass.rows)
            sheet.rows.push_back({row.name, row.expression, short_number(row.value), fmt::format("{} = {}", dot(row.name), row.formula), short_number(row.derivative)});
        return sheet;
    }
    sheet.title = fmt::format("reverse pass{}: how much each value counts", of);
    sheet.columns = {{"", "name"}, {"is", "expression"}, {"value", "value", true}, {"read by", "reader"}, {"adjoint", "formula"}, {"adds", "adds", true}, {"=", "adjoint", true}};
    for (const DerivativePass::Row& row : pass.rows) {
        const auto add = [&](const std::string& reader, std::string_view sign, const std::string& formula, double adds, double sum) {
            sheet.rows.push_back({row.name, row.expression, short_number(row.value), reader, fmt::format("{} {} {}", bar(row.name), sign, formula), short_number(adds), short_number(sum)});
        };
        if (row.additions.empty()) add("", "=", row.formula.empty() ? "0" : row.formula, row.derivative, row.derivative);
        double sum = 0;
        for (const DerivativePass::Addition& addition : row.additions) {
            sum += addition.value;
            add(addition.reader, &addition == row.additions.data() ? "=" : "+=", addition.formula, addition.value, &addition == &row.additions.back() ? row.derivative : sum);
        }
    }
    return sheet;
}

Sheet jacobian_sheet(const std::vector<Jacobian>& by_mode) {
    require<ArgumentError>(!by_mode.empty(), "jacobian_sheet: no mode's derivatives were given");
    const Jacobian& first = by_mode.front();
    std::vector<std::string> functions, places;
    for (std::size_t o = 0; o < first.expression.outputs.size(); ++o) functions.push_back(fmt::format("{} = {}", first.expression.output_name(o), first.expression.texts[o]));
    for (const std::string& name : first.expression.variables) places.push_back(fmt::format("{} = {}", name, short_number(first.at.find(name)->second)));
    Sheet sheet{.title = fmt::format("{} at {}", fmt::join(functions, "; "), fmt::join(places, ", ")), .columns = {{"", "output"}, {"value", "value", true}}};
    for (const std::string& name : first.wrt) sheet.columns.push_back({"d/d" + name, "d_" + name, true});
    for (std::size_t o = 0; o < first.slopes.size(); ++o) {
        sheet.rows.push_back({first.expression.output_name(o), short_number(first.values[o])});
        for (const double slope : first.slopes[o]) sheet.rows.back().emplace_back(short_number(slope));
    }
    sheet.notes.push_back(fmt::format("operations of the function: {}", first.function_operations));
    for (const Jacobian& j : by_mode) {
        std::int64_t operations = 0;
        for (const DerivativePass& pass : j.passes) operations += pass.operations;
        sheet.notes.push_back(fmt::format("{} mode: {} pass{}, one for each {}; operations beside the function's: {}", name_of(j.mode), j.passes.size(), j.passes.size() == 1 ? "" : "es",
                                          j.mode == DerivativeMode::forward ? "input" : "output", operations));
    }
    double apart = 0;
    for (const Jacobian& j : by_mode)
        for (std::size_t o = 0; o < j.slopes.size(); ++o)
            for (std::size_t i = 0; i < j.slopes[o].size(); ++i) apart = std::max(apart, std::abs(j.slopes[o][i] - first.slopes[o][i]));
    if (by_mode.size() > 1) sheet.notes.push_back(fmt::format("the modes differ by {} at most", short_number(apart)));
    return sheet;
}

}  // namespace fovea
