// The HDF5 File Format Specification, version 3.0: superblocks 0 to 3, object headers 1 and 2, groups by symbol table or link messages,
// contiguous, compact and chunked data with deflate and shuffle.
#include "io/hdf5.h"

#include <algorithm>
#include <cstring>

#include "io/hdf5_pieces.h"

namespace fovea {

using namespace hdf5;

Bytes Hdf5File::at(std::uint64_t offset, std::uint64_t size, std::string_view what) const {
    require<FormatError>(offset <= source_.bytes.size() && size <= source_.bytes.size() - offset, "load '{}': HDF5: {} of {} bytes at {} in a file of {}", source_.name, what, size, offset,
                         source_.bytes.size());
    return source_.bytes.subspan(offset, size);
}

Hdf5File::Hdf5File(const Source& source) : source_(source) {
    Piece piece(at(8, std::min<std::uint64_t>(88, source.bytes.size() - std::min<std::size_t>(8, source.bytes.size())), "the head"), source.name, "the head");
    const auto version = piece.number(1);
    require<FormatError>(version <= 3, "load '{}': HDF5: a head of version {}, read are 0 to 3", source.name, version);
    if (version < 2) piece.skip(4);
    const auto offset_bytes = piece.number(1), length_bytes = piece.number(1);
    require<FormatError>(offset_bytes == 8 && length_bytes == 8, "load '{}': HDF5: offsets of {} and lengths of {} bytes, read are 8", source.name, offset_bytes, length_bytes);
    piece.skip(version >= 2 ? 1 : version == 1 ? 13 : 9);
    const auto base = piece.number(8);
    piece.skip(8);
    const auto end = piece.number(8);
    require<FormatError>(base == 0 && end == source.bytes.size(), "load '{}': HDF5: the file is cut off: it has {} bytes, its head says {}", source.name, source.bytes.size(), end);
    if (version < 2) piece.skip(16);
    root_ = piece.number(8);
}

std::vector<Hdf5File::Message> Hdf5File::messages(Object object) const {
    constexpr std::size_t most = 100'000;
    std::vector<Message> result;
    std::vector<Bytes> blocks;
    const Bytes head = at(object, 16, "an object's head");
    const bool is_new = std::memcmp(head.data(), "OHDR", 4) == 0;
    bool has_order = false;
    Piece piece(at(object, source_.bytes.size() - object, "an object's head"), source_.name, "an object's head");
    if (is_new) {
        piece.skip(5);
        const auto flags = piece.number(1);
        piece.skip(((flags & 0x20) != 0 ? 16 : 0) + ((flags & 0x10) != 0 ? 4 : 0));
        has_order = (flags & 4) != 0;
        blocks.push_back(piece.take(piece.number(1U << (flags & 3))));
    } else {
        const auto version = piece.number(1);
        require<FormatError>(version == 1, "load '{}': HDF5: no object at byte {}", source_.name, object);
        piece.skip(7);
        const auto size = piece.number(4);
        piece.skip(4);
        blocks.push_back(piece.take(size));
    }
    for (std::size_t block = 0; block < blocks.size(); ++block) {
        Piece rest(blocks[block], source_.name, "a message");
        const std::size_t head_bytes = is_new ? (has_order ? 6 : 4) : 8;
        while (rest.rest().size() >= head_bytes) {
            const auto type = rest.number(is_new ? 1 : 2), size = rest.number(2), flags = rest.number(1);
            rest.skip(is_new ? (has_order ? 2 : 0) : 3);
            Bytes bytes = rest.take(size);
            require<FormatError>(result.size() < most && blocks.size() < most, "load '{}': HDF5: an object with more than {} messages", source_.name, most);
            if (type == 0x10) {
                Piece where(bytes, source_.name, "a continued object");
                const auto offset = where.number(8), length = where.number(8);
                bytes = at(offset, length, "a continued object");
                require<FormatError>(!is_new || length >= 8, "load '{}': HDF5: a continued object of {} bytes", source_.name, length);
                blocks.push_back(is_new ? bytes.subspan(4, length - 8) : bytes);
            } else {
                require<FormatError>((flags & 2) == 0 || (type != 0x01 && type != 0x03 && type != 0x0c), "load '{}': HDF5: types shared between objects are not read", source_.name);
                result.push_back({static_cast<unsigned>(type), bytes});
            }
        }
    }
    return result;
}

std::optional<Hdf5File::Object> Hdf5File::child_in_tree(std::uint64_t tree, std::uint64_t heap, const std::string& name) const {
    Piece heap_head(at(heap, 32, "a group's names"), source_.name, "a group's names");
    require<FormatError>(heap_head.text(4) == "HEAP", "load '{}': HDF5: no names at byte {}", source_.name, heap);
    heap_head.skip(4);
    const auto names_size = heap_head.number(8);
    heap_head.skip(8);
    const Bytes names = at(heap_head.number(8), names_size, "a group's names");
    std::vector<std::uint64_t> nodes{tree};
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        const Bytes all = at(nodes[i], source_.bytes.size() - std::min<std::uint64_t>(nodes[i], source_.bytes.size()), "a group");
        Piece node(all, source_.name, "a group");
        const std::string sign = node.text(4);
        if (sign == "TREE") {
            const auto kind = node.number(1);
            node.skip(1);
            const auto entries = node.number(2);
            node.skip(16);
            // A tree has fewer nodes than the file has bytes for them; a tree in a circle has not.
            require<FormatError>(kind == 0 && nodes.size() <= source_.bytes.size() / 8, "load '{}': HDF5: a group's tree at byte {} is damaged", source_.name, nodes[i]);
            for (std::uint64_t entry = 0; entry < entries; ++entry) {
                node.skip(8);
                nodes.push_back(node.number(8));
            }
        } else {
            require<FormatError>(sign == "SNOD", "load '{}': HDF5: no group at byte {}", source_.name, nodes[i]);
            node.skip(2);
            const auto entries = node.number(2);
            for (std::uint64_t entry = 0; entry < entries; ++entry) {
                const auto at_name = node.number(8), object = node.number(8), kind = node.number(4);
                node.skip(20);
                require<FormatError>(at_name < names.size(), "load '{}': HDF5: a name lies outside its group", source_.name);
                const std::string_view from(reinterpret_cast<const char*>(names.data() + at_name), names.size() - at_name);
                if (from.substr(0, from.find('\0')) != name) continue;
                require<FormatError>(kind != 2, "load '{}': '{}' is a link, not data of this file", source_.name, name);
                return object;
            }
        }
    }
    return std::nullopt;
}

