// Batches prepared ahead by a few threads. A batch is a function of (seed, epoch, step): whoever makes it, it is the same.
#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <map>
#include <numeric>
#include <thread>

#include "core/text.h"
#include "data/augment.h"
#include "fovea/data.h"

namespace fovea {

namespace {

/// Tensors of batches that nobody holds any more. A batch of pictures is megabytes: fresh pages from the system cost more than filling them.
class TensorPool {
public:
    Tensor take(const Shape& shape, DType dtype) {
        const std::lock_guard lock(mutex_);
        for (const Tensor& tensor : tensors_)
            // The copy's counting up is ordered after the last holder's counting down, so its reads are over.
            if (!tensor.is_shared() && tensor.shape() == shape && tensor.dtype() == dtype) return tensor;
        Tensor fresh(shape, dtype);
        if (tensors_.size() < 16) tensors_.push_back(fresh);
        return fresh;
    }

private:
    std::mutex mutex_;
    std::vector<Tensor> tensors_;
};

/// [C, H, W] that every picture will have.
Shape batch_image_shape(const Dataset& dataset, const Preprocess& p) {
    const Shape shape = dataset.image_shape();
    const std::int64_t channels = p.channels > 0 ? p.channels : shape[2];
    if (p.crop_width > 0) return {channels, p.crop_height, p.crop_width};
    if (p.resize_width > 0) return {channels, p.resize_height, p.resize_width};
    require<ArgumentError>(shape[0] > 0, "loader: pictures of '{}' differ in size; give the preprocessing a crop or an exact resize", dataset.name());
    if (p.resize_shorter == 0) return {channels, shape[0], shape[1]};
    const Image resized = resize_shorter_side(Image(shape[1], shape[0], 1), p.resize_shorter, Filter::nearest);
    return {channels, resized.height, resized.width};
}

}  // namespace

struct Loader::Plan {
    DatasetPtr dataset;
    LoaderSpec spec;
    NormaliseTable table;
    Shape image_shape;        // [C, H, W]
    std::int64_t steps = 0;
    bool is_direct = false;   // the data set's bytes are what augmentation starts from
    mutable TensorPool pool;

    Plan(DatasetPtr d, LoaderSpec s) : dataset(std::move(d)), spec(std::move(s)) {
        require<ArgumentError>(dataset != nullptr, "loader: no data set given");
        require<ArgumentError>(spec.batch >= 1, "loader: batch must be at least 1, got {}", spec.batch);
        require<ArgumentError>(spec.threads >= 0 && spec.threads <= 256 && spec.prefetch >= 1, "loader: threads must lie in 0..256 and prefetch be at least 1, got {} and {}",
                               spec.threads, spec.prefetch);
        require<ArgumentError>(spec.augment.pad_crop >= 0 && std::abs(spec.augment.scale) < 1 && spec.augment.elastic_sigma > 0,
                               "loader: augmentation needs pad_crop >= 0, scale < 1 and elastic_sigma > 0, got {}, {} and {}", spec.augment.pad_crop, spec.augment.scale,
                               spec.augment.elastic_sigma);
        require<ArgumentError>(spec.weights.empty() || (spec.shuffle && static_cast<std::int64_t>(spec.weights.size()) == dataset->size()),
                               "loader: {} weights for {} pictures; there is one each, with shuffle", spec.weights.size(), dataset->size());
        require<ArgumentError>(std::ranges::all_of(spec.weights, [](double w) { return std::isfinite(w) && w >= 0; }) &&
                                   (spec.weights.empty() || std::ranges::any_of(spec.weights, [](double w) { return w > 0; })),
                               "loader: weights are finite, not negative and not all zero");
        (void)apply_geometry(Image(64, 64, 3), spec.preprocess);  // contradictions show here, not in a worker
        table = normalise_table(spec.preprocess);
        image_shape = batch_image_shape(*dataset, spec.preprocess);
        const std::int64_t size = dataset->size();
        steps = spec.drop_last ? size / spec.batch : (size + spec.batch - 1) / spec.batch;
        const Shape own = dataset->image_shape();
        const Preprocess& p = spec.preprocess;
        const bool is_resized = (p.resize_width > 0 && (p.resize_width != own[1] || p.resize_height != own[0])) ||
                                (p.resize_shorter > 0 && p.resize_shorter != std::min(own[0], own[1]));
        is_direct = size > 0 && dataset->pixels(0) && !is_resized && image_shape == Shape{own[2], own[0], own[1]};
    }

    /// The side that a picture must keep for its resize; 0: all of it.
    [[nodiscard]] std::int64_t draft_side() const { return std::max({spec.preprocess.resize_shorter, spec.preprocess.resize_width, spec.preprocess.resize_height}); }

