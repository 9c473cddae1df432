// torch.save's two containers: a zip with data.pkl and one member per storage (1.6 and later), and the older stream of pickles
// followed by the storages.
#include <cstring>
#include <functional>
#include <memory>
#include <optional>

#include <archive.h>
#include <archive_entry.h>

#include "core/text.h"
#include "fovea/io.h"
#include "io/file.h"
#include "io/pickle.h"

namespace fovea {

namespace {

using Kind = PickleObject::Kind;
using Bytes = std::span<const std::byte>;
using Storages = std::map<std::string, Bytes, std::less<>>;

// ---- objects -> named tensors ----

Tensor to_tensor(const PickleObject& object, const Storages& storages, std::string_view file, std::string_view name) {
    const auto it = storages.find(object.storage->text);
    require<FormatError>(it != storages.end(), "load '{}': the values of '{}' (storage {}) are missing", file, name, object.storage->text);
    require<FormatError>(it->second.size() / size_of(object.stored) >= static_cast<std::size_t>(object.storage->count),
                         "load '{}': storage {} of '{}' has {} bytes, {} elements of {} bytes are needed", file, object.storage->text, name, it->second.size(), object.storage->count,
                         size_of(object.stored));
    Tensor tensor(Shape(std::span<const std::int64_t>(object.sizes)), held_as(object.stored));
    std::vector<std::int64_t> index(object.sizes.size(), 0);
    std::int64_t from = object.integer;
    for (std::int64_t i = 0; i < tensor.elements(); ++i) {
        widen(object.stored, it->second.data() + static_cast<std::size_t>(from) * size_of(object.stored), tensor, i);
        for (std::size_t d = index.size(); d-- > 0;) {
            from += object.strides[d];
            if (++index[d] < object.sizes[d]) break;
            from -= object.strides[d] * object.sizes[d];
            index[d] = 0;
        }
    }
    return tensor;
}

std::string text_of(const PickleObject& object) {
    switch (object.kind) {
        case Kind::boolean: return object.integer != 0 ? "true" : "false";
        case Kind::integer: return std::to_string(object.integer);
        case Kind::real: return fmt::format("{}", object.real);
        default: return object.text;
    }
}

/// Walks the containers; shared objects are legal, so both depth and the number of visits are bounded.
class Collector {
public:
    /// Tensors that share a storage are copied apart, so their sum is bounded too.
    Collector(const Storages& storages, std::string_view file, std::size_t file_bytes) : storages_(storages), file_(file), budget_(16 * file_bytes) {}

    void visit(const PickleObject& object, const std::string& path, int depth = 0) {
        require<FormatError>(depth < 32 && ++visits_ < 5'000'000, "load '{}': containers nested too deeply at '{}'", file_, path);
        switch (object.kind) {
            case Kind::tensor:
                require<FormatError>(!parameters.has(path), "load '{}': '{}' stands twice", file_, path);
                parameters.set(path, to_tensor(object, storages_, file_, path));
                used_ += parameters.at(path).bytes();
                require<FormatError>(used_ <= budget_, "load '{}': more than {} bytes of tensors in a file of {}", file_, budget_, budget_ / 16);
                return;
            case Kind::dictionary:
                for (const auto& [key, value] : object.pairs) {
                    const bool is_name = key->kind == Kind::text || key->kind == Kind::integer;
                    require<FormatError>(is_name, "load '{}': a dictionary key below '{}' is neither text nor number", file_, path);
                    visit(*value, join(path, text_of(*key)), depth + 1);
                }
                return;
            case Kind::list:
            case Kind::tuple:
                for (std::size_t i = 0; i < object.items.size(); ++i) visit(*object.items[i], join(path, std::to_string(i)), depth + 1);
                return;
            case Kind::boolean:
            case Kind::integer:
            case Kind::real:
            case Kind::text: metadata[path] = text_of(object); return;
            default: return;
        }
    }

