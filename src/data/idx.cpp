// MNIST and Fashion-MNIST. LeCun, "The MNIST database": big-endian magic 0x0000 08 rank, the dimensions, then the bytes.
#include <array>

#include "core/text.h"
#include "data/formats.h"

namespace fovea {

namespace {

std::uint32_t big_endian(std::span<const std::byte> bytes) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) value = (value << 8) | std::to_integer<std::uint32_t>(bytes[i]);
    return value;
}

std::filesystem::path find_idx(const std::filesystem::path& directory, std::string_view stem) {
    for (const char* ending : {"", ".gz"}) {
        auto path = directory / stem;
        path += ending;
        if (std::filesystem::exists(path)) return path;
    }
    fail<FormatError>("open '{}': no {} and no {}.gz there", directory.string(), stem, stem);
}

DatasetPtr open_idx(std::string name, const std::filesystem::path& directory, Split split, std::vector<std::string> classes) {
    require<ArgumentError>(split != Split::val, "data set '{}' has no val split; take a part of train with subset()", name);
    const std::string_view prefix = split == Split::train ? "train" : "t10k";
    const auto image_path = find_idx(directory, fmt::format("{}-images-idx3-ubyte", prefix));
    const auto label_path = find_idx(directory, fmt::format("{}-labels-idx1-ubyte", prefix));
    const Idx images = parse_idx(read_file(image_path), image_path.string(), 3);
    const Idx labels = parse_idx(read_file(label_path), label_path.string(), 1);
    require<FormatError>(images.dims[0] == labels.dims[0], "load '{}': {} images, but '{}' has {} labels", image_path.string(), images.dims[0], label_path.string(), labels.dims[0]);
    MemoryImages memory{images.dims[1], images.dims[2], 1, {}, {}};
    const auto* first = reinterpret_cast<const std::uint8_t*>(images.values.data());
    memory.pixels.assign(first, first + images.values.size());
    for (std::size_t i = 0; i < labels.values.size(); ++i) {
        const int label = std::to_integer<int>(labels.values[i]);
        require<FormatError>(label < static_cast<int>(classes.size()), "load '{}': label {} (byte {}) is {}, expected 0..{}", label_path.string(), i, i + 8, label, classes.size() - 1);
        memory.labels.push_back(label);
    }
    return memory_dataset(std::move(name), std::move(classes), std::move(memory));
}

std::string full_name(std::string_view name, const std::filesystem::path& directory, Split split) { return fmt::format("{}:{} ({})", name, directory.string(), name_of(split)); }

}  // namespace

Idx parse_idx(std::span<const std::byte> bytes, std::string_view name, int rank) {
    const auto source = open_source(bytes, std::string(name));
    const std::size_t header_bytes = 4 + 4 * static_cast<std::size_t>(rank);
    const auto header = read_up_to(*source, header_bytes);
    require<FormatError>(header.size() == header_bytes, "load '{}': the header has {} bytes, the file ends after {}", name, header_bytes, header.size());
    const std::uint32_t magic = big_endian(header), expected_magic = 0x800 + static_cast<std::uint32_t>(rank);
    require<FormatError>(magic == expected_magic, "load '{}': magic number {}, expected {} ({})", name, magic, expected_magic, rank == 3 ? "images" : "labels");
    Idx idx;
    std::int64_t count = 1;
    for (int i = 0; i < rank; ++i) {
        idx.dims.push_back(big_endian(std::span(header).subspan(4 + 4 * static_cast<std::size_t>(i))));
        require<FormatError>(i == 0 || (idx.dims.back() >= 1 && idx.dims.back() <= 65536), "load '{}': an image of {} {} (byte {}), expected 1..65536", name, idx.dims.back(),
                             i == 1 ? "rows" : "columns", 4 + 4 * i);
        count *= idx.dims.back();  // below 2^32 * 2^16 * 2^16; refused below when beyond 2^40
        require<FormatError>(count <= std::int64_t{1} << 40, "load '{}': the header claims more than {} values", name, std::int64_t{1} << 40);
    }
    idx.values = read_up_to(*source, static_cast<std::size_t>(count));
    const std::string content = rank == 3 ? fmt::format("{} images of {}x{}", idx.dims[0], idx.dims[1], idx.dims[2]) : fmt::format("{} labels", idx.dims[0]);
    require<FormatError>(static_cast<std::int64_t>(idx.values.size()) == count, "load '{}': {} need {} bytes, the file ends after {}", name, content,
                         header_bytes + static_cast<std::size_t>(count), header_bytes + idx.values.size());
    std::array<std::byte, 1> extra;
    require<FormatError>(source->read(extra) == 0, "load '{}': {} need {} bytes, the file goes on after them", name, content, header_bytes + static_cast<std::size_t>(count));
    return idx;
}

const std::vector<std::string>& mnist_classes() {
    static const std::vector<std::string> names{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    return names;
}

const std::vector<std::string>& fashion_mnist_classes() {
    static const std::vector<std::string> names{"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"};
    return names;
}

DatasetPtr mnist(const std::filesystem::path& directory, Split split) {
    return open_idx(full_name("mnist", directory, split), directory, split, mnist_classes());
}

DatasetPtr fashion_mnist(const std::filesystem::path& directory, Split split) {
    return open_idx(full_name("fashion-mnist", directory, split), directory, split, fashion_mnist_classes());
}

}  // namespace fovea
