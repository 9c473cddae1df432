// Weights that others trained, through the whole way of a picture.
#include <cstdlib>

#include "fovea/data.h"
#include "fovea/tasks.h"
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

}  // namespace
}  // namespace fovea
