#include "fovea/models.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

#include "fovea/io.h"
#include "fovea/nn.h"
#include "support.h"

namespace fovea {
namespace {

std::vector<std::string> card_names() {
    std::vector<std::string> names;
    for (const ModelCard& card : model_cards()) names.push_back(card.name);
    return names;
}

/// The first `count` rows of what the network gives for a picture batch, by the plain loops.
Tensor run(const Graph& net, const Parameters& parameters, std::int64_t batch) {
    const Value image = net.find("image");
    Shape shape = image.shape();
    shape[0] = batch;
    const Graph fixed = specialize(to_inference(net), {{"image", shape}});
    const Value out = fixed.find_output("out");
    return interpret(fixed, {&out, 1}, {{"image", test::filled(shape, "picture")}}, parameters, {.real = DType::f32}).front();
}

class EveryModel : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Zoo, EveryModel, testing::ValuesIn(card_names()), [](const auto& test) {
    std::string name = test.param;
    std::ranges::replace(name, '.', '_');
    return name;
});

TEST_P(EveryModel, HasTheParametersMultiplyAddsAndOutputOfItsCard) {
    const ModelCard& card = find_model(GetParam());
    const Graph net = build_model(card.name);
    net.verify();
    EXPECT_EQ(net.trainable_scalars(), card.parameters);
    EXPECT_EQ(net.find("image").shape(), (Shape{dynamic, card.channels, card.height, card.width}));
    EXPECT_EQ(net.find_output("out").shape(), (Shape{dynamic, card.classes}));
    EXPECT_EQ(specialize(to_inference(net), {{"image", {1, card.channels, card.height, card.width}}}).cost().macs, card.macs);
}

TEST_P(EveryModel, GivesEveryTrainedParameterAGradient) {
    Graph net = build_model(GetParam());
    const ModelCard& card = find_model(GetParam());
    const Value label = net.input("label", {dynamic}, DType::i32);
    Value loss = model_loss(card.loss, net.find_output("out"), label);
    for (const auto& [name, value] : net.outputs())
        if (auxiliary_weight(value)) loss = loss + model_loss(card.loss, value, label);
    std::vector<Value> parameters;
    std::vector<std::string> names;
    for (const ParameterInfo& p : net.parameters())
        if (p.is_trainable) parameters.push_back(net.find(p.name)), names.push_back(p.name);
    const std::vector<Value> gradient = gradients(loss, parameters);
    for (std::size_t i = 0; i < gradient.size(); ++i) {
        ASSERT_FALSE(gradient[i].is_empty()) << names[i];
        EXPECT_EQ(gradient[i].shape(), parameters[i].shape()) << names[i];
    }
}

TEST_P(EveryModel, TakesOtherClassesChannelsAndWidths) {
    // Networks of one width: a table says who is connected with whom, or dlib's listings are meant to the letter.
    const std::set<std::string> fixed{"lenet5_classic", "lenet_dlib", "lenet_dlib_unpadded", "inception_dlib_mnist", "five_blocks"};
    const bool is_fixed = fixed.contains(std::string(GetParam()));
    const ModelOptions options{.classes = 7, .channels = 2, .dropout = 0, .width_multiplier = is_fixed ? 0 : 0.5, .drop_path = 0};
    const Graph net = build_model(GetParam(), options);
    net.verify();
    if (is_fixed) {
        EXPECT_EQ(test::message_of<ArgumentError>([] { (void)build_model(GetParam(), {.width_multiplier = 2}); }), fmt::format("model '{}' has no width multiplier, got 2", GetParam()));
    }
    EXPECT_EQ(net.find("image").shape()[1], 2);
    EXPECT_EQ(net.find_output("out").shape(), (Shape{dynamic, 7}));
}

TEST(Models, AreFoundByAliasAndTheNearestAreListed) {
    EXPECT_EQ(find_model("lenet5").name, "lenet5_modern");
    EXPECT_EQ(find_model("resnet56").name, "cifar_resnet56");
    EXPECT_TRUE(has_model("plain20"));
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)find_model("resnet-20"); }), "no model 'resnet-20'; nearest: resnet20, resnet32, resnet110. 'fovea models' lists all");
}

