// Tar shards in WebDataset's layout, read: members of one sample follow each other under one name, 000123.jpg with 000123.cls beside it.
// The shards are mapped; their headers are read once, pictures when asked for, in the order of the file when the loader keeps to it.
#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>
#include <memory>
#include <utility>

#include <archive.h>
#include <archive_entry.h>

#include "core/mapped_file.h"
#include "core/text.h"
#include "data/formats.h"
#include "data/shards.h"

namespace fovea {

namespace {

namespace fs = std::filesystem;

using Reader = std::unique_ptr<archive, int (*)(archive*)>;

/// "train/000123.seg.png" -> "train/000123" and "seg.png".
std::pair<std::string_view, std::string_view> name_and_ending(std::string_view member) {
    const std::size_t slash = member.rfind('/'), dot = member.find('.', slash == std::string_view::npos ? 0 : slash);
    return dot == std::string_view::npos ? std::pair{member, std::string_view()} : std::pair{member.substr(0, dot), member.substr(dot + 1)};
}

/// What has been met of a sample so far.
struct Partial {
    std::string name;  ///< its members'
    ShardSample sample;
    bool has_picture = false, has_label = false, is_told = false;  ///< is_told: what it lacks has been said
};

}  // namespace

std::vector<ShardSample> parse_shard(std::span<const std::byte> tar, std::string_view name, std::vector<std::string>& damaged) {
    const Reader reader(archive_read_new(), archive_read_free);
    archive_read_support_format_tar(reader.get());
    std::vector<ShardSample> samples;
    Partial current;
    const auto finish = [&] {
        current.sample.key = key_of_member(current.name);
        if (current.has_picture && current.has_label) samples.push_back(std::move(current.sample));
        else if ((current.has_picture || current.has_label) && !current.is_told) damaged.push_back(fmt::format("read '{}': sample '{}' has no {}", name, current.name, current.has_picture ? "label (.cls)" : "picture"));
        current = {};
    };
    bool is_open = archive_read_open_memory(reader.get(), tar.data(), tar.size()) == ARCHIVE_OK, is_cut = !is_open;
    archive_entry* entry = nullptr;
    while (is_open && !is_cut) {
        const int status = archive_read_next_header(reader.get(), &entry);
        if (status == ARCHIVE_EOF) break;
        if (status < ARCHIVE_WARN) {
            is_cut = true;
            break;
        }
        if (archive_entry_filetype(entry) != AE_IFREG) continue;
        const char* path = archive_entry_pathname(entry);
        if (path == nullptr) path = archive_entry_pathname_utf8(entry);  // the locale may have no letters for it
        const std::string member = path ? path : "";
        const auto [common, ending] = name_and_ending(member);
        const bool is_picture = is_picture_name(member) && ending.find('.') == std::string_view::npos, is_label = ending == "cls";
        if (!is_picture && !is_label) continue;
        const void* data = nullptr;
        std::size_t size = 0;
        la_int64_t offset = 0;
        const bool is_empty = archive_entry_size(entry) == 0;  // has no block; a picture of no bytes fails when it is decoded, as an empty file does
        const int read = is_empty ? ARCHIVE_OK : archive_read_data_block(reader.get(), &data, &size, &offset);
        const auto* begin = is_empty ? tar.data() : static_cast<const std::byte*>(data);
        // In memory a member is one block, where it lies.
        const bool is_inside = read == ARCHIVE_OK && begin >= tar.data() && begin + size <= tar.data() + tar.size() && static_cast<la_int64_t>(size) == archive_entry_size(entry);
        if (!is_inside) {
            is_cut = true;
            break;
        }
        if (common != current.name) finish();
        current.name = common;
        if (is_picture) {
            current.sample.offset = static_cast<std::size_t>(begin - tar.data());
            current.sample.bytes = size;
            current.has_picture = true;
        } else {
            const auto* text = reinterpret_cast<const char*>(begin);
            const auto [end, error] = std::from_chars(text, text + size, current.sample.label);
            current.has_label = error == std::errc{} && current.sample.label >= 0;
            if (!current.has_label) damaged.push_back(fmt::format("read '{}': member '{}' holds no class number", name, member)), current.is_told = true;
        }
    }
    if (!is_cut) finish();
    if (is_cut) {
        require<FormatError>(!samples.empty(), "read '{}': no tar, or one that ends in its first sample: {}", name, archive_error_string(reader.get()) ? archive_error_string(reader.get()) : "damaged");
        damaged.push_back(fmt::format("read '{}': the shard is cut short after sample '{}'; the {} before are used", name, samples.back().key, samples.size()));
    }
    require<FormatError>(!samples.empty(), "read '{}': no sample; one is a picture and a .cls file with its class number, under one name", name);
    return samples;
}

namespace {

struct Shard {
    std::string path;
    std::shared_ptr<std::byte[]> memory;
    std::size_t bytes = 0;
    std::vector<ShardSample> samples;
    std::int64_t first = 0;  ///< index of its first sample
};

Shard open_shard(const fs::path& path, std::vector<std::string>& damaged) {
    const MappedFile file(path.string());
    require<FormatError>(!file.bytes().empty(), "open '{}': the shard is empty", path.string());
    // The mapping without the open file: a set may have more shards than a process may have files.
    Shard shard{.path = path.string(), .memory = file.piece(0, file.bytes().size()), .bytes = file.bytes().size(), .samples = {}};
    shard.samples = parse_shard({shard.memory.get(), shard.bytes}, shard.path, damaged);
    return shard;
}

/// Whether the pictures come class after class, in pieces so long that the loader's window does not mix them.
bool goes_by_class(const std::vector<Shard>& shards, std::size_t classes) {
    std::vector<double> counts(classes);
    double pieces = 0, pictures = 0;  // a piece: neighbours of one class in one shard
    for (const Shard& shard : shards)
        for (std::int64_t last = -1; const ShardSample& sample : shard.samples) {
            ++counts[static_cast<std::size_t>(sample.label)];
            ++pictures;
            pieces += sample.label != std::exchange(last, sample.label);
        }
    double same = 0;  // the chance that two pictures are of one class: so often neighbours would be, were the set shuffled
    for (const double count : counts) same += count / pictures * count / pictures;
    constexpr double long_piece = 64;  // a window holds 128 such, which is many of few classes and few of many
    return pictures > shuffle_window && pieces * long_piece < pictures && pieces * 4 < pictures * (1 - same);
}

class Shards : public Dataset {
public:
    Shards(std::string name, std::vector<std::string> classes, std::vector<Shard> shards)
        : Dataset(std::move(name), std::move(classes)), shards_(std::move(shards)), goes_by_class_(goes_by_class(shards_, this->classes().size())) {
        for (Shard& shard : shards_) {
            shard.first = size_;
            starts_.push_back(size_);
            size_ += static_cast<std::int64_t>(shard.samples.size());
        }
    }
    std::int64_t size() const override { return size_; }
    Shape image_shape() const override { return {0, 0, 3}; }
    std::int64_t label(std::int64_t index) const override { return at(index).second.label; }
    std::string key(std::int64_t index) const override { return at(index).second.key; }
    const std::vector<std::int64_t>& runs() const override { return starts_; }
    std::vector<std::string> notes() const override {
        if (!goes_by_class_) return {};
        return {fmt::format("'{}' holds its pictures class after class, and training mixes only {} that lie near each other: it learns worse for that; 'fovea data pack' writes them shuffled", name(),
                            with_commas(shuffle_window))};
    }
    Sample get(std::int64_t index) const override { return get_part(index, {}); }
    Sample get_part(std::int64_t index, const DecodeLimits& limits) const override {
        const auto& [shard, sample] = at(index);
        return {decode_image(bytes_of(shard, sample), fmt::format("{}:{}", shard.path, sample.key), 3, limits), sample.label};
    }
    std::vector<std::byte> encoded(std::int64_t index) const override {
        const auto& [shard, sample] = at(index);
        const auto bytes = bytes_of(shard, sample);
        return {bytes.begin(), bytes.end()};
    }

private:
    static std::span<const std::byte> bytes_of(const Shard& shard, const ShardSample& sample) { return {shard.memory.get() + sample.offset, sample.bytes}; }
    std::pair<const Shard&, const ShardSample&> at(std::int64_t index) const {
        require<ArgumentError>(index >= 0 && index < size_, "data set '{}': no picture {} of {}", name(), index, size_);
        const Shard& shard = *std::prev(std::ranges::upper_bound(shards_, index, {}, &Shard::first));
        return {shard, shard.samples[static_cast<std::size_t>(index - shard.first)]};
    }

