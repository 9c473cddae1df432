#include "fovea/runtime.h"

#include "support.h"

namespace fovea {
namespace {

Parameters one(std::string_view name, Tensor value) {
    Parameters parameters;
    parameters.set(name, std::move(value));
    return parameters;
}

TEST(Session, RunsAnUpdateInPlaceAndReadsItBack) {
    Graph graph;
    const Value x = graph.input("x", {dynamic, 2});
    const Value w = graph.parameter("w", {2});
    graph.output("y", relu(x * w));
    graph.update(w, w * 2.0);
    for (const char* backend : {"reference", "cpu"}) {
        auto state = std::make_shared<State>(one("w", Tensor::of<float>({1, -3}, {2})));
        Session session(compile(graph, {{"x", {3, 2}}}, {.backend = backend}), state);
        const Tensor x_value = Tensor::of<float>({1, 1, 2, -2, 3, 3}, {3, 2});
        EXPECT_EQ(test::values_of(session.run({{"x", x_value}}).front()), (std::vector<double>{1, 0, 2, 6, 3, 0})) << backend;
        EXPECT_EQ(test::values_of(state->read("w")), (std::vector<double>{2, -6})) << backend;
        EXPECT_EQ(test::values_of(session.run({{"x", x_value}}).front()), (std::vector<double>{2, 0, 4, 12, 6, 0})) << backend;
        EXPECT_EQ(test::values_of(state->read().at("w")), (std::vector<double>{4, -12})) << backend;
    }
}

TEST(Session, ConstantsAreFoldedAndParametersOnlyWorkIsHoisted) {
    Graph graph;
    const Value x = graph.input("x", {dynamic, 2});
    const Value w = graph.parameter("w", {2});
    const Value factor = scalar(graph, 3) + scalar(graph, 4);
    graph.output("y", x + relu(w) * factor);
    auto state = std::make_shared<State>(one("w", Tensor::of<float>({1, -3}, {2})));
    const Executable executable = compile(graph, {{"x", {1, 2}}}, {.inference = true});
    EXPECT_EQ(executable.plan().size(), 1u) << executable.explain_plan();
    Session session(executable, state);
    EXPECT_EQ(test::values_of(session.run({{"x", Tensor::of<float>({1, 1}, {1, 2})}}).front()), (std::vector<double>{8, 1}));
    state->write("w", Tensor::of<float>({2, 2}, {2}));
    EXPECT_EQ(test::values_of(session.run({{"x", Tensor::of<float>({1, 1}, {1, 2})}}).front()), (std::vector<double>{15, 15}));
}

TEST(Session, WrongInputsAreNamed) {
    Graph graph;
    graph.output("y", relu(graph.input("x", {dynamic, 2})));
    Session session(compile(graph, {{"x", {1, 2}}}), std::make_shared<State>(Parameters{}));
    EXPECT_EQ(test::message_of<ArgumentError>([&] { (void)session.run({}); }), "run: input 'x' [1, 2] is missing");
    EXPECT_EQ(test::message_of<ShapeError>([&] { (void)session.run({{"x", Tensor({2, 2})}}); }), "run: input 'x' is compiled for [1, 2], got [2, 2]");
    EXPECT_EQ(test::message_of<ShapeError>([&] { (void)compile(graph, {{"x", {1, 3}}}); }), "input 'x' is declared as [N, 2], got [1, 3]");
}

}  // namespace
}  // namespace fovea
