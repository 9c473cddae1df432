#include <gtest/gtest.h>

#include "data/files.h"

namespace fovea {
namespace {

std::string idx_message(const std::string& bytes, int rank) {
    return message_of([&] { (void)parse_idx(as_span(bytes), "f", rank); });
}

TEST(Idx, ReadsPlainAndGzip) {
    for (const auto& bytes : {idx_images(4), gzip(idx_images(4))}) {
        const Idx idx = parse_idx(as_span(bytes), "f", 3);
        EXPECT_EQ(idx.dims, (std::vector<std::int64_t>{4, 3, 2}));
        EXPECT_EQ(idx.values.at(13), std::byte{21});
    }
}

TEST(Idx, SaysWhatIsWrongWithAFile) {
    const auto images = idx_images(4);
    EXPECT_EQ(idx_message(images.substr(0, 30), 3), "load 'f': 4 images of 3x2 need 40 bytes, the file ends after 30");
    EXPECT_EQ(idx_message(images + "x", 3), "load 'f': 4 images of 3x2 need 40 bytes, the file goes on after them");
    EXPECT_EQ(idx_message(images.substr(0, 9), 3), "load 'f': the header has 16 bytes, the file ends after 9");
    EXPECT_EQ(idx_message(images, 1), "load 'f': magic number 2051, expected 2049 (labels)");
    EXPECT_EQ(idx_message(idx_labels("\1\2"), 3), "load 'f': the header has 16 bytes, the file ends after 10");
    EXPECT_EQ(idx_message(idx_labels("0123456789"), 3), "load 'f': magic number 2049, expected 2051 (images)");
    EXPECT_EQ(idx_message(big_endian({0x803, 1, 0, 28}), 3), "load 'f': an image of 0 rows (byte 8), expected 1..65536");
    EXPECT_EQ(idx_message(big_endian({0x803, 0xFFFFFFFF, 28, 65536}), 3), "load 'f': the header claims more than 1099511627776 values");
    EXPECT_EQ(idx_message(big_endian({0x803, 60000, 28, 28}), 3), "load 'f': 60000 images of 28x28 need 47040016 bytes, the file ends after 16");
}

TEST(Idx, SaysWhatIsWrongWithGzip) {
    const auto packed = gzip(idx_images(200));
    EXPECT_EQ(idx_message(packed.substr(0, packed.size() - 9), 3), fmt::format("unpack 'f': gzip data ends after {} bytes, before its end mark", packed.size() - 9));
    auto corrupt = packed;
    corrupt[corrupt.size() - 6] ^= 1;  // the checksum
    EXPECT_EQ(idx_message(corrupt, 3), fmt::format("unpack 'f': bad gzip data at byte {} of {}: incorrect data check", packed.size() - 4, packed.size()));
    EXPECT_EQ(idx_message(packed + "tail", 3), fmt::format("unpack 'f': 4 bytes follow the end of the gzip data at byte {} of {}", packed.size(), packed.size() + 4));
}

TEST(Mnist, ImagesAndLabelsMustAgree) {
    const TemporaryFolder folder;
    const auto images = folder.write("train-images-idx3-ubyte", idx_images(3));
    EXPECT_EQ(message_of([&] { (void)mnist(folder.path(), Split::train); }),
              fmt::format("open '{}': no train-labels-idx1-ubyte and no train-labels-idx1-ubyte.gz there", folder.path().string()));
    const auto labels = folder.write("train-labels-idx1-ubyte.gz", gzip(idx_labels("\1\2")));
    EXPECT_EQ(message_of([&] { (void)mnist(folder.path(), Split::train); }), fmt::format("load '{}': 3 images, but '{}' has 2 labels", images, labels));
    folder.write("train-labels-idx1-ubyte.gz", gzip(idx_labels("\1\2\12")));
    EXPECT_EQ(message_of([&] { (void)mnist(folder.path(), Split::train); }), fmt::format("load '{}': label 2 (byte 10) is 10, expected 0..9", labels));
    folder.write("train-labels-idx1-ubyte.gz", gzip(idx_labels("\1\2\11")));
    const auto dataset = open_dataset("mnist:" + folder.path().string(), Split::train);
    EXPECT_EQ(dataset->size(), 3);
    EXPECT_EQ(dataset->label(2), 9);
    EXPECT_EQ(dataset->image_shape(), (Shape{3, 2, 1}));
    EXPECT_EQ(dataset->get(1).image.at(1, 2), 15);
    EXPECT_EQ(message_of<ArgumentError>([&] { (void)dataset->get(3); }), fmt::format("data set 'mnist:{} (train)': no picture 3 of 3", folder.path().string()));
}

TEST(Cifar, ReadsRecordsFromFilesAndArchives) {
    const TemporaryFolder folder;
    const auto one = cifar_records({"\3"}), two = cifar_records({std::string(1, '\0'), "\11"});
    for (int i = 1; i <= 4; ++i) folder.write(fmt::format("data_batch_{}.bin", i), one);
    folder.write("data_batch_5.bin", two);
    folder.write("a/cifar-10-binary.tar.gz", gzip(tar({{"cifar-10-batches-bin/batches.meta.txt", "airplane\n"},
                                                      {"cifar-10-batches-bin/data_batch_5.bin", two},
                                                      {"cifar-10-batches-bin/data_batch_1.bin", one},
                                                      {"cifar-10-batches-bin/data_batch_2.bin", one},
                                                      {"cifar-10-batches-bin/data_batch_3.bin", one},
                                                      {"cifar-10-batches-bin/data_batch_4.bin", one},
                                                      {"cifar-10-batches-bin/test_batch.bin", two}})));
    for (const auto& directory : {folder.path(), folder.path() / "a", folder.path() / "a/cifar-10-binary.tar.gz"}) {
        const auto dataset = cifar10(directory, Split::train);
        ASSERT_EQ(dataset->size(), 6);
        EXPECT_EQ(dataset->label(0), 3);
        EXPECT_EQ(dataset->label(5), 9);
        const Image image = dataset->get(5).image;  // record 1 of its file: planes of p + 1, p + 2, p + 3
        EXPECT_EQ(image.at(5, 2, 0), 70);
        EXPECT_EQ(image.at(5, 2, 2), 72);
        EXPECT_EQ(dataset->classes().at(9), "truck");
    }
    EXPECT_EQ(cifar10(folder.path() / "a", Split::test)->size(), 2);
    folder.write("c/train.bin", cifar_records({"\1\x63"}));
    EXPECT_EQ(cifar100(folder.path() / "c", Split::train)->label(0), 99);  // the second byte is the fine label
    EXPECT_EQ(cifar100(folder.path() / "c", Split::train)->classes().at(99), "worm");
    EXPECT_EQ(cifar100(folder.path() / "c", Split::train)->classes().size(), 100u);
}

TEST(Cifar, SaysWhatIsWrongWithAFile) {
    const auto message = [](const std::string& bytes, const CifarLayout& layout) {
        MemoryImages images;
        return message_of([&] { parse_cifar(as_span(bytes), "f", layout, images); });
    };
    const auto records = cifar_records({"\3", "\4"});
    EXPECT_EQ(message(records.substr(0, 6000), cifar10_layout), "load 'f': CIFAR-10 records have 3073 bytes each, the file has 6000: 1 records and 2927 bytes");
    EXPECT_EQ(message(records + "x", cifar10_layout), "load 'f': CIFAR-10 records have 3073 bytes each, the file has 6147: 2 records and 1 bytes");
    EXPECT_EQ(message("", cifar10_layout), "load 'f': CIFAR-10 records have 3073 bytes each, the file has 0: 0 records and 0 bytes");
    EXPECT_EQ(message(cifar_records({"\3", "\12"}), cifar10_layout), "load 'f': record 1 (byte 3073) has label 10, expected 0..9");
    EXPECT_EQ(message(cifar_records({"\1\144"}), cifar100_layout), "load 'f': record 0 (byte 1) has label 100, expected 0..99");
    const TemporaryFolder folder;
    EXPECT_EQ(message_of([&] { (void)cifar10(folder.path(), Split::test); }),
              fmt::format("open '{}': no test_batch.bin, no cifar-10-binary.tar.gz and no cifar10-test-jpg.tar.xz there", folder.path().string()));
    const auto archive = folder.write("cifar-10-binary.tar.gz", gzip(tar({{"cifar-10-batches-bin/data_batch_1.bin", cifar_records({"\1"})}})));
    EXPECT_EQ(message_of([&] { (void)cifar10(folder.path(), Split::train); }), fmt::format("read '{}': no member data_batch_2.bin", archive));
}

std::string png_bytes(int side, std::uint8_t grey) {
    const auto bytes = encode_png(Image(side, side, 3, grey));
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(ImageTar, DecodesInClassOrderThenNameOrder) {
    std::vector<std::string> damaged;
    for (const int filter : {ARCHIVE_FILTER_NONE, ARCHIVE_FILTER_XZ, ARCHIVE_FILTER_GZIP}) {
        const auto bytes = tar({{"train/b/2.png", png_bytes(4, 2)}, {"train/a/9.png", png_bytes(4, 9)}, {"train/b/1.png", png_bytes(4, 1)}, {"README", "text"}}, filter);
        const MemoryImages images = parse_image_tar(as_span(bytes), "t", {"a", "b"}, 4, damaged);
        EXPECT_EQ(images.labels, (std::vector<std::int32_t>{0, 1, 1}));
        ASSERT_EQ(images.pixels.size(), 3 * 48u);
        EXPECT_EQ(images.pixels[0], 9);
        EXPECT_EQ(images.pixels[48], 1);
        EXPECT_EQ(images.pixels[96], 2);
    }
    EXPECT_TRUE(damaged.empty());
}

TEST(ImageTar, ADamagedPictureCostsThatPicture) {
    std::vector<std::string> damaged;
    const auto bytes = tar({{"a/1.png", png_bytes(4, 1)}, {"a/2.png", png_bytes(4, 2).substr(0, 50)}, {"a/3.png", png_bytes(5, 3)}, {"a/4.png", png_bytes(4, 4)}});
    const MemoryImages images = parse_image_tar(as_span(bytes), "t", {"a"}, 4, damaged);
    EXPECT_EQ(images.labels.size(), 2u);
    EXPECT_EQ(images.pixels.at(48), 4);
    EXPECT_EQ(damaged, (std::vector<std::string>{"decode 'a/2.png': PNG ends after 50 bytes, before its picture is complete (in 't')",
                                                 "decode 'a/3.png': 5x5 pixels, expected 4x4 (in 't')"}));
}

TEST(ImageTar, SaysWhatIsWrongWithAnArchive) {
    const auto message = [](const std::string& bytes) {
        std::vector<std::string> damaged;
        return message_of([&] { (void)parse_image_tar(as_span(bytes), "t", {"a", "b"}, 4, damaged); });
    };
    const auto good = tar({{"train/a/1.png", png_bytes(4, 1)}, {"train/b/1.png", png_bytes(4, 2)}});
    EXPECT_EQ(message(good.substr(0, 600)), "read 't': bad tar in member 'train/a/1.png': Truncated input file (needed 435 bytes, only 11 available)");
    EXPECT_EQ(message(good.substr(0, 1100)), "read 't': bad tar in member 'train/a/1.png': Truncated tar archive");
    EXPECT_EQ(message(std::string(2000, 'x')), "read 't': bad tar before its first member: Unrecognized archive format");
    EXPECT_EQ(message(tar({{"train/c/1.png", "x"}})), "read 't': member 'train/c/1.png' lies in none of the class folders a .. b");
    EXPECT_EQ(message(tar({{"README", "x"}})), "read 't': no member <class>/<file>.jpg");
    const auto xz = tar({{"train/a/1.png", png_bytes(4, 1)}}, ARCHIVE_FILTER_XZ);
    EXPECT_TRUE(message(xz.substr(0, xz.size() / 2)).starts_with("read 't': bad tar ")) << message(xz.substr(0, xz.size() / 2));
    const auto gz = gzip(good);
    EXPECT_EQ(message(gz.substr(0, gz.size() / 2)), fmt::format("unpack 't': gzip data ends after {} bytes, before its end mark", gz.size() / 2));
}

}  // namespace
}  // namespace fovea