    /// Resize, crop (at random when asked for) and channels.
    Image geometry(Image image, const Draws& draws) const {
        Preprocess p = spec.preprocess;
        if (!spec.augment.random_crop || p.crop_width == 0) return apply_geometry(image, p);
        p.crop_width = p.crop_height = 0;
        image = apply_geometry(image, p);
        const std::int64_t width = spec.preprocess.crop_width, height = spec.preprocess.crop_height;
        if (image.width < width || image.height < height) image = center_crop(image, std::max(width, image.width), std::max(height, image.height));
        return crop(image, draws.below(Draws::crop_x, image.width - width + 1), draws.below(Draws::crop_y, image.height - height + 1), width, height);
    }

    /// Picture `sample` into `planes`; false when it is damaged.
    bool prepare(std::int64_t sample, std::int64_t epoch, std::vector<std::uint8_t>& scratch, float* planes, std::int32_t& label) const {
        const Draws draws(spec.seed, epoch, sample);
        Image image;
        PixelView view{nullptr, image_shape[2], image_shape[1], static_cast<int>(image_shape[0])};
        if (is_direct) {
            view.pixels = dataset->pixels(sample);
            label = static_cast<std::int32_t>(dataset->label(sample));
        } else {
            try {
                Sample decoded = spec.draft ? dataset->get_draft(sample, draft_side()) : dataset->get(sample);
                label = static_cast<std::int32_t>(decoded.label);
                image = geometry(std::move(decoded.image), draws);
            } catch (const FormatError& error) {
                dataset->note_damaged(error.what());
                return false;
            }
            require<ShapeError>(image.width == view.width && image.height == view.height && image.channels == view.channels,
                                "loader: picture {} of '{}' is {}x{} with {} channels, the batch holds {}", sample, dataset->name(), image.width, image.height, image.channels, image_shape);
            view.pixels = image.pixels.data();
        }
        const Augment& augment = spec.augment;
        if (has_warp(augment)) {
            warp(view, augment, draws, scratch);
            view.pixels = scratch.data();
        }
        Offset offset{.border = augment.pad_fill};
        if (augment.pad_crop > 0) {
            offset.dx = draws.below(Draws::pad_x, 2 * augment.pad_crop + 1) - augment.pad_crop;
            offset.dy = draws.below(Draws::pad_y, 2 * augment.pad_crop + 1) - augment.pad_crop;
        }
        offset.is_mirrored = augment.mirror && draws.uniform(Draws::mirrored) < 0.5;
        place(view, offset, spec.preprocess.is_bgr, table, planes);
        return true;
    }

    Batch make_batch(const std::vector<std::int64_t>& order, std::int64_t epoch, std::int64_t step) const {
        const std::int64_t first = step * spec.batch, count = std::min(spec.batch, dataset->size() - first), values = image_shape.elements();
        Batch batch{pool.take({count, image_shape[0], image_shape[1], image_shape[2]}, DType::f32), pool.take({count}, DType::i32), 0, epoch, step};
        float* images = batch.images.data<float>().data();
        std::int32_t* labels = batch.labels.data<std::int32_t>().data();
        std::vector<std::uint8_t> scratch;
        std::int64_t kept = 0;
        for (std::int64_t i = 0; i < count; ++i) kept += prepare(order[static_cast<std::size_t>(first + i)], epoch, scratch, images + kept * values, labels[kept]);
        if (kept < count) {
            batch.skipped = count - kept;
            batch.images = Tensor::of(std::span<const float>(images, static_cast<std::size_t>(kept * values)), {kept, image_shape[0], image_shape[1], image_shape[2]});
            batch.labels = Tensor::of(std::span<const std::int32_t>(labels, static_cast<std::size_t>(kept)), {kept});
        }
        return batch;
    }
};

// ---- one pass -------------------------------------------------------------------------------

struct Epoch::State {
    struct Result {
        Batch batch;
        std::exception_ptr failure;
    };

    std::shared_ptr<const Loader::Plan> plan;
    std::vector<std::int64_t> order;
    std::int64_t epoch = 0, next_out = 0, next_claim = 0, skipped = 0;
    std::mutex mutex;
    std::condition_variable has_result, has_room;
    std::map<std::int64_t, Result> results;
    bool is_stopping = false;
    std::vector<std::thread> workers;

    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
        {
            const std::lock_guard lock(mutex);
            is_stopping = true;
        }
        has_room.notify_all();
        for (auto& worker : workers) worker.join();
    }

    Result make(std::int64_t step) const {
        try {
            return {plan->make_batch(order, epoch, step), nullptr};
        } catch (...) {
            return {{}, std::current_exception()};
        }
    }

    void work() {
        // Batches being made count as kept ready, so memory is bounded by `ahead` batches.
        const std::int64_t ahead = std::max<std::int64_t>(plan->spec.prefetch, plan->spec.threads);
        std::unique_lock lock(mutex);
        while (true) {
            has_room.wait(lock, [&] { return is_stopping || next_claim >= plan->steps || next_claim < next_out + ahead; });
            if (is_stopping || next_claim >= plan->steps) return;
            const std::int64_t step = next_claim++;
            lock.unlock();
            Result result = make(step);
            lock.lock();
            results.emplace(step, std::move(result));
            has_result.notify_all();
        }
    }

