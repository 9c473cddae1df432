#include "train/recipe_toml.h"

#include <cmath>

#include <nlohmann/json.hpp>

// Without it toml++ 3.3 reports a table header that begins with no letter; with it a build that asserts ends there.
#define TOML_ASSERT(expr) static_assert(true)
#include <toml++/toml.h>

#include "core/text.h"

namespace fovea {

namespace {

RecipeValue list_of(const toml::array& array, std::string_view file, const std::string& key) {
    std::vector<double> numbers;
    std::vector<std::string> texts;
    for (const toml::node& item : array) {
        if (const auto number = item.value<double>(); number && item.is_number()) numbers.push_back(*number);
        else if (const auto text = item.value<std::string>(); text && item.is_string()) texts.push_back(*text);
        else fail<FormatError>("'{}' line {}: '{}' is a list of numbers or of texts", file, item.source().begin.line, key);
    }
    require<FormatError>(numbers.empty() || texts.empty(), "'{}' line {}: '{}' mixes numbers and texts", file, array.source().begin.line, key);
    if (!numbers.empty()) return numbers;
    return texts;
}

RecipeValue value_of(const toml::node& node, std::string_view file, const std::string& key) {
    if (node.is_boolean()) return node.value<bool>().value();
    if (node.is_integer()) return node.value<std::int64_t>().value();
    if (node.is_floating_point()) {
        const double number = node.value<double>().value();
        require<FormatError>(std::isfinite(number), "'{}' line {}: '{}' is no finite number", file, node.source().begin.line, key);
        return number;
    }
    if (node.is_string()) return node.value<std::string>().value();
    if (const toml::array* array = node.as_array()) return list_of(*array, file, key);
    fail<FormatError>("'{}' line {}: '{}' is a date or a time; a recipe has texts, numbers, flags and lists of them", file, node.source().begin.line, key);
}

void flatten(const toml::table& table, const std::string& prefix, std::string_view file, std::vector<std::pair<std::string, RecipeValue>>& out) {
    for (const auto& [name, node] : table) {
        const std::string key = prefix + std::string(name.str());
        if (const toml::table* section = node.as_table()) flatten(*section, key + ".", file, out);
        else out.emplace_back(key, value_of(node, file, key));
    }
}

/// toml++ makes a table inside a table of a.b.c..., and takes them apart by recursion: a key of thousands of parts would end the program.
void check_depth(std::string_view text, std::string_view name) {
    int dots = 0, line = 1;
    for (const char c : text) {
        dots = c == '.' ? dots + 1 : c == '\n' || c == '=' || c == ',' ? 0 : dots;
        line += c == '\n';
        require<FormatError>(dots <= 256, "'{}' line {}: more than 256 dots in one key or text", name, line);
    }
}

}  // namespace

std::vector<std::pair<std::string, RecipeValue>> read_toml(std::string_view text, std::string_view name) {
    std::vector<std::pair<std::string, RecipeValue>> values;
    check_depth(text, name);
    try {
        flatten(toml::parse(text), "", name, values);
    } catch (const toml::parse_error& error) {
        fail<FormatError>("'{}' line {} is no TOML: {}", name, error.source().begin.line, error.description());
    }
    return values;
}

RecipeValue read_toml_value(const std::string& text) {
    try {
        check_depth(text, "--set");
        const toml::table table = toml::parse("v = " + text);
        if (table.size() == 1 && !table.get("v")->is_table()) return value_of(*table.get("v"), "--set", "value");
    } catch (const toml::parse_error&) {
    } catch (const FormatError&) {
    }
    return text;  // lenet5, cifar10:data, conv1.*: no quotes are asked for on a command line
}

std::string toml_text(const RecipeValue& value) {
    const auto quoted = [](const std::string& text) { return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace); };
    const auto joined = [&](const auto& list, auto&& one) {
        std::string text = "[";
        for (const auto& item : list) text += (text.size() > 1 ? ", " : "") + one(item);
        return text + "]";
    };
    if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
    if (const auto* whole = std::get_if<std::int64_t>(&value)) return fmt::format("{}", *whole);
    if (const auto* number = std::get_if<double>(&value)) return fmt::format("{}", *number);
    if (const auto* text = std::get_if<std::string>(&value)) return quoted(*text);
    if (const auto* numbers = std::get_if<std::vector<double>>(&value)) return joined(*numbers, [](double v) { return fmt::format("{}", v); });
    return joined(std::get<std::vector<std::string>>(value), quoted);
}

}  // namespace fovea
