// int8 networks as ONNX files with QuantizeLinear and DequantizeLinear: in ONNX Runtime, and read back.
#include <set>

#include "fovea/calibrate.h"
#include "fovea/models.h"
#include "fovea/nn.h"
#include "fovea/runtime.h"
#include "io/onnx.h"
#include "onnxruntime.h"

namespace fovea {
namespace {

using test::filled;

struct Quantized {
    Graph net;
    Parameters parameters;
    Graph rounded;
    Tensor image;

    explicit Quantized(Graph graph) : net(std::move(graph)), parameters(make_parameters(net, 5)) {
        Shape shape = net.inputs().front().shape();
        shape[0] = 4;
        image = filled(shape, "image", 0, 1, DType::f32);
        rounded = quantized(net, calibrate(net, parameters, [this](const auto& each) { each(image); }, {.method = Calibration::minmax}));
    }
    [[nodiscard]] Tensor run() const {
        return Program(rounded.clone(), std::make_shared<State>(parameters), {.inference = true}).run({{net.inputs().front().path(), image}}).front();
    }
    [[nodiscard]] std::string file() const { return to_onnx(rounded, parameters); }
};

Graph small_network() {
    Graph net;
    Value x = relu(conv2d(net.input("image", {dynamic, 3, 12, 12}), {.out = 8, .kernel = 3, .pad = 1}, "stem"));
    const Value a = max_pool(x, {.kernel = 2}, "pool"), b = relu(conv2d(a, {.out = 8, .kernel = 3, .pad = 1}, "body") + a);
    net.output("out", linear(flatten(concat({a, b})), {.out = 10}, "head"));
    return net;
}

// Both round sums of products to the same grids. A sum near the middle between two steps may go either way (the biases are s32 in the
// file), which reaches the scores as a fraction of a step of the last grids: about one in 255.
constexpr double rounding_limit = 0.02;

TEST(OnnxInt8, OnnxRuntimeGivesTheNumbersOfTheInt8Network) {
    if (test::node_modules().empty()) GTEST_SKIP() << test::without_onnxruntime;
    const test::Folder folder;
    const std::string file = folder.path / "int8.onnx";
    for (const bool is_small : {true, false}) {
        const Quantized q(is_small ? small_network() : build_model("cifar_resnet20"));
        write_file_atomically(file, q.file());
        const auto outputs = test::run_onnxruntime(file, {{q.net.inputs().front().path(), q.image}});
        ASSERT_EQ(outputs.size(), 1U);
        EXPECT_LT(test::relative_l2(outputs.begin()->second, q.run()), rounding_limit);
    }
}

/// Initialisers that nothing reads, which every reader warns of.
std::vector<std::string> unread(const std::string& bytes) {
    onnx::ModelProto model;
    EXPECT_TRUE(model.ParseFromString(bytes));
    std::set<std::string> read;
    for (const auto& node : model.graph().node()) read.insert(node.input().begin(), node.input().end());
    for (const auto& output : model.graph().output()) read.insert(output.name());
    std::vector<std::string> names;
    for (const auto& initializer : model.graph().initializer())
        if (!read.contains(initializer.name())) names.push_back(initializer.name());
    return names;
}

TEST(OnnxInt8, TheFileHoldsNothingThatIsNotRead) {
    for (const bool is_small : {true, false}) {
        const Quantized q(is_small ? small_network() : build_model("cifar_resnet20"));
        EXPECT_EQ(unread(q.file()), std::vector<std::string>{});
        EXPECT_EQ(unread(to_onnx(q.net, q.parameters)), std::vector<std::string>{});
    }
}

TEST(OnnxInt8, TheFileHoldsIntegersAndIsReadBackWithTheSameNumbers) {
    const Quantized q(small_network());
    const std::string bytes = q.file();
    const OnnxNetwork read = parse_onnx(std::as_bytes(std::span(bytes)), "int8.onnx", {.open_batch = true});
    EXPECT_LT(bytes.size(), to_onnx(q.net, q.parameters).size() / 2);
    std::int64_t grids = 0;
    for (const Node& node : read.graph.nodes()) grids += op_name(node) == "fake_quantize";
    EXPECT_GE(grids, 7);  // image, stem, body, the map before the head; three weights
    Program program(read.graph.clone(), std::make_shared<State>(read.parameters), {.inference = true});
    EXPECT_LT(test::relative_l2(program.run({{"image", q.image}}).front(), q.run()), rounding_limit);
}

}  // namespace
}  // namespace fovea
