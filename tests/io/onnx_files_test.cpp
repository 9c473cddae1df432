// Real ONNX files: what they compute, against ONNX Runtime and against labels.
#include "fovea/data.h"
#include "fovea/runtime.h"
#include "fovea/train.h"
#include "onnxruntime.h"
#include "places.h"

namespace fovea {
namespace {

using test::filled;

std::string data() {
    const char* folder = std::getenv("FOVEA_DATA");
    return folder ? folder : "";
}

std::map<std::string, Tensor> run(const OnnxNetwork& network, const std::map<std::string, Tensor>& inputs) {
    Program program(network.graph.clone(), std::make_shared<State>(network.parameters), {.inference = true});
    const auto results = program.run(inputs);
    std::map<std::string, Tensor> outputs;
    for (std::size_t i = 0; i < results.size(); ++i) outputs[network.graph.outputs()[i].first] = results[i];
    return outputs;
}

/// Relative L2 of all outputs against ONNX Runtime on a fixed input.
void expect_onnxruntimes_numbers(const std::string& file, const Tensor& input) {
    const OnnxNetwork network = read_onnx(file);
    const std::map<std::string, Tensor> inputs{{network.graph.inputs().front().path(), input}};
    const auto got = run(network, inputs), want = test::run_onnxruntime(file, inputs);
    ASSERT_EQ(got.size(), want.size());
    for (const auto& [name, tensor] : want) {
        ASSERT_EQ(got.at(name).shape(), tensor.shape()) << name;
        const double error = test::relative_l2(got.at(name), tensor);
        EXPECT_LT(error, 1e-4) << file << " " << name;
        if (std::getenv("FOVEA_SHOW_ERRORS")) std::printf("%s %s %.2e\n", test::fs::path(file).filename().c_str(), name.c_str(), error);
    }
}

/// Written by PyTorch's exporter with constant folding off: the sizes of views, splits and expansions are computed in the file.
TEST(OnnxFiles, ShapesComputedInTheFileAreComputedWhileReading) {
    const std::string folder = test::source_path("tests/fuzz/corpus/onnx/");
    const OnnxNetwork classifier = read_onnx(folder + "classifier.onnx");
    EXPECT_EQ(classifier.graph.inputs()[0].shape(), Shape({dynamic, 1, 4, 4}));
    EXPECT_EQ(classifier.graph.outputs()[0].second.shape(), Shape({dynamic, 3}));
    // The statistics begin with the values of b.weight and b.bias: the file holds those once and names the others by Identity.
    for (const char* name : {"c.weight", "b.weight", "b.bias", "p.weight", "l.weight", "l.bias"}) {
        ASSERT_NE(classifier.graph.find_parameter(name), nullptr) << name;
        EXPECT_TRUE(classifier.graph.find_parameter(name)->is_trainable) << name;
    }
    EXPECT_EQ(classifier.graph.updates().size(), 2u);  // batch norm's statistics
    if (test::node_modules().empty()) GTEST_SKIP() << test::without_onnxruntime;
    expect_onnxruntimes_numbers(folder + "classifier.onnx", filled({3, 1, 4, 4}, "picture", -1, 1, DType::f32));
    expect_onnxruntimes_numbers(folder + "decoder.onnx", filled({3, 2, 4, 4}, "picture", -1, 1, DType::f32));
}

TEST(OnnxFiles, DetectorsGiveOnnxRuntimesNumbers) {
    if (data().empty()) GTEST_SKIP() << "FOVEA_DATA is not set";
    if (test::node_modules().empty()) GTEST_SKIP() << test::without_onnxruntime;
    const Tensor picture = filled({1, 3, 320, 320}, "picture", 0, 255, DType::f32);
    expect_onnxruntimes_numbers(data() + "/weights/yunet/yunet_n_320_320.onnx", picture);
    expect_onnxruntimes_numbers(data() + "/weights/yunet/yunet_s_320_320.onnx", picture);
    expect_onnxruntimes_numbers(data() + "/weights/ultraface/version-RFB-320_simplified.onnx", filled({1, 3, 240, 320}, "picture", -1, 1, DType::f32));
}

TEST(OnnxFiles, TheZoosMnistNetworkReadsDigitsAndLearns) {
    if (data().empty()) GTEST_SKIP() << "FOVEA_DATA is not set";
    const OnnxNetwork network = read_onnx(data() + "/weights/mnist_onnx/opt-mnist.onnx", {.open_batch = true, .input = "image", .output = "out"});
    EXPECT_EQ(network.graph.trainable_scalars(), 5994);  // 5x5x1x8 + 8, 5x5x8x16 + 16, 256x10 + 10
    // Its pictures are 0 to 255.
    Preprocess plain;
    plain.scale = 1;
    const DatasetPtr digits = open_dataset("mnist:" + data() + "/mnist", Split::test);
    const Evaluation result = evaluate(network.graph, network.parameters, digits, {.batch = 500, .preprocess = plain});
    EXPECT_EQ(result.images, 10000);
    EXPECT_GT(result.top1, 0.985);
    if (std::getenv("FOVEA_SHOW_ERRORS")) std::printf("opt-mnist: %.2f %% of %lld digits\n", result.top1 * 100, static_cast<long long>(result.images));

    Graph graph = network.graph.clone();
    Trainer trainer(cross_entropy(scores_of(graph)), Sgd({.lr = 1e-6}));
    Loader loader(digits, {.batch = 64, .preprocess = plain});
    for (const Batch& batch : loader) {
        EXPECT_TRUE(std::isfinite(trainer.step(batch).loss));
        break;
    }
}

/// A network as PyTorch's exporter writes it beside what PyTorch computed: NAME.onnx, NAME.shape, NAME.in, NAME.out.
TEST(OnnxFiles, PyTorchsExportsGivePyTorchsNumbers) {
    const char* folder = std::getenv("FOVEA_PYTORCH_EXPORTS");
    if (!folder) GTEST_SKIP() << "FOVEA_PYTORCH_EXPORTS is not set: a folder of files exported by PyTorch";
    int count = 0;
    for (const auto& entry : test::fs::directory_iterator(folder)) {
        if (entry.path().extension() != ".onnx") continue;
        const test::fs::path base = test::fs::path(entry.path()).replace_extension();
        Shape shape;
        std::ifstream dims(base.string() + ".shape");
        for (std::string dim; std::getline(dims, dim, ',');) shape.push_back(std::stoll(dim));
        const auto floats = [](const std::string& file, const Shape& of) {
            Tensor tensor(of);
            const MappedFile bytes(file);
            EXPECT_EQ(bytes.bytes().size(), tensor.bytes()) << file;
            if (bytes.bytes().size() == tensor.bytes()) std::memcpy(tensor.raw(), bytes.bytes().data(), tensor.bytes());
            return tensor;
        };
        try {
            const OnnxNetwork network = read_onnx(entry.path().string(), {.open_batch = true, .input = "image", .output = "out"});
            const Tensor got = run(network, {{"image", floats(base.string() + ".in", shape)}}).at("out");
            const double error = test::relative_l2(got, floats(base.string() + ".out", got.shape()));
            EXPECT_LT(error, 1e-4) << base;
            ++count;
            if (std::getenv("FOVEA_SHOW_ERRORS")) std::printf("%-48s %8lld trained, %.2e\n", base.filename().c_str(), static_cast<long long>(network.graph.trainable_scalars()), error);
        } catch (const Error& error) {
            ADD_FAILURE() << error.what();
        }
    }
    EXPECT_GT(count, 0);
}

}  // namespace
}  // namespace fovea
