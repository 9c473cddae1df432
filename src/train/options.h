// Options given by name (a command line, a config file): each is taken once, what is left over is an error.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/text.h"
#include "fovea/train.h"

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
    void take(std::string_view name, MomentumForm& value) {
        int number = static_cast<int>(value);
        take(name, number);
        require<ArgumentError>(number >= 0 && number <= 2, "{}: {} is 0 (torch), 1 (caffe) or 2 (ema), got {}", who_, name, number);
        value = static_cast<MomentumForm>(number);
    }
    /// "milestones" are given as milestone1, milestone2, ...: one at least.
    void take(std::string_view name, std::vector<double>& values) {
        const std::string_view one = name.substr(0, name.size() - 1);
        values.clear();
        for (int i = 1; i == 1 || has(fmt::format("{}{}", one, i)); ++i) take(fmt::format("{}{}", one, i), values.emplace_back(0));
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
