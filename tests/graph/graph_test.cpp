#include "fovea/graph.h"

#include "graph/op.h"
#include "support.h"

namespace fovea {
namespace {

TEST(Graph, ScopesMakePathsAndASharedNodeGetsANumber) {
    Graph graph;
    const Value x = graph.input("x", {dynamic, 4});
    {
        const auto outer = graph.scope("layer1");
        const auto inner = graph.scope("0");
        EXPECT_EQ(relu(x, "act").path(), "layer1.0.act");
        EXPECT_EQ(relu(x, "act").path(), "layer1.0.act_1");
        EXPECT_EQ(relu(x, "act").path(), "layer1.0.act_2");
        EXPECT_EQ(relu(x).path(), "layer1.0.relu");
    }
    EXPECT_EQ(relu(x).path(), "relu");
    graph.verify();
}

TEST(Graph, AParameterDeclaredTwiceIsShared) {
    Graph graph;
    const Value first = graph.parameter("w", {2, 3});
    EXPECT_EQ(graph.parameter("w", {2, 3}), first);
    EXPECT_EQ(graph.parameters().size(), 1u);
    EXPECT_EQ(test::message_of<ArgumentError>([&] { graph.parameter("w", {3, 2}); }), "parameter 'w' is declared as f32 [2, 3] and again as f32 [3, 2]");
}

TEST(Graph, AFailedCallLeavesTheGraphAsItWas) {
    Graph graph;
    const Value a = graph.input("a", {2, 3}), b = graph.input("b", {4});
    const std::string before = graph.print();
    EXPECT_THROW(add(a, b, "sum"), ShapeError);
    EXPECT_EQ(graph.print(), before);
    EXPECT_EQ(add(a, a, "sum").path(), "sum");
}

TEST(Graph, PrintsOneLinePerNode) {
    Graph graph;
    const Value x = graph.input("x", {dynamic, 2});
    graph.output("y", scale_shift(x, 2, 0.5, "twice"));
    EXPECT_EQ(graph.print(),
              "%0    x                            input() -> f32[N, 2]\n"
              "%1    twice                        scale_shift(%0) scale=2 shift=0.5 -> f32[N, 2]\n"
              "output y = %1\n");
}

TEST(Graph, FindsModulesNodesAndNamesTheNearest) {
    Graph graph;
    const Value x = graph.input("image", {1, 2});
    const Value y = relu(x, "stem");
    graph.module_output("features", y);
    EXPECT_EQ(graph.find("features"), y);
    EXPECT_EQ(graph.find("stem"), y);
    EXPECT_EQ(test::message_of<ArgumentError>([&] { (void)graph.find("stm"); }), "no node 'stm'; nearest: stem, image");
}

TEST(Graph, UnknownOpsNameTheNearest) {
    Graph graph;
    const Value x = graph.input("x", {1});
    const std::string message = test::message_of<ArgumentError>([&] { graph.add("rleu", {x}); });
    EXPECT_EQ(message.find("no op 'rleu'; nearest: "), 0u) << message;
    EXPECT_NE(message.find("relu"), std::string::npos) << message;
}

TEST(Graph, MovesAndClonesKeepTheirValues) {
    Graph graph;
    graph.output("y", relu(graph.input("x", {1, 2})));
    const Graph copy = graph.clone();
    const Graph moved = std::move(graph);
    EXPECT_EQ(copy.print(), moved.print());
    copy.verify();
    moved.verify();
    EXPECT_EQ(&moved.find_output("y").graph(), &moved);
}

TEST(Graph, ValuesOfAnotherGraphAreRefused) {
    Graph one, other;
    const Value x = one.input("x", {1});
    EXPECT_EQ(test::message_of<ArgumentError>([&] { other.add("relu", {x}, {}, "act"); }), "relu 'act': an input belongs to another graph");
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)Value().shape(); }), "an empty value is used: it belongs to no graph");
}

TEST(Graph, EveryOpHasAShapeRuleLoopsACostAndADerivativeOrSaysWhyNot) {
    // Ops that end a differentiation: sources, whole numbers, shapes, updates, and inference-only folding.
    const std::set<std::string> no_derivative{"input", "parameter", "constant", "increment", "kept_shape", "one_hot", "fold_weight", "fold_bias", "sign", "in_range"};
    for (const std::string& name : OpRegistry::instance().names()) {
        const OpDef& op = OpRegistry::instance().at(name);
        const bool is_source = name == "input" || name == "parameter" || name == "constant";
        EXPECT_TRUE(op.shape) << name;
        EXPECT_TRUE(op.cost) << name;
        EXPECT_TRUE(op.reference || is_source) << name;
        const bool ends = no_derivative.contains(name) || name.ends_with("_update") || name.ends_with("_shape") || name.ends_with("_like");
        EXPECT_TRUE(op.gradient || op.expand || ends) << name << " has no derivative";
    }
}

}  // namespace
}  // namespace fovea
