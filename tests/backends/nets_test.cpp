// Whole small networks in training: loss, every gradient, running statistics and updated weights; layouts and fusion.
#include "compare.h"

namespace fovea {
namespace {

using test::Compared;
using test::filled;
using Xs = std::vector<Value>;

Value conv_bn(const Value& x, std::int64_t out, std::int64_t kernel, std::int64_t stride, const std::string& name) {
    return batch_norm(conv2d(x, {.out = out, .kernel = kernel, .stride = stride, .pad = kernel / 2, .bias = false}, name), {}, name + "_bn");
}

Value basic_block(const Value& x, std::int64_t out, std::int64_t stride, bool projects, const std::string& name) {
    const Value y = conv_bn(relu(conv_bn(x, out, 3, stride, name + ".a")), out, 3, 1, name + ".b");
    const std::int64_t in = x.shape()[1];
    if (projects) return relu(y + conv_bn(x, out, 1, stride, name + ".shortcut"));
    if (stride == 1) return relu(y + x);
    const Value half = slice(slice(x, {.axis = 2, .step = 2}), {.axis = 3, .step = 2});
    return relu(y + pad(half, {0, (out - in) / 2, 0, 0}, {0, out - in - (out - in) / 2, 0, 0}));
}

Value residual_net(const Value& x, const Value& label) {
    Value y = relu(conv_bn(x, 16, 3, 1, "stem"));
    y = basic_block(y, 16, 1, false, "block1");
    y = basic_block(y, 33, 2, false, "block2");
    y = basic_block(y, 32, 2, true, "block3");
    return cross_entropy(linear(flatten(global_avg_pool(y)), {.out = 10}, "fc"), label);
}

Value dense_net(const Value& x, const Value& label) {
    Value y = conv2d(x, {.out = 8, .kernel = 3, .pad = 1, .bias = false}, "stem");
    for (int i = 0; i < 3; ++i) {
        const std::string name = "layer" + std::to_string(i);
        y = concat({y, conv2d(relu(batch_norm(y, {}, name + "_bn")), {.out = 5, .kernel = 3, .pad = 1, .bias = false}, name)}, 1);
    }
    y = avg_pool(y, {.kernel = 2});
    return cross_entropy(linear(flatten(global_avg_pool(relu(batch_norm(y, {}, "last_bn")))), {.out = 10}, "fc"), label);
}

/// Depthwise convolutions, squeeze-and-excite, a pyramid that goes down and up again, and a loss per pixel.
Value pyramid_net(const Value& x, const Value& label) {
    const Value fine = relu(conv_bn(x, 12, 3, 1, "fine"));
    const Value pooled = max_pool(fine, {.kernel = 3, .stride = 2, .pad = 1});
    const Value depthwise = relu(batch_norm(conv2d(pooled, {.out = 12, .kernel = 3, .pad = 1, .groups = 12, .bias = false}, "depthwise"), {}, "depthwise_bn"));
    const Value weights = sigmoid(conv2d(relu(conv2d(global_avg_pool(depthwise), {.out = 4, .kernel = 1}, "squeeze")), {.out = 12, .kernel = 1}, "excite"));
    const Value coarse = dropout(depthwise * weights, {.drop = 0.2}, "dropout");
    const Value up = interpolate_to(coarse, fine, Interpolation::bilinear);
    return cross_entropy(conv2d(concat({up, fine}, 1), {.out = 5, .kernel = 1}, "head"), label, {.label_smoothing = 0.1, .ignore_index = 255});
}

/// Inverted bottlenecks with swish and stochastic depth, then a hidden layer with dropout.
Value swish_net(const Value& x, const Value& label) {
    Value y = silu(conv_bn(x, 12, 3, 2, "stem"));
    for (int i = 0; i < 3; ++i) {
        const std::string name = "block" + std::to_string(i);
        const Value wide = silu(conv_bn(y, 36, 1, 1, name + ".expand"));
        const Value deep = silu(batch_norm(conv2d(wide, {.out = 36, .kernel = 3, .pad = 1, .groups = 36, .bias = false}, name + ".depthwise"), {}, name + ".norm"));
        y = y + drop_path(conv_bn(deep, 12, 1, 1, name + ".project"), {.drop = 0.3}, name + ".drop");
    }
    return cross_entropy(linear(dropout(tanh(linear(flatten(max_pool(relu(y), {.kernel = 2})), {.out = 24}, "hidden")), {.drop = 0.4}, "drop"), {.out = 10}, "fc"), label);
}

struct Net {
    std::string name;
    Value (*build)(const Value& x, const Value& label);
    bool is_per_pixel;
};
const std::vector<Net> nets{{"residual", residual_net, false}, {"dense", dense_net, false}, {"pyramid", pyramid_net, true}, {"swish", swish_net, false}};

/// The net with a momentum update of every weight.
Compared training(const Net& net, std::int64_t batch) {
    const Shape image{batch, 3, 14, 10}, labels = net.is_per_pixel ? Shape{batch, 14, 10} : Shape{batch};
    Tensor label(labels, DType::i32);
    for (std::int64_t i = 0; i < label.elements(); ++i) label.set(i, net.is_per_pixel && i % 7 == 2 ? 255 : static_cast<double>(i * 3 % 5));
    Compared c({net.name, {filled(image, "image"), label}, [&](Graph&, const Xs& x) { return net.build(x[0], x[1]); }, false});
    Graph& graph = c.built.graph;
    // Weights a little above their usual size: every layer has a gradient of its own.
    std::vector<Value> weights;
    for (const ParameterInfo& info : std::vector<ParameterInfo>(graph.parameters()))
        if (info.is_trainable) {
            weights.push_back(graph.find(info.name));
            const double fan_in = info.type.shape.rank() > 1 ? static_cast<double>(info.type.shape.elements(1, info.type.shape.rank())) : 1;
            const double low = info.type.shape.rank() == 1 && info.name.ends_with("weight") ? 0.5 : -std::sqrt(3 / fan_in);
            c.parameters.set(info.name, filled(info.type.shape, info.name, low, std::sqrt(3 / fan_in)).to(DType::f32));
        }
    const std::vector<Value> d = gradients(c.built.y, weights);
    const Value rate = scalar(graph, 0.05);
    for (std::size_t i = 0; i < weights.size(); ++i) {
        graph.output("d" + weights[i].path(), d[i]);
        const Value velocity = graph.parameter("momentum." + weights[i].path(), weights[i].shape(), Init::zeros(), false);
        c.parameters.set(velocity.path(), filled(weights[i].shape(), velocity.path(), -0.01, 0.01).to(DType::f32));
        const Value updated = sgd_update(weights[i], d[i], rate, velocity, {.momentum = 0.9, .weight_decay = 1e-3});
        graph.update(weights[i], updated);
        graph.update(velocity, updated.sibling(1));
    }
    return c;
}

/// A gradient through batch norm sums to zero over the batch, and the layer before adds it up again: what remains of rounding (6e-8 per
/// operation, the same sign in every pixel) is some 1e-6 of the small sum.
constexpr double net_limit = 1e-5;

TEST(CpuTraining, GradientsAndUpdatesEqualThoseOfTheLoopsFusedAndNot) {
    for (const Net& net : nets)
        for (std::int64_t batch : {2, 9, 16}) {
            SCOPED_TRACE(net.name + ", batch " + std::to_string(batch));
            const Compared c = training(net, batch);
            const auto want = c.run({.backend = "reference", .precision = Precision::f64, .fuse = false});
            const auto fused = c.run({}), plain = c.run({.fuse = false});
            test::expect_close(c, fused, want, net_limit);
            test::expect_close(c, plain, want, net_limit);
            test::expect_close(c, fused, plain, net_limit);
        }
}

TEST(CpuTraining, GivesTheSameBytesForEveryNumberOfThreads) {
    const int before = threads();
    for (const Net& net : nets)
        for (std::int64_t batch : {1, 3, 16}) {
            SCOPED_TRACE(net.name + ", batch " + std::to_string(batch));
            const Compared c = training(net, batch);
            set_threads(1);
            const auto one = c.run({});
            for (int count : {2, 3, 5}) {
                set_threads(count);
                test::expect_same_bytes(c, c.run({}), one, std::to_string(count) + " threads");
            }
        }
    set_threads(before);
}

TEST(CpuTraining, OneProgramGivesTheSameBytesForEveryNumberOfThreads) {
    const int before = threads();
    for (std::int64_t batch : {1, 16}) {
        const Compared c = training(nets[0], batch);
        set_threads(2);
        const Executable executable = c.compiled({});
        std::vector<std::vector<Tensor>> outputs;
        for (int count : {2, 1, 4}) {
            set_threads(count);
            Session session(executable, std::make_shared<State>(c.parameters));
            outputs.push_back(session.run(c.given));
        }
        for (std::size_t run : {1u, 2u})
            for (std::size_t o = 0; o < outputs[0].size(); ++o)
                EXPECT_EQ(std::memcmp(outputs[0][o].raw(), outputs[run][o].raw(), outputs[0][o].bytes()), 0) << c.built.graph.outputs()[o].first << ", batch " << batch;
    }
    set_threads(before);
}

/// Gradients leave the program as outputs and updates run inside it: both are compared, running statistics among them.
TEST(CpuTraining, WhatIsMadeAgainChangesNoByte) {
    for (const Net& net : nets)
        for (const auto& [backend, batch, fuse] : {std::tuple("cpu", 2, true), std::tuple("cpu", 16, true), std::tuple("cpu", 16, false), std::tuple("reference", 3, true)}) {
            const Compared c = training(net, batch);
            const CompileOptions kept{.backend = backend, .fuse = fuse};
            const auto want = c.run(kept);
            const std::size_t arena = c.compiled(kept).arena_bytes();
            for (Recompute mode : {Recompute::cheap, Recompute::blocks}) {
                SCOPED_TRACE(fmt::format("{}, batch {}, {} {}, {}", net.name, batch, backend, fuse ? "fused" : "not fused", name_of(mode)));
                CompileOptions options = kept;
                options.recompute = mode;
                const Executable executable = c.compiled(options);
                // Where the scratch of what is made twice outweighs these small maps, nothing is.
                EXPECT_LE(executable.arena_bytes(), arena);
                EXPECT_EQ(executable.recomputed().nodes > 0, executable.arena_bytes() < arena);
                if (batch == 16 && (net.name == "residual" || net.name == "dense")) {
                    EXPECT_GT(executable.recomputed().nodes, 0);
                }
                test::expect_same_bytes(c, c.run(options), want, name_of(mode));
            }
        }
}

TEST(CpuTraining, ReordersOnlyTheImageAndWeights) {
    for (const Net& net : nets)
        for (std::int64_t batch : {2, 16}) {
            Compared c = training(net, batch);
            // Gradients that leave the program are put in row-major order; a training step returns the loss alone.
            const Value loss = c.built.y;
            c.built.graph.clear_outputs();
            c.built.graph.output("loss", loss);
            const Executable executable = c.compiled({});
            EXPECT_EQ(executable.fallbacks(), std::vector<std::string>{});
            for (const PlanLine& line : executable.plan()) {
                // A slice that one of oneDNN's convolutions reads gets memory of its own: a copy, as the slice would be.
                if (line.op != "reorder" || line.layout.starts_with("nhwc of")) continue;
                const bool is_weight = c.built.graph.find_parameter(line.path) != nullptr || line.path.find("weight") != std::string::npos;
                // A hidden layer reads the pixels of a map in the order of its weight's columns: channels first.
                const bool is_flattened = net.name == "swish" && (line.path == "max_pool2d" || line.path == "reshape_to");
                EXPECT_TRUE(line.path == "x0" || is_weight || is_flattened) << net.name << " " << batch << ": " << line.path << " " << line.layout;
            }
        }
}

TEST(CpuInference, FoldedAndFusedEqualsTheLoops) {
    for (const Net& net : nets)
        for (std::int64_t batch : {1, 3, 16}) {
            SCOPED_TRACE(net.name + ", batch " + std::to_string(batch));
            Compared c = training(net, batch);
            const Value loss = c.built.y;
            c.built.graph.clear_outputs();
            c.built.graph.output("loss", loss);
            c.built.graph.clear_updates();
            const Tensor want = c.run({.backend = "reference", .precision = Precision::f64, .inference = true, .fuse = false}).outputs.front();
            for (bool fuse : {true, false}) EXPECT_LT(test::relative_l2(c.run({.inference = true, .fuse = fuse}).outputs.front(), want), test::f32_limit) << (fuse ? "fused" : "not fused");
        }
}

}  // namespace
}  // namespace fovea
