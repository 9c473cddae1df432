// Networks that Debian's dlib 19.24 wrote (fixtures/dlib_*.dat, after net.clean()) with what dlib gave for one picture.
#include "files.h"
#include "fovea/passes.h"

namespace fovea {
namespace {

/// Pixel (r, c) is (7 r + 13 c + r c) mod 256; dlib's input layer divides by 256.
Tensor picture() {
    Tensor image({1, 1, 8, 8});
    for (std::int64_t r = 0; r < 8; ++r)
        for (std::int64_t c = 0; c < 8; ++c) image.set(r * 8 + c, static_cast<double>((r * 7 + c * 13 + r * c) % 256) / 256);
    return image;
}

Tensor run(const Graph& net, const std::string& file) {
    const Graph fixed = to_inference(net);
    const Value out = fixed.find_output("out");
    return interpret(fixed, {&out, 1}, {{"image", picture()}}, parameters_from(net, load_weights(test::fixture(file)), {.name = file}), {.real = DType::f32}).front();
}

Value image_of(Graph& net) { return net.input("image", {1, 1, 8, 8}); }

// f32 sums of at most 32 products of order 1 in another order than dlib's: 32 times 6e-8, with room.
constexpr double tolerance = 1e-5;

TEST(Dlib, AChainGivesWhatDlibGave) {
    Graph net;
    Value x = max_pool(relu(conv2d(image_of(net), {.out = 2, .kernel = 3, .pad = 1}, "con1")), {.kernel = 2});
    net.output("out", linear(relu(linear(flatten(x), {.out = 4}, "fc1")), {.out = 3}, "fc2"));
    const Tensor out = run(net, "dlib_tiny.dat");
    EXPECT_NEAR(out.at(0), -0.511210859, tolerance);
    EXPECT_NEAR(out.at(1), 0.251665324, tolerance);
    EXPECT_NEAR(out.at(2), 0.510093153, tolerance);
}

TEST(Dlib, BranchesAreNumberedInTheOrderTheyAreJoined) {
    Graph net;
    const Value x = relu(batch_norm(conv2d(image_of(net), {.out = 2, .kernel = 3, .stride = 2}, "con1"), {.eps = 1e-4}, "bn1"));
    const Value joined = concat({relu(conv2d(x, {.out = 2, .kernel = 1}, "con2")), relu(conv2d(x, {.out = 1, .kernel = 3, .pad = 1}, "con3"))});
    net.output("out", linear(flatten(joined), {.out = 2}, "fc1"));
    const Tensor out = run(net, "dlib_branchy.dat");
    EXPECT_NEAR(out.at(0), 0.312017679, tolerance);
    EXPECT_NEAR(out.at(1), 0.900981665, tolerance);
}

TEST(Dlib, AResidualNetworkWithTagsAndDropoutIsRead) {
    const Parameters p = load_weights(test::fixture("dlib_residual.dat"));
    EXPECT_EQ(p.names(), (std::vector<std::string>{"layers.0.con.weight", "layers.0.con.bias", "layers.1.affine.weight", "layers.1.affine.bias", "layers.2.con.weight", "layers.2.con.bias", "layers.5.fc.weight",
                                                   "layers.5.fc.bias"}));
    EXPECT_EQ(p.at("layers.2.con.weight").shape(), (Shape{2, 2, 3, 3}));
    EXPECT_EQ(p.at("layers.5.fc.weight").shape(), (Shape{2, 18}));
    EXPECT_EQ(test::values_of(p.at("layers.1.affine.weight")), std::vector<double>(18, 1));
}

TEST(Dlib, LayersThatAreNotKnownAreRefusedByName) {
    std::string file = test::content(test::fixture("dlib_tiny.dat"));
    const std::size_t at = file.find("con_5");
    file.replace(at, 5, "con_9");
    EXPECT_EQ(test::refusal(file), "load 'x': byte " + std::to_string(at + 5) + ": a layer 'con_9' is not read");
    file.replace(at, 5, "con\n\x01");
    EXPECT_NE(test::refusal(file).find("a layer 'con?\?' is not read"), std::string::npos);
}

TEST(Dlib, DeeperThanAnyNetworkIsRefused) {
    std::string file("\x01\x01\x01\x14loss_multiclass_log_");
    for (int i = 0; i < 20'000; ++i) file += "\x01\x02";
    EXPECT_EQ(test::refusal(file), "load 'x': byte 20024: more than 10000 layers within each other");
}

}  // namespace
}  // namespace fovea