    Result take() {
        if (workers.empty()) return make(next_out++);
        std::unique_lock lock(mutex);
        has_result.wait(lock, [&] { return results.contains(next_out); });
        Result result = std::move(results.extract(next_out++).mapped());
        has_room.notify_all();
        return result;
    }
};

Epoch::Epoch(std::unique_ptr<State> state) : state_(std::move(state)) {}
Epoch::Epoch(Epoch&&) noexcept = default;
Epoch& Epoch::operator=(Epoch&&) noexcept = default;
Epoch::~Epoch() = default;

std::optional<Batch> Epoch::next() {
    std::int64_t skipped = 0;  // of batches that lost every picture
    while (state_->next_out < state_->plan->steps) {
        State::Result result = state_->take();
        if (result.failure) std::rethrow_exception(result.failure);
        skipped += result.batch.skipped;
        state_->skipped += result.batch.skipped;
        if (result.batch.labels.elements() == 0) continue;
        result.batch.skipped = skipped;
        return std::move(result.batch);
    }
    return std::nullopt;
}

std::int64_t Epoch::skipped() const { return state_->skipped; }

// ---- Loader ---------------------------------------------------------------------------------

namespace {

/// As many pictures as there are, each in proportion to its weight, with replacement.
std::vector<std::int64_t> drawn(const std::vector<double>& weights, const Rng& rng) {
    std::vector<double> sums(weights.size());
    std::partial_sum(weights.begin(), weights.end(), sums.begin());
    std::vector<std::int64_t> order(weights.size());
    for (std::size_t i = 0; i < order.size(); ++i)
        order[i] = std::min<std::int64_t>(std::ranges::upper_bound(sums, rng.uniform(i) * sums.back()) - sums.begin(), static_cast<std::int64_t>(sums.size()) - 1);
    return order;
}

/// Runs in a random order, and within a window of pictures that moves along them any order: a file is read nearly from front to back.
std::vector<std::int64_t> shuffled_runs(const Dataset& dataset, const Rng& rng) {
    constexpr std::int64_t window = 8192;
    const std::vector<std::int64_t>& runs = dataset.runs();
    std::vector<std::size_t> turns(runs.size());
    std::iota(turns.begin(), turns.end(), 0);
    const auto size = static_cast<std::uint64_t>(dataset.size());  // draws from there on are those of the runs
    for (std::size_t i = turns.size(); i > 1; --i) std::swap(turns[i - 1], turns[static_cast<std::size_t>(rng.below(size + i, static_cast<std::int64_t>(i)))]);
    std::vector<std::int64_t> order;
    for (const std::size_t turn : turns)
        for (std::int64_t i = runs[turn], end = turn + 1 < runs.size() ? runs[turn + 1] : dataset.size(); i < end; ++i) order.push_back(i);
    for (std::size_t i = 0; i < order.size(); ++i) {
        const auto room = std::min<std::int64_t>(window, static_cast<std::int64_t>(order.size() - i));
        std::swap(order[i], order[i + static_cast<std::size_t>(rng.below(i, room))]);
    }
    return order;
}

}  // namespace

Loader::Loader(DatasetPtr dataset, LoaderSpec spec) : plan_(std::make_shared<const Plan>(std::move(dataset), std::move(spec))) {}

std::int64_t Loader::steps() const { return plan_->steps; }
const Shape& Loader::image_shape() const { return plan_->image_shape; }
const Dataset& Loader::dataset() const { return *plan_->dataset; }
const LoaderSpec& Loader::spec() const { return plan_->spec; }

std::vector<std::int64_t> Loader::order(std::int64_t epoch) const {
    const Dataset& dataset = *plan_->dataset;
    const Rng rng(plan_->spec.seed, hash_name("shuffle"), static_cast<std::uint64_t>(epoch));
    if (plan_->spec.shuffle && !plan_->spec.weights.empty()) return drawn(plan_->spec.weights, rng);
    std::vector<std::int64_t> order(static_cast<std::size_t>(dataset.size()));
    std::iota(order.begin(), order.end(), 0);
    if (!plan_->spec.shuffle) return order;
    if (!dataset.runs().empty()) return shuffled_runs(dataset, rng);
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[static_cast<std::size_t>(rng.below(i, static_cast<std::int64_t>(i)))]);
    return order;
}

Epoch Loader::epoch(std::int64_t epoch, std::int64_t start_step) const {
    require<ArgumentError>(epoch >= 0 && start_step >= 0 && start_step <= plan_->steps, "loader: cannot start at step {} of epoch {}; an epoch has {} steps", start_step, epoch,
                           plan_->steps);
    auto state = std::make_unique<Epoch::State>();
    state->plan = plan_;
    state->order = order(epoch);
    state->epoch = epoch;
    state->next_out = state->next_claim = start_step;
    for (int i = 0; i < plan_->spec.threads; ++i) state->workers.emplace_back([s = state.get()] { s->work(); });
    return Epoch(std::move(state));
}

Epoch::Iterator Loader::begin() {
    current_ = std::make_unique<Epoch>(epoch(next_epoch_++));
    return current_->begin();
}

}  // namespace fovea
