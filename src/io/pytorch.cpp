// torch.save's two containers: a zip with data.pkl and one member per storage (1.6 and later), and the older stream of pickles
// followed by the storages.
#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <numeric>
#include <set>

#include "core/text.h"
#include "io/pickle.h"
#include "io/readers.h"
#include "io/zip.h"

namespace fovea {

namespace {

using Kind = PickleObject::Kind;
using Bytes = std::span<const std::byte>;
using Storages = std::map<std::string, Bytes, std::less<>>;

// ---- objects -> named tensors ----

std::string text_of(const PickleObject& object) {
    switch (object.kind) {
        case Kind::boolean: return object.integer != 0 ? "true" : "false";
        case Kind::integer: return std::to_string(object.integer);
        case Kind::real: return fmt::format("{}", object.real);
        default: return object.text;
    }
}

bool is_dictionary_of_tensors(const PickleObject& object) {
    return object.kind == Kind::dictionary && !object.pairs.empty() &&
           std::ranges::all_of(object.pairs, [](const auto& pair) { return pair.first->kind == Kind::text && pair.second->kind == Kind::tensor; });
}

/// The network's own tensors in a training checkpoint, which also keeps the epoch, the optimiser's state and so on.
const PickleObject& weights_in(const PickleObject& root) {
    constexpr std::string_view usual[] = {"state_dict", "model_state_dict", "model_state", "state", "model", "net", "network", "weights", "params", "generator"};
    if (root.kind != Kind::dictionary || is_dictionary_of_tensors(root)) return root;
    for (const std::string_view name : usual)
        for (const auto& [key, value] : root.pairs)
            if (key->kind == Kind::text && key->text == name && is_dictionary_of_tensors(*value)) return *value;
    // One more level: {"model": {"state_dict": ...}}.
    for (const std::string_view name : usual)
        for (const auto& [key, value] : root.pairs)
            if (key->kind == Kind::text && key->text == name && value->kind == Kind::dictionary)
                for (const auto& [inner, tensors] : value->pairs)
                    if (inner->kind == Kind::text && std::ranges::find(usual, inner->text) != std::end(usual) && is_dictionary_of_tensors(*tensors)) return *tensors;
    return root;
}

/// Walks the containers; shared objects are legal, so both depth and the number of visits are bounded.
class Collector {
public:
    Collector(const Source& source, const Storages& storages)
        : source_(source), storages_(storages), file_(source.name), budget_(16 * std::accumulate(storages.begin(), storages.end(), source.bytes.size(), [](std::size_t sum, const auto& storage) {
              return sum + storage.second.size();
          })) {}

    Parameters collect(const PickleObject& root, Metadata* metadata) {
        const PickleObject& weights = weights_in(root);
        if (&weights != &root)
            for (const auto& [key, value] : root.pairs)
                if (key->kind == Kind::text && is_plain(*value)) visit(*value, key->text);
        visit(weights, weights.kind == Kind::tensor ? "tensor" : "");
        require<FormatError>(parameters_.size() > 0, "load '{}': the file holds no tensors", file_);
        if (metadata != nullptr) metadata->insert(metadata_.begin(), metadata_.end());
        return std::move(parameters_);
    }

private:
    static bool is_plain(const PickleObject& object) {
        return object.kind == Kind::boolean || object.kind == Kind::integer || object.kind == Kind::real || object.kind == Kind::text;
    }
    static std::string join(const std::string& path, const std::string& name) { return path.empty() ? name : path + "." + name; }

    void visit(const PickleObject& object, const std::string& path, int depth = 0) {
        require<FormatError>(depth < 32 && ++visits_ < 5'000'000, "load '{}': containers nested too deeply at '{}'", file_, path);
        if (is_plain(object)) {
            metadata_[path] = text_of(object);
        } else if (object.kind == Kind::tensor) {
            require<FormatError>(!parameters_.has(path), "load '{}': '{}' stands twice", file_, path);
            parameters_.set(path, tensor_of(object, path));
        } else if (object.kind == Kind::dictionary) {
            for (const auto& [key, value] : object.pairs) {
                const bool is_name = key->kind == Kind::text || key->kind == Kind::integer;
                require<FormatError>(is_name, "load '{}': a dictionary key below '{}' is neither text nor number", file_, path);
                visit(*value, join(path, text_of(*key)), depth + 1);
            }
        } else {
            for (std::size_t i = 0; i < object.items.size(); ++i) visit(*object.items[i], join(path, std::to_string(i)), depth + 1);
        }
    }