TEST(Models, OptionsThatChangeNothingAreRefused) {
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)build_model("lenet5", {.dropout = 0.5}); }), "model 'lenet5_modern' has no dropout, got 0.5");
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)build_model("vgg11", {.drop_path = 0.1}); }), "model 'vgg11' has no paths to drop, got drop_path 0.1");
}

TEST(Models, NamesAndAliasesAreUnique) {
    std::map<std::string, int> uses;
    for (const ModelCard& card : model_cards()) {
        ++uses[card.name];
        for (const auto& alias : card.aliases) ++uses[alias];
    }
    for (const auto& [name, count] : uses) EXPECT_EQ(count, 1) << name;
}

TEST(Models, OptionsChangeClassesChannelsAndSize) {
    const Graph net = build_model("lenet5", {.classes = 7, .channels = 3, .height = 40, .width = 36});
    EXPECT_EQ(net.find("image").shape(), (Shape{dynamic, 3, 40, 36}));
    EXPECT_EQ(net.find_output("out").shape(), (Shape{dynamic, 7}));
    EXPECT_EQ(net.find_parameter("fc1.weight")->type.shape, (Shape{120, 16 * 8 * 7}));
    EXPECT_THROW((void)build_model("lenet5_tutorial", {.height = 6, .width = 6}), ShapeError);
    EXPECT_THROW((void)build_model("lenet5", {.classes = -1}), ArgumentError);
}

TEST(Models, StateNamesAreThoseOfTheReferenceImplementation) {
    const auto names = [](const std::string& model) {
        std::vector<std::string> all;
        const Graph net = build_model(model);
        for (const ParameterInfo& p : net.parameters()) all.push_back(p.name + " " + p.type.shape.str());
        return all;
    };
    EXPECT_EQ(names("lenet5_modern"),
              (std::vector<std::string>{"conv1.weight [6, 1, 5, 5]", "conv1.bias [6]", "conv2.weight [16, 6, 5, 5]", "conv2.bias [16]", "fc1.weight [120, 400]", "fc1.bias [120]",
                                        "fc2.weight [84, 120]", "fc2.bias [84]", "fc3.weight [10, 84]", "fc3.bias [10]"}));
    EXPECT_EQ(names("lenet5_classic"),
              (std::vector<std::string>{"rbf [10, 84]", "c1.weight [6, 1, 5, 5]", "c1.bias [6]", "s2.weight [6]", "s2.bias [6]", "c3.weight [16, 6, 5, 5]", "c3.bias [16]", "s4.weight [16]",
                                        "s4.bias [16]", "c5.weight [120, 16, 5, 5]", "c5.bias [120]", "f6.weight [84, 120]", "f6.bias [84]"}));
    const auto resnet = names("cifar_resnet20");
    EXPECT_EQ(resnet.size(), 19U * 6 + 2);
    EXPECT_EQ(resnet[5], "bn1.num_batches_tracked []");
    EXPECT_EQ(resnet[6], "layer1.0.conv1.weight [16, 16, 3, 3]");
    EXPECT_EQ(resnet[112], "layer3.2.bn2.running_var [64]");
    EXPECT_EQ(resnet[114], "linear.weight [10, 64]");
}

TEST(Models, SavedAndLoadedWeightsGiveTheSameOutput) {
    for (const std::string model : {"lenet5_modern", "inception_dlib_mnist", "cifar_resnet20"}) {
        const Graph net = build_model(model);
        const Parameters trained = make_parameters(net, 3);
        Parameters fresh = make_parameters(net, 4);
        const std::string file = to_safetensors(trained);
        load_into(fresh, parse_safetensors(std::as_bytes(std::span(file)), model));
        EXPECT_EQ(test::values_of(run(net, trained, 2)), test::values_of(run(net, fresh, 2))) << model;
    }
}