std::optional<Hdf5File::Object> Hdf5File::child(Object group, const std::string& name) const {
    for (const Message& message : messages(group)) {
        Piece piece(message.bytes, source_.name, "a link");
        if (message.type == 0x11) {
            const auto tree = piece.number(8), heap = piece.number(8);
            if (const auto found = child_in_tree(tree, heap, name)) return found;
        } else if (message.type == 0x02) {
            piece.skip(1);
            const auto flags = piece.number(1);
            piece.skip((flags & 1) != 0 ? 8 : 0);
            require<FormatError>(piece.number(8) == undefined, "load '{}': HDF5: a group in the form of libver='latest' with many members; save with the default", source_.name);
        } else if (message.type == 0x06) {
            const auto version = piece.number(1), flags = piece.number(1), kind = (flags & 8) != 0 ? piece.number(1) : 0;
            require<FormatError>(version == 1, "load '{}': HDF5: a link of version {}", source_.name, version);
            piece.skip(((flags & 4) != 0 ? 8 : 0) + ((flags & 0x10) != 0 ? 1 : 0));
            const auto length = piece.number(1U << (flags & 3));
            if (piece.text(length) != name) continue;
            require<FormatError>(kind == 0, "load '{}': '{}' is a link, not data of this file", source_.name, name);
            return piece.number(8);
        }
    }
    return std::nullopt;
}

bool Hdf5File::has(Object group, const std::string& name) const { return child(group, name).has_value(); }

