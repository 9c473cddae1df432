// A whole run: epochs of steps, evaluation, checkpoints, resuming. Everything that decides a byte of the result is a function of
// (configuration, seed, epoch, step), and what has accumulated travels in the checkpoint: so killed and resumed equals never stopped.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>

#include "core/text.h"
#include "fovea/nn.h"
#include "train/over_ranks.h"
#include "train/probe.h"
#include "train/require_pictures.h"
#include "train/run_directory.h"
#include "train/same_run.h"
#include "train/training_loader.h"
#include "train/with_loss.h"

namespace fovea {

namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// What a run has accumulated; with the parameters, all that the next step depends on.
struct Progress {
    std::int64_t epoch = 0, step = 0;  ///< the next step: epoch, and place within it
    std::int64_t updates = 0;          ///< made so far
    double loss_sum = 0;               ///< over the pictures of this epoch so far
    std::int64_t images = 0, correct = 0, skipped = 0;
    std::vector<double> history;
    double best_metric = 0;
    std::int64_t best_epoch = -1;
    std::int64_t accumulated = 0;      ///< batches since the last update
    std::int64_t averaged = 0;         ///< epochs in the average of weights
};

bool is_finite(const Parameters& parameters) {
    for (const std::string& name : parameters.names()) {
        const Tensor& tensor = parameters.at(name);
        if (tensor.dtype() != DType::f32 && tensor.dtype() != DType::f64) continue;
        for (std::int64_t i = 0; i < tensor.elements(); ++i)
            if (!std::isfinite(tensor.at(i))) return false;
    }
    return true;
}

class Run {
public:
    Run(const Graph& network, const FitSpec& spec)
        : network_(network), spec_(checked(spec)), loader_(spec.train, loader_spec()), trainer_(make_trainer()), directory_(is_first() ? spec.out : std::filesystem::path()) {
        require<ArgumentError>(loader_.steps() > 0, "fit: '{}' has {} pictures, not enough for one batch of {}", spec_.train->name(), spec_.train->size(), spec_.batch);
        bigger_is_better_ = spec_.metric != "loss";
        if (auto* plateau = std::get_if<ReduceOnPlateau>(&spec_.schedule.kind)) plateau->bigger_is_better = bigger_is_better_;
        if (spec_.validation) check_validation();
        if (!has_directory()) return;
        pictures_ = picture_fingerprint(*spec_.train);
        if (spec_.validation) validation_pictures_ = picture_fingerprint(*spec_.validation);
    }

    FitResult go() {
        try {
            return run();
        } catch (const DivergenceError& error) {
            directory_.log_end({{"status", "diverged"}, {"why", error.what()}});
            throw;
        } catch (const std::exception& error) {
            directory_.log_end({{"status", "failed"}, {"why", error.what()}});
            throw;
        }
    }

private:
    FitResult run() {
        begin();
        bool goes_on = true;
        while (goes_on && progress_.epoch < spec_.epochs && !has_lost_patience()) goes_on = run_epoch();
        result_.is_stopped = progress_.epoch < spec_.epochs && !has_lost_patience();
        if (has_lost_patience()) result_.ended = fmt::format("no better {} for {} epochs", spec_.metric, spec_.patience);
        else if (is_over_budget_) end_of_budget();
        result_.epochs = progress_.epoch;
        result_.updates = progress_.updates;
        result_.history = progress_.history;
        result_.best_metric = progress_.best_metric;
        result_.best_epoch = progress_.best_epoch;
        result_.parameters = network_parameters();
        result_.warnings = damaged_pictures();
        directory_.log_end({{"status", result_.is_stopped && result_.ended.empty() ? "stopped" : "finished"}, {"why", result_.ended}});
        return std::move(result_);
    }

    /// A sentence each, of all ranks.
    [[nodiscard]] std::vector<std::string> damaged_pictures() const {
        Json mine = spec_.train->damaged();
        if (spec_.validation)
            for (const std::string& text : spec_.validation->damaged()) mine.push_back(text);
        std::vector<std::string> all;
        std::set<std::string> seen;  // one picture may be met by several ranks, an epoch each
        for (const std::string& texts : gathered(spec_.ranks, mine.dump(-1, ' ', false, Json::error_handler_t::replace)))
            for (const Json& text : Json::parse(texts))
                if (seen.insert(text.get<std::string>()).second) all.push_back(text.get<std::string>());
        return all;
    }