TEST(Models, PublishedResNet20WeightsFitTheNetwork) {
    const char* data = std::getenv("FOVEA_DATA");
    if (data == nullptr) GTEST_SKIP() << "FOVEA_DATA is not set";
    Parameters parameters = make_parameters(build_model("resnet20"), 1);
    const std::string path = std::string(data) + "/weights/resnet_cifar10/resnet20-12fca82f.th";
    EXPECT_TRUE(load_into(parameters, load_weights(path), {.name = path}).is_exact());
}

TEST(Models, WeightsThatConnectNothingInTheOldLeNetHaveNoEffectAndNoGradient) {
    Graph net = build_model("lenet5_classic");
    const Value loss = model_loss(ModelLoss::label_distance, net.find_output("out"), net.input("label", {dynamic}, DType::i32));
    const Value weight = net.find("c3.weight"), gradient = gradients(loss, {&weight, 1}).front();
    Graph fixed = net.clone();
    fixed.output("gradient", Value(&fixed, gradient.id(), gradient.output()));
    fixed = specialize(fixed, {{"image", {1, 1, 32, 32}}, {"label", {1}}});
    const Value wanted[] = {fixed.find_output("out"), fixed.find_output("gradient")};
    Parameters parameters = make_parameters(net, 1);
    const std::map<std::string, Tensor> inputs{{"image", test::filled({1, 1, 32, 32}, "picture")}, {"label", Tensor::of({3}, {1})}};
    const auto before = interpret(fixed, wanted, inputs, parameters);
    // Map 0 of C3 sees maps 0, 1, 2 of S2; the paper's table connects 60 of 96 pairs.
    std::int64_t silent = 0;
    Tensor& c3 = parameters.at("c3.weight");
    for (std::int64_t pair = 0; pair < 96; ++pair) {
        bool is_silent = true;
        for (std::int64_t i = pair * 25; i < (pair + 1) * 25; ++i) is_silent &= before[1].at(i) == 0;
        silent += is_silent;
        EXPECT_FALSE(pair < 3 && is_silent);
        if (is_silent)
            for (std::int64_t i = pair * 25; i < (pair + 1) * 25; ++i) c3.set(i, 100);
    }
    EXPECT_EQ(silent, 36);
    EXPECT_EQ(test::values_of(before[0]), test::values_of(interpret(fixed, wanted, inputs, parameters)[0]));
}

TEST(Models, PredictionsFollowTheLoss) {
    const Tensor out = Tensor::of({3.F, 1.F, 2.F, 0.F, 5.F, 5.F}, {2, 3});
    EXPECT_EQ(predicted_classes(ModelLoss::cross_entropy, out), (std::vector<std::int64_t>{0, 1}));
    EXPECT_EQ(predicted_classes(ModelLoss::label_distance, out), (std::vector<std::int64_t>{1, 0}));
}

}  // namespace
TEST(Backbone, NamesTheTapsThereAre) {
    try {
        (void)build_backbone("cifar_resnet20", {"C9"});
        FAIL() << "an unknown tap was accepted";
    } catch (const ArgumentError& error) {
        EXPECT_NE(std::string(error.what()).find("has no tap 'C9'; its taps are features, pooled"), std::string::npos) << error.what();
    }
}

TEST(Backbone, LeavesTheClassifierOut) {
    const Graph net = build_backbone("cifar_resnet20", {"features", "pooled"});
    EXPECT_EQ(net.find_parameter("linear.weight"), nullptr);
    EXPECT_NE(net.find_parameter("layer3.2.conv2.weight"), nullptr);
    EXPECT_EQ(net.find_output("features").shape(), (Shape{dynamic, 64, 8, 8}));
    EXPECT_EQ(net.find_output("pooled").shape(), (Shape{dynamic, 64}));
}

}  // namespace fovea
