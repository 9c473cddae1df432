// A data set and a network small enough to be trained many times in a test.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "fovea/train.h"
#include "fovea/ops.h"
#include "support.h"

namespace fovea::test {

/// Four classes of 8 x 8 grey pictures: the bright quadrant tells the class, noise hides it a little.
inline DatasetPtr quadrants(std::int64_t count, std::string_view name) {
    MemoryImages images{8, 8, 1, {}, {}};
    const Rng rng(7, hash_name(name));
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t label = rng.below(static_cast<std::uint64_t>(i), 4);
        images.labels.push_back(static_cast<std::int32_t>(label));
        for (std::int64_t y = 0; y < 8; ++y)
            for (std::int64_t x = 0; x < 8; ++x) {
                const bool is_bright = (y / 4) * 2 + x / 4 == label;
                const auto element = static_cast<std::uint64_t>(1'000'000 + i * 64 + y * 8 + x);
                images.pixels.push_back(static_cast<std::uint8_t>(rng.below(element, 128) + (is_bright ? 80 : 0)));
            }
    }
    return memory_dataset(std::string(name), {"top-left", "top-right", "bottom-left", "bottom-right"}, images);
}

/// Convolution, batch norm, dropout, linear: every kind of state there is.
inline Graph small_network() {
    Graph net;
    Value x = net.input("image", {dynamic, 1, 8, 8});
    x = relu(batch_norm(conv2d(x, {.out = 8, .kernel = 3, .pad = 1}, "conv1"), {}, "bn1"));
    x = max_pool(x, {.kernel = 2});
    x = dropout(flatten(x), {.drop = 0.2}, "drop");
    net.output("logits", linear(x, {.out = 4}, "fc"));
    return net;
}

/// 320 pictures in batches of 32: 10 steps an epoch, the last batch of 50 x 32 full.
inline FitSpec small_fit(const std::filesystem::path& out, std::int64_t epochs = 3) {
    FitSpec spec;
    spec.model = "small";
    spec.train = quadrants(310, "train");  // 10 steps, the last one smaller
    spec.validation = quadrants(100, "validation");
    spec.preprocess = {.channels = 1, .mean = {0.3, 0.3, 0.3}, .std = {0.25, 0.25, 0.25}};
    spec.augment = {RandomCrop{.padding = 1, .fill = mean_fill}};
    spec.epochs = epochs;
    spec.batch = 32;
    spec.optimizer = Sgd{.lr = 0.05, .momentum = 0.9, .nesterov = true, .weight_decay = 1e-3};
    spec.schedule = {OneCycle{}};
    spec.seed = 11;
    spec.out = out;
    spec.save_every_steps = 3;
    spec.log_every_steps = 2;
    return spec;
}

/// An empty directory that goes when the test ends.
class TemporaryDirectory {
public:
    explicit TemporaryDirectory(const std::string& name)
        : path_(std::filesystem::temp_directory_path() / ("fovea_" + name + "_" + std::to_string(::getpid()))) {
        std::filesystem::remove_all(path_);
        std::filesystem::create_directories(path_);
    }
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

inline std::string bytes_of(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    EXPECT_TRUE(file.good()) << path;
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

}  // namespace fovea::test
