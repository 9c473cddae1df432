// A network over a data set, compiled for inference: loss, top-1, top-k, confusion matrix, calibration, average precision.
#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/text.h"
#include "fovea/nn.h"
#include "fovea/ops.h"
#include "train/average_precision.h"
#include "train/over_ranks.h"
#include "train/require_pictures.h"
#include "train/with_loss.h"

namespace fovea {

Value scores_of(const Graph& network) {
    for (const std::string_view wanted : {"logits", "out"})
        for (const auto& [name, value] : network.outputs())
            if (name == wanted) return value;
    require<ArgumentError>(network.outputs().size() == 1, "the network has {} outputs and none is called 'logits' or 'out': name the one to train, graph.output(\"logits\", value)",
                           network.outputs().size());
    return network.outputs().front().second;
}

WithLoss with_loss(const Graph& network, const LossFunction& loss, bool lowest_wins, bool training, Labels kind) {
    WithLoss result{std::make_unique<Graph>(network.clone()), {}, {}};
    const Value out = scores_of(*result.graph);
    require<ShapeError>(out.shape().rank() == 2, "the output '{}' is {}; one row of scores per picture, [N, L], is expected", out.path(), out.shape());
    // A graph that was trained with a loss of its own has the input already.
    Value labels;
    for (const Value& input : result.graph->inputs())
        if (input.path() == "label") labels = input;
    if (labels.is_empty()) labels = kind == Labels::classes ? result.graph->input("label", {out.shape()[0]}, DType::i32) : result.graph->input("label", out.shape());
    const auto loss_of = [&](const Value& scores) {
        if (loss) return loss(scores, labels);
        if (kind == Labels::classes) return cross_entropy(scores, labels);
        return cross_entropy_soft(scores, kind == Labels::tags ? labels / sum(labels, {.axes = {1}, .keep = true}) : labels);
    };
    result.loss = loss_of(out);
    const Value main = result.loss;
    if (training)
        for (const auto& [name, value] : network.outputs())
            if (const auto weight = auxiliary_weight(value)) {
                const Value part = loss_of(result.graph->find_output(name));
                result.graph->output("loss." + name, part);
                result.loss = result.loss + *weight * part;
            }
    if (result.loss.id() != main.id()) result.graph->output("loss.main", main);
    result.scores = lowest_wins ? -out : out;
    result.graph->output("scores", result.scores);
    return result;
}

namespace {

/// `targets`: of pictures that may have several classes, else empty. Of those, any of a picture's classes may be the first; which one was
/// taken for which, and how sure of the one, is not asked.
void tally(Evaluation& result, KeptProbabilities& kept, const Tensor& outputs, const Tensor& labels, const Tensor& targets) {
    const std::int64_t images = outputs.shape()[0], classes = outputs.shape()[1];
    const Tensor scores = outputs.to(DType::f32);
    const auto all = scores.data<float>();
    for (std::int64_t n = 0; n < images; ++n) {
        const auto row = all.subspan(static_cast<std::size_t>(n * classes), static_cast<std::size_t>(classes));
        const auto label = static_cast<std::int64_t>(labels.at(n));
        const std::vector<std::int64_t> own = targets.is_empty() ? std::vector{label} : tags_of(targets, n);
        const std::int64_t rank = best_rank(row, own);
        result.top1 += rank == 0;
        result.topk += rank < result.k;
        if (!targets.is_empty()) {
            kept.add<float>(row, own);
            continue;
        }
        const std::int64_t predicted = top_k(row, 1).front();
        result.confusion.add(label, predicted);
        const std::vector<double> probabilities = probabilities_of(row);
        result.reliability.add(probabilities, label, predicted);
        kept.add<double>(probabilities, own);
    }
    result.images += images;
}

/// The mistakes of a batch whose first picture is number `first` join those kept, of which the worst `count` remain.
void note_mistakes(std::vector<Mistake>& worst, const Tensor& outputs, const Tensor& labels, std::int64_t first, std::int64_t count) {
    const std::int64_t images = outputs.shape()[0], classes = outputs.shape()[1];
    const Tensor scores = outputs.to(DType::f32);
    const auto all = scores.data<float>();
    for (std::int64_t n = 0; n < images; ++n) {
        const auto row = all.subspan(static_cast<std::size_t>(n * classes), static_cast<std::size_t>(classes));
        const auto label = static_cast<std::int64_t>(labels.at(n)), predicted = top_k(row, 1).front();
        if (predicted == label || !std::isfinite(row[static_cast<std::size_t>(predicted)])) continue;
        const std::vector<double> probabilities = probabilities_of(row);
        worst.push_back({first + n, label, predicted, probabilities[static_cast<std::size_t>(label)], probabilities[static_cast<std::size_t>(predicted)]});
    }
    std::ranges::stable_sort(worst, {}, &Mistake::of_label);
    worst.resize(std::min(worst.size(), static_cast<std::size_t>(count)));
}

}  // namespace

Evaluation evaluate(const Graph& network, const Parameters& parameters, DatasetPtr dataset, const EvaluateSpec& spec) {
    require<ArgumentError>(dataset != nullptr, "evaluate: no data set given");
    const auto start = std::chrono::steady_clock::now();
    WithLoss built = with_loss(network, spec.loss, spec.lowest_wins, false, labels_for(*dataset, {}));
    built.graph->clear_outputs();
    built.graph->output("loss", built.loss);
    built.graph->output("scores", built.scores);
    const std::int64_t classes = built.scores.shape()[1];
    require<ArgumentError>(static_cast<std::int64_t>(dataset->classes().size()) <= classes, "data set '{}' has {} classes, the network tells {} apart", dataset->name(),
                           dataset->classes().size(), classes);
    CompileOptions options = spec.compile;
    options.inference = true;
    auto state = std::make_shared<State>(parameters.of(*built.graph));
    Program program(std::move(*built.graph), std::move(state), options);
    const int rank = spec.ranks ? spec.ranks->rank() : 0, ranks = spec.ranks ? spec.ranks->size() : 1;
    const std::int64_t whole = spec.batch * ranks;  // of all ranks
    Loader loader(dataset, {.batch = whole, .threads = spec.loader_threads, .preprocess = spec.preprocess, .part = rank, .parts = ranks});
    Evaluation result;
    result.k = std::min(spec.k, classes);
    result.confusion = ConfusionMatrix(classes);
    KeptProbabilities kept(spec, dataset->size(), classes);
    Epoch pass = loader.epoch(0);
    while (const std::optional<Batch> batch = pass.next()) {
        result.skipped += batch->skipped;
        if (batch->labels.elements() == 0) continue;  // more ranks than pictures
        const std::vector<Tensor> outputs = program.run({{"image", batch->images}, {"label", labels_of(*batch)}});
        result.loss += outputs[0].at(0) * static_cast<double>(batch->images.shape()[0]);
        tally(result, kept, outputs[1], batch->labels, batch->targets);
        const std::int64_t first = batch->step * whole;
        const Share mine = share_of(std::min(whole, dataset->size() - first), rank, ranks);
        if (spec.worst > 0 && batch->targets.is_empty() && outputs[1].shape()[0] == mine.size()) note_mistakes(result.worst, outputs[1], batch->labels, first + mine.begin, spec.worst);
        if (spec.stop != nullptr && spec.stop->load()) break;
    }
    if (result.images > 0) {
        const auto n = static_cast<double>(result.images);
        result.loss /= n;
        result.top1 /= n;
        result.topk /= n;
    }
    result = joined(spec.ranks, std::move(result), spec.worst);
    require_pictures(result.images, *dataset);
    result.average_precision = kept.average_precision(spec.ranks);
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return result;
}

}  // namespace fovea
