// What a network costs and why: layer tables in five conventions, comparisons, memory, elementary operations, filters, errata.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fovea/graph.h"
#include "fovea/image.h"
#include "fovea/models.h"
#include "fovea/passes.h"

namespace fovea {

// ---- counting -------------------------------------------------------------------------------

/// Who counts. Texts on networks disagree on what a parameter and an operation is; a number means something only with its convention.
///
///           parameters                                           operations
///   torch   what is trained: weights, biases, scale and shift    multiply-adds of convolutions and linear layers, no bias
///   keras   torch, running mean and variance, and the            as torch
///           convolution biases that keras.applications adds
///   sifre   weights and a bias for every convolution and         convolutions: parameters x height x width; pools: input volume;
///           linear layer, no batch norm                          response norm: volume; softmax: classes; strided shortcuts: the
///                                                                sampled elements
///   cs231n  weights only                                         as torch; activations are the "memory"
///   paper   as torch, shown rounded beside what the paper prints
enum class Convention { torch, keras, sifre, cs231n, paper };
[[nodiscard]] std::string_view name_of(Convention convention);
/// Throws ArgumentError naming the five.
[[nodiscard]] Convention convention_of(std::string_view name);

/// The part of the image one position of a map sees: its size and how far the parts of two neighbours are apart, in pixels.
struct ReceptiveField {
    std::array<double, 2> size{1, 1};    ///< height, width; as large as it would be in an unbounded image
    std::array<double, 2> stride{1, 1};
};

/// One row: a node that computes something from the image.
struct Layer {
    std::string path, op;
    std::string title;                 ///< "conv(11, 96, s4)", "pool(3, 2)", "fc(4096)"
    Shape output;
    std::int64_t parameters = 0;
    std::int64_t operations = 0;
    std::int64_t volume = 0;           ///< values it gives
    std::int64_t activation_bytes = 0; ///< the same in bytes; 0 where only the shape changes
    ReceptiveField field{};
};

struct LayerTable {
    std::string model;
    Convention convention = Convention::torch;
    Shape input;
    std::vector<Layer> layers;         ///< the input first
    std::int64_t parameters = 0, operations = 0, volume = 0, activation_bytes = 0;  ///< totals

