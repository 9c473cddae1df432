#include "fields.h"

#include <cmath>
#include <optional>

#include "core/text.h"

namespace fovea::reference {

namespace {

std::string shown(const Json& value) {
    constexpr std::size_t room = 60;
    const std::string all = value.dump();
    return all.size() <= room ? all : all.substr(0, room) + "...";
}

std::optional<double> as_real(const Json& value) {
    if (!value.is_number()) return {};
    return value.get<double>();
}

/// 2 and 2.0, not 2.5: a cast would take it for 2.
std::optional<std::int64_t> as_integer(const Json& value) {
    if (value.is_number_integer()) return value.get<std::int64_t>();
    if (!value.is_number()) return {};
    const auto real = value.get<double>();
    if (std::abs(real) > 0x1p53 || real != std::trunc(real)) return {};
    return static_cast<std::int64_t>(real);
}

/// Every element of a list, or nothing when one does not fit.
template <class T> std::optional<std::vector<T>> all_of(const Json& list, std::optional<T> (*read)(const Json&)) {
    if (!list.is_array()) return {};
    std::vector<T> values;
    for (const Json& element : list) {
        const auto value = read(element);
        if (!value) return {};
        values.push_back(*value);
    }
    return values;
}

/// One number for both, or a list of two.
template <class T> std::optional<std::vector<T>> pair_of(const Json& value, std::optional<T> (*read)(const Json&)) {
    if (const auto both = read(value)) return std::vector<T>{*both, *both};
    auto list = all_of(value, read);
    if (list && list->size() != 2) list.reset();
    return list;
}

std::string without_spaces(std::string text) {
    std::erase(text, ' ');
    return text;
}

}  // namespace

Fields::Fields(Json values, std::string who, std::string kind) : values_(std::move(values)), who_(std::move(who)), kind_(std::move(kind)) {
    if (values_.is_null()) values_ = Json::object();
    require<ArgumentError>(values_.is_object(), "{}: {}s must be an object of names and values, got {}", who_, kind_, shown(values_));
}

const Json* Fields::find(FieldName name) {
    for (const char* one : {name.torch, name.record}) {
        if (one == nullptr) continue;
        asked_.insert(one);
        if (values_.contains(one) && !values_[one].is_null()) return &values_[one];
    }
    return nullptr;
}

const Json& Fields::need(FieldName name) {
    const Json* value = find(name);
    require<ArgumentError>(value != nullptr, "{}: {} '{}' is missing", who_, kind_, name.record == nullptr ? name.torch : name.record);
    return *value;
}

void Fields::wrong(FieldName name, std::string_view expected) {
    const bool is_torch = values_.contains(name.torch) && !values_[name.torch].is_null();
    fail<ArgumentError>("{}: {} '{}' must be {}, got {}", who_, kind_, is_torch ? name.torch : name.record, expected, shown(need(name)));
}

bool Fields::has_text(FieldName name) {
    const Json* value = find(name);
    return value != nullptr && value->is_string();
}

double Fields::real(FieldName name) {
    const auto value = as_real(need(name));
    if (!value) wrong(name, "a number");
    return *value;
}

std::int64_t Fields::integer(FieldName name) {
    const auto value = as_integer(need(name));
    if (!value) wrong(name, "a whole number");
    return *value;
}

bool Fields::flag(FieldName name, bool otherwise) {
    const Json* value = find(name);
    if (value == nullptr) return otherwise;
    if (!value->is_boolean()) wrong(name, "true or false");
    return value->get<bool>();
}

std::string Fields::text(FieldName name) {
    const Json& value = need(name);
    if (!value.is_string()) wrong(name, "a text");
    return value.get<std::string>();
}

std::string Fields::choice(FieldName name, const std::string& otherwise, const std::vector<std::string>& words) {
    const Json* value = find(name);
    if (value == nullptr) return otherwise;
    if (!value->is_string() || std::ranges::find(words, value->get<std::string>()) == words.end()) wrong(name, fmt::format("\"{}\"", fmt::join(words, "\" or \"")));
    return value->get<std::string>();
}

Size2 Fields::size2(FieldName name) {
    const auto values = pair_of(need(name), as_integer);
    if (!values) wrong(name, "a whole number or [height, width]");
    return {values->front(), values->back()};
}

std::vector<double> Fields::real2(FieldName name) {
    const auto values = pair_of(need(name), as_real);
    if (!values) wrong(name, "a number or a list of two, height and width");
    return *values;
}

std::vector<double> Fields::reals(FieldName name) {
    const Json* value = find(name);
    if (value == nullptr) return {};
    const auto values = all_of(*value, as_real);
    if (!values) wrong(name, "a list of numbers");
    return *values;
}

std::vector<std::int64_t> Fields::integers(FieldName name) {
    const Json* value = find(name);
    if (value == nullptr) return {};
    const auto values = all_of(*value, as_integer);
    if (!values) wrong(name, "a list of whole numbers");
    return *values;
}

void Fields::only(const char* name, bool value) {
    if (flag(name, value) != value) wrong(name, fmt::format("{}, nothing else is supported", value));
}

void Fields::says(const char* name, const std::string& known) {
    if (without_spaces(text(name, known)) != without_spaces(known)) wrong(name, fmt::format("'{}', nothing else is computed", known));
}

void Fields::finish() const {
    std::vector<std::string> left;
    for (const auto& [name, value] : values_.items())
        if (!value.is_null() && !asked_.contains(name) && !noted_.contains(name)) left.push_back(fmt::format("'{}'", name));
    if (left.empty()) return;
    const std::string known = asked_.empty() ? "" : fmt::format(" (read: {})", fmt::join(asked_, ", "));
    fail<ArgumentError>("{}: {}{} {} {} not read by this tool{}", who_, kind_, left.size() == 1 ? "" : "s", fmt::join(left, ", "), left.size() == 1 ? "is" : "are", known);
}

}  // namespace fovea::reference