Hdf5File::Object Hdf5File::find(Object group, const std::string& path) const {
    for (std::size_t begin = 0; begin <= path.size();) {
        const std::size_t end = std::min(path.find('/', begin), path.size());
        const auto next = child(group, path.substr(begin, end - begin));
        require<FormatError>(next.has_value(), "load '{}': '{}' is named but not there", source_.name, path);
        group = *next;
        begin = end + 1;
    }
    return group;
}

std::string Hdf5File::heap_text(std::uint64_t collection, std::uint32_t index, std::uint32_t length) const {
    if (length == 0) return {};
    Piece head(at(collection, 16, "a heap"), source_.name, "a heap");
    require<FormatError>(head.text(4) == "GCOL", "load '{}': HDF5: no heap at byte {}", source_.name, collection);
    head.skip(4);
    const auto size = head.number(8);
    require<FormatError>(size >= 16, "load '{}': HDF5: a heap of {} bytes", source_.name, size);
    Piece objects(at(collection, size, "a heap").subspan(16), source_.name, "a heap");
    while (objects.rest().size() >= 16) {
        const auto number = objects.number(2);
        objects.skip(6);
        const auto bytes = objects.number(8);
        if (number == 0) break;
        require<FormatError>(bytes <= size, "load '{}': HDF5: a text of {} bytes in a heap of {}", source_.name, bytes, size);
        if (number == index) {
            require<FormatError>(length <= bytes, "load '{}': HDF5: a text of {} bytes where {} lie", source_.name, length, bytes);
            return objects.text(length);
        }
        objects.skip(std::min<std::uint64_t>(padded(bytes), objects.rest().size()));
    }
    fail<FormatError>("load '{}': HDF5: text {} is not in its heap", source_.name, index);
}

std::optional<std::vector<std::string>> Hdf5File::texts(Object object, const std::string& name) const {
    for (const Message& message : messages(object)) {
        if (message.type == 0x15) {
            Piece info(message.bytes, source_.name, "attributes");
            info.skip(1);
            info.skip((info.number(1) & 1) != 0 ? 2 : 0);
            require<FormatError>(info.number(8) == undefined, "load '{}': HDF5: attributes in the form of libver='latest'; save with the default", source_.name);
        }
        if (message.type != 0x0c) continue;
        Piece piece(message.bytes, source_.name, "an attribute");
        const auto version = piece.number(1), flags = piece.number(1), name_size = piece.number(2), type_size = piece.number(2), space_size = piece.number(2);
        require<FormatError>(version >= 1 && version <= 3 && (version == 1 || flags == 0), "load '{}': HDF5: an attribute of version {} and flags {}", source_.name, version, flags);
        if (version == 3) piece.skip(1);
        const auto wide = [&](std::uint64_t size) { return version == 1 ? padded(size) : size; };
        if (piece.text(wide(name_size)) != name) continue;
        const ElementType type = read_type(piece.take(wide(type_size)), source_.name);
        const Space space = read_space(piece.take(wide(space_size)), source_.name);
        const std::uint64_t count = space.is_null ? 0 : count_of(space.sizes, source_.bytes.size(), source_.name, name);
        std::vector<std::string> result;
        if (count == 0) return result;
        require<FormatError>(type.kind == ElementType::Kind::text || type.kind == ElementType::Kind::free_text, "load '{}': attribute '{}' is no text", source_.name, name);
        std::uint64_t used = 0;
        for (std::uint64_t i = 0; i < count; ++i) {
            if (type.kind == ElementType::Kind::text) {
                result.push_back(piece.text(type.size));
                continue;
            }
            const auto length = static_cast<std::uint32_t>(piece.number(4));
            const auto collection = piece.number(8);
            result.push_back(heap_text(collection, static_cast<std::uint32_t>(piece.number(4)), length));
            // Texts may share a place in the heap, so their sum is bounded too.
            used += length;
            require<FormatError>(used <= 16 * source_.bytes.size(), "load '{}': attribute '{}' is larger than the file allows", source_.name, name);
        }
        return result;
    }
    return std::nullopt;
}

}  // namespace fovea