    Tensor tensor_of(const PickleObject& object, std::string_view name) {
        const auto it = storages_.find(object.storage->text);
        require<FormatError>(it != storages_.end(), "load '{}': the values of '{}' (storage {}) are missing", file_, name, object.storage->text);
        const std::size_t width = size_of(object.stored);
        require<FormatError>(it->second.size() / width >= static_cast<std::size_t>(object.storage->count), "load '{}': storage {} of '{}' has {} bytes, {} elements of {} bytes are needed", file_,
                             object.storage->text, name, it->second.size(), object.storage->count, width);
        const Shape shape{std::span<const std::int64_t>(object.sizes)};
        // Tensors may share a storage, so their sum is bounded too.
        used_ += static_cast<std::size_t>(shape.elements()) * size_of(held_as(object.stored));
        require<FormatError>(used_ <= budget_, "load '{}': more than {} bytes of tensors in a file of {}", file_, budget_, source_.bytes.size());
        if (is_row_major(object) && shape.elements() > 0) {
            const Bytes from = it->second.subspan(static_cast<std::size_t>(object.integer) * width, static_cast<std::size_t>(shape.elements()) * width);
            const bool lies_in_file = from.data() >= source_.bytes.data() && from.data() < source_.bytes.data() + source_.bytes.size();
            // Two tensors over one storage are copied apart: what is written to one must not change the other.
            const bool is_first = lies_in_file && in_place_.insert(it->first).second;
            return is_first ? source_.tensor(from, object.stored, shape) : Source(from, file_).tensor(from, object.stored, shape);
        }
        Tensor tensor(shape, held_as(object.stored));
        std::vector<std::int64_t> index(object.sizes.size(), 0);
        std::int64_t from = object.integer;
        for (std::int64_t i = 0; i < tensor.elements(); ++i) {
            widen(object.stored, it->second.data() + static_cast<std::size_t>(from) * width, tensor, i);
            for (std::size_t d = index.size(); d-- > 0;) {
                from += object.strides[d];
                if (++index[d] < object.sizes[d]) break;
                from -= object.strides[d] * object.sizes[d];
                index[d] = 0;
            }
        }
        return tensor;
    }

    static bool is_row_major(const PickleObject& object) {
        std::int64_t step = 1;
        for (std::size_t d = object.sizes.size(); d-- > 0;) {
            if (object.sizes[d] != 1 && object.strides[d] != step) return false;
            step *= object.sizes[d];
        }
        return true;
    }

    const Source& source_;
    const Storages& storages_;
    std::string_view file_;
    std::size_t budget_, used_ = 0;
    std::int64_t visits_ = 0;
    std::set<std::string, std::less<>> in_place_;
    Parameters parameters_;
    Metadata metadata_;
};

// ---- the older stream ----

constexpr std::string_view legacy_magic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);

Parameters parse_stream(const Source& source, Metadata* metadata) {
    Bytes bytes = source.bytes;
    const std::string_view file = source.name;
    Pickle pickle;
    const PickleObject* magic = pickle.read(bytes, file);
    require<FormatError>(magic->kind == Kind::bytes && magic->text == legacy_magic, "load '{}': a pickle, but not of torch.save", file);
    const PickleObject* protocol = pickle.read(bytes, file);
    require<FormatError>(protocol->kind == Kind::integer && protocol->integer == 1001, "load '{}': stream protocol is not 1001", file);
    const PickleObject* system = pickle.read(bytes, file);
    require<FormatError>(system->kind == Kind::dictionary, "load '{}': the description of the machine it was written on is missing", file);
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
    return Collector(source, storages).collect(*root, metadata);
}

// ---- the zip ----

Parameters parse_zip(const Source& source, Metadata* metadata) {
    const std::string_view file = source.name;
    const ZipReader zip(source);
    const ZipReader::Member* program = nullptr;
    std::vector<std::byte> unpacked;
    for (const ZipReader::Member& member : zip.members()) {
        if (member.name == "data.pkl" || member.name.ends_with("/data.pkl")) {
            require<FormatError>(program == nullptr, "load '{}': two members data.pkl", file);
            program = &member;
        } else if (member.name.ends_with("/byteorder")) {
            const Bytes order = zip.read(member, unpacked);
            require<FormatError>(std::string_view(reinterpret_cast<const char*>(order.data()), order.size()) != "big", "load '{}': written on a big-endian machine", file);
        } else if (member.name.ends_with("/constants.pkl")) {
            fail<FormatError>("load '{}': a TorchScript program; save its state_dict() instead", file);
        }
    }
    require<FormatError>(program != nullptr, "load '{}': a zip without data.pkl is not of torch.save", file);
    Pickle pickle;
    Bytes rest = zip.read(*program, unpacked);
    const PickleObject* root = pickle.read(rest, file);
    const std::string prefix = program->name.substr(0, program->name.size() - std::string_view("data.pkl").size()) + "data/";
    Storages storages;
    std::deque<std::vector<std::byte>> contents;
    for (const ZipReader::Member& member : zip.members())
        if (member.name.starts_with(prefix)) storages[member.name.substr(prefix.size())] = zip.read(member, member.is_packed ? contents.emplace_back() : unpacked);
    return Collector(source, storages).collect(*root, metadata);
}

}  // namespace

Parameters read_pytorch(const Source& source, Metadata* metadata) {
    const auto starts_with = [&](std::string_view text) { return source.bytes.size() >= text.size() && std::memcmp(source.bytes.data(), text.data(), text.size()) == 0; };
    if (starts_with("PK\x03\x04")) return parse_zip(source, metadata);
    require<FormatError>(starts_with("\x80"), "load '{}': neither a zip nor a pickle, so not a file of torch.save", source.name);
    return parse_stream(source, metadata);
}

Parameters parse_pytorch(Bytes bytes, std::string_view name, Metadata* metadata) { return read_pytorch({bytes, name}, metadata); }
Parameters load_pytorch(const std::string& path, Metadata* metadata) { return read_pytorch({MappedFile(path), path}, metadata); }

}  // namespace fovea
