// Two ways to compute a network, on the same pictures.
#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "fovea/nn.h"
#include "fovea/ops.h"
#include "fovea/passes.h"
#include "train/require_pictures.h"
#include "train/with_loss.h"

namespace fovea {

namespace {

Program scores_program(const Graph& network, const Parameters& parameters, bool lowest_wins, CompileOptions options) {
    Graph graph = network.clone();
    const Value scores = scores_of(graph);
    require<ShapeError>(scores.shape().rank() == 2, "the output '{}' is {}; one row of scores per picture, [N, L], is expected", scores.path(), scores.shape());
    const Value wanted = lowest_wins ? -scores : scores;
    graph.clear_outputs();
    graph.output("scores", wanted);
    graph = remove_dead_code(graph);
    options.inference = true;
    auto state = std::make_shared<State>(parameters.of(graph));
    return {std::move(graph), std::move(state), options};
}

}  // namespace

Agreement agreement(const Graph& network, const Parameters& parameters, const DatasetPtr& dataset, const EvaluateSpec& spec, const CompileOptions& against) {
    require<ArgumentError>(dataset != nullptr, "agreement: no data set given");
    Program program = scores_program(network, parameters, spec.lowest_wins, spec.compile), other = scores_program(network, parameters, spec.lowest_wins, against);
    Loader loader(dataset, {.batch = spec.batch, .threads = spec.loader_threads, .preprocess = spec.preprocess});
    Agreement result;
    double all_difference = 0, all_square = 0;
    Epoch pass = loader.epoch(0);
    while (const std::optional<Batch> batch = pass.next()) {
        const Tensor a = program.run({{"image", batch->images}})[0].to(DType::f64), b = other.run({{"image", batch->images}})[0].to(DType::f64);
        const std::int64_t images = a.shape()[0], classes = a.shape()[1];
        for (std::int64_t n = 0; n < images; ++n) {
            const auto row = [&](const Tensor& scores) { return scores.data<double>().subspan(static_cast<std::size_t>(n * classes), static_cast<std::size_t>(classes)); };
            const auto mine = row(a), its = row(b);
            double difference = 0, square = 0;
            for (std::size_t c = 0; c < mine.size(); ++c) difference += (mine[c] - its[c]) * (mine[c] - its[c]), square += its[c] * its[c];
            result.same_top1 += std::ranges::max_element(mine) - mine.begin() == std::ranges::max_element(its) - its.begin();
            result.worst_l2 = std::max(result.worst_l2, std::sqrt(difference / std::max(square, 1e-300)));
            all_difference += difference, all_square += square;
        }
        result.images += images;
        if (spec.stop != nullptr && spec.stop->load()) break;
    }
    require_pictures(result.images, *dataset);
    result.relative_l2 = std::sqrt(all_difference / std::max(all_square, 1e-300));
    return result;
}

}  // namespace fovea
