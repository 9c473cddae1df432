// Training: metrics, checkpoints, the Trainer, the whole fit(), and recipes for it.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "fovea/comm.h"
#include "fovea/core.h"
#include "fovea/data.h"
#include "fovea/graph.h"
#include "fovea/image.h"
#include "fovea/io.h"
#include "fovea/runtime.h"
#include "fovea/train/optimizer.h"
#include "fovea/train/reliability.h"
#include "fovea/train/schedule.h"

namespace fovea {

// ---- metrics --------------------------------------------------------------------------------

/// Place of `label` among the scores, from 0. Among equal scores the lower index comes first, as in argmax; a NaN score of the
/// label comes last.
[[nodiscard]] std::int64_t rank_of(std::span<const float> scores, std::int64_t label);
/// The k highest scores, best first; among equals the lower index first; NaN last.
[[nodiscard]] std::vector<std::int64_t> top_k(std::span<const float> scores, std::int64_t k);

/// Row: label, column: prediction.
class ConfusionMatrix {
public:
    explicit ConfusionMatrix(std::int64_t classes = 0) : classes_(classes) {}
    void add(std::int64_t label, std::int64_t predicted, std::int64_t count = 1);
    [[nodiscard]] std::int64_t classes() const { return classes_; }
    [[nodiscard]] std::int64_t at(std::int64_t label, std::int64_t predicted) const;
    /// The counts that are not 0, by label and prediction: of 21,841 classes that is little.
    [[nodiscard]] const std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t>& cells() const { return cells_; }
    [[nodiscard]] std::int64_t total() const;
    /// Of each class's pictures, the part recognised; of each class's predictions, the part that is right. 0 where there are none.
    [[nodiscard]] std::vector<double> recall() const;
    [[nodiscard]] std::vector<double> precision() const;

private:
    std::int64_t classes_;
    std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> cells_;
};

/// Of each class, the area under the precision-recall curve of its probability against the rest: sum of (R_n - R_(n-1)) P_n over the distinct
/// probabilities from the highest down, as scikit-learn's average_precision_score; NaN where no picture is of the class. `probabilities`
/// is [N, L], row by row; rows with a NaN count nowhere. Each of several ranks gives its rows and gets the result of all.
[[nodiscard]] std::vector<double> average_precision(std::span<const float> probabilities, std::span<const std::int64_t> labels, std::int64_t classes, Communicator* ranks = nullptr);

/// A picture that was taken for another class.
struct Mistake {
    std::int64_t index = 0;            ///< in the data set
    std::int64_t label = 0, predicted = 0;
    double of_label = 0, of_predicted = 0;  ///< softmax probabilities
};

struct Evaluation {
    std::int64_t images = 0;
    std::int64_t skipped = 0;  ///< damaged pictures, left out
    std::int64_t k = 5;
    double loss = 0;           ///< mean over the pictures
    double top1 = 0, topk = 0; ///< 0..1
    ConfusionMatrix confusion{};
    std::vector<Mistake> worst{};  ///< those that give their own class the least, worst first
    Reliability reliability{};     ///< of the softmax of the scores (of distances: of the negative ones)
    std::vector<double> average_precision{};  ///< of each class, NaN where it does not occur; empty unless asked for
    double seconds = 0;

