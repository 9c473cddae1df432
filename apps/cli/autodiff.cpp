// fovea autodiff 'ln(x1) + x1*x2 - sin(x2)' --at x1=2,x2=5 --trace: forward and reverse mode, pass by pass.

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "command.h"
#include "fovea/explain/autodiff.h"

namespace fovea::cli {

namespace {

struct AutodiffArguments {
    Common common;
    std::string expression, at, wrt, mode = "both", format = "table";
    bool is_traced = false;
};

// Baydin, Pearlmutter, Radul, Siskind 2018, arXiv:1502.05767, tables 2 and 3.
constexpr const char* textbook_expression = "ln(x1) + x1*x2 - sin(x2)";
constexpr const char* textbook_point = "x1=2,x2=5";

std::vector<std::string> split(const std::string& text) {
    std::vector<std::string> parts;
    for (std::size_t at = 0; !text.empty() && at <= text.size();) {
        const std::size_t end = std::min(text.find(',', at), text.size());
        std::string part = text.substr(at, end - at);
        part.erase(0, part.find_first_not_of(' '));
        part.erase(part.find_last_not_of(' ') + 1);
        parts.push_back(std::move(part));
        at = end + 1;
    }
    return parts;
}

Assignment point_of(const std::string& text) {
    Assignment point;
    for (const std::string& part : split(text)) {
        const std::size_t equals = part.find('=');
        double value = 0;
        const char* last = part.data() + part.size();
        const bool has_name = equals != std::string::npos && equals > 0;
        const auto [end, error] = has_name ? std::from_chars(part.data() + equals + 1, last, value) : std::from_chars_result{last, std::errc::invalid_argument};
        if (error != std::errc() || end != last || !std::isfinite(value)) throw ArgumentError(fmt::format("--at takes NAME=NUMBER,..., for instance {}, got '{}'", textbook_point, part));
        if (!point.emplace(part.substr(0, equals), value).second) throw ArgumentError(fmt::format("--at gives '{}' twice", part.substr(0, equals)));
    }
    return point;
}

Json pass_json(const DerivativePass& pass, bool is_traced) {
    const bool is_forward = pass.mode == DerivativeMode::forward;
    Json document{{"of", pass.of}, {"result", pass.result}, {"operations", pass.operations}};
    if (!is_traced) return document;
    document["rows"] = Json::array();
    for (const DerivativePass::Row& row : pass.rows) {
        Json line{{"name", row.name}, {"expression", row.expression}, {"value", row.value}, {is_forward ? "tangent" : "adjoint", row.derivative}};
        if (!row.formula.empty()) line["formula"] = row.formula;
        for (const DerivativePass::Addition& addition : row.additions) line["additions"].push_back({{"reader", addition.reader}, {"formula", addition.formula}, {"value", addition.value}});
        document["rows"].push_back(std::move(line));
    }
    return document;
}

void print_json(const std::vector<Jacobian>& by_mode, bool is_traced) {
    const Jacobian& first = by_mode.front();
    Json document{{"command", "autodiff"}, {"at", first.at}, {"wrt", first.wrt}, {"outputs", Json::array()}, {"operations", first.function_operations}, {"modes", Json::array()}};
    for (std::size_t o = 0; o < first.values.size(); ++o)
        document["outputs"].push_back({{"name", first.expression.output_name(o)}, {"expression", first.expression.texts[o]}, {"value", first.values[o]}});
    for (const Jacobian& j : by_mode) {
        Json passes = Json::array();
        for (const DerivativePass& pass : j.passes) passes.push_back(pass_json(pass, is_traced));
        document["modes"].push_back({{"mode", name_of(j.mode)}, {"jacobian", j.slopes}, {"passes", std::move(passes)}});
    }
    print_document(document);
}

void autodiff(const AutodiffArguments& a) {
    const bool is_textbook = a.expression.empty();
    const Expression expression = parse_expression(is_textbook ? textbook_expression : a.expression);
    const Assignment at = point_of(is_textbook && a.at.empty() ? textbook_point : a.at);
    for (const std::string& name : expression.variables)
        if (!at.contains(name)) throw ArgumentError(fmt::format("no value for '{}': --at {}=1", name, fmt::join(expression.variables, "=1,")));
    std::vector<Jacobian> by_mode;
    for (const DerivativeMode mode : {DerivativeMode::forward, DerivativeMode::reverse})
        if (a.mode == "both" || a.mode == (mode == DerivativeMode::forward ? "fwd" : "rev")) by_mode.push_back(jacobian(expression, at, mode, split(a.wrt)));
    const TableFormat format = chosen_format(a.common, a.format);
    if (format == TableFormat::json) return print_json(by_mode, a.is_traced);
    if (a.is_traced)
        for (const Jacobian& j : by_mode)
            for (const DerivativePass& pass : j.passes) fmt::print("{}\n", to_text(pass_sheet(pass), format));
    fmt::print("{}", to_text(jacobian_sheet(by_mode), format));
}

}  // namespace

void add_autodiff(CLI::App& app) {
    auto a = std::make_shared<AutodiffArguments>();
    CLI::App* command = app.add_subcommand("autodiff", "Derivatives of an expression in forward and reverse mode, pass by pass");
    command->add_option("expression", a->expression, fmt::format("'{}' (the default, at {}); ';' between several outputs", textbook_expression, textbook_point));
    command->add_option("--at", a->at, "The variables' values: x1=2,x2=5");
    command->add_option("--mode", a->mode, "fwd (a pass for each input), rev (one for each output) or both")->check(CLI::IsMember({"fwd", "rev", "both"}));
    command->add_option("--wrt", a->wrt, "Derivatives with respect to these alone: x1,x2 (default: all)");
    command->add_flag("--trace", a->is_traced, "Each pass as a table: every value with its tangent, or its adjoint and who adds to it");
    add_format(*command, a->format);
    a->common.add_to(*command);
    command->callback([a] { autodiff(*a); });
}

}  // namespace fovea::cli
