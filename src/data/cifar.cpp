// CIFAR-10 and CIFAR-100. Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images": the binary version, and class folders of JPEGs.
#include <array>

#include "core/text.h"
#include "data/formats.h"

namespace fovea {

namespace {

constexpr std::size_t plane = 32 * 32;

std::string full_name(std::string_view name, const std::filesystem::path& directory, Split split) { return fmt::format("{}:{} ({})", name, directory.string(), name_of(split)); }

/// The .bin files of one split, in order.
struct BinaryFiles {
    std::string_view folder, archive;
    std::vector<std::string> names;
};

BinaryFiles binary_files(const CifarLayout& layout, Split split) {
    if (layout.classes == 100) return {"cifar-100-binary", "cifar-100-binary.tar.gz", {split == Split::train ? "train.bin" : "test.bin"}};
    if (split != Split::train) return {"cifar-10-batches-bin", "cifar-10-binary.tar.gz", {"test_batch.bin"}};
    return {"cifar-10-batches-bin", "cifar-10-binary.tar.gz", {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"}};
}

MemoryImages from_directory(const std::filesystem::path& directory, const BinaryFiles& files, const CifarLayout& layout) {
    MemoryImages images;
    for (const auto& name : files.names) {
        const auto path = directory / name;
        parse_cifar(read_file(path), path.string(), layout, images);
    }
    return images;
}

MemoryImages from_archive(const std::filesystem::path& path, const BinaryFiles& files, const CifarLayout& layout) {
    std::vector<std::vector<std::byte>> contents(files.names.size());
    const auto place = [&](std::string_view member) {
        const auto base = member.substr(member.rfind('/') + 1);
        return static_cast<std::size_t>(std::ranges::find(files.names, base) - files.names.begin());
    };
    read_tar(
        read_file(path), path.string(), [&](std::string_view member) { return place(member) < contents.size(); },
        [&](TarMember member) { contents[place(member.name)] = std::move(member.bytes); });
    MemoryImages images;
    for (std::size_t i = 0; i < contents.size(); ++i) {
        require<FormatError>(!contents[i].empty(), "read '{}': no member {}", path.string(), files.names[i]);
        parse_cifar(contents[i], fmt::format("{}:{}", path.string(), files.names[i]), layout, images);
        contents[i] = {};
    }
    return images;
}

DatasetPtr from_jpegs(std::string name, const std::filesystem::path& path) {
    std::vector<std::string> damaged;
    auto dataset = memory_dataset(std::move(name), cifar10_classes(), parse_image_tar(read_file(path), path.string(), cifar10_classes(), 32, damaged));
    for (const auto& message : damaged) dataset->note_damaged(message);
    return dataset;
}

/// The layouts a user may have, most faithful pixels first.
DatasetPtr open_cifar(std::string_view title, const std::filesystem::path& directory, Split split, const CifarLayout& layout) {
    const BinaryFiles files = binary_files(layout, split);
    const auto name = full_name(title, directory, split);
    require<ArgumentError>(split != Split::val, "data set '{}' has no val split; take a part of train with subset()", name);
    const auto& classes = layout.classes == 100 ? cifar100_classes() : cifar10_classes();
    for (const auto& place : {directory, directory / files.folder})
        if (std::filesystem::exists(place / files.names[0])) return memory_dataset(name, classes, from_directory(place, files, layout));
    const bool is_file = std::filesystem::is_regular_file(directory);
    const auto archive = is_file ? directory : directory / files.archive;
    if (std::filesystem::exists(archive)) return memory_dataset(name, classes, from_archive(archive, files, layout));
    const auto jpegs = fmt::format("cifar10-{}-jpg.tar.xz", split == Split::train ? "train" : "test");
    if (layout.classes == 10 && std::filesystem::exists(directory / jpegs)) return from_jpegs(name, directory / jpegs);
    fail<FormatError>("open '{}': no {}, no {}{} there", directory.string(), files.names[0], files.archive, layout.classes == 10 ? " and no " + jpegs : "");
}

}  // namespace

void parse_cifar(std::span<const std::byte> unpacked, std::string_view name, const CifarLayout& layout, MemoryImages& images) {
    const std::size_t label_bytes = static_cast<std::size_t>(layout.label_bytes), record = label_bytes + 3 * plane;
    require<FormatError>(!unpacked.empty() && unpacked.size() % record == 0, "load '{}': {} records have {} bytes each, the file has {}: {} records and {} bytes", name, layout.title,
                         record, unpacked.size(), unpacked.size() / record, unpacked.size() % record);
    images.height = images.width = 32;
    images.channels = 3;
    const std::size_t count = unpacked.size() / record;
    images.pixels.reserve(images.pixels.size() + count * 3 * plane);
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t start = i * record;
        const int label = std::to_integer<int>(unpacked[start + label_bytes - 1]);
        require<FormatError>(label < layout.classes, "load '{}': record {} (byte {}) has label {}, expected 0..{}", name, i, start + label_bytes - 1, label, layout.classes - 1);
        images.labels.push_back(label);
        const std::byte* planes = unpacked.data() + start + label_bytes;
        const std::size_t before = images.pixels.size();
        images.pixels.resize(before + 3 * plane);
        for (std::size_t p = 0; p < plane; ++p)
            for (std::size_t c = 0; c < 3; ++c) images.pixels[before + 3 * p + c] = std::to_integer<std::uint8_t>(planes[c * plane + p]);
    }
}

DatasetPtr cifar10(const std::filesystem::path& directory, Split split) { return open_cifar("cifar10", directory, split, cifar10_layout); }
DatasetPtr cifar100(const std::filesystem::path& directory, Split split) { return open_cifar("cifar100", directory, split, cifar100_layout); }

DatasetPtr cifar10_file(const std::filesystem::path& path) {
    auto file = path;
    if (std::filesystem::is_directory(path)) file /= "data_batch_1_first4000_lossless.bin.xz";
    const auto packed = read_file(file);
    constexpr std::size_t limit = std::size_t{1} << 31;  // ten times the whole of CIFAR-10
    const auto unpacked = read_up_to(*open_source(packed, file.string()), limit);
    require<FormatError>(unpacked.size() < limit, "load '{}': more than {} bytes when unpacked", file.string(), limit);
    MemoryImages images;
    parse_cifar(unpacked, file.string(), cifar10_layout, images);
    return memory_dataset(fmt::format("cifar10-lossless:{}", path.string()), cifar10_classes(), std::move(images));
}

const std::vector<std::string>& cifar10_classes() {
    static const std::vector<std::string> names{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
    return names;
}

const std::vector<std::string>& cifar100_classes() {
    static const std::vector<std::string> names{
        "apple",      "aquarium_fish", "baby",       "bear",        "beaver",     "bed",          "bee",        "beetle",      "bicycle",     "bottle",      "bowl",
        "boy",        "bridge",        "bus",        "butterfly",   "camel",      "can",          "castle",     "caterpillar", "cattle",      "chair",       "chimpanzee",
        "clock",      "cloud",         "cockroach",  "couch",       "crab",       "crocodile",    "cup",        "dinosaur",    "dolphin",     "elephant",    "flatfish",
        "forest",     "fox",           "girl",       "hamster",     "house",      "kangaroo",     "keyboard",   "lamp",        "lawn_mower",  "leopard",     "lion",
        "lizard",     "lobster",       "man",        "maple_tree",  "motorcycle", "mountain",     "mouse",      "mushroom",    "oak_tree",    "orange",      "orchid",
        "otter",      "palm_tree",     "pear",       "pickup_truck", "pine_tree", "plain",        "plate",      "poppy",       "porcupine",   "possum",      "rabbit",
        "raccoon",    "ray",           "road",       "rocket",      "rose",       "sea",          "seal",       "shark",       "shrew",       "skunk",       "skyscraper",
        "snail",      "snake",         "spider",     "squirrel",    "streetcar",  "sunflower",    "sweet_pepper", "table",     "tank",        "telephone",   "television",
        "tiger",      "tractor",       "train",      "trout",       "tulip",      "turtle",       "wardrobe",   "whale",       "willow_tree", "wolf",        "woman",
        "worm"};
    return names;
}

}  // namespace fovea
