// Data sets on disk -> batches of f32 NCHW: Dataset, Loader.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fovea/core.h"
#include "fovea/data/augment.h"
#include "fovea/data/segmentation.h"
#include "fovea/image.h"

namespace fovea {

// ---- data sets ------------------------------------------------------------------------------

enum class Split : std::uint8_t { train, test, val };
[[nodiscard]] std::string_view name_of(Split split);

struct Sample {
    Image image;             ///< u8 HWC
    std::int64_t label = 0;  ///< index into Dataset::classes()
};

/// Labelled pictures, numbered from 0. All functions may be called from several threads at once.
class Dataset {
public:
    virtual ~Dataset() = default;
    Dataset(const Dataset&) = delete;
    Dataset& operator=(const Dataset&) = delete;

    /// As the user wrote it, with the split: "cifar10:data (train)".
    [[nodiscard]] const std::string& name() const { return name_; }
    [[nodiscard]] const std::vector<std::string>& classes() const { return classes_; }
    [[nodiscard]] virtual std::int64_t size() const = 0;
    /// [H, W, C]; [0, 0, C] where pictures differ in size.
    [[nodiscard]] virtual Shape image_shape() const = 0;
    [[nodiscard]] virtual std::int64_t label(std::int64_t index) const = 0;
    /// Throws FormatError when this picture is damaged.
    [[nodiscard]] virtual Sample get(std::int64_t index) const = 0;
    /// get() of the part and at the size that `limits` ask for.
    [[nodiscard]] virtual Sample get_part(std::int64_t index, const DecodeLimits& limits) const;
    /// The H * W * C bytes of a picture that is in memory; nullptr where get() has to decode it.
    [[nodiscard]] virtual const std::uint8_t* pixels(std::int64_t index) const;
    /// The picture as a file: the file's own bytes, or PNG.
    [[nodiscard]] virtual std::vector<std::byte> encoded(std::int64_t index) const;
    /// What a picture is called, whatever its number: "cat/0001.jpg"; its number where it has no name. Splits by hash go by it.
    [[nodiscard]] virtual std::string key(std::int64_t index) const;
    /// The classes of a picture, label() first: several where a set has_tags().
    [[nodiscard]] virtual std::vector<std::int64_t> tags(std::int64_t index) const;
    /// Whether a picture may belong to several classes: batches then have targets.
    [[nodiscard]] virtual bool has_tags() const;
    /// In proportion to which training draws the picture: 1 where the set says nothing.
    [[nodiscard]] virtual double weight(std::int64_t index) const;
    /// First pictures of runs that are read best in order, such as tar shards; none where order does not matter.
    [[nodiscard]] virtual const std::vector<std::int64_t>& runs() const;
    /// What is to be known before training on the whole set, a sentence each; none for most.
    [[nodiscard]] virtual std::vector<std::string> notes() const;

