// Every op that is written, in ONNX Runtime and read back: one network with an output per op.
#include "fovea/nn.h"
#include "fovea/quantize.h"
#include "onnxruntime.h"

namespace fovea {
namespace {

using test::filled;

/// name -> the op on x [N, 8, 6, 7] (and others).
struct OpsNetwork {
    explicit OpsNetwork(std::int64_t batch) {
        x = graph.input("x", {batch, 8, 6, 7});
        y = graph.input("y", {batch, 8, 6, 7});
        v = graph.input("v", {batch, 12});
    }
    void add(const std::string& name, const Value& value) { graph.output(name, value); }

    Graph graph;
    Value x, y, v;
};

void add_activations(OpsNetwork& n) {
    const Value& x = n.x;
    n.add("relu", relu(x));
    n.add("leaky_relu", leaky_relu(x, {.slope = 0.2}));
    n.add("prelu", prelu(x, {}, "prelu"));
    n.add("prelu_shared", prelu(x, {.shared = true}, "prelu_shared"));
    n.add("relu6", relu6(x * 8.0));
    n.add("sigmoid", sigmoid(x));
    n.add("log_sigmoid", log_sigmoid(x));
    n.add("hard_sigmoid", hard_sigmoid(x * 5.0));
    n.add("tanh", tanh(x));
    n.add("scaled_tanh", scaled_tanh(x));
    n.add("hard_tanh", hard_tanh(x, {.low = -0.4, .high = 0.3}));
    n.add("elu", elu(x, {.alpha = 0.7}));
    n.add("celu", celu(x, {.alpha = 0.7}));
    n.add("selu", selu(x));
    n.add("silu", silu(x));
    n.add("swish_2", silu(x, {.beta = 2}));
    n.add("hard_swish", hard_swish(x * 5.0));
    n.add("mish", mish(x));
    n.add("gelu", gelu(x));
    n.add("gelu_tanh", gelu(x, {.approximate = true}));
    n.add("softplus", softplus(x));
    n.add("softplus_3", softplus(x, {.beta = 3}));
    n.add("softsign", softsign(x));
    n.add("softshrink", softshrink(x, {.lambda = 0.3}));
    n.add("hardshrink", hardshrink(x, {.lambda = 0.3}));
    n.add("tanhshrink", tanhshrink(x));
    n.add("threshold", threshold(x, {.threshold = 0.1, .value = -2}));
    n.add("maxout", maxout(x, {.pieces = 2}));
    n.add("softmax", softmax(x));
    n.add("log_softmax", log_softmax(n.v));
    n.add("glu", glu(x));
    n.add("quantize", quantize(x, {.scale = {0.02}, .zero_point = {100}}));
    n.add("dequantize", dequantize(x, {.scale = {0.5}, .zero_point = {3}}));
    n.add("fake_quantize", fake_quantize(x, {.scale = {0.01}, .zero_point = {100}}));
    n.add("fake_quantize_s8", fake_quantize(x, {.scale = {0.01, 0.02, 0.03, 0.04, 0.05, 0.01, 0.02, 0.03}, .low = -128, .high = 127}));
}

void add_arithmetic(OpsNetwork& n) {
    const Value &x = n.x, &y = n.y;
    n.add("sum_of", x + y);
    n.add("difference", x - y);
    n.add("product", x * y);
    n.add("quotient", x / (abs(y) + 1.0));
    n.add("largest", maximum(x, y));
    n.add("smallest", minimum(x, y));
    n.add("scale_shift", scale_shift(x, 2, 3));
    n.add("scaled", x * 0.5);
    n.add("identity", scale_shift(x, 1, 0));
    n.add("exp", exp(x));
    n.add("log", log(abs(x) + 0.5));
    n.add("sin", sin(x));
    n.add("cos", cos(x));
    n.add("sqrt", sqrt(abs(x)));
    n.add("rsqrt", rsqrt(abs(x) + 0.5));
    n.add("square", square(x));
    n.add("sign", sign(x));
    n.add("erf", erf(x));
    n.add("pow", pow(abs(x) + 0.1, 1.7));
    n.add("clamp", clamp(x, -0.2, 0.6));
    n.add("greater", greater(x, y));
    n.add("greater_equal", greater_equal(x, 0.25));
    n.add("in_range", in_range(x, -0.5, 0.5));
    n.add("in_range_closed", in_range(x, -0.5, 0.5, true));
    n.add("where", where(greater(x, y), x, n.graph.constant(filled({1, 8, 1, 1}, "where"))));
    n.add("sum_all", sum(x));
    n.add("sum", sum(x, {.axes = {1, -1}}));
    n.add("mean", mean(x, {.axes = {2, 3}, .keep = true}));
    n.add("max_over", max_over(x, {.axes = {1}}));
    n.add("expand_to", expand_to(mean(x, {.axes = {1}, .keep = true}), x));
    n.add("bias", x + n.graph.parameter("bias", {8, 1, 1}, Init::normal(0, 1)));
}

void add_layers(OpsNetwork& n) {
    const Value &x = n.x, &v = n.v;
    n.add("conv", conv2d(x, {.out = 5, .kernel = {3, 2}, .stride = {1, 2}, .pad = {1, 0, 2, 1}}, "conv"));
    n.add("conv_grouped", conv2d(x, {.out = 4, .kernel = 3, .pad = 2, .dilation = 2, .groups = 2, .bias = false}, "conv_grouped"));
    n.add("conv_reflect", conv2d(x, {.out = 4, .kernel = 3, .pad = 1, .pad_mode = PadMode::reflect}, "conv_reflect"));
    n.add("conv_same", conv2d(x, {.out = 4, .kernel = 3, .stride = 2, .pad_mode = PadMode::same}, "conv_same"));
    n.add("conv_flipped", conv2d(x, {.out = 4, .kernel = 3, .flip = true}, "conv_flipped"));
    n.add("conv1d", conv1d(reshape(x, {0, 8, -1}), {.out = 3, .kernel = 5, .stride = 2, .pad = 2}, "conv1d"));
    n.add("conv_transpose", conv_transpose2d(x, {.out = 6, .kernel = 3, .stride = 2, .pad = 1, .output_pad = 1, .groups = 2}, "conv_transpose"));
    n.add("linear", linear(v, {.out = 9}, "linear"));
    n.add("linear_plain", linear(v, {.out = 9, .bias = false}, "linear_plain"));
    n.add("linear_of_places", linear(x, {.out = 3}, "linear_of_places"));
    n.add("matmul", matmul(x, n.y, {.transpose_b = true}));
    n.add("matmul_turned", matmul(x, n.y, {.transpose_a = true}));
    n.add("batch_norm", batch_norm(x, {.eps = 1e-3}, "batch_norm"));
    n.add("conv_bn", conv_bn(x, {.out = 4, .kernel = 1}, "conv_of_bn", "bn"));
    n.add("linear_bn", batch_norm(linear(v, {.out = 3}, "linear_of_bn"), {}, "bn_of_linear"));
    n.add("norm_without_weights", batch_norm(x, {.affine = false}, "norm_without_weights"));
    n.add("instance_norm", instance_norm(x, {.affine = true}, "instance_norm"));
    n.add("group_norm", group_norm(x, {.groups = 4}, "group_norm"));
    n.add("layer_norm", layer_norm(x, {.channels_first = true}, "layer_norm"));
    n.add("l2_norm", l2_norm(x, {}, "l2_norm"));
    n.add("lrn", lrn(x, {.size = 3, .alpha = 0.5, .k = 2}));
    n.add("lrn_krizhevsky", lrn(x, {.size = 5, .alpha = 0.1, .k = 2, .convention = LrnConvention::krizhevsky}));
    n.add("lrn_within", lrn(x, {.size = 3, .alpha = 0.5, .within_channel = true}));
    n.add("squeeze_excite", squeeze_excite(x, {.squeeze = 2}, "squeeze_excite"));
    n.add("subsample", subsample(x, 2, "subsample"));
    n.add("rbf", rbf(v, {.codes = filled({4, 12}, "codes", -1, 1, DType::f32)}, "rbf"));
    n.add("dropout", dropout(x, {.drop = 0.5}));
    n.add("drop_path", x + drop_path(n.y, {.drop = 0.5}));
}

void add_pools(OpsNetwork& n) {
    const Value& x = n.x;
    n.add("max_pool", max_pool(x, {.kernel = {3, 2}, .stride = 2, .pad = {1, 0}}));
    // All below zero, so that the zeros around win: optimisers that fold them into the pool lose them.
    n.add("max_pool_of_zeros_around", max_pool(pad(x - 4.0, Pad4(1, 1, 1, 1)), {.kernel = 3, .stride = 2}));
    n.add("max_pool_ceil", max_pool(x, {.kernel = 2, .stride = 2, .ceil = true}));
    n.add("max_pool_ceil_pad", max_pool(x, {.kernel = 3, .stride = 2, .pad = 1, .ceil = true}));
    n.add("avg_pool", avg_pool(x, {.kernel = 3, .stride = 2, .pad = 1}));
    n.add("avg_pool_inside", avg_pool(x, {.kernel = 3, .stride = 2, .pad = 1, .count_include_pad = false}));
    n.add("avg_pool_ceil", avg_pool(x, {.kernel = 2, .stride = 2, .ceil = true}));
    n.add("avg_pool_ceil_pad", avg_pool(x, {.kernel = 3, .stride = 3, .pad = 1, .ceil = true}));
    n.add("adaptive_avg", adaptive_avg_pool(x, {4, 3}));
    n.add("adaptive_avg_same", adaptive_avg_pool(x, {6, 7}));
    n.add("adaptive_avg_even", adaptive_avg_pool(x, {3, 1}));
    n.add("adaptive_max", adaptive_max_pool(x, {5, 3}));
    n.add("global_avg", global_avg_pool(x));
    n.add("global_max", global_max_pool(x));
    n.add("lp_pool", lp_pool(x, {.p = 2, .kernel = 2}));
    n.add("pyramid", spatial_pyramid_pool(x, {.levels = {1, 2}, .average = true}));
    const Value pooled = max_pool(x, {.kernel = 2, .stride = 2});
    n.add("max_unpool", max_unpool(pooled * 2.0, pooled.sibling(1), x));
}

void add_moves(OpsNetwork& n) {
    const Value &x = n.x, &v = n.v;
    n.add("nearest", interpolate(x, {.scale = 2}));
    n.add("nearest_size", interpolate(x, {.size = Size2(9, 5)}));
    n.add("bilinear", interpolate(x, {.scale = 2, .mode = Interpolation::bilinear}));
    n.add("bilinear_size", interpolate(x, {.size = Size2(11, 4), .mode = Interpolation::bilinear}));
    n.add("bilinear_corners", interpolate(x, {.size = Size2(11, 4), .mode = Interpolation::bilinear, .align_corners = true}));
    n.add("bilinear_to", interpolate_to(max_pool(x, {.kernel = 2}), x, Interpolation::bilinear));
    n.add("unpool_nearest", unpool_nearest(x, {2, 3}));
    n.add("bed_of_nails", unpool_bed_of_nails(x, {2, 3}));
    n.add("pad", pad(x, Pad4(1, 2, 0, 3), {.value = 0.5}));
    n.add("pad_reflect", pad(x, Pad4(1, 2, 0, 3), {.mode = PadMode::reflect}));
    n.add("pad_replicate", pad(x, Pad4(1, 2, 0, 3), {.mode = PadMode::replicate}));
    n.add("crop", crop(x, {.top = 1, .left = 2, .size = {3, 4}}));
    n.add("flip", flip(x, {2, 3}));
    n.add("slice", slice(x, {.axis = 1, .start = 1, .stop = -1, .step = 3}));
    n.add("concat", concat({x, n.y, max_pool(x, {.kernel = 1})}));
    n.add("stack", stack({v, v * 2.0}, 1));
    n.add("transpose", transpose(x, {0, 2, 3, 1}));
    n.add("flatten", flatten(x));
    n.add("reshape", reshape(x, {0, 4, -1, 7}));
    n.add("reshape_to", reshape_to(reshape(x, {0, -1}), n.y));
    n.add("pixel_shuffle", pixel_shuffle(x, 2));
    n.add("pixel_unshuffle", pixel_unshuffle(slice(x, {.axis = 3, .stop = 6}), 2));
    n.add("channel_shuffle", channel_shuffle(x, 4));
}

struct Prepared {
    explicit Prepared(std::int64_t batch) : network(batch) {
        add_activations(network);
        add_arithmetic(network);
        add_layers(network);
        add_pools(network);
        add_moves(network);
        parameters = make_parameters(network.graph, 1);
        // Statistics and scales that change the result.
        for (const ParameterInfo& info : network.graph.parameters())
            if (info.type.shape.rank() == 1) parameters.set(info.name, filled(info.type.shape, info.name, 0.5, 1.5, DType::f32));
    }
    OpsNetwork network;
    Parameters parameters;
};

std::map<std::string, Tensor> inputs_of(std::int64_t batch) {
    return {{"x", filled({batch, 8, 6, 7}, "x", -1, 1, DType::f32)}, {"y", filled({batch, 8, 6, 7}, "y", -1, 1, DType::f32)}, {"v", filled({batch, 12}, "v", -1, 1, DType::f32)}};
}

/// Outputs by the plain loops in f64.
std::map<std::string, Tensor> outputs_of(const Graph& graph, const Parameters& parameters, const std::map<std::string, Tensor>& inputs) {
    std::map<std::string, Shape> shapes;
    for (const auto& [name, tensor] : inputs) shapes[name] = tensor.shape();
    const Graph fixed = specialize(to_inference(graph), shapes);
    std::vector<Value> wanted;
    for (const auto& [name, value] : fixed.outputs()) wanted.push_back(value);
    const auto results = interpret(fixed, wanted, inputs, parameters);
    std::map<std::string, Tensor> outputs;
    for (std::size_t i = 0; i < results.size(); ++i) outputs[fixed.outputs()[i].first] = results[i];
    return outputs;
}

void expect_equal(const std::map<std::string, Tensor>& got, const std::map<std::string, Tensor>& want, double limit) {
    ASSERT_EQ(got.size(), want.size());
    for (const auto& [name, tensor] : want) {
        ASSERT_TRUE(got.contains(name)) << name;
        ASSERT_EQ(got.at(name).shape(), tensor.shape()) << name << " " << got.at(name).shape().str() << " instead of " << tensor.shape().str();
        EXPECT_LT(test::relative_l2(got.at(name), tensor), limit) << name;
    }
}

TEST(Onnx, EveryWrittenOpGivesTheSameNumbersInOnnxRuntime) {
    if (test::node_modules().empty()) GTEST_SKIP() << test::without_onnxruntime;
    const test::Folder folder;
    const std::string file = folder.path / "ops.onnx";
    const auto inputs = inputs_of(2);
    const Prepared ops(dynamic);
    const auto want = outputs_of(ops.network.graph, ops.parameters, inputs);
    for (const auto& [opset, batch] : {std::pair(13, 0), {14, 0}, {15, 2}, {16, 0}, {17, 0}, {17, 2}}) {
        SCOPED_TRACE("opset " + std::to_string(opset) + ", batch " + std::to_string(batch));
        write_onnx(file, ops.network.graph, ops.parameters, {.opset = opset, .batch = batch, .fold_batch_norm = opset % 2 == 1});
        // Single precision on both sides; the longest sums here have some hundred terms.
        expect_equal(test::run_onnxruntime(file, inputs), want, 1e-5);
    }
}

TEST(Onnx, EveryWrittenOpIsReadBackWithTheSameNumbers) {
    for (const std::int64_t batch : {std::int64_t{0}, std::int64_t{3}})
        for (const bool fold : {true, false}) {
            const Prepared ops(dynamic);
            const std::string bytes = to_onnx(ops.network.graph, ops.parameters, {.opset = 17, .batch = batch, .fold_batch_norm = fold});
            const OnnxNetwork again = parse_onnx(std::as_bytes(std::span(bytes)), "ops.onnx", {.open_batch = batch > 0});
            const auto inputs = inputs_of(3);
            // Weights are rounded to float once more where batch norm was folded.
            expect_equal(outputs_of(again.graph, again.parameters, inputs), outputs_of(ops.network.graph, ops.parameters, inputs), 1e-6);
        }
}

}  // namespace
}  // namespace fovea
