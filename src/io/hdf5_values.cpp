// The numbers of a data set: in one stretch, inside its header, or in chunks with deflate, shuffle and checksum.
#include <algorithm>
#include <cstring>
#include <optional>

#include <zlib.h>

#include "io/hdf5.h"
#include "io/hdf5_pieces.h"

namespace fovea {

using namespace hdf5;

namespace {

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
    std::optional<ElementType> type;
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
    require<FormatError>(type->kind == ElementType::Kind::number, "load '{}': '{}' holds elements of a type that is not read", source_.name, name);
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