    /// get(), with a damaged picture noted in damaged() instead of thrown.
    [[nodiscard]] std::optional<Sample> try_get(std::int64_t index) const;
    /// Notes a picture that had to be left out, once however often it is met.
    void note_damaged(const std::string& message) const;
    /// One sentence for each picture found damaged so far, in the order found.
    [[nodiscard]] std::vector<std::string> damaged() const;

protected:
    Dataset(std::string name, std::vector<std::string> classes) : name_(std::move(name)), classes_(std::move(classes)) {}

private:
    std::string name_;
    std::vector<std::string> classes_;
    mutable std::mutex mutex_;
    mutable std::vector<std::string> damaged_;
};

using DatasetPtr = std::shared_ptr<const Dataset>;

/// Pictures of one size, one after the other as HWC.
struct MemoryImages {
    std::int64_t height = 0, width = 0;
    int channels = 0;
    std::vector<std::uint8_t> pixels;
    std::vector<std::int32_t> labels;
    std::vector<std::string> keys{};  ///< Dataset::key of each; empty: their numbers
};
/// Throws ArgumentError when counts, sizes or labels do not fit together.
[[nodiscard]] DatasetPtr memory_dataset(std::string name, std::vector<std::string> classes, MemoryImages images);

/// "name" or "name:directory", for instance "fashion-mnist", "mnist:DIR", "cifar10:DIR", "folder:DIR".
/// Throws ArgumentError for an unknown name (with the nearest) and FormatError for files that are not what they should be.
[[nodiscard]] DatasetPtr open_dataset(std::string_view name, Split split);
/// What open_dataset knows: name and one line for a help text.
[[nodiscard]] const std::vector<std::pair<std::string, std::string>>& dataset_names();

/// IDX files {train,t10k}-{images-idx3,labels-idx1}-ubyte, plain or .gz. There is no val split, here and for CIFAR: ArgumentError.
[[nodiscard]] DatasetPtr mnist(const std::filesystem::path& directory, Split split);
[[nodiscard]] DatasetPtr fashion_mnist(const std::filesystem::path& directory, Split split);
/// Where Debian's package dataset-fashion-mnist puts it.
inline constexpr std::string_view fashion_mnist_directory = "/usr/share/datasets/fashion-mnist";
/// The binary version (data_batch_1.bin ... or cifar-10-binary.tar.gz) or class folders of JPEGs in cifar10-{train,test}-jpg.tar.xz.
/// Kept in memory; JPEGs are decoded once, in class order, then file-name order.
[[nodiscard]] DatasetPtr cifar10(const std::filesystem::path& directory, Split split);
/// Fine labels, from train.bin and test.bin or cifar-100-binary.tar.gz.
[[nodiscard]] DatasetPtr cifar100(const std::filesystem::path& directory, Split split);
/// One file of CIFAR-10 records, plain, .gz or .xz; in a directory, data_batch_1_first4000_lossless.bin.xz. It has no splits.
[[nodiscard]] DatasetPtr cifar10_file(const std::filesystem::path& path);
/// A sub-folder per class, in alphabetical order of those of all splits; *.jpg, *.png, *.webp, *.bmp, *.ppm, decoded when asked for. DIR/train with DIR/val or DIR/test where
/// they exist (each stands in for the other); a DIR without them is one undivided set, whatever split is asked for.
[[nodiscard]] DatasetPtr image_folder(const std::filesystem::path& directory, Split split);
/// Pictures listed in a CSV file: a column file (or path, filename, image, image_path), relative to the file's folder or `pictures`; a
/// column label (or class, category, target, index), numbers from 0 or names, several of a picture with semicolons between; optional columns name, split
/// (train, val, test: the last two stand in for each other; no split: one undivided set) and weight (Dataset::weight).
[[nodiscard]] DatasetPtr csv_pictures(const std::filesystem::path& path, Split split, const std::filesystem::path& pictures = {});
/// 500 natural pictures with ImageNet's labels: labels.csv, classes.csv, images/. The same for every split.
[[nodiscard]] DatasetPtr imagenet500(const std::filesystem::path& directory);
/// Tar shards in WebDataset's layout, KEY.jpg with KEY.cls (the class number) beside it: {train,val,test}-*.tar, or all *.tar for every
/// split; classes.txt names the classes. Mapped, not read: a set may be larger than memory. A shard cut short gives what it holds.
[[nodiscard]] DatasetPtr shards(const std::filesystem::path& directory, Split split);
struct PackSpec {
    std::string prefix;  ///< the split's name, where shards() is to tell splits apart
    std::size_t shard_bytes = std::size_t{256} << 20;  ///< of pictures, after which a shard is full
    /// In a random order, a function of `seed`: training mixes only pictures that lie near each other. false: in the set's own.
    bool shuffle = true;
    std::uint64_t seed = 0;
    bool overwrite = false;  ///< the shards of this prefix that are there go once the new ones are whole; false: they are an error
    std::function<void(std::int64_t)> on_picture{};  ///< called with how many have been looked at
};
struct PackReport {
    std::int64_t shards = 0, pictures = 0, skipped = 0;
};
/// Writes such shards, PREFIX-000000.tar ..., and classes.txt, under other names until all are whole: what fails leaves the directory as it was.
/// Keys stay what they are, so splits by hash do. A picture that cannot be read or is none is skipped and noted in dataset.damaged().
PackReport write_shards(const Dataset& dataset, const std::filesystem::path& directory, const PackSpec& spec);
/// Pictures [first, first + count) of another set.
[[nodiscard]] DatasetPtr subset(DatasetPtr dataset, std::int64_t first, std::int64_t count);
/// These pictures of another set, in this order.
[[nodiscard]] DatasetPtr subset(DatasetPtr dataset, std::vector<std::int64_t> indices, std::string_view title);
/// The same pictures, their classes numbered by their places in `classes`, by name. Throws ArgumentError naming a class that is not in it.
[[nodiscard]] DatasetPtr with_classes(DatasetPtr dataset, const std::vector<std::string>& classes);
/// A share of a set for validation and the rest for training, by a hash of each picture's key: the same picture falls on the same side
/// however the set grows or is ordered. `fraction` of the pictures, in (0, 1), are held out; Split::train gives the others.
[[nodiscard]] DatasetPtr split_by_hash(DatasetPtr dataset, double fraction, Split split);

/// At most `count` pictures of each class, those whose keys' hashes come first, in the set's order: what a few examples teach.
[[nodiscard]] DatasetPtr few_per_class(DatasetPtr dataset, std::int64_t count);

/// What looking at every picture of a set finds.
struct DatasetReport {
    std::int64_t pictures = 0, readable = 0;
    std::vector<std::int64_t> per_class;          ///< readable ones
    std::int64_t least_width = 0, least_height = 0, most_width = 0, most_height = 0;
    std::vector<std::string> damaged;             ///< a sentence each
    std::vector<std::string> faults;              ///< of the files that hold the pictures, such as a shard cut short; known since the set was opened
    std::vector<std::pair<std::int64_t, std::int64_t>> duplicates;  ///< a picture and an earlier one with the same pixels
};
[[nodiscard]] DatasetReport verify(const Dataset& dataset, const std::function<void(std::int64_t)>& on_picture = {});

/// Mean and standard deviation over all pixels of every picture, per channel, of pixel / 255.
struct ChannelStatistics {
    int channels = 0;
    std::array<double, 3> mean{0, 0, 0}, std{1, 1, 1};
};
[[nodiscard]] ChannelStatistics channel_statistics(const Dataset& dataset);

// ---- batches --------------------------------------------------------------------------------

struct Batch {
    Tensor images;                ///< f32 [N, C, H, W], normalised
    Tensor labels;                ///< i32 [N]
    Tensor targets{};             ///< f32 [N, L]: shares of the classes where augmentation mixes pictures, 1 for each of a picture's where the set has tags; else empty
    std::int64_t skipped = 0;     ///< damaged pictures left out: N is smaller by as many
    std::int64_t epoch = 0, step = 0;  ///< a step of which every picture is damaged gives no batch; its count goes to the next
};

/// Where the loader's threads spent their time, in ns; summed over them.
struct LoaderTimes {
    std::atomic<std::int64_t> pictures = 0, decode = 0, resize = 0, augment = 0, normalise = 0;
};

struct LoaderSpec {
    std::int64_t batch = 128;
    bool shuffle = false;
    std::uint64_t seed = 0;
    int threads = 1;   ///< that prepare batches ahead; 0 prepares each when asked, in the caller's thread
    int prefetch = 2;  ///< batches kept ready
    Augment augment{};
    Preprocess preprocess{};
    bool drop_last = false;  ///< leaves out the last batch of an epoch when it is smaller
    /// One per picture, in proportion to which an epoch's pictures are drawn, with replacement; empty: each once. Needs shuffle.
    std::vector<double> weights{};
    /// Large JPEGs are decoded no larger than their resize needs (DecodeLimits::draft_side): faster, a little less exact.
    bool draft = false;
    /// Repeated augmentation: an epoch has each of its pictures so many times, differently changed, and fewer of them. Hoffer et al. 2019,
    /// arXiv:1901.09335. Needs shuffle.
    std::int64_t repeats = 1;
    LoaderTimes* times = nullptr;  ///< counts there, when given; outlives the loader
    /// Of every batch only part `part` of `parts`, rows [count part / parts, count (part + 1) / parts): what one of several ranks trains on. The
    /// parts together are the batches of parts = 1, to the byte where no picture is damaged; every step gives a batch, however few rows it has.
    int part = 0, parts = 1;
};

/// Weights with which every class is met equally often, its pictures in proportion to their own weights.
[[nodiscard]] std::vector<double> balanced_weights(const Dataset& dataset);
/// The pictures' own weights; empty where all are 1.
[[nodiscard]] std::vector<double> own_weights(const Dataset& dataset);

/// One pass over a data set: for (const Batch& batch : loader.epoch(3)). Ends its threads when destroyed.
class Epoch {
public:
    class Iterator {
    public:
        using value_type = Batch;
        using difference_type = std::ptrdiff_t;
        explicit Iterator(Epoch* epoch) : epoch_(epoch) { ++*this; }
        const Batch& operator*() const { return *batch_; }
        const Batch* operator->() const { return &*batch_; }
        Iterator& operator++() {
            batch_.reset();  // before the next is made, so that its memory can be used again
            batch_ = epoch_->next();
            return *this;
        }
        void operator++(int) { ++*this; }
        friend bool operator==(const Iterator& it, std::default_sentinel_t) { return !it.batch_; }

