// ONNX, both ways: whole networks, real files, refusals.
#include <set>

#include "fovea/models.h"
#include "fovea/nn.h"
#include "fovea/runtime.h"
#include "onnxruntime.h"

namespace fovea {
namespace {

using test::filled;

/// Outputs by the cpu backend, for inference.
std::map<std::string, Tensor> run(const Graph& graph, const Parameters& parameters, const std::map<std::string, Tensor>& inputs) {
    Program program(graph.clone(), std::make_shared<State>(parameters), {.inference = true});
    const auto results = program.run(inputs);
    std::map<std::string, Tensor> outputs;
    for (std::size_t i = 0; i < results.size(); ++i) outputs[graph.outputs()[i].first] = results[i];
    return outputs;
}

Tensor picture_for(const Graph& graph, std::int64_t batch) {
    Shape shape = graph.inputs().front().shape();
    for (int d = 0; d < shape.rank(); ++d) shape[d] = shape[d] == dynamic ? batch : shape[d];
    return filled(shape, "picture", -1, 1, DType::f32);
}

void expect_close(const std::map<std::string, Tensor>& got, const std::map<std::string, Tensor>& want, double limit, const std::string& who) {
    ASSERT_EQ(got.size(), want.size()) << who;
    for (const auto& [name, tensor] : want) {
        ASSERT_TRUE(got.contains(name)) << who << ": no output " << name;
        ASSERT_EQ(got.at(name).shape(), tensor.shape()) << who << " " << name;
        const double error = test::relative_l2(got.at(name), tensor);
        EXPECT_LT(error, limit) << who << " " << name;
        if (std::getenv("FOVEA_SHOW_ERRORS")) std::printf("%-28s %-12s %.2e\n", who.c_str(), name.c_str(), error);
    }
}

/// Without pretrained weights the statistics decide how large activations become: those of the network's start are harmless.
Parameters started(const Graph& graph) { return make_parameters(graph, 7); }

/// In a test that has seconds the first small network of each family; with FOVEA_SLOW all of them.
std::vector<ModelCard> tried_models() {
    std::vector<ModelCard> cards;
    std::set<std::string> families;
    for (const ModelCard& card : model_cards())
        if (std::getenv("FOVEA_SLOW") || (card.macs <= 200'000'000 && card.parameters <= 3'000'000 && families.insert(card.family).second)) cards.push_back(card);
    return cards;
}

/// Scalars that are trained; what a mask holds fixed is trained too in a network read from a file.
std::int64_t trained(const Graph& graph) {
    std::int64_t total = 0;
    for (const ParameterInfo& info : graph.parameters()) total += info.is_trainable ? info.type.shape.elements() : 0;
    return total;
}

TEST(Onnx, NetworksGiveTheSameNumbersInOnnxRuntime) {
    if (test::node_modules().empty()) GTEST_SKIP() << test::without_onnxruntime;
    const test::Folder folder;
    const std::string file = folder.path / "net.onnx";
    for (const ModelCard& card : tried_models()) {
        const Graph graph = build_model(card.name);
        const Parameters parameters = started(graph);
        const std::map<std::string, Tensor> inputs{{graph.inputs().front().path(), picture_for(graph, 2)}};
        const auto want = run(graph, parameters, inputs);
        for (const bool is_open : {true, false}) {
            write_onnx(file, graph, parameters, {.opset = is_open ? 13 : 17, .batch = is_open ? 0 : 2, .fold_batch_norm = is_open});
            expect_close(test::run_onnxruntime(file, inputs), want, 1e-4, card.name);
            if (card.macs > 1'000'000'000) break;
        }
    }
}

TEST(Onnx, NetworksAreReadBackWithTheirParametersAndNumbers) {
    for (const ModelCard& card : tried_models()) {
        const Graph graph = build_model(card.name);
        const Parameters parameters = started(graph);
        const std::string bytes = to_onnx(graph, parameters, {.fold_batch_norm = false});
        const OnnxNetwork again = parse_onnx(std::as_bytes(std::span(bytes)), card.name);
        std::set<std::string> missing;
        for (const ParameterInfo& info : graph.parameters()) {
            if (info.name.ends_with("num_batches_tracked")) continue;
            const ParameterInfo* found = again.graph.find_parameter(info.name);
            if (!found) missing.insert(info.name);
            else EXPECT_EQ(found->is_trainable, info.is_trainable) << card.name << " " << info.name;
        }
        // What only training uses (auxiliary heads) is not written.
        for (const std::string& name : missing) EXPECT_TRUE(name.starts_with("aux") || name.starts_with("AuxLogits")) << card.name << " lost " << name;
        if (missing.empty()) {
            EXPECT_EQ(trained(again.graph), trained(graph)) << card.name;
            EXPECT_EQ(specialize(again.graph, {{"image", picture_for(graph, 1).shape()}}).cost().macs, specialize(graph, {{"image", picture_for(graph, 1).shape()}}).cost().macs) << card.name;
        }
        const std::map<std::string, Tensor> inputs{{"image", picture_for(graph, 2)}};
        expect_close(run(again.graph, again.parameters, inputs), run(graph, parameters, inputs), 1e-5, card.name);
    }
}

}  // namespace
}  // namespace fovea
