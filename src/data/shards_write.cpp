// Tar shards, written: a picture and its label each, as fovea's reader and WebDataset's take them.
#include <algorithm>
#include <cstring>
#include <fstream>
#include <memory>
#include <numeric>
#include <unordered_map>

#include <archive.h>
#include <archive_entry.h>

#include "core/text.h"
#include "data/shards.h"
#include "fovea/data.h"
#include "image/codecs.h"

namespace fovea {

namespace {

namespace fs = std::filesystem;

/// A tar under a temporary name until it is told that all are whole.
class Writer {
public:
    explicit Writer(fs::path path) : path_(std::move(path)), temporary_(path_.string() + ".partial"), archive_(archive_write_new(), archive_write_free) {
        // ustar, but for names too long for it.
        archive_write_set_format_pax_restricted(archive_.get());
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
        const la_ssize_t written = archive_write_data(archive_.get(), bytes.data(), bytes.size());  // before the message, which asks what went wrong
        require<Error>(written == static_cast<la_ssize_t>(bytes.size()), "write '{}': {}", path_.string(), reason());
        bytes_ += bytes.size();
    }
    [[nodiscard]] std::size_t bytes() const { return bytes_; }
    [[nodiscard]] const fs::path& path() const { return path_; }
    void close() {
        check(archive_write_close(archive_.get()));
        archive_.reset();
    }
    /// Takes its name, of an older one too.
    void finish() {
        std::error_code error;
        fs::rename(temporary_, path_, error);
        require<Error>(!error, "write '{}': {}", path_.string(), error.message());
        is_done_ = true;
    }

private:
    void check(int status) const { require<Error>(status == ARCHIVE_OK, "write '{}': {}", path_.string(), reason()); }
    /// libarchive says "Write error" and keeps the system's reason to itself.
    [[nodiscard]] std::string reason() const {
        const char* text = archive_error_string(archive_.get());
        const int error = archive_errno(archive_.get());
        const std::string what = text ? text : "failed", system = error > 0 ? std::strerror(error) : "";
        return system.empty() || what.find(system) != std::string::npos ? what : fmt::format("{}: {}", what, system);
    }

    fs::path path_;
    std::string temporary_;
    std::unique_ptr<archive, int (*)(archive*)> archive_;
    std::size_t bytes_ = 0;
    bool is_done_ = false;
};

/// A member's ending; empty for bytes that are no picture by their beginning.
std::string_view ending_of(std::span<const std::byte> picture) {
    return is_jpeg(picture) ? "jpg" : is_png(picture) ? "png" : is_webp(picture) ? "webp" : is_bmp(picture) ? "bmp" : is_netpbm(picture) ? "ppm" : "";
}

/// Names of members, each once: of pictures that share a key, the later ones are numbered.
class Names {
public:
    std::string of(const std::string& key) {
        // By its hash: a million keys stay small, and two that share one only get a number more.
        const std::int64_t number = ++met_[hash_name(key)];
        return number == 1 && !key.empty() ? member_of_key(key) : member_of_key(key, number);
    }

private:
    std::unordered_map<std::uint64_t, std::int64_t> met_;
};

/// PREFIX-<digits>.tar as written before; `others`: all other shards there.
std::vector<fs::path> earlier_shards(const fs::path& directory, std::string_view prefix, bool others) {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(directory)) {
        const std::string stem = entry.path().stem().string();
        if (entry.path().extension() != ".tar") continue;
        const bool is_own = stem.size() > prefix.size() + 1 && stem.starts_with(prefix) && stem[prefix.size()] == '-' &&
                            std::all_of(stem.begin() + static_cast<std::ptrdiff_t>(prefix.size()) + 1, stem.end(), [](char c) { return c >= '0' && c <= '9'; });
        if (is_own != others) found.push_back(entry.path());
    }
    std::ranges::sort(found);
    return found;
}

/// Refuses what would mix shards of two sets. Returns the older ones that are to go.
std::vector<fs::path> replaced(const Dataset& dataset, const fs::path& directory, const PackSpec& spec, const std::string& classes) {
    std::vector<fs::path> own = earlier_shards(directory, spec.prefix, false);
    require<ArgumentError>(own.empty() || spec.overwrite, "write shards: '{}' holds {} shard{} of this name already, '{}' first: write to another folder, with another prefix (--prefix), or over them (--overwrite)",
                           directory.string(), own.size(), own.size() == 1 ? "" : "s", own.empty() ? "" : own.front().filename().string());
    const fs::path names = directory / "classes.txt";
    if (!fs::is_regular_file(names)) return own;
    if (const auto others = earlier_shards(directory, spec.prefix, true); !others.empty()) {
        std::ifstream file(names, std::ios::binary);
        const std::string there(std::istreambuf_iterator<char>(file), {});
        require<ArgumentError>(there == classes, "write shards: '{}' names other classes than '{}' has, and '{}' goes by it: write to another folder", names.string(), dataset.name(), others.front().filename().string());
    }
    return own;
}

std::vector<std::int64_t> order_of(const Dataset& dataset, const PackSpec& spec) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(dataset.size()));
    std::iota(order.begin(), order.end(), 0);
    const Rng rng(spec.seed, hash_name("pack"));
    for (std::size_t i = order.size(); spec.shuffle && i > 1; --i) std::swap(order[i - 1], order[static_cast<std::size_t>(rng.below(i, static_cast<std::int64_t>(i)))]);
    return order;
}