    static FitSpec checked(FitSpec spec) {
        require<ArgumentError>(spec.train != nullptr, "fit: no training set given");
        require<ArgumentError>(spec.epochs > 0 && spec.batch > 0, "fit: epochs and batch are at least 1, got {} and {}", spec.epochs, spec.batch);
        require<ArgumentError>(spec.metric == "top1" || spec.metric == "topk" || spec.metric == "loss", "fit: no metric '{}'; there are top1, topk, loss", spec.metric);
        require<ArgumentError>(spec.metric != "topk" || spec.validation != nullptr, "fit: metric 'topk' needs a validation set");
        require<ArgumentError>(spec.swa_from >= 0 && spec.patience >= 0 && spec.min_delta >= 0 && spec.time_budget_minutes >= 0,
                               "fit: swa_from, patience, min_delta and the time budget are at least 0 (0 is off), got {}, {}, {} and {}", spec.swa_from, spec.patience, spec.min_delta,
                               spec.time_budget_minutes);
        require<ArgumentError>(spec.swa_from == 0 || spec.step.ema == 0, "fit: swa_from and ema both average the weights: leave one out");
        require<ArgumentError>(!spec.resume || !spec.out.empty(), "fit: to resume, the run directory has to be named (out)");
        const auto* one_cycle = std::get_if<OneCycle>(&spec.schedule.kind);
        if (one_cycle != nullptr && one_cycle->cycle_momentum && momentum_of(spec.optimizer)) spec.step.momentum_input = true;
        require<ArgumentError>(!mixes_labels(spec.augment) || spec.loss_name.starts_with("cross_entropy") || spec.loss_name == "bce" || spec.loss_name == "focal", "fit: mixed pictures have shares of classes, which the loss {} does not take: leave mixup and cutmix out",
                               spec.loss_name);
        require<ArgumentError>(!spec.train->has_tags() || spec.loss_name == "cross_entropy" || spec.loss_name == "bce" || spec.loss_name == "focal",
                               "fit: pictures of '{}' have several classes, which the losses cross_entropy, bce and focal take, not {}", spec.train->name(), spec.loss_name);
        require<ArgumentError>(spec.validation == nullptr || spec.validation->has_tags() == spec.train->has_tags(), "fit: pictures of '{}' have several classes, those of '{}' have one",
                               (spec.train->has_tags() ? spec.train : spec.validation)->name(), (spec.train->has_tags() ? spec.validation : spec.train)->name());
        if (spec.threads > 0) set_threads(spec.threads);
        if (spec.ranks != nullptr && spec.ranks->size() == 1) spec.ranks = nullptr;
        return spec;
    }

    [[nodiscard]] bool is_first() const { return spec_.ranks == nullptr || spec_.ranks->rank() == 0; }
    /// Whether the run has a directory, which only rank 0 touches.
    [[nodiscard]] bool has_directory() const { return !spec_.out.empty(); }

    [[nodiscard]] LoaderSpec loader_spec() const { return training_loader(spec_); }

    [[nodiscard]] Trainer make_trainer() const {
        const WithLoss built = with_loss(network_, spec_.loss, spec_.lowest_wins, true, labels_for(*spec_.train, spec_.augment));
        const std::int64_t classes = built.scores.shape()[1];
        for (const DatasetPtr& set : {spec_.train, spec_.validation}) {
            if (!set) continue;
            require<ArgumentError>(static_cast<std::int64_t>(set->classes().size()) <= classes, "data set '{}' has {} classes, the network tells {} apart", set->name(), set->classes().size(), classes);
        }
        require<ArgumentError>(labels_for(*spec_.train, spec_.augment) == Labels::classes || static_cast<std::int64_t>(spec_.train->classes().size()) == classes,
                               "fit: mixed pictures and pictures of several classes need a network with the data's classes: '{}' has {}, the network tells {} apart", spec_.train->name(), spec_.train->classes().size(), classes);
        return Trainer(built.loss, spec_.optimizer, {.step = spec_.step, .seed = spec_.seed, .compile = spec_.compile, .keep = {"scores"}, .check_finite = false, .ranks = spec_.ranks, .synchronises_norms = spec_.sync_batch_norm});
    }