    /// The largest of a column among the layers behind the input; those that reach it are marked when printed.
    [[nodiscard]] std::int64_t largest(std::int64_t Layer::*column) const;
    /// Throws ArgumentError with the nearest paths.
    [[nodiscard]] const Layer& at(std::string_view path) const;
    /// Sum of a column over the layers whose path is `prefix` or begins with "prefix.".
    [[nodiscard]] std::int64_t sum(std::int64_t Layer::*column, std::string_view prefix) const;
};

struct LayerTableSpec {
    Convention convention = Convention::torch;
    std::string model{};      ///< a card's name, where there is one: says what Keras adds
    bool is_training = false; ///< with what only training has: dropout, auxiliary classifiers
};
/// Parameters and operations of each layer by the ops' own cost rules; weights count at the first layer that uses them. Layers the
/// convention does not count are left out (sifre, cs231n) or stand there with zeros. Throws Error for an op without a cost rule.
[[nodiscard]] LayerTable layer_table(const Graph& graph, const Shape& input, const LayerTableSpec& spec = {});
/// Of a model by name, for one image of the card's size (or of `options`).
[[nodiscard]] LayerTable layer_table(std::string_view model, Convention convention = Convention::torch, const ModelOptions& options = {});

/// Receptive field of the first output of every node, by node id; nodes that do not depend on an input have none.
[[nodiscard]] std::vector<std::optional<ReceptiveField>> receptive_fields(const Graph& graph);

/// What a paper itself says about a network, as it prints it; empty where it says nothing.
struct PublishedCount {
    std::string_view model, parameters, operations;
    double parameter_count = 0, operation_count = 0;  ///< the same as numbers; 0 where nothing is said
};
[[nodiscard]] const PublishedCount* find_published(std::string_view model);
[[nodiscard]] const std::vector<PublishedCount>& published_counts();

// ---- tables as text -------------------------------------------------------------------------

enum class TableFormat { table, json, csv, md, html };
/// Throws ArgumentError naming the five.
[[nodiscard]] TableFormat table_format_of(std::string_view name);

/// A table of text and numbers; numbers are right-aligned and grouped where people read them.
struct Sheet {
    struct Cell {
        Cell(std::string text_) : text(std::move(text_)) {}
        Cell(const char* text_) : text(text_) {}
        Cell(std::int64_t number_, bool is_marked_ = false) : number(number_), is_marked(is_marked_) {}
        std::string text{};
        std::optional<std::int64_t> number{};
        bool is_marked = false;  ///< the largest of its column: bold, or a star in a terminal
    };
    struct Column {
        std::string title, key;   ///< as people and as JSON and CSV read it
        bool is_number = false;
    };
    std::string title;
    std::vector<Column> columns;
    std::vector<std::vector<Cell>> rows;
    std::vector<std::vector<Cell>> totals{};  ///< rows below a line
    std::vector<std::string> notes{};         ///< lines below the table
};
[[nodiscard]] std::string to_text(const Sheet& sheet, TableFormat format);
/// The layer table as a sheet of its own convention's columns.
[[nodiscard]] Sheet sheet_of(const LayerTable& table);
/// The layer table as one JSON document, with everything counted.
[[nodiscard]] std::string to_json(const LayerTable& table);

/// Receptive field of a stack of convolutions of stride 1, and its weights per pair of channels against those of one window as large.
struct StackedKernels {
    std::int64_t field = 1, weights = 0, weights_of_one = 0;
};
/// Kernels {3, 3, 3} see 7 with 27 weights instead of 49. Throws ArgumentError for a kernel below 1.
[[nodiscard]] StackedKernels stack_kernels(const std::vector<std::int64_t>& kernels);

struct EffectiveFieldSpec {
    int images = 20;         ///< of noise, drawn from a standard normal distribution
    std::uint64_t seed = 0;
};
/// How far each pixel moves the middle of a map: what a position sees in fact, inside the field it could see.
struct EffectiveField {
    std::string layer;           ///< the node whose map was looked at
    Tensor weight;               ///< [H, W]: the mean size of the gradient, 1 at its largest
    ReceptiveField theoretical{};
    double side = 0;             ///< of a square as large as the area above 4.55 % of the largest: two standard deviations of a bell
};
/// `layer` is a node or module of `network` whose value is a map [N, C, H, W]; empty: the last map. Luo, Li, Urtasun, Zemel 2016,
/// "Understanding the Effective Receptive Field in Deep Convolutional Neural Networks", arXiv:1701.04128. Throws ArgumentError.
[[nodiscard]] EffectiveField effective_field(const Graph& network, const Parameters& parameters, std::string_view layer = {}, const EffectiveFieldSpec& spec = {});
/// The weights as a picture, dark to bright; a grey frame around the theoretical field, a white one of the effective field's size.
[[nodiscard]] Image picture_of(const EffectiveField& field);

// ---- networks side by side ------------------------------------------------------------------

struct ModelCount {
    std::string model;
    std::int64_t parameters = 0, operations = 0, volume = 0;
    double megabytes = 0;               ///< of the parameters as f32, in 2^20 bytes
    std::optional<double> top1, top5;   ///< ImageNet accuracy in percent, as the card quotes it
};
[[nodiscard]] std::vector<ModelCount> count_models(const std::vector<std::string>& models, Convention convention = Convention::torch);
/// One row per model; how many times the first one's parameters and operations it has.
[[nodiscard]] Sheet comparison_sheet(const std::vector<ModelCount>& counts, Convention convention);
/// "resnet34 against alexnet_s4: 3.23 times the operations, 2.86 times fewer parameters"
[[nodiscard]] std::string ratio_sentence(const ModelCount& model, const ModelCount& against);
/// Accuracy against operations, the area of a bubble its parameters: an SVG document. Models without a published accuracy are named below.
/// Canziani, Paszke, Culurciello 2016, arXiv:1605.07678.
[[nodiscard]] std::string bubble_chart(const std::vector<ModelCount>& counts);

/// Lines over a common axis that begins at no value in particular; the other begins at 0.
struct LineChart {
    struct Line {
        std::string name;
        std::vector<std::pair<double, double>> points;  ///< from left to right
    };
    std::string title;
    std::vector<Line> lines;
};
/// Charts below one another, as SVG.
[[nodiscard]] std::string line_charts(const std::string& title, const std::string& x_title, const std::vector<LineChart>& charts);

/// A row of the table of keras.applications as of 2019: what it prints, for those of our networks it has.
struct KerasEntry {
    std::string_view title, model;
    std::int64_t megabytes;
    double top1, top5;
    std::int64_t parameters;
};
[[nodiscard]] const std::vector<KerasEntry>& keras_applications();
/// The same table from our own counts: sizes and parameters are computed, accuracies quoted.
[[nodiscard]] Sheet keras_sheet();

/// The modules that lectures count by hand: "inception-demo" (28 x 28 x 256, naive and reduced), "inception-5b" (GoogLeNet's last module),
/// "bottleneck" (a 5 x 5 on 28 x 28 x 192 with and without a 1 x 1 before it), "neurons" (AlexNet's row of neurons). Throws ArgumentError
/// naming them.
[[nodiscard]] Sheet demo_sheet(std::string_view name);
[[nodiscard]] const std::vector<std::string>& demo_names();

/// A result of ILSVRC's classification task and where it stands.
struct IlsvrcResult {
    int year;
    std::string_view network;
    double top5;              ///< error in percent
    std::string_view how;     ///< how many networks, on which pictures, with which data
    std::string_view source;
};
[[nodiscard]] const std::vector<IlsvrcResult>& ilsvrc_results();
[[nodiscard]] Sheet ilsvrc_sheet();
/// The errors as bars in the order of the years: an SVG document.
[[nodiscard]] std::string ilsvrc_chart();

// ---- memory ---------------------------------------------------------------------------------

/// What a compiled program holds while it runs, in bytes.
struct MemoryUse {
    std::size_t activations = 0;  ///< the arena: activations, gradients, scratch; and each thread's workspace
    std::size_t state = 0;        ///< parameters, buffers, optimiser
    std::size_t derived = 0;      ///< weights made from others once (batch norm folded, Winograd's matrices)
    std::size_t inputs = 0, outputs = 0;
    [[nodiscard]] std::size_t total() const { return activations + state + derived + inputs + outputs; }
};
/// The whole training step of a network with one output "out": loss, gradients, SGD with momentum.
[[nodiscard]] Graph training_step(const Graph& network, ModelLoss loss = ModelLoss::cross_entropy);
/// Predicted from the plan, for `batch` images: nothing is run.
[[nodiscard]] MemoryUse predict_memory(const Graph& graph, std::int64_t batch, bool is_training, Recompute mode = Recompute::none);
/// The same run for real: how much the resident memory of this process rises. Linux only; throws Error elsewhere.
[[nodiscard]] std::size_t measure_memory(const Graph& graph, std::int64_t batch, bool is_training, Recompute mode = Recompute::none);
/// The largest batch whose predicted memory stays within `bytes`; 0 when one image needs more. `graph` is a network, or a training step.
[[nodiscard]] std::int64_t max_batch(const Graph& graph, std::size_t bytes, bool is_training);

// ---- graphs and filters ---------------------------------------------------------------------

/// The same function as one graph of elementary operations (sums, products, powers, exponentials, choices, moves). The graph's shapes
/// must be known (specialize). Throws Error for an op whose elementary form is not written down.
[[nodiscard]] Graph to_elementary(const Graph& graph);
/// A graph in the DOT language, for Graphviz.
[[nodiscard]] std::string to_dot(const Graph& graph, std::string_view title);

struct FilterGridSpec {
    std::int64_t columns = 0;  ///< 0: about as many as rows
    int scale = 0;             ///< pixels per weight; 0: so that a filter has about 32
    int gap = 2;
    std::int64_t towers = 1;   ///< equal parts of the filters, one above the other with a line between, in about twice as many columns as rows
};
/// The filters [K, C, R, S] of a convolution as tiles, each stretched to 0..255: in colour for three channels, else in grey, each
/// channel a tile of its own. Throws ShapeError for anything that is not rank 4.
[[nodiscard]] Image filter_grid(const Tensor& weights, const FilterGridSpec& spec = {});
/// Into how many towers the first convolution's filters part, as in AlexNet of 2012 (Krizhevsky et al. 2012, fig. 3): 2 where `name` is the first
/// parameter of rank 4 and the filters of the next see half of its channels each, else 1.
[[nodiscard]] std::int64_t towers_of(const Parameters& parameters, std::string_view name);

// ---- errata ---------------------------------------------------------------------------------

/// Something that lectures say about a network and that is not so. `{}` in `right` stands for what `counted` gives.
struct Erratum {
    std::string_view id, where, says, right;
    std::function<std::vector<std::string>()> counted{};  ///< empty: history, not arithmetic
    [[nodiscard]] std::string right_text() const;
};
[[nodiscard]] const std::vector<Erratum>& errata();
[[nodiscard]] Sheet errata_sheet();

// ---- many nodes ------------------------------------------------------------------------------

/// A network between nodes, by the usual two numbers of a message: what it takes to begin, and what it carries.
struct NetworkLink {
    std::string name;
    double latency_us = 0, gigabytes_per_second = 1;
};
/// How many messages follow one another in a sum over N nodes: 2 (N - 1), as in a ring and in fovea's exchange of shares, or 2 log2(N) (recursive
/// halving and doubling, trees). Either way 2 (N - 1) / N of the bytes go out of each node. Thakur, Rabenseifner, Gropp 2005.
enum class AllReduceSteps { ring, tree };
[[nodiscard]] double all_reduce_ms(double bytes, std::int64_t nodes, const NetworkLink& link, AllReduceSteps steps);
/// Latency and rate for which sums over `nodes` take what was measured: (bytes, milliseconds) each.
[[nodiscard]] NetworkLink fitted_link(std::string_view name, std::int64_t nodes, const std::vector<std::pair<double, double>>& bytes_and_ms);

/// Gradients that travel together, and when in the step they are there.
struct GradientBucket {
    double bytes = 0, ready_ms = 0;
};
/// One node's training step, by itself: until all gradients are there, and the update behind them.
struct StepTimes {
    double gradients_ms = 0, update_ms = 0;
    std::vector<GradientBucket> buckets{};  ///< in the order they are summed
};
struct ScaledStep {
    double ms = 0, network_ms = 0;  ///< of the step; of all its sums
    double exposed_ms = 0;          ///< what the processor waits for them
    double efficiency = 0;          ///< a node's step by itself over this one: the batch of each node stays what it is
};
[[nodiscard]] ScaledStep step_on(std::int64_t nodes, const StepTimes& step, const NetworkLink& link, AllReduceSteps steps = AllReduceSteps::ring);

}  // namespace fovea
