// A value of a recipe into a field, and back.
#pragma once

#include <cmath>

#include "core/text.h"
#include "fovea/train.h"
#include "train/recipe_toml.h"

namespace fovea {

[[noreturn]] inline void wrong_kind(std::string_view key, std::string_view wanted, const RecipeValue& value) { fail<ArgumentError>("'{}' is {}, got {}", key, wanted, toml_text(value)); }

/// The parts between commas, empty ones left out.
[[nodiscard]] std::vector<std::string> split_list(const std::string& text);
[[nodiscard]] double number_of(std::string_view key, const RecipeValue& value);

void assign(std::string_view key, bool& field, const RecipeValue& value);
void assign(std::string_view key, double& field, const RecipeValue& value);
void assign(std::string_view key, std::string& field, const RecipeValue& value);
void assign(std::string_view key, std::vector<std::string>& field, const RecipeValue& value);
void assign(std::string_view key, Bounds& field, const RecipeValue& value);
void assign(std::string_view key, Fill& field, const RecipeValue& value);
void assign(std::string_view key, Filter& field, const RecipeValue& value);
template <class T> requires std::same_as<T, std::int64_t> || std::same_as<T, int>
void assign(std::string_view key, T& field, const RecipeValue& value) {
    const double number = number_of(key, value);
    if (number != std::floor(number) || std::abs(number) > 1e15) wrong_kind(key, "a whole number", value);
    if (std::same_as<T, int> && std::abs(number) > 1e9) wrong_kind(key, "a number below 1e9", value);
    field = static_cast<T>(number);
}

template <class T> RecipeValue value_of(const T& field) {
    if constexpr (std::is_same_v<T, int>) return std::int64_t{field};
    else if constexpr (std::is_same_v<T, Bounds>) return std::vector<double>(field.begin(), field.end());
    else if constexpr (std::is_same_v<T, Filter>) return std::string(name_of(field));
    else if constexpr (std::is_same_v<T, Fill>) return field.is_mean ? RecipeValue(std::string("mean")) : RecipeValue(std::int64_t{field.value});
    else return field;
}

}  // namespace fovea