    /// What would otherwise end the run behind its first epoch.
    void check_validation() const {
        const Dataset& set = *spec_.validation;
        (void)Loader(spec_.validation, {.preprocess = spec_.preprocess});
        bool has_picture = false;
        for (std::int64_t i = 0; i < set.size() && !has_picture; ++i) has_picture = set.try_get(i).has_value();
        require_pictures(has_picture ? 1 : 0, set);
    }

    /// All that the result depends on; a resumed run must agree with it. `epochs` counts only where the schedule looks at it.
    [[nodiscard]] Json recipe() const {
        Json json{{"model", spec_.model}, {"model_options", parse_json(spec_.model_options, "model options")}, {"dataset", spec_.train->name()}, {"images", spec_.train->size()}};
        if (!pictures_.empty()) json["pictures"] = pictures_;
        json["validation"] = spec_.validation ? Json(spec_.validation->name()) : Json(nullptr);
        if (!validation_pictures_.empty()) json["validation_pictures"] = validation_pictures_;
        json.update({{"batch", spec_.batch}, {"drop_last", spec_.drop_last}, {"loss", spec_.loss_name}, {"lowest_wins", spec_.lowest_wins}, {"optimizer", to_json(spec_.optimizer)},
                     {"schedule", to_json(spec_.schedule)}, {"step", to_json(spec_.step)}, {"augment", to_json(spec_.augment)}, {"balanced", spec_.balanced}, {"draft", spec_.draft}, {"repeats", spec_.repeats}, {"preprocess", to_json(spec_.preprocess)},
                     {"metric", spec_.metric}, {"k", spec_.k}, {"seed", spec_.seed}, {"swa_from", spec_.swa_from}, {"sync_batch_norm", spec_.sync_batch_norm}});
        json["compile"] = {{"backend", spec_.compile.backend}, {"precision", name_of(spec_.compile.precision)}, {"fuse", spec_.compile.fuse}};
        if (depends_on_length(spec_.schedule)) json["epochs"] = spec_.epochs;
        if (!spec_.listing.empty()) json["listing"] = spec_.listing;
        return json;
    }

    [[nodiscard]] Checkpoint checkpoint() const {
        Json facts{{"version", 1}, {"model", spec_.model}, {"model_options", parse_json(spec_.model_options, "model options")}, {"classes", spec_.train->classes()},
                   {"preprocess", to_json(spec_.preprocess)}, {"dataset", spec_.train->name()}, {"epoch", progress_.epoch}, {"step", progress_.step},
                   {"updates", progress_.updates}, {"seed", spec_.seed}, {"loss_sum", progress_.loss_sum}, {"images", progress_.images}, {"correct", progress_.correct},
                   {"skipped", progress_.skipped}, {"metric", spec_.metric}, {"history", progress_.history}, {"best_metric", progress_.best_metric},
                   {"best_epoch", progress_.best_epoch}, {"accumulated", progress_.accumulated}, {"averaged", progress_.averaged}, {"recipe", recipe()}};
        if (!spec_.listing.empty()) facts["listing"] = spec_.listing;
        Parameters state = trainer_.optimizer_state();
        for (const std::string& name : average_.names()) state.set(name, average_.at(name));
        return {trainer_.parameters(), std::move(state), facts.dump(-1, ' ', false, Json::error_handler_t::replace)};
    }

    void restore(const Checkpoint& checkpoint, const std::string& file) {
        const Json facts = parse_json(checkpoint.facts, file);
        try {
            require_same_run(facts, recipe(), *spec_.train, file);
            progress_ = {facts.at("epoch"),   facts.at("step"),    facts.at("updates"), facts.at("loss_sum"),    facts.at("images"),
                         facts.at("correct"), facts.at("skipped"), facts.at("history"), facts.at("best_metric"), facts.at("best_epoch"), facts.at("accumulated"), facts.at("averaged")};
        } catch (const nlohmann::json::exception& error) {
            fail<FormatError>("'{}' cannot be resumed: {}", file, error.what());
        }
        for (const Parameters& expected : {trainer_.parameters(), trainer_.optimizer_state()})
            for (const std::string& name : expected.names())
                require<FormatError>(checkpoint.parameters.has(name) || checkpoint.optimizer.has(name), "'{}' cannot be resumed: it lacks '{}' {}", file, name,
                                     expected.at(name).shape());
        trainer_.load(checkpoint.parameters);
        Parameters state;
        average_ = {};
        for (const std::string& name : checkpoint.optimizer.names())
            // Gradients that one rank left waiting are rank 0's part of the sum.
            if (!is_first() && name.starts_with(std::string(optimizer_prefix) + "accumulated.")) state.set(name, Tensor(checkpoint.optimizer.at(name).shape(), checkpoint.optimizer.at(name).dtype()));
            else (progress_.averaged > 0 && name.starts_with(average_prefix) ? average_ : state).set(name, checkpoint.optimizer.at(name));
        trainer_.load(state);
        trainer_.set_progress(progress_.updates, random_step(), progress_.accumulated);
    }

