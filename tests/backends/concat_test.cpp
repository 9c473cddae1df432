// Concat by placement: values against the plain loops where parts are slices of a joined map, and which parts are.
#include <algorithm>

#include "compare.h"

namespace fovea {
namespace {

using test::Case;
using test::Compared;
using test::filled;
using Xs = std::vector<Value>;

Value conv(const Value& x, std::int64_t out, std::int64_t kernel, const std::string& name) { return conv2d(x, {.out = out, .kernel = kernel, .pad = kernel / 2}, name); }
Value norm(const Value& x, const std::string& name) { return relu(batch_norm(x, {}, name)); }

/// Layers that each read everything before them, as DenseNet builds them; the block is closed by a transition. No bias comes before a
/// batch norm: its gradient is zero but for rounding.
Value dense_block(Value x, std::int64_t growth, std::int64_t width) {
    for (int i = 0; i < 3; ++i) {
        const std::string name = "layer" + std::to_string(i);
        const Value narrow = conv2d(norm(x, name + ".norm1"), {.out = width, .kernel = 1, .bias = false}, name + ".conv1");
        x = concat({x, conv2d(norm(narrow, name + ".norm2"), {.out = growth, .kernel = 3, .pad = 1, .bias = false}, name + ".conv2")}, 1, "concat" + std::to_string(i));
    }
    return avg_pool(conv2d(norm(x, "transition.norm"), {.out = width, .kernel = 1}, "transition.conv"), {.kernel = 2});
}

struct Net {
    std::string name;
    std::function<Value(const Value&)> build;
};
const std::vector<Net>& nets() {
    static const std::vector<Net> all{
        {"branches with odd channels",
         [](const Value& x) {
             return concat({conv(x, 5, 3, "a"), relu(conv(x, 7, 1, "b")), max_pool(x, {.kernel = 3, .stride = 1, .pad = 1}), avg_pool(x, {.kernel = 3, .stride = 1, .pad = 1}), conv(x, 1, 5, "c")});
         }},
        {"branches of whole vectors", [](const Value& x) { return concat({relu(conv(x, 32, 3, "a")), relu(conv(x, 16, 1, "b")), relu(conv(conv(x, 16, 1, "c0"), 48, 5, "c"))}) * 2.0; }},
        {"activations that run after a kernel", [](const Value& x) { return concat({mish(conv(x, 16, 3, "a")), mish(conv(x, 6, 1, "b")), mish(conv(x, 3, 5, "c"))}); }},
        {"a part with several readers",
         [](const Value& x) {
             const Value a = conv(x, 6, 3, "a"), b = conv(x, 4, 1, "b");
             return concat({concat({a, b}), max_pool(a, {.kernel = 3, .stride = 1, .pad = 1}), conv(b, 3, 1, "c"), norm(a, "n")});
         }},
        {"a part that is read in one piece",
         [](const Value& x) {
             const Value a = conv(x, 6, 3, "a"), b = conv(x, 6, 1, "b");
             return concat({a, b}) + concat({a * b, b});
         }},
        {"nested",
         [](const Value& x) {
             const Value inner = concat({conv(x, 3, 1, "d"), concat({conv(x, 16, 3, "e"), conv(x, 2, 3, "f")})});
             return concat({concat({conv(x, 5, 3, "a"), conv(x, 16, 1, "b")}), conv(x, 4, 1, "c"), inner});
         }},
        {"the same value twice",
         [](const Value& x) {
             const Value a = conv(x, 5, 3, "a"), b = conv(x, 3, 1, "b");
             return concat({concat({a, b, a}), a, concat({b, b})});
         }},
        {"a value in two concats",
         [](const Value& x) {
             const Value a = conv(x, 5, 3, "a");
             return conv(concat({a, conv(x, 3, 1, "b")}), 4, 1, "d") + conv(concat({conv(x, 2, 1, "c"), a}), 4, 1, "e");
         }},
        {"inputs and constants", [](const Value& x) { return concat({x, conv(x, 5, 1, "a"), expand_to(scalar(x.graph(), 2.5), x), x}); }},
        {"views",
         [](const Value& x) {
             const auto turned = [&](const Value& v) { return reshape(v, {x.shape()[0], v.shape()[1], x.shape()[3], x.shape()[2]}); };
             return flatten(concat({turned(conv(x, 6, 1, "a")), turned(relu(conv(x, 2, 3, "b"))), turned(conv(x, 16, 1, "c"))}));
         }},
        {"pixels", [](const Value& x) { return concat({conv(global_avg_pool(x), 5, 1, "a"), global_max_pool(x), conv(global_avg_pool(x), 16, 1, "b")}); }},
        {"single channels", [](const Value& x) { return concat({conv(x, 1, 3, "a"), concat({conv(x, 1, 1, "b"), conv(x, 1, 3, "c")}), max_pool(conv(x, 1, 1, "d"), {.kernel = 1})}); }},
        {"along lines and columns", [](const Value& x) { return concat({concat({conv(x, 4, 3, "a"), conv(x, 4, 1, "b")}, 2), concat({conv(x, 4, 1, "c"), conv(x, 4, 3, "d")}, 2)}, 3); }},
        {"pooled on the way out",
         [](const Value& x) {
             const Value y = concat({max_pool(conv(x, 16, 3, "a"), {.kernel = 2}), max_pool(conv(x, 5, 1, "b"), {.kernel = 2})});
             return concat({max_pool(y, {.kernel = 2, .stride = 1}), avg_pool(y, {.kernel = 2, .stride = 1}), slice(slice(y, {.axis = 2, .start = 1}), {.axis = 3, .start = 1})});
         }},
        {"dense", [](const Value& x) { return dense_block(conv2d(x, {.out = 6, .kernel = 3, .pad = 1, .bias = false}, "stem"), 5, 11); }},
        {"dense in whole vectors", [](const Value& x) { return dense_block(max_pool(conv2d(x, {.out = 32, .kernel = 3, .pad = 1, .bias = false}, "stem"), {.kernel = 1}), 16, 32); }},
    };
    return all;
}

Case case_of(const Net& net, std::int64_t batch, const Shape& map) {
    return {net.name + ", batch " + std::to_string(batch), {filled({batch, map[0], map[1], map[2]}, "x")}, [build = net.build](Graph&, const Xs& x) { return build(x[0]); }};
}

TEST(Concat, PlacedPartsAndTheirGradientsEqualTheLoops) {
    // A batch norm over few numbers divides by their spread: its gradients carry ten times the rounding.
    for (const Net& net : nets())
        for (const std::int64_t batch : {1, 6}) test::expect_cpu_equals_loops(case_of(net, batch, {16, 7, 9}), net.name.starts_with("dense") ? 1e-4 : test::f32_limit);
}

TEST(Concat, WinogradWritesSlices) {
    for (const Net& net : nets())
        test::expect_cpu_equals_loops(case_of(net, 5, {16, 9, 6}), net.name.starts_with("dense") ? 1e-4 : test::f32_limit, {.winograd = Winograd4x4::always});
}

TEST(Concat, PlacedPartsInInferenceEqualTheLoops) {
    const int before = threads();
    for (const Net& net : nets())
        for (const std::int64_t batch : {1, 5, 128}) {
            Case c = case_of(net, batch, batch == 128 ? Shape{16, 6, 5} : Shape{16, 12, 17});
            c.differentiates = false;
            SCOPED_TRACE(c.name);
            const Compared compared(c);
            const auto want = compared.run({.backend = "reference", .precision = Precision::f64, .inference = true, .fuse = false});
            set_threads(1);
            const auto got = compared.run({.inference = true});
            test::expect_close(compared, got, want, test::f32_limit);
            for (int count : {2, 3}) {
                set_threads(count);
                test::expect_same_bytes(compared, compared.run({.inference = true}), got, std::to_string(count) + " threads");
            }
            set_threads(before);
        }
}

/// Kernel and layout of every concat by name.
std::map<std::string, std::pair<std::string, std::string>> concats_of(const Graph& graph, const Shape& image, bool inference) {
    std::map<std::string, std::pair<std::string, std::string>> found;
    const Executable program = compile(graph, {{"x", image}}, {.inference = inference});
    for (const PlanLine& line : program.plan())
        if (line.op == "concat") found[line.path] = {line.kernel, line.layout};
    return found;
}

TEST(Concat, ADenseBlockSharesOneMapAndCopiesNothing) {
    Graph graph;
    graph.output("y", dense_block(max_pool(conv(graph.input("x", {dynamic, 16, 16, 16}), 32, 3, "stem"), {.kernel = 2}), 16, 32));
    for (const bool inference : {true, false})
        for (const std::int64_t batch : {1, 16}) {
            const Executable program = compile(graph, {{"x", {batch, 16, 16, 16}}}, {.inference = inference, .winograd = Winograd4x4::always});
            for (const PlanLine& line : program.plan()) {
                if (line.op == "concat") {
                    EXPECT_EQ(line.kernel, "placed") << line.path;
                    EXPECT_EQ(line.bytes, 0) << line.path;
                    EXPECT_EQ(line.layout, line.path == "concat2" ? "nhwc" : "nhwc of 80") << line.path;
                }
                // In inference no normalised map is in memory: the norm before a 1 x 1 convolution is a part of it, the other is folded.
                if (inference) {
                    EXPECT_NE(line.op, "batch_norm_inference") << line.path;
                }
                if (inference && line.path == "layer1.conv1") {
                    EXPECT_EQ(line.fused, "after batch_norm_inference relu, bias batch_norm relu");
                }
            }
        }
}

TEST(Concat, GradientsOfPartsLieInTheGradientOfTheWhole) {
    const Compared dense(case_of(nets().back(), 6, {16, 8, 8}));
    int sums = 0;
    const Executable program = dense.compiled({});
    for (const PlanLine& line : program.plan()) {
        EXPECT_NE(line.op, "slice") << line.path;
        if (line.op != "add") continue;
        EXPECT_EQ(line.layout, "nhwc of 80") << line.path;  // each layer adds to the gradient of all before it, in place
        ++sums;
    }
    EXPECT_EQ(sums, 3);
}

TEST(Concat, SlicesOfChannelsAreReadInPlaceAndGivenUpOneByOne) {
    const auto channels = [](const Value& x, std::int64_t start, std::int64_t stop) { return slice(x, {.axis = 1, .start = start, .stop = stop}); };
    const std::vector<Net> all{
        {"halves", [&](const Value& x) { return channels(conv(x, 20, 3, "a"), 0, 7) + channels(conv(x, 9, 1, "b"), -7, 9); }},
        {"read in one piece", [&](const Value& x) { return mish(channels(conv(x, 20, 3, "a"), 3, 19)) * channels(conv(x, 16, 1, "b"), 0, 16); }},
        {"overlapping",
         [&](const Value& x) {
             const Value a = conv(x, 20, 3, "a"), first = channels(a, 0, 12), second = channels(a, 8, 20), inner = channels(first, 8, 12);
             return concat({relu(first), relu(second), relu(inner), first + relu(first)});
         }},
        {"overwritten beside a reader",
         [&](const Value& x) {
             const Value a = conv(x, 32, 1, "a"), first = relu(channels(a, 0, 16)), second = channels(a, 16, 32);
             return conv(norm(second, "n"), 5, 3, "b") + conv(first, 5, 3, "c") + conv(relu(second), 5, 1, "d");
         }},
        {"shuffled units", [&](const Value& x) { return channel_shuffle(concat({channels(x * 2.0, 0, 8), relu(conv(channels(x * 2.0, 8, 16), 8, 1, "a"))}), 2); }},
    };
    for (const Net& net : all)
        for (const std::int64_t batch : {1, 6}) test::expect_cpu_equals_loops(case_of(net, batch, {16, 7, 9}));
}

TEST(Concat, CopiesOnlyWhatHasNoPlace) {
    Graph graph;
    const Value x = graph.input("x", {dynamic, 16, 8, 8}), a = conv(x, 16, 1, "a"), b = max_pool(x, {.kernel = 3, .stride = 1, .pad = 1});
    graph.output("twice", concat({a, b, a}, 1, "twice"));
    graph.output("input", concat({conv(x, 16, 1, "c"), x}, 1, "input"));
    graph.output("inputs", concat({x, x}, 1, "inputs"));
    const Value d = conv(x, 16, 1, "d");
    graph.output("whole", concat({conv(d, 16, 3, "e"), sigmoid(d), d}, 1, "whole"));
    const auto found = concats_of(graph, {8, 16, 8, 8}, true);
    EXPECT_EQ(found.at("twice").first, "copies 1 of 3");
    EXPECT_EQ(found.at("input").first, "copies 1 of 2");
    EXPECT_EQ(found.at("inputs").first, "copies");
    EXPECT_EQ(found.at("whole").first, "copies 1 of 3");
}

TEST(Concat, ThePlanSaysHowMuchIsPlaced) {
    Graph graph;
    const Value x = graph.input("x", {dynamic, 16, 8, 8});
    graph.output("placed", concat({conv(x, 16, 1, "a"), conv(x, 16, 1, "b")}, 1, "placed"));
    graph.output("copied", concat({conv(x, 16, 1, "c"), x}, 1, "copied"));
    const std::string text = compile(graph, {{"x", {8, 16, 8, 8}}}, {.inference = true}).explain_plan();
    EXPECT_NE(text.find("1 of 2 concats in place, the others copy 32.0 KiB\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace fovea
