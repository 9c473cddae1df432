// Tar shards in WebDataset's layout: members of one sample follow each other under one name, 000123.jpg with 000123.cls beside it.
// The shards are mapped; their headers are read once, pictures when asked for, in the order of the file when the loader keeps to it.
#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>
#include <memory>

#include <archive.h>
#include <archive_entry.h>

#include "core/mapped_file.h"
#include "core/text.h"
#include "data/formats.h"
#include "image/codecs.h"

namespace fovea {

namespace {

namespace fs = std::filesystem;

using Reader = std::unique_ptr<archive, int (*)(archive*)>;

/// "train/000123.seg.png" -> "train/000123" and "seg.png".
std::pair<std::string_view, std::string_view> key_and_ending(std::string_view member) {
    const std::size_t slash = member.rfind('/'), dot = member.find('.', slash == std::string_view::npos ? 0 : slash);
    return dot == std::string_view::npos ? std::pair{member, std::string_view()} : std::pair{member.substr(0, dot), member.substr(dot + 1)};
}

/// What has been met of a sample so far.
struct Partial {
    ShardSample sample;
    bool has_picture = false, has_label = false;
};

}  // namespace

std::vector<ShardSample> parse_shard(std::span<const std::byte> tar, std::string_view name, std::vector<std::string>& damaged) {
    const Reader reader(archive_read_new(), archive_read_free);
    archive_read_support_format_tar(reader.get());
    std::vector<ShardSample> samples;
    Partial current;
    const auto finish = [&] {
        if (current.has_picture && current.has_label) samples.push_back(std::move(current.sample));
        else if (current.has_picture || current.has_label) damaged.push_back(fmt::format("read '{}': sample '{}' has no {}", name, current.sample.key, current.has_picture ? "label (.cls)" : "picture"));
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
        const std::string member = path ? path : "";
        const auto [key, ending] = key_and_ending(member);
        const bool is_picture = is_picture_name(member) && ending.find('.') == std::string_view::npos, is_label = ending == "cls";
        if (!is_picture && !is_label) continue;
        const void* data = nullptr;
        std::size_t size = 0;
        la_int64_t offset = 0;
        const int read = archive_read_data_block(reader.get(), &data, &size, &offset);
        const auto* begin = static_cast<const std::byte*>(data);
        // In memory a member is one block, where it lies.
        const bool is_inside = read == ARCHIVE_OK && begin >= tar.data() && begin + size <= tar.data() + tar.size() && static_cast<la_int64_t>(size) == archive_entry_size(entry);
        if (!is_inside) {
            is_cut = true;
            break;
        }
        if (key != current.sample.key) finish();
        current.sample.key = key;
        if (is_picture) {
            current.sample.offset = static_cast<std::size_t>(begin - tar.data());
            current.sample.bytes = size;
            current.has_picture = true;
        } else {
            const auto* text = reinterpret_cast<const char*>(begin);
            const auto [end, error] = std::from_chars(text, text + size, current.sample.label);
            current.has_label = error == std::errc{} && current.sample.label >= 0;
            if (!current.has_label) damaged.push_back(fmt::format("read '{}': member '{}' holds no class number", name, member));
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

class Shards : public Dataset {
public:
    Shards(std::string name, std::vector<std::string> classes, std::vector<Shard> shards) : Dataset(std::move(name), std::move(classes)), shards_(std::move(shards)) {
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

namespace {

/// A tar being written under a temporary name.
class Writer {
public:
    explicit Writer(fs::path path) : path_(std::move(path)), temporary_(path_.string() + ".partial"), archive_(archive_write_new(), archive_write_free) {
        archive_write_set_format_ustar(archive_.get());
        check(archive_write_open_filename(archive_.get(), temporary_.c_str()));
    }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
    ~Writer() {
        std::error_code ignored;
        if (!is_done_) fs::remove(temporary_, ignored);
    }
    void add(const std::string& name, std::span<const std::byte> bytes) {
        const std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(), archive_entry_free);
        archive_entry_set_pathname(entry.get(), name.c_str());
        archive_entry_set_size(entry.get(), static_cast<la_int64_t>(bytes.size()));
        archive_entry_set_filetype(entry.get(), AE_IFREG);
        archive_entry_set_perm(entry.get(), 0644);
        check(archive_write_header(archive_.get(), entry.get()));
        const la_ssize_t written = archive_write_data(archive_.get(), bytes.data(), bytes.size());
        require<Error>(written == static_cast<la_ssize_t>(bytes.size()), "write '{}': {}", path_.string(), archive_error_string(archive_.get()));
        bytes_ += bytes.size();
    }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }
    void finish() {
        check(archive_write_close(archive_.get()));
        fs::rename(temporary_, path_);
        is_done_ = true;
    }

private:
    void check(int status) { require<Error>(status == ARCHIVE_OK, "write '{}': {}", path_.string(), archive_error_string(archive_.get())); }
    fs::path path_;
    std::string temporary_;
    std::unique_ptr<archive, int (*)(archive*)> archive_;
    std::size_t bytes_ = 0;
    bool is_done_ = false;
};

std::string_view ending_of(std::span<const std::byte> picture) {
    return is_jpeg(picture) ? "jpg" : is_png(picture) ? "png" : is_webp(picture) ? "webp" : is_bmp(picture) ? "bmp" : "ppm";
}

}  // namespace

std::int64_t write_shards(const Dataset& dataset, const fs::path& directory, std::string_view prefix, std::size_t shard_bytes, const std::function<void(std::int64_t)>& on_picture) {
    require<ArgumentError>(shard_bytes > 0, "write shards: a shard holds at least one byte");
    fs::create_directories(directory);
    for (const std::string& name : dataset.classes())
        require<ArgumentError>(name.find('\n') == std::string::npos, "write shards: the class name '{}' has a line break", name);
    std::unique_ptr<Writer> writer;
    std::int64_t count = 0;
    for (std::int64_t i = 0; i < dataset.size(); ++i) {
        if (!writer) writer = std::make_unique<Writer>(directory / fmt::format("{}-{:06}.tar", prefix, count++));
        const std::vector<std::byte> picture = dataset.encoded(i);
        const std::string label = std::to_string(dataset.label(i)), key = fmt::format("{:09}", i);
        writer->add(fmt::format("{}.{}", key, ending_of(picture)), picture);
        writer->add(key + ".cls", std::as_bytes(std::span(label)));
        if (writer->bytes() >= shard_bytes) writer->finish(), writer.reset();
        if (on_picture) on_picture(i + 1);
    }
    if (writer) writer->finish();
    const fs::path temporary = directory / "classes.txt.partial";
    std::ofstream names(temporary);
    for (const std::string& name : dataset.classes()) names << name << '\n';
    names.close();
    require<Error>(names.good(), "write '{}': no permission or disk full", temporary.string());
    fs::rename(temporary, directory / "classes.txt");
    return count;
}

}  // namespace fovea
