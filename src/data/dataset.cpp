// Dataset, the set kept in memory, a part of a set, and the statistics over its pixels.
#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "core/text.h"
#include "fovea/data.h"

namespace fovea {

std::string_view name_of(Split split) {
    constexpr std::string_view names[] = {"train", "test", "val"};
    return names[static_cast<std::size_t>(split)];
}

Sample Dataset::get_part(std::int64_t index, const DecodeLimits& limits) const {
    Sample sample = get(index);
    if (limits.part) {
        const PixelRect part = limits.part(sample.image.width, sample.image.height);
        sample.image = crop(sample.image, part.x, part.y, part.width, part.height);
    }
    return sample;
}
const std::uint8_t* Dataset::pixels(std::int64_t) const { return nullptr; }
std::vector<std::byte> Dataset::encoded(std::int64_t index) const { return encode_png(get(index).image); }
std::vector<std::int64_t> Dataset::tags(std::int64_t index) const { return {label(index)}; }
bool Dataset::has_tags() const { return false; }
double Dataset::weight(std::int64_t) const { return 1; }
std::string Dataset::key(std::int64_t index) const { return std::to_string(index); }
std::vector<std::string> Dataset::notes() const { return {}; }
const std::vector<std::int64_t>& Dataset::runs() const {
    static const std::vector<std::int64_t> none;
    return none;
}

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
    std::string key(std::int64_t index) const override { return images_.keys.empty() ? Dataset::key(index) : images_.keys[checked(index)]; }
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
    Subset(DatasetPtr whole, std::vector<std::int64_t> indices, std::string name) : Subset(whole, std::move(indices), std::move(name), whole->classes(), {}) {}
    /// `numbers`: which of `classes` a class of the whole set is; empty: the same.
    Subset(DatasetPtr whole, std::vector<std::int64_t> indices, std::string name, std::vector<std::string> classes, std::vector<std::int64_t> numbers)
        : Dataset(std::move(name), std::move(classes)), whole_(std::move(whole)), indices_(std::move(indices)), numbers_(std::move(numbers)) {
        // Runs of the whole set, where their pictures follow each other here too.
        const auto& runs = whole_->runs();
        std::size_t run = 0;
        for (std::size_t i = 0; i < indices_.size() && !runs.empty(); ++i) {
            const auto now = static_cast<std::size_t>(std::ranges::upper_bound(runs, indices_[i]) - runs.begin());
            if (i == 0 || now != run) runs_.push_back(static_cast<std::int64_t>(i));
            run = now;
        }
    }

    std::int64_t size() const override { return static_cast<std::int64_t>(indices_.size()); }
    Shape image_shape() const override { return whole_->image_shape(); }
    std::int64_t label(std::int64_t index) const override { return numbered(whole_->label(checked(index))); }
    std::vector<std::int64_t> tags(std::int64_t index) const override {
        std::vector<std::int64_t> tags = whole_->tags(checked(index));
        for (std::int64_t& tag : tags) tag = numbered(tag);
        return tags;
    }
    bool has_tags() const override { return whole_->has_tags(); }
    double weight(std::int64_t index) const override { return whole_->weight(checked(index)); }
    std::string key(std::int64_t index) const override { return whole_->key(checked(index)); }
    const std::uint8_t* pixels(std::int64_t index) const override { return whole_->pixels(checked(index)); }
    std::vector<std::byte> encoded(std::int64_t index) const override { return whole_->encoded(checked(index)); }
    const std::vector<std::int64_t>& runs() const override { return runs_; }
    std::vector<std::string> notes() const override { return whole_->notes(); }
    Sample get(std::int64_t index) const override { return numbered(whole_->get(checked(index))); }
    Sample get_part(std::int64_t index, const DecodeLimits& limits) const override { return numbered(whole_->get_part(checked(index), limits)); }

private:
    std::int64_t numbered(std::int64_t label) const { return numbers_.empty() ? label : numbers_[static_cast<std::size_t>(label)]; }
    Sample numbered(Sample sample) const {
        sample.label = numbered(sample.label);
        return sample;
    }
    std::int64_t checked(std::int64_t index) const {
        require<ArgumentError>(index >= 0 && index < size(), "data set '{}': no picture {} of {}", name(), index, size());
        return indices_[static_cast<std::size_t>(index)];
    }

