#include <algorithm>

#include "core/text.h"
#include "fovea/graph.h"

namespace fovea {

void Parameters::set(std::string_view name, Tensor value) {
    if (!has(name)) names_.emplace_back(name);
    values_.insert_or_assign(std::string(name), std::move(value));
}

bool Parameters::has(std::string_view name) const { return values_.contains(name); }

Tensor& Parameters::at(std::string_view name) {
    const auto it = values_.find(name);
    if (it == values_.end()) fail<ArgumentError>("no parameter '{}'; nearest: {}", name, fmt::join(nearest_names(name, names_), ", "));
    return it->second;
}

const Tensor& Parameters::at(std::string_view name) const { return const_cast<Parameters*>(this)->at(name); }

void Parameters::erase(std::string_view name) {
    if (const auto it = values_.find(name); it != values_.end()) {
        values_.erase(it);
        std::erase(names_, name);
    }
}

Parameters Parameters::clone() const {
    Parameters copy;
    for (const auto& name : names_) copy.set(name, at(name).clone());
    return copy;
}

Parameters Parameters::of(const Graph& graph) const {
    Parameters read;
    for (const ParameterInfo& info : graph.parameters()) read.set(info.name, at(info.name));
    return read;
}

}  // namespace fovea
