// Any bytes as CIFAR records, plain, gzip or xz.
#include "data/formats.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace fovea;
    try {
        const std::span<const std::byte> bytes(reinterpret_cast<const std::byte*>(data), size);
        const auto unpacked = read_up_to(*open_source(bytes, "fuzz"), 1 << 20);
        MemoryImages images;
        parse_cifar(unpacked, "fuzz", size % 2 ? cifar10_layout : cifar100_layout, images);
        (void)memory_dataset("fuzz", cifar100_classes(), std::move(images));
    } catch (const FormatError&) {
    }
    return 0;
}