    std::vector<Shard> shards_;
    std::vector<std::int64_t> starts_;
    std::int64_t size_ = 0;
    bool goes_by_class_;
};

/// *.tar of a split: those named after it, or all where none is named after any; val and test stand in for each other.
std::vector<fs::path> shards_of(const fs::path& directory, Split split, bool& has_splits) {
    std::vector<fs::path> all;
    for (const auto& entry : fs::directory_iterator(directory))
        if (entry.path().extension() == ".tar") all.push_back(entry.path());
    std::ranges::sort(all);
    require<FormatError>(!all.empty(), "open '{}': no *.tar there", directory.string());
    const auto of = [&](Split s) {
        std::vector<fs::path> own;
        std::ranges::copy_if(all, std::back_inserter(own), [&](const fs::path& path) { return path.filename().string().starts_with(fmt::format("{}-", name_of(s))); });
        return own;
    };
    has_splits = !of(Split::train).empty() || !of(Split::val).empty() || !of(Split::test).empty();
    if (!has_splits) return all;
    std::vector<fs::path> own = of(split);
    if (own.empty() && split != Split::train) own = of(split == Split::val ? Split::test : Split::val);
    require<FormatError>(!own.empty(), "open '{}': no {}-*.tar there", directory.string(), name_of(split));
    return own;
}

}  // namespace

DatasetPtr shards(const fs::path& directory, Split split) {
    bool has_splits = false;
    std::vector<std::string> damaged;
    std::vector<Shard> opened;
    std::int64_t highest = 0;
    for (const fs::path& path : shards_of(directory, split, has_splits)) {
        opened.push_back(open_shard(path, damaged));
        for (const ShardSample& sample : opened.back().samples) highest = std::max(highest, sample.label);
    }
    std::vector<std::string> classes;
    if (const fs::path file = directory / "classes.txt"; fs::exists(file)) {
        std::ifstream lines(file);
        for (std::string line; std::getline(lines, line);) classes.push_back(line);
        require<FormatError>(highest < static_cast<std::int64_t>(classes.size()), "open '{}': a sample has class {}, '{}' names {}", directory.string(), highest, file.string(), classes.size());
    } else {
        constexpr std::int64_t most_classes = 1'000'000;
        require<FormatError>(highest < most_classes, "open '{}': a sample has class {}, at most {} classes are read", directory.string(), highest, most_classes);
        for (std::int64_t c = 0; c <= highest; ++c) classes.push_back(std::to_string(c));
    }
    auto dataset = std::make_shared<Shards>(fmt::format("shards:{} ({})", directory.string(), has_splits ? name_of(split) : "undivided"), std::move(classes), std::move(opened));
    for (const std::string& message : damaged) dataset->note_damaged(message);
    return dataset;
}

}  // namespace fovea
