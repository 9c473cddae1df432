// Batches prepared ahead by a few threads. A batch is a function of (seed, epoch, step): whoever makes it, it is the same.
#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <map>
#include <numeric>
#include <thread>

#include "core/text.h"
#include "data/picture_plan.h"
#include "data/shards.h"

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

}  // namespace

namespace {

/// Which picture when; which of its appearances that is, where pictures come more than once.
struct EpochOrder {
    std::vector<std::int64_t> samples;
    std::vector<std::int32_t> copies;
};

EpochOrder with_copies(std::vector<std::int64_t> samples, std::int64_t size) {
    EpochOrder order{std::move(samples), {}};
    std::vector<std::int32_t> met(static_cast<std::size_t>(size));
    for (const std::int64_t sample : order.samples) order.copies.push_back(met[static_cast<std::size_t>(sample)]++);
    return order;
}

}  // namespace

struct Loader::Plan {
    DatasetPtr dataset;
    LoaderSpec spec;
    std::optional<PicturePlan> pictures;
    std::int64_t steps = 0;
    mutable TensorPool pool;

    Plan(DatasetPtr d, LoaderSpec s) : dataset(std::move(d)), spec(std::move(s)) {
        require<ArgumentError>(dataset != nullptr, "loader: no data set given");
        require<ArgumentError>(spec.batch >= 1, "loader: batch must be at least 1, got {}", spec.batch);
        require<ArgumentError>(spec.threads >= 0 && spec.threads <= 256 && spec.prefetch >= 1, "loader: threads must lie in 0..256 and prefetch be at least 1, got {} and {}",
                               spec.threads, spec.prefetch);
        require<ArgumentError>(spec.weights.empty() || (spec.shuffle && static_cast<std::int64_t>(spec.weights.size()) == dataset->size()),
                               "loader: {} weights for {} pictures; there is one each, with shuffle", spec.weights.size(), dataset->size());
        require<ArgumentError>(std::ranges::all_of(spec.weights, [](double w) { return std::isfinite(w) && w >= 0; }) &&
                                   (spec.weights.empty() || std::ranges::any_of(spec.weights, [](double w) { return w > 0; })),
                               "loader: weights are finite, not negative and not all zero");
        require<ArgumentError>(spec.repeats >= 1 && (spec.repeats == 1 || (spec.shuffle && spec.weights.empty())), "loader: repeats is at least 1, and above 1 needs shuffle without weights, got {}", spec.repeats);
        require<ArgumentError>(spec.parts >= 1 && spec.part >= 0 && spec.part < spec.parts, "loader: there is no part {} of {}", spec.part, spec.parts);
        pictures.emplace(*dataset, spec);
        const std::int64_t size = dataset->size();
        steps = spec.drop_last ? size / spec.batch : (size + spec.batch - 1) / spec.batch;
    }

    Batch make_batch(const EpochOrder& order, std::int64_t epoch, std::int64_t step) const {
        const Shape& shape = pictures->image_shape();
        const std::int64_t whole = std::min(spec.batch, dataset->size() - step * spec.batch), values = shape.elements();
        const std::int64_t begin = whole * spec.part / spec.parts, end = whole * (spec.part + 1) / spec.parts;
        const bool mixes = mixes_labels(spec.augment), is_behind = mixes && spec.parts > 1 && end > begin;  // another part has the picture that the first one is mixed with
        const std::int64_t count = end - begin + is_behind;
        Batch batch{.images = pool.take({count, shape[0], shape[1], shape[2]}, DType::f32), .labels = pool.take({count}, DType::i32), .epoch = epoch, .step = step};
        float* images = batch.images.data<float>().data();
        std::int32_t* labels = batch.labels.data<std::int32_t>().data();
        PicturePlan::Scratch scratch;
        std::int64_t kept = 0;
        std::vector<std::int64_t> samples;  // those kept
        const auto prepare = [&](std::int64_t row) {
            const auto turn = static_cast<std::size_t>(step * spec.batch + row);
            const bool is_kept = pictures->prepare({spec.seed, epoch, order.samples[turn], order.copies.empty() ? 0 : order.copies[turn]}, scratch, images + kept * values, labels[kept]);
            if (is_kept) samples.push_back(order.samples[turn]);
            return is_kept;
        };
        for (std::int64_t back = 1; is_behind && kept == 0 && back <= whole; ++back) kept += prepare((begin - back + whole) % whole);
        const std::int64_t others = kept;
        for (std::int64_t row = begin; row < end; ++row) kept += prepare(row);
        if (kept < count) {
            batch.skipped = end - begin - (kept - others);
            batch.images = Tensor::of(std::span<const float>(images, static_cast<std::size_t>(kept * values)), {kept, shape[0], shape[1], shape[2]});
            batch.labels = Tensor::of(std::span<const std::int32_t>(labels, static_cast<std::size_t>(kept)), {kept});
        }
        if ((mixes || dataset->has_tags()) && kept > 0) set_targets(batch, samples);
        if (mixes && kept > 0) mix_batch(batch, kept);
        if (is_behind && kept > 0) leave_out_first(batch);
        return batch;
    }

