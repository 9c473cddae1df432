// AlexNet, ZFNet, VGG, Network in Network, SqueezeNet: the tables of papers and courses, layer by layer.
#include <algorithm>

#include "fovea/io.h"
#include "fovea/models.h"
#include "fovea/nn.h"
#include "support.h"

namespace fovea {
namespace {

/// One row of a layer table as courses print it: parameters with bias, operations counted as parameters times positions for a
/// convolution or linear layer and as input values for a pool or a norm, and the values of the result.
struct Row {
    std::int64_t parameters, operations, volume;
    friend bool operator==(const Row&, const Row&) = default;
};
[[maybe_unused]] std::ostream& operator<<(std::ostream& out, const Row& row) { return out << row.parameters << " / " << row.operations << " / " << row.volume; }

/// Of one picture.
std::int64_t volume(const Value& value) { return value.shape().elements(1, value.shape().rank()); }

std::vector<Row> table(const Graph& net) {
    std::vector<Row> rows;
    for (const Node& node : net.nodes()) {
        const std::string_view op = op_name(node);
        if (op == "max_pool2d" || op == "lrn") rows.push_back({0, op == "lrn" ? volume(net.find(node.path)) : volume(node.inputs[0]), volume(net.find(node.path))});
        if (op != "conv2d" && op != "linear") continue;
        const Value y = net.find(node.path);
        const std::int64_t weights = node.inputs[1].shape().elements() + node.inputs[2].shape().elements();
        rows.push_back({weights, weights * (volume(y) / y.shape()[1]), volume(y)});
    }
    return rows;
}

Row total(const std::vector<Row>& rows) {
    Row sum{0, 0, 0};
    for (const Row& row : rows) sum.parameters += row.parameters, sum.operations += row.operations;
    return sum;
}

TEST(AlexNet, UngroupedGivesTheTableOfTheCourseRowByRow) {
    const auto rows = table(build_model("alexnet_s4"));
    EXPECT_EQ(rows, (std::vector<Row>{{34944, 105705600, 55 * 55 * 96},
                                      {0, 290400, 27 * 27 * 96},
                                      {0, 69984, 27 * 27 * 96},
                                      {614656, 448084224, 27 * 27 * 256},
                                      {0, 186624, 13 * 13 * 256},
                                      {0, 43264, 13 * 13 * 256},
                                      {885120, 149585280, 13 * 13 * 384},
                                      {1327488, 224345472, 13 * 13 * 384},
                                      {884992, 149563648, 13 * 13 * 256},
                                      {0, 43264, 6 * 6 * 256},
                                      {37752832, 37752832, 4096},
                                      {16781312, 16781312, 4096},
                                      {4097000, 4097000, 1000}}));
    // The softmax of 1,000 classes is the table's last row.
    EXPECT_EQ(total(rows).parameters, 62378344);
    EXPECT_EQ(total(rows).operations + 1000, 1136549904);
}

TEST(AlexNet, Of2012HasTheNeuronsOfThePaperWithItsFirstNumberRight) {
    const Graph net = build_model("alexnet_2012");
    std::vector<std::int64_t> neurons;
    for (const Node& node : net.nodes())
        if (op_name(node) == "conv2d" || op_name(node) == "linear") neurons.push_back(volume(net.find(node.path)));
    // The paper counts 253,440 in the first layer, from a 224 x 224 input that does not fit; 227 gives 55 x 55 x 96.
    EXPECT_EQ(neurons, (std::vector<std::int64_t>{290400, 186624, 64896, 64896, 43264, 4096, 4096, 1000}));
    EXPECT_EQ(net.find_parameter("conv1.weight")->type.shape.elements(), 34848);
    EXPECT_EQ(net.find_parameter("conv2.weight")->type.shape, (Shape{256, 48, 5, 5}));
}

TEST(AlexNet, NormalisesBeforeThePoolAndCaffesAfterIt) {
    EXPECT_EQ(build_model("alexnet_2012").find("norm").shape(), (Shape{dynamic, 96, 55, 55}));
    const Graph caffe = build_model("caffenet");
    EXPECT_EQ(caffe.find("norm").shape(), (Shape{dynamic, 96, 27, 27}));
    EXPECT_EQ(find_model("caffenet").preprocess.is_bgr, true);
    // Caffe divides alpha by the window and adds to 1.
    for (const Node& node : caffe.nodes())
        if (op_name(node) == "lrn") {
            EXPECT_TRUE(node.attrs.flag("divide_by_size"));
            EXPECT_EQ(node.attrs.real("k"), 1);
        }
}

TEST(AlexNet, OfTheBookHas6400Features) {
    const Graph net = build_model("alexnet_d2l", {.classes = 2});
    EXPECT_EQ(net.trainable_scalars(), 46755202);
    EXPECT_EQ(net.find_parameter("14.weight")->type.shape, (Shape{4096, 6400}));
}

TEST(AlexNet, OfTorchvisionPoolsAnySizeToSixBySix) {
    const Graph net = build_model("alexnet", {.height = 300, .width = 260});
    EXPECT_EQ(net.find("avgpool").shape(), (Shape{dynamic, 256, 6, 6}));
    EXPECT_EQ(op_name(net.find("avgpool").node()), "adaptive_avg_pool2d");
    EXPECT_EQ(op_name(build_model("alexnet").find("avgpool").node()), "max_pool2d") << "at 224 x 224 there is nothing to average";
}

TEST(ZfNet, ShrinksFrom110To6) {
    const Graph net = build_model("zfnet");
    const auto side = [&](std::string_view path) { return net.find(path).shape()[2]; };
    EXPECT_EQ((std::vector<std::int64_t>{side("conv1"), side("pool1"), side("conv2"), side("pool2"), side("pool5")}), (std::vector<std::int64_t>{110, 55, 26, 13, 6}));
    EXPECT_EQ(build_model("zfnet_big").find("conv4").shape(), (Shape{dynamic, 1024, 13, 13}));
}

TEST(Vgg, Of16LayersGivesTheTableOfTheCourseRowByRow) {
    const auto rows = table(build_model("vgg16"));
    // The printed first row ends in 390: 1,792 parameters at 224 x 224 positions end in 392.
    EXPECT_EQ(rows, (std::vector<Row>{{1792, 89915392, 224 * 224 * 64},
                                      {36928, 1852899328, 224 * 224 * 64},
                                      {0, 3211264, 112 * 112 * 64},
                                      {73856, 926449664, 112 * 112 * 128},
                                      {147584, 1851293696, 112 * 112 * 128},
                                      {0, 1605632, 56 * 56 * 128},
                                      {295168, 925646848, 56 * 56 * 256},
                                      {590080, 1850490880, 56 * 56 * 256},
                                      {590080, 1850490880, 56 * 56 * 256},
                                      {0, 802816, 28 * 28 * 256},
                                      {1180160, 925245440, 28 * 28 * 512},
                                      {2359808, 1850089472, 28 * 28 * 512},
                                      {2359808, 1850089472, 28 * 28 * 512},
                                      {0, 401408, 14 * 14 * 512},
                                      {2359808, 462522368, 14 * 14 * 512},
                                      {2359808, 462522368, 14 * 14 * 512},
                                      {2359808, 462522368, 14 * 14 * 512},
                                      {0, 100352, 7 * 7 * 512},
                                      {102764544, 102764544, 4096},
                                      {16781312, 16781312, 4096},
                                      {4097000, 4097000, 1000}}));
    EXPECT_EQ(total(rows).parameters, 138357544);
    EXPECT_EQ(total(rows).operations + 1000, 15489943504);
}

TEST(Vgg, HasOneConvolutionPerLetterOfItsConfiguration) {
    const auto layers = [](const char* name) {
        const Graph net = build_model(name);
        return std::ranges::count_if(net.nodes(), [](const Node& node) { return op_name(node) == "conv2d" || op_name(node) == "linear"; });
    };
    EXPECT_EQ(layers("vgg_a"), 11);
    EXPECT_EQ(layers("vgg_a_lrn"), 11);
    EXPECT_EQ(layers("vgg_b"), 13);
    EXPECT_EQ(layers("vgg_c"), 16);
    EXPECT_EQ(layers("vgg_d"), 16);
    EXPECT_EQ(layers("vgg_e"), 19);
    std::int64_t weights = 0;
    const Graph net = build_model("vgg16");
    for (const ParameterInfo& p : net.parameters())
        if (p.name.ends_with("weight")) weights += p.type.shape.elements();
    EXPECT_EQ(weights, 138344128);
}

TEST(Vgg, IsCountedAsInTorchvision) {
    const Graph net = build_model("vgg16_bn");
    EXPECT_EQ(net.parameters().size(), 97U);
    EXPECT_EQ(net.parameters()[6].name, "features.1.num_batches_tracked");
    EXPECT_EQ(net.find_parameter("features.40.weight")->type.shape, (Shape{512, 512, 3, 3}));
    EXPECT_EQ(net.find_parameter("classifier.6.weight")->type.shape, (Shape{1000, 4096}));
    EXPECT_EQ(build_model("vgg_a_lrn").find("features.2").shape(), (Shape{dynamic, 64, 224, 224}));
    EXPECT_EQ(build_model("vgg_c").find_parameter("features.14.weight")->type.shape, (Shape{256, 256, 1, 1}));
}

TEST(Vgg, DeepOnesStartFromTheFirstAndLastLayersOfTheShallowOne) {
    // Only names and shapes matter here: one value per tensor would do, but shapes are checked too, so the nets are thin.
    const ModelOptions thin{.classes = 5, .height = 32, .width = 32, .width_multiplier = 1.0 / 32};
    const Graph shallow = build_model("vgg11", thin), deep = build_model("vgg16", thin);
    const Parameters trained = make_parameters(shallow, 1);
    Parameters parameters = make_parameters(deep, 2);
    const Parameters before = parameters.clone(), start = vgg_start("vgg16", trained);
    const LoadReport report = load_into(parameters, start, {.allow_missing = true});
    EXPECT_EQ(start.size(), 14U);  // seven layers, weight and bias
    EXPECT_TRUE(report.unexpected.empty() && report.mismatched.empty());
    EXPECT_EQ(report.missing.size(), parameters.size() - 14);
    for (const auto& [from, to] : std::initializer_list<std::pair<const char*, const char*>>{
             {"features.0", "features.0"}, {"features.3", "features.5"}, {"features.6", "features.10"}, {"features.8", "features.12"}, {"classifier.0", "classifier.0"}, {"classifier.6", "classifier.6"}})
        EXPECT_EQ(test::values_of(parameters.at(std::string(to) + ".weight")), test::values_of(trained.at(std::string(from) + ".weight"))) << to;
    EXPECT_EQ(test::values_of(parameters.at("features.2.weight")), test::values_of(before.at("features.2.weight")));
    EXPECT_EQ(vgg_start("vgg19_bn", make_parameters(build_model("vgg11_bn", thin), 1)).size(), 4U * 7 + 6);
    EXPECT_EQ(test::message_of<ArgumentError>([&] { (void)vgg_start("alexnet", trained); }), "'alexnet' is no VGG that configuration A can start");
}

TEST(Backbone, OfTheClassicsHasMapsAtStrides4To32) {
    struct Net {
        const char* name;
        std::vector<Shape> maps;  ///< C2 to C5
        std::int64_t pooled;
    };
    const Net nets[] = {{"vgg16", {{dynamic, 256, 24, 16}, {dynamic, 512, 12, 8}, {dynamic, 512, 6, 4}, {dynamic, 512, 3, 2}}, 4096},
                        {"alexnet", {{dynamic, 64, 23, 15}, {dynamic, 192, 11, 7}, {dynamic, 256, 5, 3}, {dynamic, 256, 2, 1}}, 4096},
                        {"nin_imagenet", {{dynamic, 96, 22, 14}, {dynamic, 256, 11, 7}, {dynamic, 384, 5, 3}, {dynamic, 1024, 2, 1}}, 1024},
                        {"squeezenet1_1", {{dynamic, 128, 23, 15}, {dynamic, 256, 11, 7}, {dynamic, 512, 5, 3}}, 512}};
    for (const Net& row : nets) {
        const std::vector<std::string> all{"C2", "C3", "C4", "C5"};
        std::vector<std::string> taps(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(row.maps.size()));
        taps.emplace_back("pooled");
        const Graph net = build_backbone(row.name, taps, {.height = 96, .width = 64});
        for (std::size_t i = 0; i < row.maps.size(); ++i) EXPECT_EQ(net.find_output(taps[i]).shape(), row.maps[i]) << row.name << " " << taps[i];
        EXPECT_EQ(net.find_output("pooled").shape(), (Shape{dynamic, row.pooled})) << row.name;
    }
}

}  // namespace
}  // namespace fovea