    /// Over the classes that occur; NaN where it was not measured.
    [[nodiscard]] double mean_average_precision() const;
};

/// loss = f(logits, labels): cross_entropy unless told otherwise.
using LossFunction = std::function<Value(const Value& logits, const Value& labels)>;

/// What average precision may take; for 1,000 classes that is 268,000 pictures.
inline constexpr std::int64_t most_average_precision_bytes = std::int64_t{1} << 30;

struct EvaluateSpec {
    std::int64_t batch = 256;
    std::int64_t k = 5;
    std::int64_t worst = 0;                ///< mistakes to keep; none of a batch with damaged pictures, where numbers are not known
    bool average_precision = false;        ///< keeps 4 bytes for each picture and class until the end; beyond most_average_precision_bytes it is left out
    Preprocess preprocess{};
    int loader_threads = 1;
    LossFunction loss{};
    bool lowest_wins = false;              ///< the network gives distances: the smallest is its answer
    CompileOptions compile{};              ///< compiled for inference whatever this says
    const std::atomic<bool>* stop = nullptr;
    Communicator* ranks = nullptr;         ///< each evaluates its part of the set, all get the whole result
};
/// Runs a network with the input "image" and the output that scores_of() finds over a data set, compiled for inference.
[[nodiscard]] Evaluation evaluate(const Graph& network, const Parameters& parameters, DatasetPtr dataset, const EvaluateSpec& spec = {});

/// How far two ways to compute one network give the same answers.
struct Agreement {
    std::int64_t images = 0;
    std::int64_t same_top1 = 0;
    double relative_l2 = 0;  ///< of all scores together: |a - b| / |b|
    double worst_l2 = 0;     ///< of one picture's
};
/// The scores under spec.compile (a) beside those under `against` (b), on a data set; spec.loss is not asked.
[[nodiscard]] Agreement agreement(const Graph& network, const Parameters& parameters, const DatasetPtr& dataset, const EvaluateSpec& spec, const CompileOptions& against);

// ---- checkpoints ----------------------------------------------------------------------------

/// Everything a run needs to go on, or a user to predict. On disk: safetensors; `facts` is JSON text under the metadata key "fovea".
struct Checkpoint {
    Parameters parameters;  ///< of the network: state_dict names
    Parameters optimizer;   ///< "optimizer.<slot>.<parameter>"
    std::string facts;      ///< a JSON object
};
/// Written beside `path`, synced and renamed: a reader sees the old file or the new one, whole.
void save_checkpoint(const Checkpoint& checkpoint, const std::filesystem::path& path);
[[nodiscard]] Checkpoint load_checkpoint(const std::filesystem::path& path);
/// checkpoint-last of a run directory; where it is damaged the FormatError says whether checkpoint-best can take its place.
[[nodiscard]] Checkpoint load_last_checkpoint(const std::filesystem::path& run);

/// What a checkpoint says about the network in it; empty or default where a plain weights file says nothing.
struct CheckpointFacts {
    std::string model;
    std::string model_options;  ///< JSON object
    std::string listing{};      ///< the text the network was read from, where it was
    std::vector<std::string> classes;
    std::optional<Preprocess> preprocess;
    std::int64_t epoch = 0, step = 0;
    double best_metric = 0;
    std::string dataset;
    std::string loss{};         ///< a name of ModelLoss; empty: the card's
};
[[nodiscard]] CheckpointFacts facts_of(const Checkpoint& checkpoint);
/// The same from the metadata of a weights file; `file` stands in messages.
[[nodiscard]] CheckpointFacts facts_of(const Metadata& metadata, std::string_view file);
/// The tensors of a checkpoint's file that are the network's; where the run averages weights (EMA, SWA), the averages.
[[nodiscard]] Parameters without_optimizer(const Parameters& file);
inline constexpr std::string_view average_prefix = "optimizer.average.";
/// The JSON object that `facts_of` reads: what a weights file needs to be run by itself.
[[nodiscard]] std::string to_text(const CheckpointFacts& facts);

// ---- Trainer --------------------------------------------------------------------------------

/// What one step gave: "loss" and every other scalar output of the graph ("gradient_norm", loss parts), by name.
struct StepResult {
    double loss = 0;
    std::map<std::string, double> scalars;
    std::map<std::string, Tensor> tensors;  ///< outputs of higher rank, e.g. "logits"; of several ranks those of this rank's rows
    bool is_update = true;                  ///< false where gradients were only accumulated
    std::int64_t rows = 0;                  ///< of the batch, with those of all ranks; 0: no rank had any, and nothing was done
};

struct TrainerSpec {
    StepSpec step{};
    std::uint64_t seed = 0;         ///< of the initial parameters and of dropout
    CompileOptions compile{};
    std::vector<std::string> keep{};///< glob patterns of the graph's outputs that each step returns (all scalars always are)
    bool check_finite = true;       ///< throw when the loss is NaN or infinite
    /// Each rank runs the steps on rows of its own; the update is that of all rows together, and the same on every rank. Outlives the trainer.
    Communicator* ranks = nullptr;
    bool synchronises_norms = false;            ///< batch norm over the rows of all ranks; false: of each, running statistics their mean
    std::int64_t bucket_bytes = std::int64_t{8} << 20;  ///< gradients travel in pieces of about this size while the reverse pass goes on
};

/// One compiled training step and its state. Trainer trainer(cross_entropy(logits), Sgd({.lr = 0.1})); trainer.step(batch);
class Trainer {
public:
    /// Copies the graph of `loss`: inputs "image" and, if there is one, "label".
    Trainer(const Value& loss, const Optimizer& optimizer, const TrainerSpec& spec = {});
    ~Trainer();
    Trainer(Trainer&&) noexcept;

