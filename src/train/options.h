// Options given by name (a command line, a config file): each is taken once, what is left over is an error.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/text.h"

namespace fovea {

class NamedOptions {
public:
    NamedOptions(std::string who, const std::map<std::string, double>& given) : who_(std::move(who)), given_(given) {}

    void take(std::string_view name, double& value) {
        known_.emplace_back(name);
        if (const auto it = given_.find(std::string(name)); it != given_.end()) value = it->second;
    }
    void take(std::string_view name, bool& value) {
        double number = value;
        take(name, number);
        require<ArgumentError>(number == 0 || number == 1, "{}: {} is a flag, 0 or 1, got {}", who_, name, number);
        value = number == 1;
    }
    void take(std::string_view name, int& value) {
        double number = value;
        take(name, number);
        require<ArgumentError>(number >= -1e9 && number <= 1e9 && number == static_cast<int>(number), "{}: {} is a whole number, got {}", who_, name, number);
        value = static_cast<int>(number);
    }
    [[nodiscard]] bool has(std::string_view name) const { return given_.contains(std::string(name)); }
    /// Throws ArgumentError for an option that nobody took.
    void finish() const {
        for (const auto& [name, value] : given_)
            if (std::find(known_.begin(), known_.end(), name) == known_.end())
                fail<ArgumentError>("{} has no option '{}'; it has {}", who_, name, fmt::join(known_, ", "));
    }

private:
    std::string who_;
    const std::map<std::string, double>& given_;
    std::vector<std::string> known_;
};

}  // namespace fovea