    Parameters parameters;
    Metadata metadata;

private:
    static std::string join(const std::string& path, const std::string& name) { return path.empty() ? name : path + "." + name; }
    const Storages& storages_;
    std::string_view file_;
    std::size_t budget_, used_ = 0;
    std::int64_t visits_ = 0;
};

bool holds_tensors(const PickleObject& object) {
    return object.kind == Kind::dictionary && !object.pairs.empty() &&
           std::ranges::all_of(object.pairs, [](const auto& pair) { return pair.first->kind == Kind::text && pair.second->kind == Kind::tensor; });
}

Parameters collect(const PickleObject& root, const Storages& storages, std::string_view file, std::size_t file_bytes, Metadata* metadata) {
    const PickleObject* weights = &root;
    // A training checkpoint: the state_dict is one entry, beside the epoch, the optimiser's state and so on.
    if (root.kind == Kind::dictionary && !holds_tensors(root))
        for (const auto& [key, value] : root.pairs)
            if (key->kind == Kind::text && (key->text == "state_dict" || key->text == "model_state_dict" || key->text == "model") && holds_tensors(*value)) weights = value;
    Collector collector(storages, file, file_bytes);
    if (weights != &root)
        for (const auto& [key, value] : root.pairs)
            if (value != weights && key->kind == Kind::text && value->kind != Kind::dictionary && value->kind != Kind::list && value->kind != Kind::tensor)
                collector.visit(*value, key->text);
    collector.visit(*weights, "");
    require<FormatError>(collector.parameters.size() > 0, "load '{}': the file holds no tensors", file);
    if (metadata != nullptr) metadata->insert(collector.metadata.begin(), collector.metadata.end());
    return std::move(collector.parameters);
}

// ---- the older stream ----

constexpr std::string_view legacy_magic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);

Parameters parse_stream(Bytes bytes, std::string_view file, Metadata* metadata) {
    const std::size_t file_bytes = bytes.size();
    Pickle pickle;
    const PickleObject* magic = pickle.read(bytes, file);
    require<FormatError>(magic->kind == Kind::bytes && magic->text == legacy_magic, "load '{}': a pickle, but not of torch.save", file);
    const PickleObject* protocol = pickle.read(bytes, file);
    require<FormatError>(protocol->kind == Kind::integer && protocol->integer == 1001, "load '{}': stream protocol is not 1001", file);
    const PickleObject* system = pickle.read(bytes, file);
    for (const auto& [key, value] : system->pairs)
        require<FormatError>(key->text != "little_endian" || value->integer == 1, "load '{}': written on a big-endian machine", file);
    const PickleObject* root = pickle.read(bytes, file);
    const PickleObject* keys = pickle.read(bytes, file);
    require<FormatError>(keys->kind == Kind::list, "load '{}': the list of storages is missing", file);

    // The stream gives each storage's element count, the pickle its element size.
    std::map<std::string, std::size_t, std::less<>> element_bytes;
    const auto note = [&](const PickleObject& object) {
        if (object.kind == Kind::tensor) element_bytes[object.storage->text] = size_of(object.stored);
    };
    std::int64_t visits = 0;
    const std::function<void(const PickleObject&, int)> walk = [&](const PickleObject& object, int depth) {
        require<FormatError>(depth < 32 && ++visits < 5'000'000, "load '{}': containers nested too deeply", file);
        note(object);
        for (const PickleObject* item : object.items) walk(*item, depth + 1);
        for (const auto& [key, value] : object.pairs) walk(*value, depth + 1);
    };
    walk(*root, 0);
    Storages storages;
    for (const PickleObject* key : keys->items) {
        require<FormatError>(bytes.size() >= 8, "load '{}': ends before storage {}", file, key->text);
        std::uint64_t count = 0;
        std::memcpy(&count, bytes.data(), 8);
        bytes = bytes.subspan(8);
        const auto size = element_bytes.find(key->text);
        require<FormatError>(size != element_bytes.end(), "load '{}': storage {} belongs to no tensor", file, key->text);
        require<FormatError>(count <= bytes.size() / size->second, "load '{}': storage {} has {} elements of {} bytes, the file {} more bytes", file, key->text, count, size->second,
                             bytes.size());
        storages[key->text] = bytes.first(count * size->second);
        bytes = bytes.subspan(count * size->second);
    }
    return collect(*root, storages, file, file_bytes, metadata);
}

// ---- the zip ----

/// Calls f(name, archive) for every regular member; f may read its data.
void for_each_member(Bytes bytes, std::string_view file, const std::function<void(std::string_view, ::archive*)>& f) {
    const std::unique_ptr<::archive, int (*)(::archive*)> zip(archive_read_new(), archive_read_free);
    archive_read_support_format_zip(zip.get());
    const auto check = [&](int status) {
        if (status < ARCHIVE_WARN) {
            const char* text = archive_error_string(zip.get());
            fail<FormatError>("load '{}': zip: {}", file, text != nullptr ? text : "damaged");
        }
    };
    check(archive_read_open_memory(zip.get(), bytes.data(), bytes.size()));
    archive_entry* entry = nullptr;
    for (int status = 0; (status = archive_read_next_header(zip.get(), &entry)) != ARCHIVE_EOF;) {
        check(status);
        if (const char* name = archive_entry_pathname(entry); name != nullptr) f(name, zip.get());
    }
}

/// All of the current member, at most `limit` bytes: a packed member may claim anything.
std::vector<std::byte> read_member(::archive* zip, std::size_t limit, std::string_view file, std::string_view name) {
    std::vector<std::byte> content;
    std::byte block[1 << 16];
    for (;;) {
        const la_ssize_t got = archive_read_data(zip, block, sizeof block);
        require<FormatError>(got >= 0, "load '{}': member '{}' is damaged", file, name);
        if (got == 0) return content;
        require<FormatError>(content.size() + static_cast<std::size_t>(got) <= limit, "load '{}': member '{}' has more than the {} bytes it may have", file, name, limit);
        content.insert(content.end(), block, block + got);
    }
}

Parameters parse_zip(Bytes bytes, std::string_view file, Metadata* metadata) {
    // The pickle of a large network takes a few hundred kilobytes.
    constexpr std::size_t pickle_limit = std::size_t{256} << 20;
    std::vector<std::byte> program;
    std::string folder;
    bool found = false;
    for_each_member(bytes, file, [&](std::string_view name, ::archive* zip) {
        if (name == "data.pkl" || name.ends_with("/data.pkl")) {
            require<FormatError>(!found, "load '{}': two members data.pkl", file);
            program = read_member(zip, pickle_limit, file, name);
            folder = name.substr(0, name.size() - std::string_view("data.pkl").size());
            found = true;
        } else if (name.ends_with("/byteorder")) {
            const auto order = read_member(zip, 16, file, name);
            require<FormatError>(std::string_view(reinterpret_cast<const char*>(order.data()), order.size()) != "big", "load '{}': written on a big-endian machine", file);
        } else if (name.ends_with("/constants.pkl")) {
            fail<FormatError>("load '{}': a TorchScript program; save its state_dict() instead", file);
        }
    });
    require<FormatError>(found, "load '{}': a zip without data.pkl is not of torch.save", file);
    Pickle pickle;
    Bytes rest(program);
    const PickleObject* root = pickle.read(rest, file);
    std::map<std::string, std::vector<std::byte>, std::less<>> contents;
    Storages storages;
    for_each_member(bytes, file, [&](std::string_view name, ::archive* zip) {
        const std::string prefix = folder + "data/";
        // Stored members are as large as the file at most; packed ones (never made by torch.save) at most 32 times that.
        if (name.starts_with(prefix)) contents[std::string(name.substr(prefix.size()))] = read_member(zip, bytes.size() * 32, file, name);
    });
    for (const auto& [key, content] : contents) storages[key] = Bytes(content);
    return collect(*root, storages, file, 32 * bytes.size(), metadata);
}

}  // namespace

Parameters parse_pytorch(Bytes bytes, std::string_view name, Metadata* metadata) {
    const auto starts_with = [&](std::string_view text) { return bytes.size() >= text.size() && std::memcmp(bytes.data(), text.data(), text.size()) == 0; };
    if (starts_with("PK\x03\x04")) return parse_zip(bytes, name, metadata);
    require<FormatError>(starts_with("\x80"), "load '{}': neither a zip nor a pickle, so not a file of torch.save", name);
    return parse_stream(bytes, name, metadata);
}

Parameters load_pytorch(const std::string& path, Metadata* metadata) { return parse_pytorch(MappedFile(path).bytes(), path, metadata); }

}  // namespace fovea
