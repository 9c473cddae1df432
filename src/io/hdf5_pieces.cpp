#include "io/hdf5_pieces.h"

namespace fovea::hdf5 {

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

std::uint64_t count_of(const std::vector<std::uint64_t>& sizes, std::uint64_t most, std::string_view file, std::string_view what) {
    std::uint64_t count = 1;
    for (const std::uint64_t size : sizes) {
        require<FormatError>(size == 0 || count <= most / size, "load '{}': '{}' is larger than the file allows", file, what);
        count *= size;
    }
    return count;
}

ElementType read_type(Bytes bytes, std::string_view file) {
    Piece piece(bytes, file, "an element type");
    const auto first = piece.number(1), bits = piece.number(3);
    ElementType type{.size = piece.number(4)};
    require<FormatError>(type.size > 0, "load '{}': HDF5: elements of 0 bytes", file);
    const bool is_little = (bits & 1) == 0;
    switch (first & 15) {
        case 0:
            if (!is_little) break;
            type.kind = ElementType::Kind::number;
            if (type.size == 1) type.stored = (bits & 8) != 0 ? Stored::i8 : Stored::u8;
            else if (type.size == 2 && (bits & 8) != 0) type.stored = Stored::i16;
            else if (type.size == 4 && (bits & 8) != 0) type.stored = Stored::i32;
            else if (type.size == 8) type.stored = Stored::i64;
            else type.kind = ElementType::Kind::other;
            break;
        case 1: {
            piece.skip(5);
            const auto exponent = piece.number(1);
            if (!is_little || (bits & 0x40) != 0) break;
            type.kind = ElementType::Kind::number;
            if (type.size == 2 && exponent == 5) type.stored = Stored::f16;
            else if (type.size == 4 && exponent == 8) type.stored = Stored::f32;
            else if (type.size == 8 && exponent == 11) type.stored = Stored::f64;
            else type.kind = ElementType::Kind::other;
            break;
        }
        case 3: type.kind = ElementType::Kind::text; break;
        case 9:
            if ((bits & 15) == 1 && type.size == 16) type.kind = ElementType::Kind::free_text;
            break;
        default: break;
    }
    return type;
}

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

}  // namespace fovea::hdf5