    /// The address of this step's random numbers: its place in the run, whatever happened before.
    [[nodiscard]] std::int64_t random_step() const { return progress_.epoch * loader_.steps() + progress_.step; }

    /// What is evaluated, saved for prediction and returned: the averages where there are any.
    [[nodiscard]] Parameters network_parameters() const {
        Parameters all = trainer_.parameters();
        const auto take = [&](const Parameters& state) {
            for (const std::string& name : state.names())
                if (name.starts_with(average_prefix)) all.set(name.substr(average_prefix.size()), state.at(name));
        };
        if (spec_.step.ema > 0 && progress_.updates > 0) take(trainer_.optimizer_state());
        take(average_);
        return all;
    }

    /// Stochastic weight averaging: the weights join the mean of those before, then batch norm's statistics are those of the mean.
    void average_weights() {
        const Parameters now = trainer_.parameters();
        Parameters mean = now;
        for (const ParameterInfo& info : network_.parameters()) {
            if (!info.is_trainable || progress_.averaged == 0) continue;
            const Tensor &value = now.at(info.name), &before = average_.at(std::string(average_prefix) + info.name);
            Tensor joined(value.shape(), value.dtype());
            for (std::int64_t i = 0; i < value.elements(); ++i) joined.set(i, before.at(i) + (value.at(i) - before.at(i)) / static_cast<double>(progress_.averaged + 1));
            mean.set(info.name, joined);
        }
        ++progress_.averaged;
        mean = reestimate_batch_norm(network_, mean, loader_, progress_.epoch, spec_.compile, spec_.ranks);
        average_ = {};
        for (const std::string& name : mean.names()) average_.set(std::string(average_prefix) + name, mean.at(name));
    }

    [[nodiscard]] bool has_lost_patience() const {
        if (spec_.patience == 0) return false;
        std::int64_t waited = 0;
        double best = 0;
        for (std::size_t i = 0; i < progress_.history.size(); ++i) {
            const double metric = progress_.history[i];
            const bool is_better = i == 0 || (bigger_is_better_ ? metric > best + spec_.min_delta : metric < best - spec_.min_delta);
            waited = is_better ? 0 : waited + 1;
            if (is_better) best = metric;
        }
        return waited >= spec_.patience;
    }

    [[nodiscard]] bool has_spent_its_time() const { return spec_.time_budget_minutes > 0 && seconds_since(start_) > 60 * spec_.time_budget_minutes; }

    /// Says so; weights in the middle of an epoch are evaluated too.
    void end_of_budget() {
        if (progress_.epoch >= spec_.epochs) return;
        result_.ended = fmt::format("the time budget of {:g} minutes is spent", spec_.time_budget_minutes);
        if (progress_.step > 0 && spec_.validation) result_.last_evaluation = evaluate_now();
    }

    [[nodiscard]] Evaluation evaluate_now() const {
        return evaluate(network_, network_parameters(), spec_.validation,
                        {.batch = std::max<std::int64_t>(spec_.batch, 256), .k = spec_.k, .worst = has_directory() ? 24 : 0, .preprocess = spec_.preprocess, .loader_threads = spec_.loader_threads,
                         .loss = spec_.loss, .lowest_wins = spec_.lowest_wins, .compile = spec_.compile, .ranks = spec_.ranks});
    }

    /// The one in the run directory, which rank 0 reads for all.
    [[nodiscard]] Checkpoint last_checkpoint() const {
        return from_first(spec_.ranks, directory_.is_on() ? load_last_checkpoint(directory_.path()) : Checkpoint());
    }

