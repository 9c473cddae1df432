// The arguments of a module in PyTorch's text, bound to names as Python would bind them.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/ops.h"
#include "models/listing.h"

namespace fovea::listing {

/// An argument: a number, a tuple of numbers, a name (True, None) or a text.
struct Argument {
    std::vector<double> numbers;
    std::string word;
    std::string source;  ///< as it was written: "384 * 7 * 7"
    int line = 0;
    bool is_expression = false;
};

/// The arguments of one module, bound to names.
struct Bound {
    std::string module;
    int line = 0;
    std::map<std::string, Argument, std::less<>> values;
    std::string label;

    [[nodiscard]] bool has(std::string_view name) const { return values.contains(name) && values.find(name)->second.word != "None"; }
    [[nodiscard]] const Argument& at(std::string_view name) const {
        const auto it = values.find(name);
        require<FormatError>(it != values.end(), "line {}: {} has no {}", line, module, name);
        return it->second;
    }
    [[nodiscard]] std::int64_t integer(std::string_view name, std::int64_t least, std::int64_t most) const { return one(at(name), name, 0, least, most); }
    [[nodiscard]] std::int64_t integer(std::string_view name, std::int64_t otherwise, std::int64_t least, std::int64_t most) const {
        return has(name) ? integer(name, least, most) : otherwise;
    }
    [[nodiscard]] double real(std::string_view name, double otherwise) const {
        if (!has(name)) return otherwise;
        require<FormatError>(at(name).numbers.size() == 1, "line {}: {}'s {} is a number, got {}", line, module, name, at(name).source);
        return at(name).numbers[0];
    }
    [[nodiscard]] Size2 pair(std::string_view name, std::int64_t least, std::int64_t most) const {
        const Argument& a = at(name);
        return a.numbers.size() == 2 ? Size2{one(a, name, 0, least, most), one(a, name, 1, least, most)} : Size2{one(a, name, 0, least, most)};
    }
    [[nodiscard]] Size2 pair(std::string_view name, std::int64_t otherwise, std::int64_t least, std::int64_t most) const { return has(name) ? pair(name, least, most) : Size2{otherwise}; }
    [[nodiscard]] bool flag(std::string_view name, bool otherwise) const {
        if (!has(name)) return otherwise;
        const Argument& a = at(name);
        if (a.word == "True" || (a.numbers.size() == 1 && a.numbers[0] == 1)) return true;
        require<FormatError>(a.word == "False" || (a.numbers.size() == 1 && a.numbers[0] == 0), "line {}: {}'s {} is True or False, got {}", line, module, name, a.source);
        return false;
    }

private:
    [[nodiscard]] std::int64_t one(const Argument& a, std::string_view name, std::size_t i, std::int64_t least, std::int64_t most) const {
        const bool is_one = i < a.numbers.size() && a.numbers.size() <= 2 && a.numbers[i] == std::floor(a.numbers[i]) && a.numbers[i] >= static_cast<double>(least) && a.numbers[i] <= static_cast<double>(most);
        require<FormatError>(is_one, "line {}: {}'s {} is a whole number from {} to {}, got {}", line, module, name, least, most, a.source);
        return static_cast<std::int64_t>(a.numbers[i]);
    }
};

/// The brackets after a module's name, positional arguments in order of `names`, then named ones.
[[nodiscard]] Bound bind(Reader& reader, const std::string& module, int line, const std::vector<std::string>& names);
/// Throws FormatError with the line when the word is no number, or one beyond all sizes.
[[nodiscard]] double number_of(const Token& token);

}  // namespace fovea::listing
