// Batch norm's running statistics computed anew: averaged or changed weights have other activations than those they were trained with.
#include <algorithm>

#include "core/text.h"
#include "fovea/ops.h"
#include "fovea/passes.h"
#include "fovea/train.h"

namespace fovea {

namespace {

struct Norm {
    std::string mean, var;      ///< the parameters
    double eps = 0;
    std::int64_t positions = 1; ///< values per picture and channel
    std::vector<double> sum, sum_of_squares;
};

/// The network in training mode without dropout; for each batch norm two outputs, the batch's mean and 1 / sqrt(var + eps).
Graph with_statistics(const Graph& network, std::vector<Norm>& norms) {
    Graph bare = network.clone();
    bare.clear_updates();
    Graph result;
    Rewriter rewrite(bare, result);
    const auto old = [&](const Node& node, int output) { return Value(&bare, node.id, output); };
    for (const Node& node : bare.nodes()) {
        if (op_name(node) == "dropout") rewrite.set(old(node, 0), rewrite(node.inputs[0]));
        else rewrite.copy(node);
        if (op_name(node) != "batch_norm") continue;
        const Shape& x = node.inputs[0].shape();
        Norm norm{node.inputs[3].path(), node.inputs[4].path(), node.attrs.real("eps"), x.rank() > 2 ? x.elements(2, x.rank()) : 1, {}, {}};
        norm.sum.resize(static_cast<std::size_t>(x[1]));
        norm.sum_of_squares = norm.sum;
        result.output(fmt::format("mean{}", norms.size()), rewrite(old(node, 1)));
        result.output(fmt::format("scale{}", norms.size()), rewrite(old(node, 2)));
        norms.push_back(std::move(norm));
    }
    return remove_dead_code(result, true);
}

}  // namespace

Parameters reestimate_batch_norm(const Graph& network, const Parameters& parameters, const Loader& loader, std::int64_t epoch, const CompileOptions& compile, Communicator* ranks) {
    std::vector<Norm> norms;
    Graph graph = with_statistics(network, norms);
    Parameters result = parameters;
    if (norms.empty()) return result;
    CompileOptions options = compile;
    options.inference = false;
    auto state = std::make_shared<State>(parameters.of(graph));
    Program program(std::move(graph), std::move(state), options);
    double images = 0;
    Epoch pass = loader.epoch(epoch);
    while (const std::optional<Batch> batch = pass.next()) {
        if (batch->labels.elements() == 0) continue;  // another rank has this step's pictures
        const std::vector<Tensor> outputs = program.run({{"image", batch->images}});
        const auto n = static_cast<double>(batch->images.shape()[0]);
        images += n;
        for (std::size_t i = 0; i < norms.size(); ++i) {
            const Tensor &mean = outputs[2 * i], &scale = outputs[2 * i + 1];
            for (std::int64_t c = 0; c < mean.elements(); ++c) {
                const double m = mean.at(c), var = 1 / (scale.at(c) * scale.at(c)) - norms[i].eps;
                norms[i].sum[static_cast<std::size_t>(c)] += n * m;
                norms[i].sum_of_squares[static_cast<std::size_t>(c)] += n * (var + m * m);
            }
        }
    }
    images = summed(ranks, {images})[0];
    for (Norm& norm : norms) norm.sum = summed(ranks, std::move(norm.sum)), norm.sum_of_squares = summed(ranks, std::move(norm.sum_of_squares));
    require(images > 0, "re-estimating batch norm: '{}' gave no picture", loader.dataset().name());
    for (const Norm& norm : norms) {
        Tensor mean(parameters.at(norm.mean).shape(), parameters.at(norm.mean).dtype()), var(mean.shape(), mean.dtype());
        const double count = images * static_cast<double>(norm.positions);
        for (std::int64_t c = 0; c < mean.elements(); ++c) {
            const double m = norm.sum[static_cast<std::size_t>(c)] / images, biased = norm.sum_of_squares[static_cast<std::size_t>(c)] / images - m * m;
            mean.set(c, m);
            var.set(c, std::max(0.0, biased) * count / std::max(1.0, count - 1));
        }
        result.set(norm.mean, mean);
        result.set(norm.var, var);
    }
    return result;
}

}  // namespace fovea