    private:
        Epoch* epoch_;
        std::optional<Batch> batch_;
    };

    Epoch(Epoch&&) noexcept;
    Epoch& operator=(Epoch&&) noexcept;
    ~Epoch();

    /// The next batch, which is the caller's; nothing at the end. What failed in a worker is thrown here.
    [[nodiscard]] std::optional<Batch> next();
    /// Damaged pictures left out so far in this pass.
    [[nodiscard]] std::int64_t skipped() const;
    [[nodiscard]] Iterator begin() { return Iterator(this); }
    [[nodiscard]] std::default_sentinel_t end() const { return {}; }

private:
    friend class Loader;
    struct State;
    explicit Epoch(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

/// Batches of a data set, prepared by threads of its own. The order and every augmentation are functions of (seed, epoch, sample)
/// alone: neither the number of threads nor a resumed run changes a byte.
class Loader {
public:
    /// Throws ArgumentError when pictures of different sizes would meet in a batch.
    Loader(DatasetPtr dataset, LoaderSpec spec);

    /// Batches in an epoch.
    [[nodiscard]] std::int64_t steps() const;
    /// [C, H, W] of one picture in a batch.
    [[nodiscard]] const Shape& image_shape() const;
    [[nodiscard]] const Dataset& dataset() const;
    [[nodiscard]] const LoaderSpec& spec() const;
    /// The data set's indices in the order of this epoch.
    [[nodiscard]] std::vector<std::int64_t> order(std::int64_t epoch) const;

    /// Batches start_step, start_step + 1, ... of an epoch.
    [[nodiscard]] Epoch epoch(std::int64_t epoch, std::int64_t start_step = 0) const;

    /// for (const Batch& batch : loader): epoch 0, the next time epoch 1, ...
    [[nodiscard]] Epoch::Iterator begin();
    [[nodiscard]] std::default_sentinel_t end() const { return {}; }

private:
    struct Plan;
    std::shared_ptr<const Plan> plan_;
    std::unique_ptr<Epoch> current_;
    std::int64_t next_epoch_ = 0;
    friend struct Epoch::State;
};

}  // namespace fovea
