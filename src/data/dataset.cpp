// Dataset, the set kept in memory, a part of a set, and the statistics over its pixels.
#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "fovea/data.h"

namespace fovea {

std::string_view name_of(Split split) {
    constexpr std::string_view names[] = {"train", "test", "val"};
    return names[static_cast<std::size_t>(split)];
}

const std::uint8_t* Dataset::pixels(std::int64_t) const { return nullptr; }

std::optional<Sample> Dataset::try_get(std::int64_t index) const {
    try {
        return get(index);
    } catch (const FormatError& error) {
        note_damaged(error.what());
        return std::nullopt;
    }
}

void Dataset::note_damaged(const std::string& message) const {
    const std::lock_guard lock(mutex_);
    if (std::ranges::find(damaged_, message) == damaged_.end()) damaged_.push_back(message);
}

std::vector<std::string> Dataset::damaged() const {
    const std::lock_guard lock(mutex_);
    return damaged_;
}

namespace {

class MemoryDataset : public Dataset {
public:
    MemoryDataset(std::string name, std::vector<std::string> classes, MemoryImages images)
        : Dataset(std::move(name), std::move(classes)), images_(std::move(images)), image_bytes_(images_.height * images_.width * images_.channels) {}

    std::int64_t size() const override { return static_cast<std::int64_t>(images_.labels.size()); }
    Shape image_shape() const override { return {images_.height, images_.width, images_.channels}; }
    std::int64_t label(std::int64_t index) const override { return images_.labels[checked(index)]; }
    const std::uint8_t* pixels(std::int64_t index) const override { return images_.pixels.data() + static_cast<std::int64_t>(checked(index)) * image_bytes_; }
    Sample get(std::int64_t index) const override {
        Sample sample{Image(images_.width, images_.height, images_.channels), label(index)};
        std::copy_n(pixels(index), image_bytes_, sample.image.pixels.begin());
        return sample;
    }

private:
    std::size_t checked(std::int64_t index) const {
        require<ArgumentError>(index >= 0 && index < size(), "data set '{}': no picture {} of {}", name(), index, size());
        return static_cast<std::size_t>(index);
    }

    MemoryImages images_;
    std::int64_t image_bytes_;
};

class Subset : public Dataset {
public:
    Subset(DatasetPtr whole, std::int64_t first, std::int64_t count)
        : Dataset(fmt::format("{} [{}, {})", whole->name(), first, first + count), whole->classes()), whole_(std::move(whole)), first_(first), count_(count) {}

    std::int64_t size() const override { return count_; }
    Shape image_shape() const override { return whole_->image_shape(); }
    std::int64_t label(std::int64_t index) const override { return whole_->label(checked(index)); }
    const std::uint8_t* pixels(std::int64_t index) const override { return whole_->pixels(checked(index)); }
    Sample get(std::int64_t index) const override { return whole_->get(checked(index)); }

private:
    std::int64_t checked(std::int64_t index) const {
        require<ArgumentError>(index >= 0 && index < count_, "data set '{}': no picture {} of {}", name(), index, count_);
        return first_ + index;
    }

    DatasetPtr whole_;
    std::int64_t first_, count_;
};

}  // namespace

DatasetPtr memory_dataset(std::string name, std::vector<std::string> classes, MemoryImages images) {
    require<ArgumentError>(images.height > 0 && images.width > 0 && (images.channels == 1 || images.channels == 3), "data set '{}': pictures of {}x{} with {} channels", name,
                           images.width, images.height, images.channels);
    const auto needed = images.labels.size() * static_cast<std::size_t>(images.height * images.width * images.channels);
    require<ArgumentError>(images.pixels.size() == needed, "data set '{}': {} labels need {} bytes of pixels, got {}", name, images.labels.size(), needed, images.pixels.size());
    for (const std::int32_t label : images.labels)
        require<ArgumentError>(label >= 0 && label < static_cast<std::int32_t>(classes.size()), "data set '{}': label {}, expected 0..{}", name, label,
                               static_cast<std::int64_t>(classes.size()) - 1);
    return std::make_shared<MemoryDataset>(std::move(name), std::move(classes), std::move(images));
}

DatasetPtr subset(DatasetPtr dataset, std::int64_t first, std::int64_t count) {
    require<ArgumentError>(dataset != nullptr, "subset: no data set given");
    require<ArgumentError>(first >= 0 && count >= 0 && first <= dataset->size() - count, "subset of '{}': pictures {} to {} of {}", dataset->name(), first, first + count, dataset->size());
    return std::make_shared<Subset>(std::move(dataset), first, count);
}

ChannelStatistics channel_statistics(const Dataset& dataset) {
    // Counted per value: sums of integers, so the result depends on no order.
    std::array<std::array<std::int64_t, 256>, 3> counts{};
    const int channels = static_cast<int>(dataset.image_shape()[2]);
    const auto add = [&](const std::uint8_t* pixels, std::int64_t bytes, int image_channels) {
        for (std::int64_t i = 0; i < bytes; i += image_channels)
            for (int c = 0; c < channels; ++c) ++counts[static_cast<std::size_t>(c)][pixels[i + (image_channels == 3 ? c : 0)]];
    };
    for (std::int64_t i = 0; i < dataset.size(); ++i) {
        if (const std::uint8_t* pixels = dataset.pixels(i)) add(pixels, dataset.image_shape().elements(), channels);
        else if (const auto sample = dataset.try_get(i)) add(sample->image.pixels.data(), static_cast<std::int64_t>(sample->image.pixels.size()), sample->image.channels);
    }
    ChannelStatistics statistics{.channels = channels};
    for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
        double count = 0, sum = 0, squares = 0;
        for (std::size_t v = 0; v < 256; ++v) {
            const auto times = static_cast<double>(counts[c][v]), value = static_cast<double>(v);
            count += times, sum += times * value, squares += times * value * value;
        }
        require<FormatError>(count > 0, "data set '{}': not one readable picture", dataset.name());
        const double mean = sum / count;
        statistics.mean[c] = mean / 255;
        // At least one grey level: a constant channel must not divide by zero.
        statistics.std[c] = std::max(std::sqrt(std::max(squares / count - mean * mean, 0.0)), 1.0) / 255;
    }
    return statistics;
}

}  // namespace fovea
