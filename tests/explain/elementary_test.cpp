// The elementary form of a network must be the same function: both are run by the plain loops in f64.
#include <set>

#include "fovea/explain.h"
#include "fovea/models.h"
#include "fovea/nn.h"
#include "support.h"

namespace fovea {
namespace {

/// `out` of the network and of its elementary form for the same picture. `with_loss`: the loss instead, of label 0.
std::pair<Tensor, Tensor> both(const Graph& network, const Shape& image, bool with_loss = false) {
    Graph net = with_loss ? network.clone() : to_inference(network);
    std::map<std::string, Shape> shapes{{"image", image}};
    std::map<std::string, Tensor> inputs{{"image", test::filled(image, "picture")}};
    if (with_loss) {
        const Value loss = cross_entropy(net.find_output("out"));
        net.clear_outputs(), net.clear_updates();
        net.output("out", loss);
        shapes["label"] = {image[0]};
        inputs["label"] = Tensor(Shape{image[0]}, DType::i32);
    }
    const Graph fixed = remove_dead_code(specialize(net, shapes));
    const Graph elementary = to_elementary(fixed);
    elementary.verify();
    const Parameters parameters = make_parameters(fixed, 3);
    const auto run = [&](const Graph& graph) {
        const Value out = graph.find_output("out");
        return interpret(graph, {&out, 1}, inputs, parameters).front();
    };
    return {run(fixed), run(elementary)};
}

TEST(Elementary, LeNetIsTheSameFunction) {
    for (const char* model : {"lenet5_modern", "lenet5_classic", "inception_dlib_mnist", "small_mnist"}) {
        const Graph net = build_model(model);
        const Shape size = net.find("image").shape();
        const auto [want, got] = both(net, {2, size[1], size[2], size[3]});
        EXPECT_LT(test::relative_l2(got, want), 1e-12) << model;  // f64: only the order of sums differs
    }
}

TEST(Elementary, TheLossOfLeNetIsTheSameNumber) {
    const auto [want, got] = both(build_model("lenet5_modern"), {3, 1, 28, 28}, true);
    EXPECT_NEAR(got.at(0), want.at(0), 1e-12 * std::abs(want.at(0)));
}

TEST(Elementary, EveryOtherLayerWithAFormIsTheSameFunction) {
    Graph net;
    Value x = net.input("image", {dynamic, 6, 11, 9});
    x = batch_norm(conv2d(x, {.out = 8, .kernel = {3, 2}, .stride = {2, 1}, .pad = {1, 0, 2, 1}, .dilation = {1, 2}, .groups = 2}, "grouped"), {}, "bn");
    x = lrn(relu6(x), {.size = 4, .alpha = 0.3, .beta = 0.6, .k = 1.5, .convention = LrnConvention::krizhevsky});
    x = concat({max_pool(x, {.kernel = 3, .stride = 2, .pad = 1, .ceil = true}), avg_pool(x, {.kernel = 3, .stride = 2, .pad = 1, .ceil = true, .count_include_pad = false})});
    x = hard_swish(x) + silu(x) + sigmoid(x) * tanh(x);
    x = linear(flatten(global_avg_pool(x)), {.out = 5}, "fc");
    net.output("out", softmax(x));
    const auto [want, got] = both(net, {2, 6, 11, 9});
    EXPECT_LT(test::relative_l2(got, want), 1e-12);
}

TEST(Elementary, HoldsNothingButElementaryOperations) {
    const Graph fixed = specialize(to_inference(build_model("lenet5")), {{"image", {1, 1, 28, 28}}});
    const Graph elementary = to_elementary(fixed);
    const std::set<std::string_view> allowed{"input", "parameter", "constant", "add", "multiply", "maximum", "sum", "max_over", "unfold", "reshape", "reshape_to", "pad"};
    for (const Node& node : elementary.nodes()) EXPECT_TRUE(allowed.contains(op_name(node))) << op_name(node) << " " << node.path;
    EXPECT_GT(elementary.nodes().size(), fixed.nodes().size());
}

TEST(Elementary, NamesAnOpThatHasNoForm) {
    Graph net;
    net.output("out", gelu(net.input("image", {1, 2, 4, 4}), {}, "bend"));
    EXPECT_EQ(test::message_of<Error>([&] { (void)to_elementary(net); }), "no elementary form of gelu 'bend'; src/explain/elementary.cpp lists those there are");
}

TEST(Dot, DrawsEveryNodeAndEdgeOnce) {
    Graph net;
    const Value x = net.input("image", {1, 2});
    net.output("out", relu(x, "bend") + x);
    EXPECT_EQ(to_dot(net, "a \"net\""),
              "digraph \"a \\\"net\\\"\" {\n  rankdir=TB; node [shape=box, fontname=\"sans-serif\", fontsize=10];\n"
              "  n0 [label=\"image\\n[1, 2]\", tooltip=\"image\", shape=ellipse];\n  n1 [label=\"relu\\n[1, 2]\", tooltip=\"bend\"];\n  n0 -> n1;\n"
              "  n2 [label=\"add\\n[1, 2]\", tooltip=\"add\"];\n  n1 -> n2;\n  n0 -> n2;\n  out_2 [label=\"out\", shape=ellipse];\n  n2 -> out_2;\n}\n");
}

}  // namespace
}  // namespace fovea
