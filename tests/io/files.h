// What the tests of io share: fixture files and bytes.
#pragma once

#include <cstring>
#include <fstream>
#include <span>
#include <sstream>
#include <string>

#include "fovea/io.h"
#include "support.h"
#include "places.h"

namespace fovea::test {

inline std::string fixture(const std::string& name) { return test::source_path("tests/io/fixtures/" + name); }

inline std::string content(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

inline std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text.data(), text.size())); }

/// The message with which a file of this content is refused.
inline std::string refusal(const std::string& file, const std::string& description = {}) {
    return message_of<FormatError>([&] { (void)parse_weights(bytes_of(file), "x", nullptr, bytes_of(description)); });
}

/// The numbers in a file of weights.
inline std::int64_t scalars_of(const Parameters& parameters) {
    std::int64_t count = 0;
    for (const std::string& name : parameters.names()) count += parameters.at(name).elements();
    return count;
}

/// The bytes of a value.
template <class T> std::string raw(T value) {
    std::string bytes(sizeof value, '\0');
    std::memcpy(bytes.data(), &value, sizeof value);
    return bytes;
}
inline std::string floats(int count, float first, float step = 1) {
    std::string bytes;
    for (int i = 0; i < count; ++i) bytes += raw(first + step * static_cast<float>(i));
    return bytes;
}

}  // namespace fovea::test
