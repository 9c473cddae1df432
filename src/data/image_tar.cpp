// A tar of class folders, decoded once into memory.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

#include "core/text.h"
#include "data/formats.h"

namespace fovea {

namespace {

constexpr std::size_t max_total_bytes = std::size_t{1} << 32;

struct Entry {
    std::int32_t label;
    TarMember member;
    std::string message;  // why it could not be decoded
};

/// "train/cat/0001.jpg" -> "cat"
std::string_view class_folder(std::string_view member) {
    const auto slash = member.rfind('/');
    if (slash == std::string_view::npos) return {};
    const auto folder = member.substr(0, slash);
    return folder.substr(folder.rfind('/') + 1);
}

/// "train/cat/0001.jpg" -> "cat/0001.jpg": what the file is called in a folder, too.
std::string key_of(std::string_view member) {
    const auto folder = member.rfind('/', member.rfind('/') - 1);
    return std::string(member.substr(folder + 1));
}

bool is_image_name(std::string_view name) { return name.ends_with(".jpg") || name.ends_with(".jpeg") || name.ends_with(".png"); }

}  // namespace

MemoryImages parse_image_tar(std::span<const std::byte> packed, std::string_view name, const std::vector<std::string>& classes, int side, std::vector<std::string>& damaged) {
    std::vector<Entry> entries;
    std::size_t total = 0;  // packed pictures wait in memory until all members are known
    read_tar(
        packed, name, is_image_name,
        [&](TarMember member) {
            const auto found = std::ranges::find(classes, class_folder(member.name));
            require<FormatError>(found != classes.end(), "read '{}': member '{}' lies in none of the class folders {} .. {}", name, member.name, classes.front(), classes.back());
            total += member.bytes.size();
            require<FormatError>(total <= max_total_bytes, "read '{}': more than {} bytes of pictures, at member '{}'", name, max_total_bytes, member.name);
            entries.push_back({static_cast<std::int32_t>(found - classes.begin()), std::move(member), {}});
        },
        1 << 24);
    require<FormatError>(!entries.empty(), "read '{}': no member <class>/<file>.jpg", name);
    std::ranges::sort(entries, {}, [](const Entry& e) { return std::pair<std::int32_t, std::string_view>(e.label, e.member.name); });

    const auto image_bytes = static_cast<std::size_t>(side) * static_cast<std::size_t>(side) * 3;
    MemoryImages images{side, side, 3, std::vector<std::uint8_t>(entries.size() * image_bytes), {}};
    std::atomic<std::size_t> next = 0;
    const auto decode_some = [&] {
        for (std::size_t i = next++; i < entries.size(); i = next++) {
            Entry& entry = entries[i];
            try {
                const Image image = decode_image(entry.member.bytes, entry.member.name, 3, {.max_side = 4096, .max_pixels = 1 << 22});
                require<FormatError>(image.width == side && image.height == side, "decode '{}': {}x{} pixels, expected {}x{}", entry.member.name, image.width, image.height, side, side);
                std::memcpy(&images.pixels[i * image_bytes], image.pixels.data(), image_bytes);
            } catch (const FormatError& error) {
                entry.message = error.what();
            }
        }
    };
    {
        std::vector<std::jthread> workers;
        for (int i = 1; i < threads() && entries.size() > 64; ++i) workers.emplace_back(decode_some);
        decode_some();
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (!entries[i].message.empty()) {
            damaged.push_back(fmt::format("{} (in '{}')", entries[i].message, name));
            continue;
        }
        if (kept != i) std::memcpy(&images.pixels[kept * image_bytes], &images.pixels[i * image_bytes], image_bytes);
        images.labels.push_back(entries[i].label);
        images.keys.push_back(key_of(entries[i].member.name));
        ++kept;
    }
    images.pixels.resize(kept * image_bytes);
    return images;
}

}  // namespace fovea
