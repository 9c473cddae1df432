// Weights that others trained, through the whole way of a picture.
#include <cmath>
#include <cstdlib>

#include "fovea/data.h"
#include "fovea/tasks.h"
#include "fovea/train.h"
#include "support.h"

namespace fovea {
namespace {

TEST(RealWeights, CaffesLeNetReadsTheFirstThousandTestDigits) {
    const char* data = std::getenv("FOVEA_DATA");
    if (data == nullptr) GTEST_SKIP() << "FOVEA_DATA is not set";
    const std::string folder = data;
    const Classifier lenet(folder + "/weights/lenet_mnist/lenet_iter_10000.caffemodel", "lenet_caffe");
    const DatasetPtr digits = open_dataset("mnist:" + folder + "/mnist", Split::test);
    std::vector<Image> images;
    std::vector<std::int64_t> labels;
    for (std::int64_t i = 0; i < 1000; ++i) {
        const Sample sample = digits->get(i);
        images.push_back(sample.image), labels.push_back(sample.label);
    }
    std::int64_t right = 0;
    const auto answers = lenet.predict(std::span<const Image>(images), 1);
    for (std::size_t i = 0; i < answers.size(); ++i) right += answers[i].front().index == labels[i] ? 1 : 0;
    EXPECT_EQ(right, 990);  // 99.0 %, counted with an independent program too
}

// 4,000 training pictures as they were before any JPEG; what the weights were trained on, so nearly all are known.
TEST(RealWeights, PublishedResNetsKnowTheLosslessPictures) {
    const char* data = std::getenv("FOVEA_DATA");
    if (data == nullptr) GTEST_SKIP() << "FOVEA_DATA is not set";
    const std::string folder = data;
    const DatasetPtr pictures = open_dataset("cifar10-lossless:" + folder + "/cifar10/data_batch_1_first4000_lossless.bin.xz", Split::test);
    const auto right = [&](const std::string& file, const std::string& model, std::int64_t count) {
        const Network network = load_network(folder + "/weights/resnet_cifar10/" + file, {.model = model});
        const Evaluation result = evaluate(network.graph, network.parameters, subset(pictures, 0, count), {.preprocess = network.preprocess});
        return std::llround(result.top1 * static_cast<double>(count));
    };
    // Counted with an independent program too.
    EXPECT_EQ(right("resnet20-12fca82f.th", "resnet20", 4000), 3992);
    EXPECT_EQ(right("resnet20-12fca82f.th", "resnet20", 300), 300);
    EXPECT_EQ(right("resnet56-4bfd9763.th", "resnet56", 300), 300);
}

}  // namespace
}  // namespace fovea
