// The one spelling of a problem: printed by plan and profile, read by `fovea bench` and tests.

#include "fovea/ops.h"
#include "fovea/runtime.h"
#include "support.h"

namespace fovea {
namespace {

const Node& last_node(const Graph& graph) { return graph.nodes().back(); }

class Spelling : public testing::TestWithParam<const char*> {};

TEST_P(Spelling, ReadAndPrintedIsTheSameText) {
    const std::string text = GetParam();
    const Problem problem = parse_problem(text);
    problem.graph.verify();
    EXPECT_EQ(problem_of(last_node(problem.graph), problem.precision), text);
}

INSTANTIATE_TEST_SUITE_P(Problem, Spelling,
                         testing::Values("conv2d n8c64h56w56 k128r3s3 stride2 pad1 f32", "conv2d n1c3h32w31 k16r5s3 stride2x1 pad2x2x1x1 dilation2 bias relu f32",
                                         "conv2d n2c32h9w9 k32r3s3 groups32 f64", "conv2d n1c8h5w5 k8r1s1 bias activation_slope=0.1 leaky_relu f32", "conv2d n2c16h8w8 k16r3s3 pad1 bias add relu f32",
                                         "conv2d_backward_input n8c64h56w56 k128r3s3 stride2 pad1 f32", "conv2d_backward_weight n8c64h56w56 k128r3s3 stride2 pad1 f32",
                                         "conv2d_backward_weight n8c6h14w14 k16r5s5 bias f32", "matmul [8,10] [84,10] transpose_a=false transpose_b=true f32",
                                         "linear n128c400 k120 bias f32", "linear n1c84 k10 f32", "max_pool2d n8c64h112w112 r3s3 stride2 pad1 f32",
                                         "max_pool2d n8c64h56w56 r2s2 stride2 ceil f32", "relu n8c64h56w56 f32",
                                         "relu n128c10 f64", "add [8,64,56,56] [64,1,1] f32", "sum [8,64,56,56] axes=[2,3] keep=true f32"));

TEST(Problem, IsTheOpWithTheShapesOfTheText) {
    const Problem problem = parse_problem("conv2d n8c64h56w57 k128r3s1 stride2 pad1x0 groups2 f32");
    const Node& node = last_node(problem.graph);
    EXPECT_EQ(node.op->name, "conv2d");
    EXPECT_EQ(node.inputs[0].shape(), (Shape{8, 64, 56, 57}));
    EXPECT_EQ(node.inputs[1].shape(), (Shape{128, 32, 3, 1}));
    EXPECT_EQ(node.outputs[0].shape, (Shape{8, 128, 28, 29}));
}

TEST(Problem, OfANetworksNodeIsReadBack) {
    Graph net;
    const Value x = net.input("image", {2, 3, 17, 19});
    const Value y = max_pool(relu(conv2d(x, {.out = 8, .kernel = 3, .stride = 2, .pad = 1}, "conv1")), {.kernel = 2});
    (void)y;
    int read_back = 0;
    for (const Node& node : net.nodes()) {
        if (node.inputs.empty()) continue;
        const std::string text = problem_of(node);
        EXPECT_EQ(problem_of(last_node(parse_problem(text).graph)), text);
        ++read_back;
    }
    EXPECT_EQ(read_back, 3);
}

TEST(Problem, WrongTextSaysWhichWord) {
    const auto message = [](std::string_view text) { return test::message_of<Error>([&] { (void)parse_problem(text); }); };
    EXPECT_EQ(message("conv2d n8c64h56w56 k128r3"), "problem 'conv2d n8c64h56w56 k128r3': 'k128r3' should give k, r, s in this order, for instance 'k16r3s3'");
    EXPECT_EQ(message("conv2d n8c64h56w56"), "problem 'conv2d n8c64h56w56': after 'n8c64h56w56' comes 'k16r3s3'");
    EXPECT_EQ(message("conv2d n8c0h56w56 k1r1s1"), "problem 'conv2d n8c0h56w56 k1r1s1': 'n8c0h56w56': c must be at least 1");
    EXPECT_EQ(message("linear n2c4 k8 stride=maybe7x f32 f32"), "problem 'linear n2c4 k8 stride=maybe7x f32 f32': 'f32' is not understood");
    EXPECT_EQ(message("conv2d n8c64h5w5 k8r3s3 pad1x2x3"), "problem 'conv2d n8c64h5w5 k8r3s3 pad1x2x3': 'pad1x2x3' should hold 1 or 4 numbers");
    EXPECT_EQ(message("relu"), "problem 'relu': no input: after the op comes a shape, for instance 'n8c64h56w56' or '[8,64]'");
    EXPECT_NE(message("relo n1c1h1w1").find("relu"), std::string::npos);
    EXPECT_NE(message("").find("a problem begins with an op"), std::string::npos);
    EXPECT_NE(message("conv2d n1c1h2w2 k1r5s5").find("does not fit"), std::string::npos);
}

}  // namespace
}  // namespace fovea