    /// The row that only gave its pixels to the next.
    static void leave_out_first(Batch& batch) {
        const auto without = [](const Tensor& tensor) {
            Shape shape = tensor.shape();
            const std::size_t row = tensor.bytes() / static_cast<std::size_t>(shape[0]);
            shape[0] -= 1;
            Tensor rest(shape, tensor.dtype());
            std::memcpy(rest.raw(), tensor.raw() + row, rest.bytes());
            return rest;
        };
        batch.images = without(batch.images);
        batch.labels = without(batch.labels);
        batch.targets = without(batch.targets);
    }

    void set_targets(Batch& batch, const std::vector<std::int64_t>& samples) const {
        const std::size_t classes = dataset->classes().size();
        batch.targets = pool.take({static_cast<std::int64_t>(samples.size()), static_cast<std::int64_t>(classes)}, DType::f32);
        const auto targets = batch.targets.data<float>();
        std::ranges::fill(targets, 0.0f);
        for (std::size_t n = 0; n < samples.size(); ++n)
            for (const std::int64_t tag : dataset->tags(samples[n])) targets[n * classes + static_cast<std::size_t>(tag)] = 1;
    }

    void mix_batch(Batch& batch, std::int64_t count) const {
        const Shape& shape = pictures->image_shape();
        mix(spec.augment, batch.images.data<float>().data(), count, shape[0], shape[1], shape[2], batch.targets.data<float>().data(), batch.targets.shape()[1], {spec.seed, batch.epoch, batch.step});
    }
};

// ---- one pass -------------------------------------------------------------------------------

struct Epoch::State {
    struct Result {
        Batch batch;
        std::exception_ptr failure;
    };

    std::shared_ptr<const Loader::Plan> plan;
    EpochOrder order;
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
        if (result.batch.labels.elements() == 0 && state_->plan->spec.parts == 1) continue;
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
    const std::vector<std::int64_t>& runs = dataset.runs();
    std::vector<std::size_t> turns(runs.size());
    std::iota(turns.begin(), turns.end(), 0);
    const auto size = static_cast<std::uint64_t>(dataset.size());  // draws from there on are those of the runs
    for (std::size_t i = turns.size(); i > 1; --i) std::swap(turns[i - 1], turns[static_cast<std::size_t>(rng.below(size + i, static_cast<std::int64_t>(i)))]);
    std::vector<std::int64_t> order;
    for (const std::size_t turn : turns)
        for (std::int64_t i = runs[turn], end = turn + 1 < runs.size() ? runs[turn + 1] : dataset.size(); i < end; ++i) order.push_back(i);
    for (std::size_t i = 0; i < order.size(); ++i) {
        const auto room = std::min<std::int64_t>(shuffle_window, static_cast<std::int64_t>(order.size() - i));
        std::swap(order[i], order[i + static_cast<std::size_t>(rng.below(i, room))]);
    }
    return order;
}

/// Each of the first so many times, the length as it was.
std::vector<std::int64_t> repeated(std::vector<std::int64_t> order, std::int64_t times) {
    for (std::size_t i = order.size(); i-- > 0;) order[i] = order[i / static_cast<std::size_t>(times)];
    return order;
}

}  // namespace

Loader::Loader(DatasetPtr dataset, LoaderSpec spec) : plan_(std::make_shared<const Plan>(std::move(dataset), std::move(spec))) {}

std::int64_t Loader::steps() const { return plan_->steps; }
const Shape& Loader::image_shape() const { return plan_->pictures->image_shape(); }
const Dataset& Loader::dataset() const { return *plan_->dataset; }
const LoaderSpec& Loader::spec() const { return plan_->spec; }

std::vector<std::int64_t> Loader::order(std::int64_t epoch) const {
    const Dataset& dataset = *plan_->dataset;
    const Rng rng(plan_->spec.seed, hash_name("shuffle"), static_cast<std::uint64_t>(epoch));
    if (plan_->spec.shuffle && !plan_->spec.weights.empty()) return drawn(plan_->spec.weights, rng);
    std::vector<std::int64_t> order(static_cast<std::size_t>(dataset.size()));
    std::iota(order.begin(), order.end(), 0);
    if (!plan_->spec.shuffle) return order;
    if (!dataset.runs().empty()) return repeated(shuffled_runs(dataset, rng), plan_->spec.repeats);
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[static_cast<std::size_t>(rng.below(i, static_cast<std::int64_t>(i)))]);
    return repeated(std::move(order), plan_->spec.repeats);
}

Epoch Loader::epoch(std::int64_t epoch, std::int64_t start_step) const {
    require<ArgumentError>(epoch >= 0 && start_step >= 0 && start_step <= plan_->steps, "loader: cannot start at step {} of epoch {}; an epoch has {} steps", start_step, epoch,
                           plan_->steps);
    auto state = std::make_unique<Epoch::State>();
    state->plan = plan_;
    const bool has_copies = !plan_->spec.weights.empty() || plan_->spec.repeats > 1;
    state->order = has_copies ? with_copies(order(epoch), plan_->dataset->size()) : EpochOrder{order(epoch), {}};
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
