#include "core/text.h"
#include "fovea/graph.h"

namespace fovea {

namespace {
template <class T> const T& as(const Attr& attr, std::string_view name) {
    const T* value = std::get_if<T>(&attr);
    require<ArgumentError>(value != nullptr, "attribute '{}' has another kind than the one asked for", name);
    return *value;
}

template <class T> std::string list(const std::vector<T>& values) { return fmt::format("[{}]", fmt::join(values, ", ")); }
}  // namespace

Attrs::Attrs(std::initializer_list<std::pair<std::string_view, Attr>> items) {
    for (const auto& [name, value] : items) set(name, value);
}

const Attr& Attrs::get(std::string_view name) const {
    const auto it = items_.find(name);
    require<ArgumentError>(it != items_.end(), "attribute '{}' is missing", name);
    return it->second;
}

bool Attrs::has(std::string_view name) const { return items_.contains(name); }
bool Attrs::flag(std::string_view name, bool otherwise) const { return has(name) ? as<bool>(get(name), name) : otherwise; }
std::int64_t Attrs::integer(std::string_view name) const { return as<std::int64_t>(get(name), name); }
std::int64_t Attrs::integer(std::string_view name, std::int64_t otherwise) const { return has(name) ? integer(name) : otherwise; }
double Attrs::real(std::string_view name) const { return as<double>(get(name), name); }
double Attrs::real(std::string_view name, double otherwise) const { return has(name) ? real(name) : otherwise; }
std::string Attrs::text(std::string_view name, std::string_view otherwise) const { return has(name) ? as<std::string>(get(name), name) : std::string(otherwise); }
std::vector<std::int64_t> Attrs::integers(std::string_view name) const { return as<std::vector<std::int64_t>>(get(name), name); }
std::vector<double> Attrs::reals(std::string_view name) const { return as<std::vector<double>>(get(name), name); }
const Tensor& Attrs::tensor(std::string_view name) const { return as<Tensor>(get(name), name); }
void Attrs::set(std::string_view name, Attr value) { items_.insert_or_assign(std::string(name), std::move(value)); }
void Attrs::erase(std::string_view name) {
    if (const auto it = items_.find(name); it != items_.end()) items_.erase(it);
}

std::string Attrs::str() const {
    std::string text;
    for (const auto& [name, attr] : items_) {
        if (!text.empty()) text += ' ';
        text += name + '=';
        if (const auto* b = std::get_if<bool>(&attr)) text += *b ? "true" : "false";
        if (const auto* i = std::get_if<std::int64_t>(&attr)) text += fmt::format("{}", *i);
        if (const auto* d = std::get_if<double>(&attr)) text += fmt::format("{:g}", *d);
        if (const auto* s = std::get_if<std::string>(&attr)) text += *s;
        if (const auto* v = std::get_if<std::vector<std::int64_t>>(&attr)) text += list(*v);
        if (const auto* w = std::get_if<std::vector<double>>(&attr)) text += list(*w);
        if (const auto* t = std::get_if<Tensor>(&attr)) text += fmt::format("{}{}", t->dtype(), t->shape());
    }
    return text;
}

}  // namespace fovea
