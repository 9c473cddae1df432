// Parsers of data-set files: bytes in, pictures out. Fuzzed; nothing here opens a file.
#pragma once

#include <span>
#include <string_view>

#include "data/byte_source.h"
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

}  // namespace fovea