    void begin() {
        start_ = last_save_ = Clock::now();
        const bool resumes = spec_.resume && !from_first(spec_.ranks, directory_.is_on() && std::filesystem::exists(directory_.last()) ? "yes" : "").empty();
        if (resumes) restore(last_checkpoint(), (spec_.out / directory_.last().filename()).string());
        else begin_anew();
        directory_.create();
        result_.resumed_from = progress_.updates;
        directory_.remove_leftovers();
        Json config = recipe();
        if (!spec_.recipe_name.empty()) config["recipe"] = spec_.recipe_name;
        config["epochs"] = spec_.epochs;
        config.update({{"steps_per_epoch", loader_.steps()}, {"parameters", network_.trainable_scalars()}, {"classes", spec_.train->classes()},
                       {"validation_images", spec_.validation ? spec_.validation->size() : 0}, {"ranks", spec_.ranks ? spec_.ranks->size() : 1}, {"threads", threads()}, {"loader_threads", spec_.loader_threads},
                       {"build", build_facts()}, {"machine", machine_facts()}});
        directory_.write_config(config, spec_.recipe);
        directory_.open_metrics(progress_.updates, progress_.epoch);
        // A first checkpoint at once: an unwritable or full disk shows now, and there is always one to go back to.
        if (!resumes) save();
        else keep_snapshot();
    }

    void begin_anew() {
        if (spec_.initial) trainer_.load(*spec_.initial);
        if (!directory_.is_on()) return;
        const bool holds_run = std::filesystem::exists(directory_.last());
        require<ArgumentError>(!holds_run || spec_.overwrite, "'{}' already holds a run: resume it, overwrite it or choose another directory", directory_.path().string());
        directory_.create();
        if (holds_run) std::filesystem::remove(directory_.best());  // the old run's; `last` is replaced at once
    }

    void keep_snapshot() {
        if (!has_directory()) snapshot_ = checkpoint();
    }

    void save() {
        last_save_ = Clock::now();
        if (!has_directory()) return keep_snapshot();
        const Checkpoint now = checkpoint();
        if (!is_finite(now.parameters) || !is_finite(now.optimizer)) explain_not_finite("a parameter became NaN or infinite");
        check_agreement(now);
        if (!directory_.is_on()) return;
        directory_.sync_metrics();
        save_checkpoint(now, directory_.last());
    }

    /// Ranks that do the same arithmetic hold the same weights; other processors or builds among them would drift apart unseen.
    void check_agreement(const Checkpoint& now) const {
        if (spec_.ranks == nullptr) return;
        const std::vector<std::int64_t> prints = gathered(spec_.ranks, static_cast<std::int64_t>(fingerprint(now.parameters) ^ 3 * fingerprint(now.optimizer)));
        const auto other = std::ranges::find_if(prints, [&](std::int64_t print) { return print != prints[0]; });
        require(other == prints.end(), "after update {} rank {} holds other weights than rank 0: all ranks need the same build, starting weights and kind of processor", progress_.updates,
                other - prints.begin());
    }

    [[nodiscard]] ScheduleValue schedule() const { return schedule(progress_.step); }
    [[nodiscard]] ScheduleValue schedule(std::int64_t step) const {
        return schedule_at(spec_.schedule, learning_rate_of(spec_.optimizer),
                           {progress_.epoch, step, loader_.steps(), std::max(spec_.epochs, progress_.epoch + 1), progress_.history});
    }

    StepResult step(const Batch& batch) {
        const ScheduleValue now = schedule();
        trainer_.set_progress(progress_.updates, random_step(), progress_.accumulated);
        // The last batch of an epoch makes an update of what there is: the next epoch begins with nothing waiting.
        return trainer_.step({{"image", batch.images}, {"label", labels_of(batch)}}, now.lr, now.momentum, progress_.step + 1 == loader_.steps());
    }

