// GoogLeNet, the Inceptions, Xception: counts of the papers and courses, auxiliary heads, maps.
#include "counts.h"
#include "fovea/nn.h"
#include "support.h"

namespace fovea {
namespace {

TEST(GoogLeNet, AuxiliaryHeadsExistInTrainingOnly) {
    const Graph net = build_model("googlenet_v1");
    EXPECT_EQ(auxiliary_weight(net.find_output("aux1")), 0.3);
    EXPECT_EQ(net.find_output("aux2").shape(), (Shape{dynamic, 1000}));
    EXPECT_EQ(net.trainable_scalars(), 13378280);
    const Graph inference = remove_dead_code(to_inference(net));
    ASSERT_EQ(inference.outputs().size(), 1U);
    EXPECT_EQ(inference.outputs()[0].first, "out");
    EXPECT_EQ(inference.trainable_scalars(), 6998552);
    EXPECT_EQ(inference.find_parameter("aux1.fc1.weight"), nullptr);
    // The state stays whole: the same weights load for training and for inference.
    EXPECT_NE(to_inference(net).find_parameter("aux1.fc1.weight"), nullptr);
    EXPECT_EQ(remove_dead_code(to_inference(build_model("googlenet"))).trainable_scalars(), 6624904);
}

TEST(GoogLeNet, TheLastModuleCostsWhatTheCourseCounts) {
    const Graph net = test::for_one_picture(build_model("googlenet_v1"));
    const std::int64_t pool = net.find("i5a").shape().elements();
    EXPECT_EQ(test::biased_count(net, "i5b.").operations + pool, 70800688);
    EXPECT_EQ(net.find_parameter("i5b.b5.weight")->type.shape, (Shape{128, 48, 5, 5}));
    EXPECT_EQ(build_model("googlenet").find_parameter("inception5b.branch3.1.conv.weight")->type.shape, (Shape{128, 48, 3, 3}));
    // Without the 1 x 1 convolutions in front. The slide prints 271,418,048: its 1 x 1 branch was counted without the map's size.
    Graph naive;
    const Value x = naive.input("image", {1, 832, 7, 7});
    const auto conv = [](std::int64_t out, std::int64_t kernel) {
        return [=](const Value& v) { return conv2d(v, {.out = out, .kernel = kernel, .pad = kernel / 2}); };
    };
    naive.output("out", inception(x, {conv(384, 1), conv(384, 3), conv(128, 5), [](const Value& v) { return max_pool(v, {.kernel = 3, .stride = 1, .pad = 1}); }}));
    EXPECT_EQ(test::biased_count(naive, "").operations + pool, 287091392);
}

TEST(Inception, ReductionsSaveWhatTheCourseCounts) {
    const auto conv = [](const Value& v, std::int64_t out, std::int64_t kernel) { return conv2d(v, {.out = out, .kernel = kernel, .pad = kernel / 2, .bias = false}); };
    const auto pool = [](const Value& v) { return max_pool(v, {.kernel = 3, .stride = 1, .pad = 1}); };
    Graph naive, reduced, plain, bottleneck;
    Value x = naive.input("image", {1, 256, 28, 28});
    const Value y = inception(x, {[&](const Value& v) { return conv(v, 128, 1); }, [&](const Value& v) { return conv(v, 192, 3); }, [&](const Value& v) { return conv(v, 96, 5); }, pool});
    EXPECT_EQ(y.shape(), (Shape{1, 672, 28, 28}));
    EXPECT_EQ(naive.cost().macs, 854196224);
    x = reduced.input("image", {1, 256, 28, 28});
    (void)inception(x, {[&](const Value& v) { return conv(v, 128, 1); }, [&](const Value& v) { return conv(conv(v, 64, 1), 192, 3); },
                        [&](const Value& v) { return conv(conv(v, 64, 1), 96, 5); }, [&](const Value& v) { return conv(pool(v), 64, 1); }});
    EXPECT_EQ(reduced.cost().macs, 271351808);
    (void)conv(plain.input("image", {1, 192, 28, 28}), 32, 5);
    EXPECT_EQ(plain.cost().macs, 120422400);
    (void)conv(conv(bottleneck.input("image", {1, 192, 28, 28}), 16, 1), 32, 5);
    EXPECT_EQ(bottleneck.cost().macs, 12443648);
}

TEST(Inception, KerasCountsAreReproduced) {
    EXPECT_EQ(test::keras_parameters(build_model("inception_v3"), {.unscaled = true}), 23851784);
    EXPECT_EQ(test::keras_parameters(build_model("inception_resnet_v2"), {.unscaled = true}), 55873736);
    EXPECT_EQ(test::keras_parameters(build_model("xception"), {}), 22910480);
}

TEST(Inception, MapsAreThoseOfThePapers) {
    const auto shape = [](const std::string& model, const std::string& path) { return test::for_one_picture(build_model(model)).find(path).shape(); };
    EXPECT_EQ(shape("inception_v3", "C3"), (Shape{1, 288, 35, 35}));
    EXPECT_EQ(shape("inception_v3", "C4"), (Shape{1, 768, 17, 17}));
    EXPECT_EQ(shape("inception_v3", "C5"), (Shape{1, 2048, 8, 8}));
    EXPECT_EQ(shape("inception_v4", "features.5"), (Shape{1, 384, 35, 35}));
    EXPECT_EQ(shape("inception_v4", "C4"), (Shape{1, 1024, 17, 17}));
    EXPECT_EQ(shape("inception_v4", "C5"), (Shape{1, 1536, 8, 8}));
    // Figures 14 and 10 to 13 of the Inception-ResNet paper.
    EXPECT_EQ(shape("inception_resnet_v1", "C3"), (Shape{1, 256, 35, 35}));
    EXPECT_EQ(shape("inception_resnet_v1", "C4"), (Shape{1, 896, 17, 17}));
    EXPECT_EQ(shape("inception_resnet_v1", "C5"), (Shape{1, 1792, 8, 8}));
    EXPECT_EQ(shape("inception_resnet_v2", "C3"), (Shape{1, 320, 35, 35}));
    EXPECT_EQ(shape("inception_resnet_v2", "C4"), (Shape{1, 1088, 17, 17}));
    EXPECT_EQ(shape("inception_resnet_v2", "mixed_7a"), (Shape{1, 2080, 8, 8}));
    EXPECT_EQ(shape("inception_resnet_v2", "C5"), (Shape{1, 1536, 8, 8}));
    EXPECT_EQ(shape("xception", "C4"), (Shape{1, 728, 19, 19}));
    EXPECT_EQ(shape("xception", "C5"), (Shape{1, 2048, 10, 10}));
}

// No file of the authors holds this network's weights, so its count is taken from the paper's figures, layer by layer: arXiv:1602.07261, figures
// 14 (stem), 10, 7 with table 1 (k l m n = 192 192 256 384), 11, 12, 13 and 15 (5, 10 and 5 modules).
TEST(InceptionResNetV1, HasTheParametersOfThePapersFigures) {
    const auto conv = [](std::int64_t in, std::int64_t out, std::int64_t taps) { return in * out * taps + 2 * out; };  // with batch norm
    const auto sum_of = [](std::int64_t in, std::int64_t out) { return in * out + out; };                             // the linear 1 x 1 before the sum
    const std::int64_t stem = conv(3, 32, 9) + conv(32, 32, 9) + conv(32, 64, 9) + conv(64, 80, 1) + conv(80, 192, 9) + conv(192, 256, 9);
    const std::int64_t a = conv(256, 32, 1) + conv(256, 32, 1) + conv(32, 32, 9) + conv(256, 32, 1) + 2 * conv(32, 32, 9) + sum_of(96, 256);
    const std::int64_t reduction_a = conv(256, 384, 9) + conv(256, 192, 1) + conv(192, 192, 9) + conv(192, 256, 9);
    const std::int64_t b = 2 * conv(896, 128, 1) + 2 * conv(128, 128, 7) + sum_of(256, 896);
    const std::int64_t reduction_b = 3 * conv(896, 256, 1) + conv(256, 384, 9) + 3 * conv(256, 256, 9);
    const std::int64_t c = 2 * conv(1792, 192, 1) + 2 * conv(192, 192, 3) + sum_of(384, 1792);
    const std::int64_t all = stem + 5 * a + reduction_a + 10 * b + reduction_b + 5 * c + sum_of(1792, 1000);
    EXPECT_EQ(all, 22'756'328);
    EXPECT_EQ(build_model("inception_resnet_v1").trainable_scalars(), all);
    EXPECT_EQ(find_model("inception_resnet_v1").parameters, all);
}

}  // namespace
}  // namespace fovea