/// The picture's file, or nothing, noted. Its first bytes are looked at, no more: decoding all of a large set takes hours.
std::optional<std::vector<std::byte>> picture_of(const Dataset& dataset, std::int64_t index) {
    try {
        std::vector<std::byte> picture = dataset.encoded(index);
        // Says what is wrong with it.
        if (ending_of(picture).empty()) (void)decode_image(picture, dataset.key(index));
        return picture;
    } catch (const FormatError& error) {
        dataset.note_damaged(error.what());
        return std::nullopt;
    }
}

}  // namespace

PackReport write_shards(const Dataset& dataset, const fs::path& directory, const PackSpec& spec) {
    require<ArgumentError>(spec.shard_bytes > 0, "write shards: a shard holds at least one byte");
    require<ArgumentError>(!spec.prefix.empty() && spec.prefix.find('/') == std::string::npos, "write shards: the prefix is the beginning of a file's name, got '{}'", spec.prefix);
    std::string classes;
    for (const std::string& name : dataset.classes()) {
        require<ArgumentError>(name.find('\n') == std::string::npos, "write shards: the class name '{}' has a line break", name);
        classes += name + '\n';
    }
    std::error_code error;
    fs::create_directories(directory, error);
    require<Error>(!error, "write '{}': {}", directory.string(), error.message());
    const std::vector<fs::path> older = replaced(dataset, directory, spec, classes);

    PackReport report;
    Names names;
    std::vector<std::unique_ptr<Writer>> shards;
    bool is_open = false;
    for (std::int64_t done = 0; const std::int64_t index : order_of(dataset, spec)) {
        if (const auto picture = picture_of(dataset, index)) {
            if (!is_open) shards.push_back(std::make_unique<Writer>(directory / fmt::format("{}-{:06}.tar", spec.prefix, shards.size())));
            Writer& shard = *shards.back();
            const std::string label = std::to_string(dataset.label(index)), name = names.of(dataset.key(index));
            shard.add(fmt::format("{}.{}", name, ending_of(*picture)), *picture);
            shard.add(name + ".cls", std::as_bytes(std::span(label)));
            is_open = shard.bytes() < spec.shard_bytes;
            if (!is_open) shard.close();
            ++report.pictures;
        } else {
            ++report.skipped;
        }
        if (spec.on_picture) spec.on_picture(++done);
    }
    require<FormatError>(report.pictures > 0, "write shards: none of the {} pictures of '{}' can be read; first: {}", dataset.size(), dataset.name(), dataset.damaged().empty() ? "-" : dataset.damaged().front());
    if (is_open) shards.back()->close();
    report.shards = std::ssize(shards);

    // All is on the disk but the names, which take no room.
    write_file_atomically((directory / "classes.txt").string(), classes);
    for (const auto& shard : shards) shard->finish();
    for (const fs::path& path : older)
        if (std::ranges::none_of(shards, [&](const auto& shard) { return shard->path() == path; })) fs::remove(path, error);
    return report;
}

}  // namespace fovea
