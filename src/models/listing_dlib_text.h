// dlib's template text as types inside types, before anything is built of it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/listing.h"

namespace fovea::listing {

inline constexpr int deepest = 600;
inline constexpr std::size_t most_expansions = 20000;

struct Type;
using TypePtr = std::shared_ptr<const Type>;
struct Type {
    std::string name;  ///< "" where nothing stands between two commas or before a bracket
    std::vector<TypePtr> args;
    int line = 0, depth = 1;
    Value value{};     ///< an argument that has been built already
};

/// Throws FormatError when aliases nest too deeply.
[[nodiscard]] TypePtr make_type(std::string name, std::vector<TypePtr> args, int line);

struct Alias {
    std::vector<std::string> parameters;
    TypePtr body;
    int line = 0;
};

/// The statements of a listing.
struct Document {
    std::map<std::string, Alias, std::less<>> aliases;
    std::vector<TypePtr> bare;  ///< types that are no alias's body
    std::string last_alias;     ///< the last one without parameters
    std::vector<std::string> notes;
    int unclosed = 0;           ///< statements that lack brackets
};

[[nodiscard]] bool is_number(const std::string& text);
/// The one network of a listing is document.bare.front(). Throws FormatError where several pieces stand side by side, or none.
[[nodiscard]] Document document_of(std::string_view text);

}  // namespace fovea::listing