    DatasetPtr whole_;
    std::vector<std::int64_t> indices_, numbers_, runs_;
};

std::vector<std::int64_t> first_numbers(std::int64_t first, std::int64_t count) {
    std::vector<std::int64_t> numbers(static_cast<std::size_t>(count));
    std::iota(numbers.begin(), numbers.end(), first);
    return numbers;
}

}  // namespace

DatasetPtr memory_dataset(std::string name, std::vector<std::string> classes, MemoryImages images) {
    require<ArgumentError>(images.height > 0 && images.width > 0 && (images.channels == 1 || images.channels == 3), "data set '{}': pictures of {}x{} with {} channels", name,
                           images.width, images.height, images.channels);
    const auto needed = images.labels.size() * static_cast<std::size_t>(images.height * images.width * images.channels);
    require<ArgumentError>(images.pixels.size() == needed, "data set '{}': {} labels need {} bytes of pixels, got {}", name, images.labels.size(), needed, images.pixels.size());
    require<ArgumentError>(images.keys.empty() || images.keys.size() == images.labels.size(), "data set '{}': {} labels and {} keys", name, images.labels.size(), images.keys.size());
    for (const std::int32_t label : images.labels)
        require<ArgumentError>(label >= 0 && label < static_cast<std::int32_t>(classes.size()), "data set '{}': label {}, expected 0..{}", name, label,
                               static_cast<std::int64_t>(classes.size()) - 1);
    return std::make_shared<MemoryDataset>(std::move(name), std::move(classes), std::move(images));
}

DatasetPtr subset(DatasetPtr dataset, std::int64_t first, std::int64_t count) {
    require<ArgumentError>(dataset != nullptr, "subset: no data set given");
    require<ArgumentError>(first >= 0 && count >= 0 && first <= dataset->size() - count, "subset of '{}': pictures {} to {} of {}", dataset->name(), first, first + count, dataset->size());
    return subset(std::move(dataset), first_numbers(first, count), fmt::format("[{}, {})", first, first + count));
}

DatasetPtr subset(DatasetPtr dataset, std::vector<std::int64_t> indices, std::string_view title) {
    require<ArgumentError>(dataset != nullptr, "subset: no data set given");
    for (const std::int64_t index : indices)
        require<ArgumentError>(index >= 0 && index < dataset->size(), "subset of '{}': no picture {} of {}", dataset->name(), index, dataset->size());
    std::string name = fmt::format("{} {}", dataset->name(), title);
    return std::make_shared<Subset>(std::move(dataset), std::move(indices), std::move(name));
}

DatasetPtr with_classes(DatasetPtr dataset, const std::vector<std::string>& classes) {
    require<ArgumentError>(dataset != nullptr, "with_classes: no data set given");
    if (dataset->classes() == classes) return dataset;
    std::vector<std::int64_t> numbers;
    for (const std::string& name : dataset->classes()) {
        const auto it = std::ranges::find(classes, name);
        require<ArgumentError>(it != classes.end(), "data set '{}': its class '{}' is none of the {} wanted", dataset->name(), name, classes.size());
        numbers.push_back(it - classes.begin());
    }
    auto indices = first_numbers(0, dataset->size());
    std::string name = dataset->name();
    return std::make_shared<Subset>(std::move(dataset), std::move(indices), std::move(name), classes, std::move(numbers));
}

namespace {

/// A name's hash is no good as a number: Philox spreads it.
double uniform_of(const Dataset& dataset, std::int64_t index, std::string_view purpose) { return Rng(hash_name(dataset.key(index)), hash_name(purpose), 0).uniform(0); }

}  // namespace