    /// The step counts alike on all ranks.
    void count(const Batch& batch, const StepResult& done) {
        std::int64_t correct = 0;
        if (const auto it = done.tensors.find("scores"); it != done.tensors.end()) {
            const Tensor outputs = it->second.to(DType::f32);
            const auto scores = outputs.data<float>();
            const auto classes = static_cast<std::size_t>(outputs.shape()[1]);
            const bool has_tags = spec_.train->has_tags();
            for (std::int64_t n = 0; n < batch.labels.elements(); ++n) {
                const auto row = scores.subspan(static_cast<std::size_t>(n) * classes, classes);
                // Of several classes any may be the first; of mixed pictures each picture's own counts.
                correct += has_tags ? best_rank(row, tags_of(batch.targets, n)) == 0 : rank_of(row, static_cast<std::int64_t>(batch.labels.at(n))) == 0;
            }
        }
        const std::vector<double> all = summed(spec_.ranks, {static_cast<double>(correct), static_cast<double>(batch.skipped)});
        progress_.correct += static_cast<std::int64_t>(all[0]);
        progress_.skipped += static_cast<std::int64_t>(all[1]);
        progress_.loss_sum += done.loss * static_cast<double>(done.rows);
        progress_.images += done.rows;
        progress_.step = batch.step + 1;
        progress_.updates += done.is_update;
        progress_.accumulated = trainer_.accumulated();
    }

    /// What all ranks do behind the same step: any may want to stop, the clocks are rank 0's.
    struct Wishes {
        bool stops = false, is_due = false;
    };
    [[nodiscard]] Wishes agreed(const Wishes& mine) {
        stops_ |= mine.stops || (spec_.stop != nullptr && spec_.stop->load());
        const std::vector<double> all = summed(spec_.ranks, {stops_ ? 1.0 : 0.0, mine.is_due && is_first() ? 1.0 : 0.0, has_spent_its_time() && is_first() ? 1.0 : 0.0});
        is_over_budget_ = all[2] > 0;
        // Gradients that wait for their update lie with each rank: a checkpoint of several ranks holds none.
        if (spec_.ranks != nullptr && progress_.accumulated > 0) return {};
        return {all[0] > 0 || is_over_budget_, all[1] > 0};
    }

    /// False when the run is to stop.
    bool run_epoch() {
        const Clock::time_point epoch_start = Clock::now();
        std::int64_t images_now = 0, counted = 0;
        double waited = 0;
        double lr = schedule(std::max<std::int64_t>(0, progress_.step - 1)).lr;  // of the last step made, should none be left
        Epoch pass = loader_.epoch(progress_.epoch, progress_.step);
        const auto next = [&] {
            const Clock::time_point asked = Clock::now();
            std::optional<Batch> batch = pass.next();
            waited += seconds_since(asked);
            return batch;
        };
        while (const std::optional<Batch> batch = next()) {
            progress_.step = batch->step;
            lr = schedule().lr;
            const StepResult done = step(*batch);
            if (!std::isfinite(done.loss)) explain_not_finite(std::isnan(done.loss) ? "the loss is NaN" : "the loss is infinite");
            count(*batch, done);
            counted += batch->skipped;
            if (done.rows == 0) continue;  // every picture of it is damaged
            images_now += done.rows;
            const double seconds = seconds_since(epoch_start);
            const auto made = static_cast<double>(progress_.images);
            StepReport report{progress_.epoch, batch->step, loader_.steps(), progress_.updates, done.loss, progress_.loss_sum / made,
                              static_cast<double>(progress_.correct) / made, lr, static_cast<double>(images_now) / seconds, waited / seconds, 0, 0, done.scalars};
            report.epoch_seconds_left = static_cast<double>(loader_.steps() - progress_.step) * static_cast<double>(spec_.batch) / report.images_per_second;
            report.seconds_left = report.epoch_seconds_left + static_cast<double>(spec_.epochs - progress_.epoch - 1) * last_epoch_seconds_ + last_evaluation_seconds_;
            if (last_epoch_seconds_ == 0 && progress_.epoch + 1 < spec_.epochs) report.seconds_left = 0;
            if (spec_.log_every_steps > 0 && done.is_update && progress_.updates % spec_.log_every_steps == 0) log_step(report);
            Wishes wishes;
            for (const Callback& callback : spec_.callbacks) wishes.stops |= callback.on_step && !callback.on_step(report);
            wishes.is_due = (spec_.save_every_steps > 0 && done.is_update && progress_.updates % spec_.save_every_steps == 0) ||
                            (spec_.save_every_minutes > 0 && seconds_since(last_save_) > 60 * spec_.save_every_minutes);
            wishes = agreed(wishes);
            if (wishes.stops || wishes.is_due) save();
            if (wishes.stops) {
                result_.seconds += seconds_since(epoch_start);
                return false;
            }
        }
        progress_.skipped += pass.skipped() - counted;  // behind the last picture there was no batch to count them with
        require(progress_.images > 0, "epoch {}: every picture of '{}' is damaged, nothing is left to train on; first: {}", progress_.epoch + 1, spec_.train->name(),
                spec_.train->damaged().empty() ? "-" : spec_.train->damaged().front());
        const double seconds = seconds_since(epoch_start);
        result_.seconds += seconds;
        const bool goes_on = finish_epoch(lr, seconds, images_now, waited / std::max(seconds, 1e-9));
        last_epoch_seconds_ = seconds_since(epoch_start);
        last_evaluation_seconds_ = last_epoch_seconds_ - seconds;
        return goes_on;
    }

