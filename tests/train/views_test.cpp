// Several views of a picture, several networks, and classifiers on larger pictures.
#include "fovea/train.h"

#include "fovea/models.h"
#include "fovea/nn.h"
#include "fovea/passes.h"
#include "small_run.h"

namespace fovea {
namespace {

/// Every pixel says where it stands: red is x, green is y.
Image coordinates(std::int64_t width, std::int64_t height) {
    Image image(width, height, 3);
    for (std::int64_t y = 0; y < height; ++y)
        for (std::int64_t x = 0; x < width; ++x) image.row(y)[3 * x] = static_cast<std::uint8_t>(x), image.row(y)[3 * x + 1] = static_cast<std::uint8_t>(y);
    return image;
}

using Corner = std::pair<int, int>;
Corner corner(const Image& image, std::int64_t x = 0) { return {image.at(x, 0, 0), image.at(x, 0, 1)}; }

TEST(Views, TenAreTheCornersTheCentreAndTheirMirrorImages) {
    const auto views = views_of(coordinates(12, 10), {}, {.crops = 10}, 8, 8);
    ASSERT_EQ(views.size(), 10U);
    const Corner wanted[] = {{0, 0}, {4, 0}, {0, 2}, {4, 2}, {2, 1}};
    for (std::size_t i = 0; i < 5; ++i) {
        EXPECT_EQ(corner(views[i]), wanted[i]);
        EXPECT_EQ(corner(views[i + 5], 7), wanted[i]);  // the mirror image has it on the right
        EXPECT_EQ(views[i].width, 8);
    }
}

TEST(Views, OneIsTheCentreAtEachScale) {
    const auto views = views_of(coordinates(20, 10), {}, {.crops = 1, .scales = {10, 20}}, 8, 8);
    ASSERT_EQ(views.size(), 2U);
    EXPECT_EQ(corner(views[0]), (Corner{6, 1}));
    EXPECT_NEAR(views[1].at(0, 0, 0), 8, 1);  // of 40 x 20: column 16, which was column 8
}

TEST(Views, TwoAreTheCentreAndItsMirrorImage) {
    const auto views = views_of(coordinates(12, 10), {}, {.crops = 2}, 8, 8);
    ASSERT_EQ(views.size(), 2U);
    EXPECT_EQ(corner(views[0]), (Corner{2, 1}));
    EXPECT_EQ(corner(views[1], 7), (Corner{2, 1}));
}

TEST(Views, OneHundredAndFortyFourAreGoogLeNets) {
    const auto views = views_of(coordinates(60, 40), {}, {.crops = 144, .scales = {40, 44, 48, 52}}, 32, 32);
    EXPECT_EQ(views.size(), 144U);
    for (const Image& view : views) EXPECT_TRUE(view.width == 32 && view.height == 32);
    // First scale: the left square's corners, then its centre, then the square itself; the middle square begins at column 10.
    EXPECT_EQ(corner(views[1]), (Corner{8, 0}));
    EXPECT_EQ(corner(views[4]), (Corner{4, 4}));
    EXPECT_EQ(corner(views[6]), (Corner{10, 0}));
    EXPECT_EQ(corner(views[12 + 3]), (Corner{20 + 8, 8}));
    EXPECT_EQ(views_of(coordinates(40, 60), {}, {.crops = 144}, 224, 224).size(), 144U);
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)views_of(coordinates(8, 8), {}, {.crops = 5}, 4, 4); }), "views: 1, 2, 10 or 144 crops, or 0 for a dense evaluation, got 5");
}

/// Scores of `net` for one picture.
Tensor scores(const Graph& net, const Parameters& parameters, const Tensor& image) {
    return Program(net.clone(), std::make_shared<State>(parameters.of(net)), {.inference = true}).run({{"image", image}}).front();
}

/// Pixels [y, y + size) x [x, x + size) of [1, C, H, W].
Tensor cut(const Tensor& image, std::int64_t y, std::int64_t x, std::int64_t size) {
    const Shape& s = image.shape();
    Tensor part({1, s[1], size, size});
    for (std::int64_t c = 0; c < s[1]; ++c)
        for (std::int64_t i = 0; i < size; ++i)
            for (std::int64_t j = 0; j < size; ++j) part.set((c * size + i) * size + j, image.at((c * s[2] + y + i) * s[3] + x + j));
    return part;
}

