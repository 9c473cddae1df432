#include <algorithm>

#include "fovea/io.h"

namespace fovea {

Parameters with_prefixes(const Parameters& source, const std::vector<PrefixRule>& rules) {
    Parameters renamed;
    for (const std::string& name : source.names()) {
        const auto rule = std::ranges::find_if(rules, [&](const PrefixRule& r) { return name.starts_with(r.source); });
        if (rule != rules.end()) renamed.set(rule->target + name.substr(rule->source.size()), source.at(name));
    }
    return renamed;
}

}  // namespace fovea
