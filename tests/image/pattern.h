// Pictures made by formula, the same as make_golden.py makes, and the checksum of its golden numbers.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "core/text.h"
#include "fovea/image.h"
#include "places.h"

namespace fovea {

inline Image pattern(std::string_view kind, std::int64_t width, std::int64_t height, int channels) {
    Image image(width, height, channels);
    const auto square = [](std::int64_t v) { return v * v; };
    for (std::int64_t y = 0; y < height; ++y)
        for (std::int64_t x = 0; x < width; ++x)
            for (int c = 0; c < channels; ++c) {
                std::int64_t v = ((x * x * (c + 3) + y * y * 5 + x * y * (7 - c)) / 3) % 256;
                if (kind == "photo") {
                    v = (x * (3 + c) + y * 2) % 200;
                    if (square(x - width / 3) + square(y - height / 2) < square(height / 3)) v = 255 - v / 4;
                    if ((x + 2 * y) % 23 < 2) v = 10 + c;
                    v = std::clamp<std::int64_t>(v + (x * 7 + y * 13 + c * 5) % 9 - 4, 0, 255);
                }
                image.row(y)[x * channels + c] = static_cast<std::uint8_t>(v);
            }
    return image;
}

inline std::string checksum(const std::vector<std::uint8_t>& bytes) {
    return fmt::format("{:016x}", hash_name({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
}

inline std::filesystem::path fixture(std::string_view name) { return test::source_path("tests/image/fixtures/" + std::string(name)); }

inline std::vector<std::byte> bytes_of(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    const std::string content = text.str();
    const auto* first = reinterpret_cast<const std::byte*>(content.data());
    return {first, first + content.size()};
}

/// What `action` throws; "" when nothing.
template <class E, class F> std::string message_of(F&& action) {
    try {
        action();
    } catch (const E& error) {
        return error.what();
    }
    return "";
}

}  // namespace fovea