    StepResult step(const Batch& batch);
    /// Inputs by name; `lr` and `momentum` replace the optimiser's for this step. `update_now`: with what is accumulated so far. One of several
    /// ranks may have no row.
    StepResult step(const std::map<std::string, Tensor>& inputs, std::optional<double> lr = {}, std::optional<double> momentum = {}, bool update_now = false);

    /// Parameters and buffers of the network, without the optimiser's.
    [[nodiscard]] Parameters parameters() const;
    [[nodiscard]] Parameters optimizer_state() const;
    /// Every tensor named here replaces the trainer's; throws ArgumentError for an unknown name, ShapeError for another shape.
    void load(const Parameters& parameters);
    /// Updates made so far, batches accumulated since the last one, and the address of the next step's random numbers. fit() sets
    /// them when it resumes.
    [[nodiscard]] std::int64_t updates() const;
    [[nodiscard]] std::int64_t accumulated() const;
    void set_progress(std::int64_t updates, std::int64_t random_step, std::int64_t accumulated = 0);
    /// The whole step as one graph.
    [[nodiscard]] const Graph& graph() const;
    [[nodiscard]] Program& program();
    /// Where the first NaN or infinity of a step appears, when the step is run on `parameters` (those before it): "conv2d 'conv1'".
    /// Empty when all values are finite.
    [[nodiscard]] std::string first_not_finite(const Parameters& parameters, const std::map<std::string, Tensor>& inputs, std::int64_t updates, std::int64_t random_step,
                                               double lr, double momentum) const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// ---- fit ------------------------------------------------------------------------------------

struct StepReport {
    std::int64_t epoch = 0, step = 0, steps_per_epoch = 0;  ///< step within the epoch, from 0
    std::int64_t update = 0;                                ///< over the whole run, from 1
    double loss = 0, mean_loss = 0;                         ///< of this batch; of the epoch so far
    double accuracy = 0;                                    ///< training top-1 of the epoch so far, 0..1
    double lr = 0;
    double images_per_second = 0;
    double loader_wait = 0;                                 ///< share of the epoch's time so far in which no batch was ready, 0..1
    double epoch_seconds_left = 0;
    double seconds_left = 0;                                ///< of all epochs, with their evaluation once one has been made; 0: not known yet
    std::map<std::string, double> scalars;
};
struct EpochReport {
    std::int64_t epoch = 0, step = 0;  ///< epoch from 0; updates made in the whole run
    double train_loss = 0, train_accuracy = 0;
    std::optional<Evaluation> validation;
    bool is_best = false;
    double lr = 0;
    double seconds = 0, images_per_second = 0;
    double loader_wait = 0;            ///< share of `seconds` in which no batch was ready, 0..1
    std::int64_t images = 0, skipped = 0;  ///< pictures that were learned from; damaged ones, left out
};
/// Each may be empty; returning false stops the run after this step: it is saved and can be resumed.
struct Callback {
    std::function<bool(const StepReport&)> on_step{};
    std::function<bool(const EpochReport&)> on_epoch{};
};

struct FitSpec {
    std::string model;               ///< name, for the checkpoint: predict and eval build it again
    std::string model_options = "{}";///< JSON object, likewise
    std::string listing{};           ///< text of a listing, likewise
    DatasetPtr train{}, validation{};///< validation may be empty
    Preprocess preprocess{};
    Augment augment{};
    bool balanced = false;           ///< every class is met equally often
    bool draft = true;               ///< training pictures: large JPEGs no larger than their resize needs
    std::int64_t repeats = 1;        ///< repeated augmentation
    std::int64_t epochs = 1;
    std::int64_t batch = 128;
    bool drop_last = false;
    Optimizer optimizer = Sgd{0.01};
    Schedule schedule{};
    StepSpec step{};
    LossFunction loss{};             ///< cross_entropy(logits, labels) where empty
    std::string loss_name = "cross_entropy";  ///< for the record
    bool lowest_wins = false;        ///< the network gives distances: the smallest is its answer
    std::uint64_t seed = 0;          ///< of initial parameters, order, augmentation, dropout
    int threads = 0;                 ///< for set_threads(); 0: as they are
    int loader_threads = 1;
    std::filesystem::path out{};     ///< run directory; empty: nothing is written
    bool resume = false;             ///< go on from checkpoint-last in `out`, if there is one
    bool overwrite = false;          ///< without resume: a run that `out` already holds may be lost
    std::optional<Parameters> initial{};  ///< instead of random ones (fine-tuning)
    std::int64_t save_every_steps = 0;    ///< 0: only at the end of each epoch
    double save_every_minutes = 10;       ///< 0: off
    std::int64_t log_every_steps = 50;    ///< lines in metrics.jsonl
    /// Training pictures on which each epoch's gradient norms, saturated and dead units are taken, at least 8 and at most a hundredth of
    /// the set; 0: off. Nothing of the run depends on it.
    std::int64_t probe = 32;
    std::string metric = "top1";     ///< of the validation (or training) set; names the best checkpoint: "top1", "topk", "loss"
    std::int64_t k = 5;
    std::vector<Callback> callbacks{};
    const std::atomic<bool>* stop = nullptr;  ///< set by a signal handler: finish the step, save, return
    CompileOptions compile{};
    std::int64_t swa_from = 0;       ///< from this epoch (from 1) on the weights at the end of each are averaged; 0: off. Izmailov et al. 2018, arXiv:1803.05407
    std::int64_t patience = 0;       ///< epochs without a better metric that end the run; 0: off
    double min_delta = 0;            ///< by how much better
    double time_budget_minutes = 0;  ///< of this call: then it is evaluated, saved and ended; 0: off
    std::string recipe{};            ///< the recipe as resolved (TOML): kept in the run directory as recipe.toml
    std::string recipe_name{};       ///< what it is called, for config.json
    /// Train together: each rank reads its part of every batch, rank 0 writes the run directory and says when to save. The result is that of
    /// one rank up to rounding (batch norm: if `sync_batch_norm`), the same bits on every rank and in every repeat; a run may be resumed on another
    /// number of ranks. What a rank throws must end all (Communicator::abort). Outlives the call.
    Communicator* ranks = nullptr;
    bool sync_batch_norm = false;    ///< batch norm over the rows of all ranks; false: of each rank's own
};

/// Training in which the loss or a parameter became NaN or infinite.
class DivergenceError : public Error {
    using Error::Error;
};

struct FitResult {
    std::int64_t epochs = 0, updates = 0;  ///< finished
    std::vector<double> history;           ///< the metric after each epoch
    double best_metric = 0;
    std::int64_t best_epoch = -1;
    std::optional<Evaluation> last_evaluation;
    bool is_stopped = false;               ///< by the caller's wish before all epochs were done
    std::string ended{};                   ///< why fewer epochs than wanted were made, where patience or the time budget ended them
    std::int64_t resumed_from = 0;         ///< updates already made when this call began
    std::vector<std::string> warnings;     ///< damaged pictures, left out
    std::int64_t skipped = 0;              ///< EpochReport::skipped of the last epoch that this call finished
    Parameters parameters;                 ///< averaged ones where the run averages
    double seconds = 0;                    ///< of training steps and loading, without evaluation
};

/// Trains `network` (input "image", the output that scores_of() finds). Run directory: config.json, recipe.toml, metrics.jsonl, the same
/// for TensorBoard (events.out.tfevents.*), evaluation.json, checkpoint-last.safetensors, checkpoint-best.safetensors. Killed at any moment and resumed, it ends with the bytes of a run never stopped.
/// Throws DivergenceError on a NaN or infinite loss, naming the node that made it first; the last good checkpoint stays.
FitResult fit(const Graph& network, const FitSpec& spec);

/// Batch norm's running statistics as those of a whole pass over the loader's epoch, weights as they are and nothing dropped: mean and
/// unbiased variance over all pictures of what each layer sees while every layer before it normalises by its batch.
/// Of several ranks each passes over its loader's part.
[[nodiscard]] Parameters reestimate_batch_norm(const Graph& network, const Parameters& parameters, const Loader& loader, std::int64_t epoch, const CompileOptions& compile = {},
                                               Communicator* ranks = nullptr);

/// Filters [K, C, k, k] that whiten the k x k patches of a data set: rows of the eigenvectors of the patches' second moments, each over the
/// root of its eigenvalue (plus `eps`), the largest eigenvalue first, then all of them with the other sign. K is even and at most 2 C k k.
/// From 5,000 prepared pictures, or all if there are fewer. Jordan 2024, arXiv:2404.00498, sec. 3.2.
[[nodiscard]] Tensor whitening_filters(const DatasetPtr& dataset, const Preprocess& preprocess, const Shape& shape, double eps = 5e-4);

/// How far each trainable parameter went: |after - before| / |before| in L2 norms (the plain distance where it began at 0).
struct ParameterChange {
    std::string name;
    double relative = 0;
};
[[nodiscard]] std::vector<ParameterChange> parameter_changes(const Graph& network, const Parameters& before, const Parameters& after);

/// Learning-rate range test. Smith 2017, arXiv:1506.01186, sec. 3.3: the rate grows exponentially from step to step, from `from` to `to`,
/// until the loss is more than four times its best.
struct FindLrSpec {
    double from = 1e-6, to = 10;
    std::int64_t steps = 100;
};
struct FindLrResult {
    struct Point {
        double lr = 0, loss = 0, smoothed = 0;  ///< smoothed: running mean of the loss, decay 0.9, without its start's bias
    };
    std::vector<Point> points;
    double steepest = 0;  ///< rate at which the smoothed loss falls fastest per factor of the rate
    double lowest = 0;    ///< rate at which it is lowest; a tenth of it is a safe choice
};
[[nodiscard]] FindLrResult find_learning_rate(const Graph& network, const FitSpec& spec, const FindLrSpec& range = {});

/// The output "logits" or "out", or the network's only one: [N, L]. Throws ArgumentError otherwise.
[[nodiscard]] Value scores_of(const Graph& network);

// ---- evaluation on several views of each picture and with several networks -------------------

/// Which parts of a picture a network sees; what it says of each is averaged.
struct Views {
    /// 1: the centre. 2: the centre and its mirror image. 10: the four corners and the centre, and their mirror images (Krizhevsky et al. 2012, sec. 4.1). 144: at each of four
    /// scales three squares along the longer side, of each the four corners, the centre and the square itself at the network's size, all
    /// mirrored too (Szegedy et al. 2014, sec. 7). 0, dense: the whole picture and its mirror image through the network with its linear
    /// layers as convolutions, averaged over all places (Sermanet et al. 2014; Simonyan, Zisserman 2014, sec. 3.2).
    std::int64_t crops = 1;
    /// Shorter sides after the resize, one after the other. Empty: the preprocessing's own; of 144 crops 256, 288, 320, 352 for an input of
    /// 224 and in proportion for others.
    std::vector<std::int64_t> scales{};
};

/// The views as pictures of the network's size, width x height (dense: of any). Throws ArgumentError for a number of crops there is not.
[[nodiscard]] std::vector<Image> views_of(const Image& image, const Preprocess& preprocess, const Views& views, std::int64_t width, std::int64_t height);

/// The same network for pictures of another size: linear layers behind the flattened map become convolutions, an adaptive pooling that
/// changed nothing is left out, and the scores are averaged over all places. Weights keep names and values, in `parameters` under
/// the convolutions' shapes. Throws ArgumentError naming a node that has no such form.
[[nodiscard]] Graph fully_convolutional(const Graph& network, Parameters& parameters, std::int64_t height, std::int64_t width);

/// A network of an ensemble. What it points to outlives the call.
struct Member {
    const Graph* network = nullptr;
    const Parameters* parameters = nullptr;
    Preprocess preprocess{};
    bool lowest_wins = false;
};
/// Softmax probabilities averaged over a member's views, then over the members; the loss is the mean of -log of the label's. Of `spec`
/// counts batch, k, average_precision, compile and stop; the members' preprocessing counts, not the spec's.
[[nodiscard]] Evaluation evaluate_views(const std::vector<Member>& members, const DatasetPtr& dataset, const Views& views, const EvaluateSpec& spec = {});

// ---- recipes: how a network is trained, as a TOML file ---------------------------------------

/// What stands behind a key. Text that names a list is split at commas.
using RecipeValue = std::variant<bool, std::int64_t, double, std::string, std::vector<double>, std::vector<std::string>>;

/// Everything that decides a training run but the pictures themselves. Field comments give the keys where they differ.
struct Recipe {
    std::string name;                       ///< of the file, without its ending; no key
    std::string about;                      ///< one line: what it is, whose
    std::vector<std::string> for_models{};  ///< glob patterns of networks that are trained so when no recipe is named
    std::int64_t for_channels = 0;          ///< ... on pictures with this many channels; 0: any
    std::string model, data;
    std::string validation{};               ///< another data set; "none": no test after an epoch; empty: the test part of `data`
    std::string weights{};                  ///< run or weights file to begin from; what does not fit (another head) starts anew
    std::vector<std::string> weights_map{}; ///< "source=target": tensors whose names begin with source, as target; empty: by equal names
    std::string init{};                     ///< a scheme of init_of(); empty: as the model declares
    std::string whiten{};                   ///< a convolution's weight that begins as whitening_filters() of the training set; freeze keeps it so
    std::string normalise = "data";         ///< mean and deviation of the training set, or "card": the model's
    double dropout = -1, drop_path = -1, width_multiplier = 0;  ///< network.*: see ModelOptions
    std::string shortcut{};                 ///< network.shortcut
    std::int64_t channels = 0;              ///< network.channels: 3 shows grey pictures to a network for colour; 0: as many as the pictures have
    std::int64_t epochs = 10, batch = 128;
    bool drop_last = false;
    bool sync_batch_norm = false;           ///< batch norm over the rows of all ranks
    std::int64_t seed = 0;
    double val_split = 0;                   ///< share of the training set that is held out and tested on, by a hash of each picture's key; 0: the test part
    std::int64_t per_class = 0;             ///< pictures of each class to learn from, chosen as few_per_class() does; 0: all
    bool balanced = false;                  ///< every class is met equally often
    bool draft = true;                      ///< large JPEGs of the training set are decoded no larger than their resize needs
    std::int64_t repeats = 1;               ///< repeated augmentation
    Augment augment{};                      ///< augment.*; or augment = ["pad-crop", "mirror"]
    std::string optimizer = "sgd";          ///< optimizer.name; the other keys of the section are its options
    std::map<std::string, double> optimizer_options{};
    std::string schedule = "constant";      ///< schedule.name, likewise; schedule.milestones is a list
    std::map<std::string, double> schedule_options{};
    /// clip_norm, clip_value, decay_norms_and_biases, no_decay, freeze, accumulate; average.ema; lookahead.every, lookahead.alpha;
    /// groups.NAME.parameters, .lr, .weight_decay, .elementwise. "backbone" in freeze: all but the layer before the output.
    StepSpec step{};
    std::string loss = "cross_entropy";     ///< or "bce", "focal", "hinge": see ModelLoss. A network with a loss of its own (lenet5_classic) keeps it
    double label_smoothing = 0;
    std::string precision = "f32";          ///< or "bf16"; or "f64", on the reference backend
    std::string backend = "cpu";
    std::string metric = "top1";            ///< what the best checkpoint is best in: top1, topk, loss
    std::int64_t swa_from = 0;              ///< average.swa_from
    std::int64_t patience = 0;
    double min_delta = 0, time_budget_minutes = 0;
    std::int64_t probe = FitSpec{}.probe;
};

/// Reads TOML. Throws FormatError with the line where the text is no TOML, ArgumentError for an unknown key (with the nearest), a value of
/// the wrong kind, or keys that contradict each other. `name` stands in messages.
[[nodiscard]] Recipe parse_recipe(std::string_view text, std::string_view name);
/// A file, or the name of a shipped recipe.
[[nodiscard]] Recipe load_recipe(const std::string& file_or_name);
/// key=value pairs over a recipe, values as TOML or as bare text; another optimiser or schedule begins with its own defaults, whatever the
/// order of the pairs. Checks the result.
void override_recipe(Recipe& recipe, const std::vector<std::pair<std::string, std::string>>& values);
/// "key=value" as on the command line.
[[nodiscard]] std::pair<std::string, std::string> parse_setting(std::string_view text);
/// Every key that a recipe may have but the optimiser's and the schedule's own options.
[[nodiscard]] std::vector<std::string> recipe_keys();
/// Every key with its value, as TOML that parse_recipe() reads back to the same recipe.
[[nodiscard]] std::string to_toml(const Recipe& recipe);
/// Throws ArgumentError in one sentence when keys contradict each other or a value lies outside its domain.
void check(const Recipe& recipe);

/// What fit() needs of a recipe; model, data sets, preprocessing, starting values and the run directory are the caller's.
[[nodiscard]] FitSpec fit_spec(const Recipe& recipe);

/// The recipes that come with the program: name and text, in alphabetical order.
[[nodiscard]] const std::vector<std::pair<std::string, std::string>>& shipped_recipes();
/// The shipped recipe for a network that is trained without naming one: the one whose pattern for it is longest.
[[nodiscard]] Recipe recipe_for(std::string_view model, std::int64_t channels);

}  // namespace fovea