    [[nodiscard]] bool averages_now() const { return spec_.swa_from > 0 && progress_.epoch + 1 >= spec_.swa_from; }

    /// Where it cannot be made the epoch is saved first, as it stands before: resumed, the run goes on with just that.
    Evaluation evaluate_epoch() {
        const Parameters before = average_;
        const std::int64_t averaged = progress_.averaged;
        try {
            if (averages_now()) average_weights();
            return evaluate_now();
        } catch (const Error&) {
            if (spec_.ranks != nullptr) throw;  // the others may not know of it, and would not save with this one
            average_ = before;
            progress_.averaged = averaged;
            progress_.step = loader_.steps();
            save();
            throw;
        }
    }

    bool finish_epoch(double lr, double seconds, std::int64_t images_now, double loader_wait) {
        const auto made = static_cast<double>(progress_.images);
        EpochReport report{progress_.epoch, progress_.updates, progress_.loss_sum / made, static_cast<double>(progress_.correct) / made, {}, false, lr, seconds,
                           static_cast<double>(images_now) / std::max(seconds, 1e-9), loader_wait, progress_.images, progress_.skipped};
        result_.skipped = progress_.skipped;
        if (spec_.validation) result_.last_evaluation = report.validation = evaluate_epoch();
        else if (averages_now()) average_weights();
        const double metric = spec_.metric == "loss"   ? (report.validation ? report.validation->loss : report.train_loss)
                              : spec_.metric == "topk" ? report.validation->topk
                                                       : (report.validation ? report.validation->top1 : report.train_accuracy);
        report.is_best = progress_.best_epoch < 0 || (bigger_is_better_ ? metric > progress_.best_metric : metric < progress_.best_metric);
        if (report.is_best) progress_.best_metric = metric, progress_.best_epoch = progress_.epoch;
        progress_.history.push_back(metric);
        ++progress_.epoch;
        progress_.step = 0;
        progress_.loss_sum = 0;
        progress_.images = progress_.correct = progress_.skipped = 0;
        log_probe();
        log_epoch(report);
        // Best before last: killed between the two, the run goes on from the older `last` and writes the same `best` again.
        if (directory_.is_on() && report.is_best) {
            const Checkpoint now = checkpoint();
            if (is_finite(now.parameters) && is_finite(now.optimizer)) save_checkpoint(now, directory_.best());
        }
        save();
        Wishes wishes;
        for (const Callback& callback : spec_.callbacks) wishes.stops |= callback.on_epoch && !callback.on_epoch(report);
        return !agreed(wishes).stops;
    }

    void log_step(const StepReport& report) {
        Json line{{"kind", "step"}, {"epoch", report.epoch}, {"step", report.step}, {"update", report.update}, {"loss", report.loss}, {"accuracy", report.accuracy}, {"lr", report.lr}};
        for (const auto& [name, value] : report.scalars)
            if (name != "loss") line[name] = value;
        line["images_per_second"] = report.images_per_second;
        line["loader_wait"] = report.loader_wait;
        line["seconds"] = directory_.seconds_before() + seconds_since(start_);
        directory_.log(line);
    }

    /// Gradient norms, saturated and dead units of the epoch that ended: the weights as they are trained, not their average.
    void log_probe() {
        if (!directory_.is_on() || spec_.probe == 0) return;
        if (!probe_) probe_.emplace(network_, spec_);
        Json line{{"kind", "probe"}, {"epoch", progress_.epoch - 1}, {"update", progress_.updates}};
        line.update(probe_->look(trainer_.parameters()));
        line["seconds"] = directory_.seconds_before() + seconds_since(start_);
        directory_.log(line);
    }

