// Parsers of data-set files: bytes in, pictures out. Fuzzed; nothing here opens a file.
#pragma once

#include <span>
#include <string_view>

#include "data/byte_source.h"
#include "data/picture_files.h"
#include "fovea/data.h"

namespace fovea {

/// IDX with u8 values (LeCun's format of MNIST), plain or packed. `rank` dimensions are demanded: 3 for images, 1 for labels.
struct Idx {
    std::vector<std::int64_t> dims;
    std::vector<std::byte> values;
};
[[nodiscard]] Idx parse_idx(std::span<const std::byte> bytes, std::string_view name, int rank);

/// Records of a CIFAR binary file: label_bytes label bytes of which the last counts, then 1024 R, 1024 G, 1024 B.
struct CifarLayout {
    std::string_view title;  ///< "CIFAR-10", for messages
    int label_bytes = 1;
    int classes = 10;
};
inline constexpr CifarLayout cifar10_layout{"CIFAR-10", 1, 10}, cifar100_layout{"CIFAR-100", 2, 100};
/// Appends to `images` (which becomes 32x32x3) as HWC.
void parse_cifar(std::span<const std::byte> unpacked, std::string_view name, const CifarLayout& layout, MemoryImages& images);

[[nodiscard]] const std::vector<std::string>& mnist_classes();
[[nodiscard]] const std::vector<std::string>& fashion_mnist_classes();
[[nodiscard]] const std::vector<std::string>& cifar10_classes();
[[nodiscard]] const std::vector<std::string>& cifar100_classes();

/// A tar of <folders>/<class>/<file>.jpg with pictures of one size. A damaged picture is left out and its message added to `damaged`.
[[nodiscard]] MemoryImages parse_image_tar(std::span<const std::byte> packed, std::string_view name, const std::vector<std::string>& classes, int side,
                                           std::vector<std::string>& damaged);

/// The cells of a CSV file (RFC 4180, commas), its first row the columns' names; rows have equally many. Throws FormatError.
[[nodiscard]] std::vector<std::vector<std::string>> parse_csv(std::span<const std::byte> bytes, std::string_view name);
/// Pictures and labels of a CSV: a column file, path, filename, image or image_path; a column label, class, category, target or index with
/// numbers from 0 (names beside them in `name` or `class_name`) or with the classes' names; where there is a column split, its rows alone.
struct PictureList {
    std::vector<std::string> classes;
    std::vector<PictureFile> files;
    bool has_splits = false;
};
[[nodiscard]] PictureList parse_picture_list(std::span<const std::byte> bytes, std::string_view name, Split split);

/// A tar in memory, not packed: the pictures of a WebDataset shard, where their bytes lie.
struct ShardSample {
    std::string key;          ///< the members' common name
    std::size_t offset = 0, bytes = 0;  ///< of the picture
    std::int64_t label = 0;
};
/// Throws FormatError for what is no tar; a shard cut short gives what it holds and says so in `damaged`.
[[nodiscard]] std::vector<ShardSample> parse_shard(std::span<const std::byte> tar, std::string_view name, std::vector<std::string>& damaged);

}  // namespace fovea
