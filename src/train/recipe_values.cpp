#include "train/recipe_values.h"

namespace fovea {

std::vector<std::string> split_list(const std::string& text) {
    std::vector<std::string> parts;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find(',', begin), text.size());
        if (end > begin) parts.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return parts;
}

double number_of(std::string_view key, const RecipeValue& value) {
    if (const auto* number = std::get_if<double>(&value)) return *number;
    if (const auto* whole = std::get_if<std::int64_t>(&value)) return static_cast<double>(*whole);
    wrong_kind(key, "a number", value);
}

void assign(std::string_view key, bool& field, const RecipeValue& value) {
    if (const auto* flag = std::get_if<bool>(&value)) field = *flag;
    else if (const auto* whole = std::get_if<std::int64_t>(&value); whole != nullptr && (*whole == 0 || *whole == 1)) field = *whole == 1;
    else wrong_kind(key, "true or false", value);
}

void assign(std::string_view key, double& field, const RecipeValue& value) { field = number_of(key, value); }

void assign(std::string_view key, std::string& field, const RecipeValue& value) {
    if (const auto* text = std::get_if<std::string>(&value)) field = *text;
    else wrong_kind(key, "a text", value);
}

void assign(std::string_view key, std::vector<std::string>& field, const RecipeValue& value) {
    if (const auto* texts = std::get_if<std::vector<std::string>>(&value)) field = *texts;
    else if (const auto* text = std::get_if<std::string>(&value)) field = split_list(*text);
    else wrong_kind(key, "a list of texts", value);
}

void assign(std::string_view key, Bounds& field, const RecipeValue& value) {
    std::vector<double> numbers;
    if (const auto* list = std::get_if<std::vector<double>>(&value)) numbers = *list;
    // 0.2,1 on a command line.
    if (const auto* text = std::get_if<std::string>(&value))
        for (const std::string& part : split_list(*text)) {
            const RecipeValue number = read_toml_value(part);
            if (std::holds_alternative<std::string>(number)) wrong_kind(key, "a list of two numbers", value);
            numbers.push_back(number_of(key, number));
        }
    if (numbers.size() != 2) wrong_kind(key, "a list of two numbers", value);
    field = {numbers[0], numbers[1]};
}

void assign(std::string_view key, Fill& field, const RecipeValue& value) {
    if (value == RecipeValue(std::string("mean"))) {
        field = mean_fill;
        return;
    }
    const auto* level = std::get_if<std::int64_t>(&value);
    if (level == nullptr || *level < 0 || *level > 255) wrong_kind(key, "\"mean\" or a grey level of 0..255", value);
    field = {static_cast<std::uint8_t>(*level)};
}

void assign(std::string_view key, Filter& field, const RecipeValue& value) {
    std::string text;
    assign(key, text, value);
    field = filter_of(text);
}

}  // namespace fovea