    void log_epoch(const EpochReport& report) {
        Json line{{"kind", "epoch"}, {"epoch", report.epoch}, {"update", report.step}, {"train_loss", report.train_loss}, {"train_accuracy", report.train_accuracy}};
        if (report.validation) line.update({{"loss", report.validation->loss}, {"top1", report.validation->top1}, {"topk", report.validation->topk}, {"k", report.validation->k}});
        line.update({{"images", report.images}, {"skipped", report.skipped}, {"lr", report.lr}, {"is_best", report.is_best}, {"images_per_second", report.images_per_second}, {"loader_wait", report.loader_wait},
                     {"seconds", directory_.seconds_before() + seconds_since(start_)}});
        directory_.log(line);
        if (report.validation) directory_.write_evaluation(report.epoch, spec_.validation->name(), *report.validation);
    }

    /// Goes back to the last checkpoint and repeats the steps since then (they are the same to the bit), until the first one with a NaN or
    /// an infinity; in that one, finds the first node. Always throws.
    [[noreturn]] void explain_not_finite(const std::string& what) {
        const Progress failed = progress_;
        const auto place = [&](const Progress& at) { return fmt::format("epoch {} step {} of {}", at.epoch + 1, at.step + 1, loader_.steps()); };
        const std::string good = has_directory() ? fmt::format("; the last good checkpoint is '{}'", (spec_.out / "checkpoint-last.safetensors").string()) : "";
        std::string culprit = "it did not come again when the steps were repeated: check the machine's memory";
        const auto search = [&] {
            restore(has_directory() ? last_checkpoint() : *snapshot_, "checkpoint");
            for (; progress_.epoch <= failed.epoch; ++progress_.epoch, progress_.step = 0) {
                Epoch pass = loader_.epoch(progress_.epoch, progress_.step);
                while (const std::optional<Batch> batch = pass.next()) {
                    progress_.step = batch->step;
                    const Checkpoint before = checkpoint();
                    const ScheduleValue now = schedule();
                    const StepResult done = step(*batch);
                    if (std::isfinite(done.loss) && is_finite(trainer_.parameters()) && is_finite(trainer_.optimizer_state())) {
                        progress_.updates += done.is_update;
                        progress_.accumulated = trainer_.accumulated();
                        if (progress_.epoch == failed.epoch && progress_.step >= failed.step) return;
                        continue;
                    }
                    Parameters all = before.parameters;
                    for (const std::string& name : before.optimizer.names()) all.set(name, before.optimizer.at(name));
                    std::string node = trainer_.first_not_finite(all, {{"image", batch->images}, {"label", labels_of(*batch)}}, progress_.updates, random_step(), now.lr,
                                                                       now.momentum.value_or(momentum_of(spec_.optimizer).value_or(0)));
                    // It may have begun in the pictures of one rank.
                    for (const std::string& found : gathered(spec_.ranks, node))
                        if (node.empty()) node = found;
                    culprit = node.empty() ? fmt::format("it began in {}, but only when nodes are fused", place(progress_))
                                           : fmt::format("it began in {} at {}, learning rate {:g}", place(progress_), node, now.lr);
                    return;
                }
            }
        };
        try {
            search();
        } catch (const Error& error) {
            culprit = fmt::format("where it began could not be found: {}", error.what());
        }
        fail<DivergenceError>("{}: {}; {}{}. A smaller learning rate, a warm-up or clip_norm may help", place(failed), what, culprit, good);
    }

    const Graph& network_;
    FitSpec spec_;
    Loader loader_;
    Trainer trainer_;
    RunDirectory directory_;
    bool bigger_is_better_ = true;
    std::string pictures_, validation_pictures_;  ///< fingerprints, where there is a directory to resume from
    Progress progress_;
    FitResult result_;
    Parameters average_;  ///< of SWA, named as in a checkpoint
    std::optional<Checkpoint> snapshot_;
    std::optional<Probe> probe_;
    Clock::time_point start_, last_save_;
    bool stops_ = false, is_over_budget_ = false;  ///< is wanted here; is known to all ranks
    double last_epoch_seconds_ = 0, last_evaluation_seconds_ = 0;  ///< with and of what follows the last step
};

}  // namespace

FitResult fit(const Graph& network, const FitSpec& spec) { return Run(network, spec).go(); }

}  // namespace fovea
