// The HDF5 File Format Specification, version 3.0: superblocks 0 to 3, object headers 1 and 2, groups by symbol table or link messages,
// contiguous, compact and chunked data with deflate and shuffle.
#include "io/hdf5.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <limits>

#include <zlib.h>

#include "core/text.h"

namespace fovea {

namespace {

using Bytes = std::span<const std::byte>;
constexpr std::uint64_t undefined = ~std::uint64_t{0};

/// Reads numbers from the front of a piece of the file.
class Piece {
public:
    Piece(Bytes bytes, std::string_view file, std::string_view what) : bytes_(bytes), file_(file), what_(what) {}
    Bytes take(std::uint64_t size) {
        require<FormatError>(size <= bytes_.size(), "load '{}': HDF5: {} is cut off", file_, what_);
        const Bytes taken = bytes_.first(size);
        bytes_ = bytes_.subspan(size);
        return taken;
    }
    /// A little-endian number of 1, 2, 4 or 8 bytes.
    std::uint64_t number(unsigned size) {
        std::uint64_t value = 0;
        const Bytes taken = take(size);
        for (unsigned i = 0; i < size; ++i) value |= std::to_integer<std::uint64_t>(taken[i]) << (8 * i);
        return value;
    }
    void skip(std::uint64_t size) { (void)take(size); }
    /// A name in `size` bytes, up to its first zero.
    std::string text(std::uint64_t size) {
        const Bytes taken = take(size);
        const std::string_view all(reinterpret_cast<const char*>(taken.data()), taken.size());
        return std::string(all.substr(0, all.find('\0')));
    }
    [[nodiscard]] Bytes rest() const { return bytes_; }

private:
    Bytes bytes_;
    std::string_view file_, what_;
};

std::uint64_t padded(std::uint64_t size) { return (size + 7) / 8 * 8; }

struct Space {
    std::vector<std::uint64_t> sizes;
    bool is_null = false;
};

Space read_space(Bytes bytes, std::string_view file) {
    Piece piece(bytes, file, "a shape");
    const auto version = piece.number(1), rank = piece.number(1);
    require<FormatError>((version == 1 || version == 2) && rank <= Shape::max_rank, "load '{}': HDF5: a shape of version {} with {} dimensions", file, version, rank);
    piece.skip(1);
    Space space;
    const auto kind = piece.number(1);
    if (version == 1) piece.skip(4);
    else space.is_null = kind == 2;
    for (std::uint64_t i = 0; i < rank; ++i) space.sizes.push_back(piece.number(8));
    return space;
}

/// The number of elements; refuses more than `most`.
std::uint64_t count_of(const std::vector<std::uint64_t>& sizes, std::uint64_t most, std::string_view file, std::string_view what) {
    std::uint64_t count = 1;
    for (const std::uint64_t size : sizes) {
        require<FormatError>(size == 0 || count <= most / size, "load '{}': '{}' is larger than the file allows", file, what);
        count *= size;
    }
    return count;
}

struct Hdf5Type {
    enum class Kind { number, text, free_text, other } kind = Kind::other;
    Stored stored{};
    std::uint64_t size = 0;
};

Hdf5Type read_type(Bytes bytes, std::string_view file) {
    Piece piece(bytes, file, "an element type");
    const auto first = piece.number(1), bits = piece.number(3);
    Hdf5Type type{.size = piece.number(4)};
    require<FormatError>(type.size > 0, "load '{}': HDF5: elements of 0 bytes", file);
    const bool is_little = (bits & 1) == 0;
    switch (first & 15) {
        case 0:
            if (!is_little) break;
            type.kind = Hdf5Type::Kind::number;
            if (type.size == 1) type.stored = (bits & 8) != 0 ? Stored::i8 : Stored::u8;
            else if (type.size == 2 && (bits & 8) != 0) type.stored = Stored::i16;
            else if (type.size == 4 && (bits & 8) != 0) type.stored = Stored::i32;
            else if (type.size == 8) type.stored = Stored::i64;
            else type.kind = Hdf5Type::Kind::other;
            break;
        case 1: {
            piece.skip(5);
            const auto exponent = piece.number(1);
            if (!is_little || (bits & 0x40) != 0) break;
            type.kind = Hdf5Type::Kind::number;
            if (type.size == 2 && exponent == 5) type.stored = Stored::f16;
            else if (type.size == 4 && exponent == 8) type.stored = Stored::f32;
            else if (type.size == 8 && exponent == 11) type.stored = Stored::f64;
            else type.kind = Hdf5Type::Kind::other;
            break;
        }
        case 3: type.kind = Hdf5Type::Kind::text; break;
        case 9:
            if ((bits & 15) == 1 && type.size == 16) type.kind = Hdf5Type::Kind::free_text;
            break;
        default: break;
    }
    return type;
}

/// Filters in the order in which they were applied: 1 deflate, 2 shuffle, 3 checksum.
std::vector<unsigned> read_filters(Bytes bytes, std::string_view file) {
    Piece piece(bytes, file, "a list of filters");
    const auto version = piece.number(1), count = piece.number(1);
    require<FormatError>((version == 1 || version == 2) && count <= 8, "load '{}': HDF5: {} filters of version {}", file, count, version);
    if (version == 1) piece.skip(6);
    std::vector<unsigned> filters;
    for (std::uint64_t i = 0; i < count; ++i) {
        const auto id = piece.number(2), name = version == 1 || id >= 256 ? piece.number(2) : 0;
        piece.skip(2);
        const auto values = piece.number(2);
        require<FormatError>(id >= 1 && id <= 3, "load '{}': HDF5: values packed with filter {}, read are 1 (deflate), 2 (shuffle) and 3 (checksum)", file, id);
        piece.skip(version == 1 ? padded(name) : name);
        piece.skip(4 * values + (version == 1 && values % 2 == 1 ? 4 : 0));
        filters.push_back(static_cast<unsigned>(id));
    }
    return filters;
}

std::vector<std::byte> inflated(Bytes packed, std::size_t size, std::string_view file) {
    std::vector<std::byte> content(size);
    uLongf got = size;
    const int status = uncompress(reinterpret_cast<Bytef*>(content.data()), &got, reinterpret_cast<const Bytef*>(packed.data()), packed.size());
    require<FormatError>(status == Z_OK && got == size, "load '{}': HDF5: a packed piece of values is damaged", file);
    return content;
}

}  // namespace

struct Hdf5Chunks {
    std::vector<std::uint64_t> sizes, chunk;  ///< of the data set and of one piece, in elements
    std::uint64_t width = 0;                  ///< bytes of an element
    std::vector<unsigned> filters;
};

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
        const Hdf5Type type = read_type(piece.take(wide(type_size)), source_.name);
        const Space space = read_space(piece.take(wide(space_size)), source_.name);
        const std::uint64_t count = space.is_null ? 0 : count_of(space.sizes, source_.bytes.size(), source_.name, name);
        std::vector<std::string> result;
        if (count == 0) return result;
        require<FormatError>(type.kind == Hdf5Type::Kind::text || type.kind == Hdf5Type::Kind::free_text, "load '{}': attribute '{}' is no text", source_.name, name);
        std::uint64_t used = 0;
        for (std::uint64_t i = 0; i < count; ++i) {
            if (type.kind == Hdf5Type::Kind::text) {
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

void Hdf5File::read_chunks(std::uint64_t tree, const Hdf5Chunks& layout, std::vector<std::byte>& values) const {
    const std::size_t rank = layout.sizes.size();
    std::uint64_t chunk_bytes = layout.width;
    for (const std::uint64_t size : layout.chunk) chunk_bytes *= size;
    const bool has_checksum = std::ranges::find(layout.filters, 3U) != layout.filters.end();
    std::uint64_t written = 0;
    std::vector<std::uint64_t> nodes{tree};
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        Piece node(at(nodes[i], source_.bytes.size() - std::min<std::uint64_t>(nodes[i], source_.bytes.size()), "a data set"), source_.name, "a data set");
        const std::string sign = node.text(4);
        const auto kind = node.number(1), level = node.number(1), entries = node.number(2);
        require<FormatError>(sign == "TREE" && kind == 1 && nodes.size() <= source_.bytes.size() / 8, "load '{}': HDF5: a data set's tree at byte {} is damaged", source_.name, nodes[i]);
        node.skip(16);
        for (std::uint64_t entry = 0; entry < entries; ++entry) {
            const auto packed_bytes = node.number(4);
            node.skip(4);
            std::vector<std::uint64_t> begin;
            for (std::size_t d = 0; d < rank; ++d) begin.push_back(node.number(8));
            node.skip(8);
            const auto address = node.number(8);
            if (level > 0) {
                nodes.push_back(address);
                continue;
            }
            // Pieces overhang the edges at most once per dimension; a tree that repeats itself does not end before this.
            written += chunk_bytes;
            require<FormatError>(written <= (values.size() + chunk_bytes) << rank, "load '{}': HDF5: pieces of a data set overlap", source_.name);
            Bytes bytes = at(address, packed_bytes, "a piece of values");
            std::vector<std::byte> content;
            for (std::size_t f = layout.filters.size(); f-- > 0;) {
                if (layout.filters[f] == 1) {
                    content = inflated(bytes, chunk_bytes + (has_checksum && f > 0 ? 4 : 0), source_.name);
                    bytes = content;
                } else if (layout.filters[f] == 3) {
                    require<FormatError>(bytes.size() >= 4, "load '{}': HDF5: a piece of values is cut off", source_.name);
                    bytes = bytes.first(bytes.size() - 4);
                } else {
                    std::vector<std::byte> straight(bytes.size());
                    const std::size_t count = bytes.size() / layout.width;
                    for (std::size_t e = 0; e < count; ++e)
                        for (std::size_t b = 0; b < layout.width; ++b) straight[e * layout.width + b] = bytes[b * count + e];
                    content = std::move(straight);
                    bytes = content;
                }
            }
            require<FormatError>(bytes.size() == chunk_bytes, "load '{}': HDF5: a piece of {} bytes, expected {}", source_.name, bytes.size(), chunk_bytes);
            // Row by row of the last dimension, as far as they lie inside the data set.
            std::vector<std::uint64_t> index(rank, 0);
            for (bool more = true; more;) {
                std::uint64_t to = 0, from = 0;
                bool is_inside = true;
                for (std::size_t d = 0; d < rank; ++d) {
                    is_inside = is_inside && begin[d] < layout.sizes[d] && index[d] < layout.sizes[d] - begin[d];
                    to = to * layout.sizes[d] + begin[d] + index[d], from = from * layout.chunk[d] + index[d];
                }
                if (is_inside) {
                    const std::uint64_t run = rank == 0 ? 1 : std::min(layout.chunk[rank - 1], layout.sizes[rank - 1] - begin[rank - 1]);
                    std::memcpy(values.data() + to * layout.width, bytes.data() + from * layout.width, run * layout.width);
                }
                more = false;
                for (std::size_t d = rank > 0 ? rank - 1 : 0; d-- > 0;) {
                    if (++index[d] < layout.chunk[d]) {
                        more = true;
                        break;
                    }
                    index[d] = 0;
                }
            }
        }
    }
}

Tensor Hdf5File::floats(Object dataset, const std::string& name) const {
    std::optional<Hdf5Type> type;
    std::optional<Space> space;
    std::optional<Bytes> layout;
    Hdf5Chunks chunks;
    for (const Message& message : messages(dataset)) {
        if (message.type == 0x01) space = read_space(message.bytes, source_.name);
        else if (message.type == 0x03) type = read_type(message.bytes, source_.name);
        else if (message.type == 0x08) layout = message.bytes;
        else if (message.type == 0x0b) chunks.filters = read_filters(message.bytes, source_.name);
        else require<FormatError>(message.type != 0x07, "load '{}': the values of '{}' lie in another file", source_.name, name);
    }
    require<FormatError>(type && space && layout, "load '{}': '{}' is no data set", source_.name, name);
    require<FormatError>(type->kind == Hdf5Type::Kind::number, "load '{}': '{}' holds elements of a type that is not read", source_.name, name);
    constexpr std::uint64_t most_times = 32;  // what unpacks to more than this is not weights
    const std::uint64_t most = most_times * source_.bytes.size() / type->size;
    const std::uint64_t count = count_of(space->sizes, most, source_.name, name);
    Shape shape;
    for (const std::uint64_t size : space->sizes) shape.push_back(static_cast<std::int64_t>(size));
    Piece piece(*layout, source_.name, "a layout");
    const auto version = piece.number(1), kind = piece.number(1);
    require<FormatError>(version == 3 || (version == 4 && kind <= 1), "load '{}': HDF5: '{}' is laid out in version {}, kind {}; save with the default libver", source_.name, name, version, kind);
    const std::uint64_t bytes = count * type->size;
    if (kind == 0 || kind == 1) {
        Bytes values;
        if (kind == 0) {
            values = piece.take(piece.number(2));
        } else {
            const auto address = piece.number(8), size = piece.number(8);
            values = count == 0 ? Bytes{} : at(address, size, "values");
        }
        require<FormatError>(values.size() >= bytes, "load '{}': '{}' takes {} bytes, {} are there", source_.name, name, bytes, values.size());
        return source_.tensor(values.first(bytes), type->stored, shape).to(DType::f32);
    }
    require<FormatError>(kind == 2, "load '{}': HDF5: '{}' is laid out as kind {}", source_.name, name, kind);
    const auto dimensions = piece.number(1), tree = piece.number(8);
    require<FormatError>(dimensions == space->sizes.size() + 1, "load '{}': HDF5: pieces of '{}' have {} dimensions", source_.name, name, dimensions);
    for (std::size_t d = 0; d < space->sizes.size(); ++d) {
        chunks.chunk.push_back(piece.number(4));
        require<FormatError>(chunks.chunk.back() > 0, "load '{}': HDF5: pieces of '{}' are empty", source_.name, name);
    }
    (void)count_of(chunks.chunk, most, source_.name, name);
    chunks.sizes = space->sizes, chunks.width = type->size;
    std::vector<std::byte> values(bytes);
    if (tree != undefined && count > 0) read_chunks(tree, chunks, values);
    return Source(values, source_.name).tensor(values, type->stored, shape).to(DType::f32);
}

}  // namespace fovea