DatasetPtr few_per_class(DatasetPtr dataset, std::int64_t count) {
    require<ArgumentError>(dataset != nullptr, "few_per_class: no data set given");
    require<ArgumentError>(count > 0, "few_per_class of '{}': at least one picture of a class, got {}", dataset->name(), count);
    std::vector<std::vector<std::pair<double, std::int64_t>>> of_class(dataset->classes().size());
    for (std::int64_t i = 0; i < dataset->size(); ++i) of_class[static_cast<std::size_t>(dataset->label(i))].emplace_back(uniform_of(*dataset, i, "few"), i);
    std::vector<std::int64_t> indices;
    for (auto& pictures : of_class) {
        std::ranges::sort(pictures);
        pictures.resize(std::min(pictures.size(), static_cast<std::size_t>(count)));
        for (const auto& [place, index] : pictures) indices.push_back(index);
    }
    std::ranges::sort(indices);
    return subset(std::move(dataset), std::move(indices), fmt::format("{} of each class", count));
}

DatasetPtr split_by_hash(DatasetPtr dataset, double fraction, Split split) {
    require<ArgumentError>(dataset != nullptr, "split_by_hash: no data set given");
    require<ArgumentError>(fraction > 0 && fraction < 1, "split_by_hash: the held out share lies in (0, 1), got {}", fraction);
    std::vector<std::int64_t> indices;
    for (std::int64_t i = 0; i < dataset->size(); ++i) {
        const bool is_held_out = uniform_of(*dataset, i, "split") < fraction;
        if (is_held_out != (split == Split::train)) indices.push_back(i);
    }
    require<ArgumentError>(!indices.empty(), "split_by_hash: of the {} pictures of '{}' none falls to {} with a held out share of {}", dataset->size(), dataset->name(), name_of(split), fraction);
    return subset(std::move(dataset), std::move(indices), split == Split::train ? fmt::format("without {:g} %", 100 * fraction) : fmt::format("held out {:g} %", 100 * fraction));
}

std::vector<double> balanced_weights(const Dataset& dataset) {
    std::vector<double> sums(dataset.classes().size()), weights;
    for (std::int64_t i = 0; i < dataset.size(); ++i) sums[static_cast<std::size_t>(dataset.label(i))] += dataset.weight(i);
    for (std::int64_t i = 0; i < dataset.size(); ++i) {
        const double sum = sums[static_cast<std::size_t>(dataset.label(i))];
        weights.push_back(sum > 0 ? dataset.weight(i) / sum : 0);
    }
    return weights;
}

std::vector<double> own_weights(const Dataset& dataset) {
    std::vector<double> weights;
    for (std::int64_t i = 0; i < dataset.size(); ++i) weights.push_back(dataset.weight(i));
    if (std::ranges::all_of(weights, [](double weight) { return weight == 1; })) weights.clear();
    return weights;
}

DatasetReport verify(const Dataset& dataset, const std::function<void(std::int64_t)>& on_picture) {
    DatasetReport report{.pictures = dataset.size(), .per_class = std::vector<std::int64_t>(dataset.classes().size())};
    report.faults = dataset.damaged();
    std::map<std::pair<std::uint64_t, std::int64_t>, std::int64_t> first_of;  // hash and width -> picture
    for (std::int64_t i = 0; i < dataset.size(); ++i) {
        if (on_picture) on_picture(i + 1);
        std::optional<Sample> sample;
        try {
            sample = dataset.get(i);
        } catch (const FormatError& error) {
            dataset.note_damaged(error.what());
            report.damaged.emplace_back(error.what());
            std::erase(report.faults, report.damaged.back());  // somebody had met it before
            continue;
        }
        const Image& image = sample->image;
        ++report.per_class[static_cast<std::size_t>(sample->label)];
        report.least_width = report.readable ? std::min(report.least_width, image.width) : image.width;
        report.least_height = report.readable ? std::min(report.least_height, image.height) : image.height;
        report.most_width = std::max(report.most_width, image.width);
        report.most_height = std::max(report.most_height, image.height);
        ++report.readable;
        const std::uint64_t hash = hash_name({reinterpret_cast<const char*>(image.pixels.data()), image.pixels.size()});
        const auto [it, is_new] = first_of.try_emplace({hash, image.width}, i);
        if (!is_new && dataset.get(it->second).image == image) report.duplicates.emplace_back(i, it->second);
    }
    return report;
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
