// Grids of integers in ONNX, both ways: QuantizeLinear and DequantizeLinear around values, integer initialisers behind a DequantizeLinear.
#include <algorithm>
#include <cmath>

#include "backends/reference/interpreter.h"
#include "fovea/ops.h"
#include "fovea/quantize.h"
#include "io/onnx_read_rules.h"
#include "io/onnx_writer.h"

namespace fovea {

namespace {

// ---- writing ----------------------------------------------------------------------------------------------------------------

int data_type_of(const OnnxNode& n) {
    const std::int64_t low = n.attrs().integer("low"), high = n.attrs().integer("high");
    n.need((low == 0 && high == 255) || (low >= -128 && high <= 127), "integers {} to {}; u8 and s8 are written", low, high);
    return low < 0 ? onnx_type::i8 : onnx_type::u8;
}

Tensor vector_of(const std::vector<double>& values) {
    if (values.size() == 1) return Tensor::scalar(values[0], DType::f32);
    Tensor tensor({static_cast<std::int64_t>(values.size())}, DType::f32);
    for (std::size_t i = 0; i < values.size(); ++i) tensor.set(static_cast<std::int64_t>(i), values[i]);
    return tensor;
}

/// Names of the scale and the zero point of the node's attributes.
std::vector<std::string> grid_of(const OnnxNode& n, const Attrs& attrs, int data_type) {
    std::vector<double> zero;
    for (const std::int64_t z : attrs.integers("zero_point")) zero.push_back(static_cast<double>(z));
    return {n.writer().tensor(vector_of(attrs.reals("scale")), n.writer().fresh(n.node().path + ".scale")),
            n.writer().bytes(vector_of(zero), data_type, n.writer().fresh(n.node().path + ".zero_point"))};
}

OnnxAttributes axis_of(const Attrs& attrs) {
    if (attrs.reals("scale").size() == 1) return {};
    return {{"axis", attrs.integer("axis")}};
}

/// The grid that a value lies on, looking back through moves.
const Node* grid_before(const Value& value) {
    const Node* node = &value.node();
    while (node->op->name == "max_pool2d" || node->op->name == "concat" || node->op->name == "reshape" || node->op->name == "channel_shuffle" || node->op->name == "slice") node = &node->inputs[0].node();
    return node->op->name == "fake_quantize" && node->attrs.reals("scale").size() == 1 ? node : nullptr;
}

}  // namespace

void write_quantize(const OnnxNode& n) {
    const auto grid = grid_of(n, n.attrs(), data_type_of(n));
    n.out("Cast", {n.via("QuantizeLinear", {n.in(0), grid[0], grid[1]}, axis_of(n.attrs()))}, {{"to", std::int64_t{onnx_type::f32}}});
}

void write_dequantize(const OnnxNode& n) {
    n.need(n.attrs().reals("scale").size() == 1, "a scale for each index of an axis; of integers that are real values one scale is written");
    n.out("Mul", {n.via("Sub", {n.in(0), n.number(static_cast<double>(n.attrs().integers("zero_point")[0]))}), n.number(n.attrs().reals("scale")[0])});
}

void write_fake_quantize(const OnnxNode& n) {
    const int data_type = data_type_of(n);
    const auto grid = grid_of(n, n.attrs(), data_type);
    const Value& x = n.node().inputs[0];
    std::string integers;
    if (n.writer().is_constant(x)) {
        // Weights: the integers themselves.
        const Node& node = n.node();
        Graph scratch;
        const Value q = scratch.add("quantize", {scratch.constant(n.writer().constant(x).to(DType::f64))}, node.attrs);
        integers = n.writer().bytes(interpret(scratch, {&q, 1}, {}, {}).front(), data_type, n.writer().fresh(node.path + ".integers"));
    } else {
        integers = n.via("QuantizeLinear", {n.in(0), grid[0], grid[1]}, axis_of(n.attrs()));
    }
    n.out("DequantizeLinear", {integers, grid[0], grid[1]}, axis_of(n.attrs()));
}

namespace {

/// The bias as integer kernels add it to their sums: s32 on the grid of the products. Empty where one of it lies beyond such sums.
std::string integer_bias(const OnnxNode& n, double input_scale) {
    const Tensor bias = n.writer().constant(n.node().inputs[2]);
    std::vector<double> scale = n.attrs().reals("weight_scale");
    Tensor integers(bias.shape(), DType::f64);
    for (std::int64_t k = 0; k < bias.elements(); ++k) {
        double& s = scale[static_cast<std::size_t>(k)];
        s = static_cast<double>(static_cast<float>(s * input_scale));
        const double v = std::nearbyint(bias.at(k) / s);
        if (std::abs(v) > 0x1p30) return {};
        integers.set(k, v);
    }
    const std::string path = n.node().path;
    const std::string name = n.writer().bytes(integers, onnx_type::i32, n.writer().fresh(path + ".bias.integers")), scales = n.writer().tensor(vector_of(scale), n.writer().fresh(path + ".bias.scale"));
    return n.via("DequantizeLinear", {name, scales}, bias.elements() > 1 ? OnnxAttributes{{"axis", std::int64_t{0}}} : OnnxAttributes{});
}

}  // namespace

std::vector<std::string> quantized_inputs(const OnnxNode& n) {
    std::vector<std::string> inputs{n.in(0), n.in(1)};
    const Node* grid = n.attrs().has("weight_scale") ? grid_before(n.node().inputs[0]) : nullptr;
    if (grid && grid != &n.node().inputs[0].node()) {
        // Moves keep the value on its grid: saying so again changes nothing and lets integer kernels find it.
        const int data_type = grid->attrs.integer("low") < 0 ? onnx_type::i8 : onnx_type::u8;
        const auto names = grid_of(n, grid->attrs, data_type);
        inputs[0] = n.via("DequantizeLinear", {n.via("QuantizeLinear", {inputs[0], names[0], names[1]}), names[0], names[1]});
    }
    if (!n.has(2)) return inputs;
    // A name that is asked for is written: the real bias only where it is read.
    std::string bias = grid && n.writer().is_constant(n.node().inputs[2]) ? integer_bias(n, grid->attrs.reals("scale")[0]) : std::string();
    inputs.push_back(bias.empty() ? n.in(2) : std::move(bias));
    return inputs;
}

namespace {

// ---- reading ----------------------------------------------------------------------------------------------------------------

/// Scale, zero point and axis of the node; the zero point's type says which integers.
QuantizeSpec spec_of(const ReadNode& n, int data_type) {
    QuantizeSpec spec;
    spec.scale = n.numbers(1);
    n.need(!spec.scale.empty(), "no scale");
    for (double& s : spec.scale) n.need(std::isfinite(s) && s > 0, "a scale of {}", s);
    if (n.has(2))
        for (const double z : n.numbers(2)) spec.zero_point.push_back(static_cast<std::int64_t>(z));
    else
        spec.zero_point.assign(spec.scale.size(), 0);
    n.need(spec.zero_point.size() == spec.scale.size(), "{} scales and {} zero points", spec.scale.size(), spec.zero_point.size());
    const int type = n.has(2) ? n.operand(2).data_type : data_type;
    n.need(type == onnx_type::u8 || type == onnx_type::i8 || type == onnx_type::i32 || type == 0, "integers of data type {}", type);
    spec.low = type == onnx_type::i8 ? -128 : type == onnx_type::i32 ? -(std::int64_t{1} << 31) : 0;
    spec.high = type == onnx_type::i8 ? 127 : type == onnx_type::i32 ? (std::int64_t{1} << 31) - 1 : 255;
    if (spec.scale.size() > 1) spec.axis = checked_axis(n, n.integer("axis", 1), n.shape(0).rank());
    return spec;
}

void quantize_linear(const ReadNode& n) { n.set(quantize(n.value(0), spec_of(n, onnx_type::u8), n.path())); }

void dequantize_linear(const ReadNode& n) {
    Operand& given = n.operand(0);
    const QuantizeSpec spec = spec_of(n, given.is_known() ? given.data_type : onnx_type::u8);
    if (given.is_known()) {
        // Integer weights: a parameter of real values, on their grid. Sums of products (s32) are as good as real.
        Operand weight{.tensor = n.reader().evaluate(given.tensor.to(DType::f64), [&](const Value& q) { return dequantize(q, spec); }).to(DType::f32), .parameter = n.proto().output(0)};
        const Value values = n.reader().as_value(weight, n.proto().output(0), Role::weight);
        n.set(spec.high > 255 ? values : fake_quantize(values, spec, n.path()));
        return;
    }
    const Value q = n.value(0);
    const Node& before = q.node();
    const auto same = [&](std::string_view name) { return before.attrs.integers(name) == spec.zero_point; };
    if (op_name(before) == "quantize" && before.attrs.reals("scale") == spec.scale && same("zero_point") && before.attrs.integer("low") == spec.low && before.attrs.integer("high") == spec.high)
        return n.set(fake_quantize(before.inputs[0], spec, n.path()));
    n.set(dequantize(q, spec, n.path()));
}

}  // namespace

void add_quantize_rules(std::map<std::string, ReadRule, std::less<>>& rules) {
    rules.merge(std::map<std::string, ReadRule, std::less<>>{{"QuantizeLinear", quantize_linear}, {"DequantizeLinear", dequantize_linear}});
}

}  // namespace fovea