TEST(FullyConvolutional, GivesTheMeanOfWhatTheNetworkSaysEverywhere) {  // T19
    // Unpadded and of stride 2 in all: a place of the larger map is a crop at a multiple of 2, and no border differs.
    Graph net;
    Value x = net.input("image", {dynamic, 2, 12, 12});
    x = max_pool(relu(conv2d(x, {.out = 4, .kernel = 3}, "conv1")), {.kernel = 2});
    x = adaptive_avg_pool(x, 5);
    x = dropout(relu(linear(flatten(x), {.out = 6}, "fc1")), {.drop = 0.5});
    net.output("out", linear(x, {.out = 3}, "fc2"));
    const Parameters parameters = make_parameters(net, 4);
    const Tensor same = test::filled({1, 2, 12, 12}, "same").to(DType::f32), large = test::filled({1, 2, 14, 16}, "large").to(DType::f32);
    Parameters reshaped = parameters.clone();
    const Graph at_size = fully_convolutional(to_inference(net), reshaped, 12, 12);
    EXPECT_EQ(reshaped.at("fc1.weight").shape(), (Shape{6, 4, 5, 5}));
    EXPECT_LT(test::relative_l2(scores(at_size, reshaped, same), scores(net, parameters, same)), 1e-6);  // f32 sums in another order
    const Tensor dense = scores(fully_convolutional(to_inference(net), reshaped, 14, 16), reshaped, large);
    Tensor mean({1, 3});
    for (std::int64_t y : {0, 2})
        for (std::int64_t at : {0, 2, 4}) {
            const Tensor one = scores(net, parameters, cut(large, y, at, 12));
            for (std::int64_t c = 0; c < 3; ++c) mean.set(c, mean.at(c) + one.at(c) / 6);
        }
    EXPECT_LT(test::relative_l2(dense, mean), 1e-6);
}

TEST(FullyConvolutional, TakesTheNetworksOfTheZoo) {
    for (const char* name : {"vgg11", "alexnet", "resnet18", "squeezenet1_0"}) {
        const Graph net = build_model(name, {.classes = 4});
        Parameters shapes;
        for (const ParameterInfo& info : net.parameters()) shapes.set(info.name, Tensor(info.type.shape, info.type.dtype));
        const Graph large = fully_convolutional(to_inference(net), shapes, 256, 320);
        EXPECT_EQ(large.find_output("out").shape()[-1], 4) << name;
    }
    Graph net;
    const Value x = flatten(net.input("image", {dynamic, 2, 4, 4}));
    net.output("out", linear(softmax(x, {}, "shares"), {.out = 3}, "fc"));
    Parameters parameters = make_parameters(net, 1);
    EXPECT_EQ(test::message_of<ArgumentError>([&] { (void)fully_convolutional(net, parameters, 8, 8); }),
              "dense evaluation: softmax 'shares' behind the flattened map has no convolutional form");
}

Graph linear_network() {
    Graph net;
    net.output("out", linear(flatten(net.input("image", {dynamic, 1, 8, 8})), {.out = 4}, "fc"));
    return net;
}

TEST(EvaluateViews, OneViewOfOneNetworkIsTheUsualEvaluation) {
    const Graph net = linear_network();
    const Parameters parameters = make_parameters(net, 3);
    const DatasetPtr data = test::quadrants(50, "views");
    const Preprocess preprocess{.channels = 1};
    const Evaluation usual = evaluate(net, parameters, data, {.k = 2, .preprocess = preprocess});
    for (const std::int64_t crops : {1, 10, 0}) {  // eight by eight pictures: every crop is the picture, mirror images change the answer
        const Evaluation views = evaluate_views({{&net, &parameters, preprocess}}, data, {.crops = crops}, {.batch = 7, .k = 2});
        EXPECT_EQ(views.images, 50);
        EXPECT_EQ(views.confusion.total(), 50);
        if (crops != 1) continue;
        EXPECT_EQ(views.top1, usual.top1);
        EXPECT_EQ(views.topk, usual.topk);
        EXPECT_NEAR(views.loss, usual.loss, 1e-6);
    }
}

TEST(EvaluateViews, AnEnsembleAveragesProbabilities) {  // T18
    const Graph net = linear_network();
    // Networks that each know one class only and are sure of it; together they know all.
    std::vector<Parameters> known(4);
    for (std::size_t c = 0; c < 4; ++c) {
        known[c] = make_parameters(net, c);
        for (std::int64_t i = 0; i < 4 * 64; ++i) {
            const std::int64_t label = i / 64, y = i % 64 / 8, x = i % 8;
            const bool is_own = label == static_cast<std::int64_t>(c), is_here = (y / 4) * 2 + x / 4 == label;
            known[c].at("fc.weight").set(i, is_own ? (is_here ? 3.0 : -1.0) : 0.0);
        }
        for (std::int64_t i = 0; i < 4; ++i) known[c].at("fc.bias").set(i, 0);
    }
    const DatasetPtr data = test::quadrants(80, "ensemble");
    const Preprocess preprocess{.channels = 1};
    std::vector<Member> members;
    double last = 0;
    for (std::size_t c = 0; c < 4; ++c) {
        members.push_back({&net, &known[c], preprocess});
        const double top1 = evaluate_views(members, data, {}).top1;
        EXPECT_GE(top1, last);
        last = top1;
    }
    EXPECT_GT(last, 0.95);
    EXPECT_LT(evaluate_views({members.front()}, data, {}).top1, 0.6);
}

}  // namespace
}  // namespace fovea
