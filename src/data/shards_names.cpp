// Keys of pictures as names of tar members, and back.
#include <algorithm>
#include <charconv>

#include "core/text.h"
#include "data/shards.h"

namespace fovea {

namespace {

constexpr std::string_view number_mark = "%-";  // no escape: what follows '%' there are two hexadecimal digits

/// "cat/0001%-2" -> "cat/0001"
std::string_view without_number(std::string_view name) {
    const std::size_t mark = name.rfind(number_mark);
    if (mark == std::string_view::npos) return name;
    const std::string_view number = name.substr(mark + number_mark.size());
    const bool is_number = !number.empty() && std::ranges::all_of(number, [](char c) { return c >= '0' && c <= '9'; });
    return is_number ? name.substr(0, mark) : name;
}

}  // namespace

std::string member_of_key(std::string_view key) {
    std::string name;
    for (std::size_t i = 0; i < key.size(); ++i) {
        const char c = key[i];
        const bool is_plain = c >= ' ' && c <= '~' && c != '.' && c != '%' && !(c == '/' && i == 0);
        if (is_plain) name += c;
        else name += fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
    return name;
}

std::string member_of_key(std::string_view key, std::int64_t number) { return fmt::format("{}{}{}", member_of_key(key), number_mark, number); }

std::string key_of_member(std::string_view name) {
    name = without_number(name);
    std::string key;
    for (std::size_t i = 0; i < name.size(); ++i) {
        unsigned value = 0;
        const char* const digits = name.data() + i + 1;
        if (name[i] == '%' && i + 2 < name.size() && std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2) {
            key += static_cast<char>(value);
            i += 2;
        } else {
            key += name[i];
        }
    }
    return key;
}

}  // namespace fovea
