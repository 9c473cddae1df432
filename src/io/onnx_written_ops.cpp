// What each op becomes in ONNX: one place per op. The forms hold for every operator set from 13 to 17 unless a rule asks for the set.
#include <algorithm>
#include <cmath>
#include <limits>

#include "io/onnx_writer.h"

namespace fovea {

namespace {

using Integers = std::vector<std::int64_t>;

// ---- helpers ----------------------------------------------------------------------------------------------------------------

/// The same ONNX operator, inputs in the same order, no attributes.
OnnxRule plain(std::string_view op_type) {
    return [op_type](const OnnxNode& n) {
        std::vector<std::string> inputs;
        for (std::size_t i = 0; i < n.node().inputs.size(); ++i) inputs.push_back(n.in(i));
        n.out(op_type, inputs);
    };
}

/// ONNX writes the pads of [top, bottom, left, right] as [top, left, bottom, right].
Integers onnx_pads(const Integers& pad) { return {pad[0], pad[2], pad[1], pad[3]}; }

std::string padded(const OnnxNode& n, const std::string& x, const Integers& pad, double value = 0) {
    if (std::ranges::all_of(pad, [](auto v) { return v == 0; })) return x;
    return n.via("Pad", {x, n.integers({0, 0, pad[0], pad[2], 0, 0, pad[1], pad[3]}), n.number(value)}, {{"mode", "constant"}});
}

/// 0 or 1 as a real number.
void out_comparison(const OnnxNode& n, std::string_view op_type, const std::vector<std::string>& inputs) { n.out("Cast", {n.via(op_type, inputs)}, {{"to", std::int64_t{onnx_type::f32}}}); }

Integers dims_of(const Shape& shape) { return {shape.dims().begin(), shape.dims().end()}; }

/// A shape as the second input of Reshape: one open dimension becomes -1; several are read from `like` at run time.
std::string shape_input(const OnnxNode& n, const Shape& shape, const std::string& like) {
    const Integers dims = dims_of(shape);
    if (std::ranges::count(dims, dynamic) <= 1) return n.integers(dims);
    return n.via("Shape", {like});
}

Integers axes_of(const OnnxNode& n) {
    Integers axes = n.attrs().integers("axes");
    for (auto& a : axes) a = a < 0 ? a + n.shape(0).rank() : a;
    if (axes.empty())
        for (int d = 0; d < n.shape(0).rank(); ++d) axes.push_back(d);
    return axes;
}

std::string scaled(const OnnxNode& n, const std::string& x, double scale) { return scale == 1 ? x : n.via("Mul", {x, n.number(scale)}); }

// ---- arithmetic and shape ---------------------------------------------------------------------------------------------------

void scale_shift(const OnnxNode& n) {
    const double scale = n.attrs().real("scale"), shift = n.attrs().real("shift");
    if (shift == 0) return n.out("Mul", {n.in(0), n.number(scale)});
    n.out("Add", {scaled(n, n.in(0), scale), n.number(shift)});
}

void reduce_sum(const OnnxNode& n) { n.out("ReduceSum", {n.in(0), n.integers(axes_of(n))}, {{"keepdims", std::int64_t{n.attrs().flag("keep")}}}); }
void reduce_mean(const OnnxNode& n) { n.out("ReduceMean", {n.in(0)}, {{"axes", axes_of(n)}, {"keepdims", std::int64_t{n.attrs().flag("keep")}}}); }

/// Which axes are reduced follows from the shape of the second input.
void max_over(const OnnxNode& n) {
    Integers axes;
    const Shape &x = n.shape(0), &like = n.shape(1);
    n.need(x.rank() == like.rank(), "over {} of {}", like, x);
    for (int d = 0; d < x.rank(); ++d)
        if (like[d] == 1 && x[d] != 1) axes.push_back(d);
    if (axes.empty()) return n.out("Identity", {n.in(0)});
    n.out("ReduceMax", {n.in(0)}, {{"axes", axes}, {"keepdims", std::int64_t{1}}});
}

void expand_to(const OnnxNode& n) {
    const Shape& y = n.out_shape();
    if (!y.is_dynamic()) return n.out("Expand", {n.in(0), n.integers(dims_of(y))});
    n.out("Expand", {n.in(0), n.via("Shape", {n.in(1)})});
}

void reshape_to(const OnnxNode& n) { n.out("Reshape", {n.in(0), shape_input(n, n.out_shape(), n.has(1) ? n.in(1) : n.in(0))}); }
void reshape(const OnnxNode& n) {
    const Integers wanted = n.attrs().integers("shape");
    // Numbers where they are known: a reader sees the shape, and an open batch stays open.
    n.out("Reshape", {n.in(0), n.integers(std::ranges::count(dims_of(n.out_shape()), dynamic) <= 1 ? dims_of(n.out_shape()) : wanted)});
}

void per_channel(const OnnxNode& n) { n.out("Reshape", {n.in(0), n.integers(dims_of(n.out_shape()))}); }
void transpose(const OnnxNode& n) { n.out("Transpose", {n.in(0)}, {{"perm", n.attrs().integers("order")}}); }

void concat(const OnnxNode& n) {
    std::vector<std::string> inputs;
    for (std::size_t i = 0; i < n.node().inputs.size(); ++i) inputs.push_back(n.in(i));
    n.out("Concat", inputs, {{"axis", n.attrs().integer("axis")}});
}

void slice(const OnnxNode& n) {
    const auto& a = n.attrs();
    n.out("Slice", {n.in(0), n.integers({a.integer("start")}), n.integers({a.integer("stop")}), n.integers({a.integer("axis")}), n.integers({a.integer("step")})});
}

void flip(const OnnxNode& n) {
    const Integers axes = axes_of(n);
    const auto all = [&](std::int64_t v) { return n.integers(Integers(axes.size(), v)); };
    n.out("Slice", {n.in(0), all(-1), all(std::numeric_limits<std::int64_t>::min()), n.integers(axes), all(-1)});
}

void pad(const OnnxNode& n) {
    Integers amounts = n.attrs().integers("before");
    for (const std::int64_t a : n.attrs().integers("after")) amounts.push_back(a);
    const std::string mode = n.attrs().text("mode");
    std::vector<std::string> inputs{n.in(0), n.integers(amounts)};
    if (mode == "constant") inputs.push_back(n.number(n.attrs().real("value", 0)));
    n.out("Pad", inputs, {{"mode", mode == "replicate" ? "edge" : mode}});
}

// ---- activations ------------------------------------------------------------------------------------------------------------

void clip(const OnnxNode& n, double low, double high) { n.out("Clip", {n.in(0), n.number(low), n.number(high)}); }

void elu(const OnnxNode& n) {
    const double alpha = n.attrs().real("alpha"), width = n.attrs().real("width", 1), scale = n.attrs().real("scale", 1);
    if (width == 1 && scale == 1) return n.out("Elu", {n.in(0)}, {{"alpha", alpha}});
    if (scale == 1 && alpha == width) return n.out("Celu", {n.in(0)}, {{"alpha", alpha}});
    n.need(width == 1, "alpha {}, width {}, scale {}", alpha, width, scale);
    n.out("Selu", {n.in(0)}, {{"alpha", alpha}, {"gamma", scale}});
}

void silu(const OnnxNode& n) { n.out("Mul", {n.in(0), n.via("Sigmoid", {scaled(n, n.in(0), n.attrs().real("beta", 1))})}); }

void hard_swish(const OnnxNode& n) {
    if (n.writer().opset() >= 14) return n.out("HardSwish", {n.in(0)});
    n.out("Mul", {n.in(0), n.via("HardSigmoid", {n.in(0)}, {{"alpha", 1.0 / 6}, {"beta", 0.5}})});
}

void softplus(const OnnxNode& n) {
    const double beta = n.attrs().real("beta");
    if (beta == 1) return n.out("Softplus", {n.in(0)});
    n.out("Mul", {n.via("Softplus", {scaled(n, n.in(0), beta)}), n.number(1 / beta)});
}

void gelu(const OnnxNode& n) {
    const std::string phi = n.via("Add", {n.via("Erf", {scaled(n, n.in(0), std::sqrt(0.5))}), n.number(1)});
    n.out("Mul", {scaled(n, n.in(0), 0.5), phi});
}

/// 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
void gelu_tanh(const OnnxNode& n) {
    const std::string x = n.in(0), cube = n.via("Mul", {n.via("Mul", {x, x}), x});
    const std::string inner = scaled(n, n.via("Add", {x, scaled(n, cube, 0.044715)}), 0.79788456080286535588);
    n.out("Mul", {scaled(n, x, 0.5), n.via("Add", {n.via("Tanh", {inner}), n.number(1)})});
}

void threshold(const OnnxNode& n) {
    n.out("Where", {n.via("Greater", {n.in(0), n.number(n.attrs().real("threshold"))}), n.in(0), n.number(n.attrs().real("value"))});
}

void in_range(const OnnxNode& n) {
    const bool closed = n.attrs().flag("closed");
    const std::string above = n.via(closed ? "GreaterOrEqual" : "Greater", {n.in(0), n.number(n.attrs().real("low"))});
    const std::string below = n.via(closed ? "LessOrEqual" : "Less", {n.in(0), n.number(n.attrs().real("high"))});
    out_comparison(n, "And", {above, below});
}

// ---- normalisation ----------------------------------------------------------------------------------------------------------

void batch_norm(const OnnxNode& n) { n.out("BatchNormalization", {n.in(0), n.in(1), n.in(2), n.in(3), n.in(4)}, {{"epsilon", n.attrs().real("eps")}}); }

void lrn(const OnnxNode& n) {
    const std::int64_t size = n.attrs().integer("size");
    // ONNX leans an even window the other way; it always divides alpha by the size.
    n.need(size % 2 == 1, "a window of {} channels; ONNX agrees for odd ones only", size);
    const double alpha = n.attrs().real("alpha") * (n.attrs().flag("divide_by_size", true) ? 1.0 : static_cast<double>(size));
    n.out("LRN", {n.in(0)}, {{"alpha", alpha}, {"beta", n.attrs().real("beta")}, {"bias", n.attrs().real("k")}, {"size", size}});
}

// ---- layers -----------------------------------------------------------------------------------------------------------------

void conv2d(const OnnxNode& n) {
    const auto& a = n.attrs();
    Integers pad = a.integers("pad");
    std::string x = n.in(0);
    if (std::ranges::any_of(pad, [](auto v) { return v < 0; })) x = padded(n, x, std::exchange(pad, Integers(4, 0)));
    std::vector<std::string> inputs = quantized_inputs(n);
    if (x != n.in(0)) inputs[0] = x;
    const Shape& w = n.shape(1);
    n.out("Conv", inputs, {{"kernel_shape", Integers{w[2], w[3]}}, {"strides", a.integers("stride")}, {"pads", onnx_pads(pad)}, {"dilations", a.integers("dilation")}, {"group", a.integer("groups")}});
}

void conv_transpose2d(const OnnxNode& n) {
    n.need(!n.has(2), "a gradient");
    const auto& a = n.attrs();
    std::vector<std::string> inputs{n.in(0), n.in(1)};
    if (n.has(3)) inputs.push_back(n.in(3));
    const Shape& w = n.shape(1);
    const Integers extra = a.has("output_pad") ? a.integers("output_pad") : Integers{0, 0};
    n.out("ConvTranspose", inputs,
          {{"kernel_shape", Integers{w[2], w[3]}}, {"strides", a.integers("stride")}, {"pads", onnx_pads(a.integers("pad"))}, {"dilations", a.integers("dilation")}, {"group", a.integer("groups")},
           {"output_padding", extra}});
}

void linear(const OnnxNode& n) {
    if (n.shape(0).rank() == 2) {
        return n.out("Gemm", quantized_inputs(n), {{"transB", std::int64_t{1}}});
    }
    const std::string weight = n.via("Transpose", {n.in(1)}, {{"perm", Integers{1, 0}}});
    if (!n.has(2)) return n.out("MatMul", {n.in(0), weight});
    n.out("Add", {n.via("MatMul", {n.in(0), weight}), n.in(2)});
}

void matmul(const OnnxNode& n) {
    const auto turned = [&](std::size_t i, std::string_view flag) {
        if (!n.attrs().flag(flag)) return n.in(i);
        Integers order(static_cast<std::size_t>(n.shape(i).rank()));
        for (std::size_t d = 0; d < order.size(); ++d) order[d] = static_cast<std::int64_t>(d);
        std::swap(order[order.size() - 1], order[order.size() - 2]);
        return n.via("Transpose", {n.in(i)}, {{"perm", order}});
    };
    n.out("MatMul", {turned(0, "transpose_a"), turned(1, "transpose_b")});
}

// ---- pooling ----------------------------------------------------------------------------------------------------------------

/// Rows (columns) beyond the given padding that `ceil` lets the last window reach, where the size is known.
std::int64_t excess(const OnnxNode& n, int d) {
    const auto& a = n.attrs();
    const auto i = static_cast<std::size_t>(d);
    const std::int64_t size = n.shape(0)[2 + d], count = n.out_shape()[2 + d];
    if (size == dynamic) return 0;
    const std::int64_t dilation = a.has("dilation") ? a.integers("dilation")[i] : 1, extent = dilation * (a.integers("kernel")[i] - 1) + 1;
    const Integers pad = a.integers("pad");
    return std::max<std::int64_t>(0, (count - 1) * a.integers("stride")[i] + extent - size - pad[2 * i] - pad[2 * i + 1]);
}

OnnxAttributes pool_attributes(const OnnxNode& n, const Integers& pad) {
    OnnxAttributes attributes{{"kernel_shape", n.attrs().integers("kernel")}, {"strides", n.attrs().integers("stride")}, {"pads", onnx_pads(pad)}};
    // With known sizes the rounding up is written as padding: readers disagree about windows that begin in it.
    const bool is_open = n.shape(0)[2] == dynamic || n.shape(0)[3] == dynamic;
    if (is_open && n.attrs().flag("ceil")) attributes.push_back({"ceil_mode", std::int64_t{1}});
    return attributes;
}

void max_pool(const OnnxNode& n) {
    Integers pad = n.attrs().integers("pad");
    pad[1] += excess(n, 0), pad[3] += excess(n, 1);
    OnnxAttributes attributes = pool_attributes(n, pad);
    attributes.push_back({"dilations", n.attrs().integers("dilation")});
    const Value y(&n.node().inputs[0].graph(), n.node().id, 0);
    std::vector<std::string> outputs{n.writer().name(y)};
    // The second output is only named where something reads it: most readers are faster without. And behind a map padded by a value:
    // optimisers (ONNX Runtime 1.30, onnxsim) fold that into a pool of one output, which pads by less than any value.
    if (n.node().inputs[0].node().op->name == "pad" && n.node().inputs[0].node().attrs.text("mode") == "constant") outputs.push_back(n.writer().name(y.sibling(1)));
    for (const Node& other : y.graph().nodes())
        if (std::ranges::find(other.inputs, y.sibling(1)) != other.inputs.end() && outputs.size() == 1) outputs.push_back(n.writer().name(y.sibling(1)));
    n.writer().add("MaxPool", {n.in(0)}, attributes, outputs, n.node().path);
}

/// Zeros of `pad` may count in the mean, what `ceil` adds never does: where both occur the zeros become a node of their own.
void avg_pool(const OnnxNode& n) {
    Integers pad = n.attrs().integers("pad");
    const Integers more{0, excess(n, 0), 0, excess(n, 1)};
    const bool has_pad = std::ranges::any_of(pad, [](auto v) { return v != 0; }), has_more = more[1] + more[3] > 0;
    const bool counts = n.attrs().flag("count_include_pad", true) && has_pad;
    std::string x = n.in(0);
    if (counts && has_more) x = padded(n, x, std::exchange(pad, Integers(4, 0)));
    pad[1] += more[1], pad[3] += more[3];
    OnnxAttributes attributes = pool_attributes(n, pad);
    attributes.push_back({"count_include_pad", std::int64_t{counts && !has_more}});
    n.out("AveragePool", {x}, attributes);
}

/// Where every window of an adaptive pooling has one size and one distance it is an ordinary one.
struct Regular {
    std::int64_t kernel = 0, stride = 0;
};
std::optional<Regular> regular(std::int64_t size, std::int64_t count) {
    const auto begin = [&](std::int64_t i) { return i * size / count; };
    const auto end = [&](std::int64_t i) { return ((i + 1) * size + count - 1) / count; };
    Regular found{end(0), count > 1 ? begin(1) : 1};
    for (std::int64_t i = 0; i < count; ++i)
        if (begin(i) != i * found.stride || end(i) - begin(i) != found.kernel) return std::nullopt;
    return (count - 1) * found.stride + found.kernel == size ? std::optional(found) : std::nullopt;
}

void adaptive_pool(const OnnxNode& n, bool is_max) {
    const Integers out = n.attrs().integers("output");
    const Shape& x = n.shape(0);
    if (out[0] == 1 && out[1] == 1) return n.out(is_max ? "GlobalMaxPool" : "GlobalAveragePool", {n.in(0)});
    n.need(x[2] != dynamic && x[3] != dynamic, "{}x{} windows of an open height or width", out[0], out[1]);
    if (x[2] == out[0] && x[3] == out[1]) return n.out("Identity", {n.in(0)});
    const auto rows = regular(x[2], out[0]), columns = regular(x[3], out[1]);
    if (rows && columns)
        return n.out(is_max ? "MaxPool" : "AveragePool", {n.in(0)}, {{"kernel_shape", Integers{rows->kernel, columns->kernel}}, {"strides", Integers{rows->stride, columns->stride}}});
    n.need(!is_max, "{}x{} windows of unequal sizes over {}", out[0], out[1], x);
    // Means over unequal windows are a matrix product from each side.
    const auto means = [&](std::int64_t count, std::int64_t size, bool turned) {
        Tensor matrix(turned ? Shape{size, count} : Shape{count, size});
        for (std::int64_t i = 0; i < count; ++i) {
            const std::int64_t begin = i * size / count, end = ((i + 1) * size + count - 1) / count;
            for (std::int64_t k = begin; k < end; ++k) matrix.set(turned ? k * count + i : i * size + k, 1.0 / static_cast<double>(end - begin));
        }
        return n.writer().tensor(matrix, n.writer().fresh(n.node().path + (turned ? ".columns" : ".rows")));
    };
    n.out("MatMul", {n.via("MatMul", {means(out[0], x[2], false), n.in(0)}), means(out[1], x[3], true)});
}

/// The places of max_pool's second output count within a plane here and through the whole tensor in ONNX: both from a MaxPool they agree.
void max_unpool(const OnnxNode& n) {
    const Node& pool = n.node().inputs[1].node();
    n.need(pool.op->name == "max_pool2d" && n.node().inputs[1].output() == 1, "places that no max pooling made");
    const Shape& x = pool.inputs[0].shape();
    const Shape& y = n.out_shape();
    n.need(x[2] == y[2] && x[3] == y[3] && y[2] != dynamic && y[3] != dynamic, "into {}, pooled from {}", y, x);
    const std::string size = n.via("Concat", {n.via("Slice", {n.via("Shape", {n.in(0)}), n.integers({0}), n.integers({2})}), n.integers({y[2], y[3]})}, {{"axis", std::int64_t{0}}});
    n.out("MaxUnpool", {n.in(0), n.in(1), size}, {{"kernel_shape", pool.attrs.integers("kernel")}, {"strides", pool.attrs.integers("stride")}, {"pads", onnx_pads(pool.attrs.integers("pad"))}});
}

// ---- resampling and regions -------------------------------------------------------------------------------------------------

void resize(const OnnxNode& n, const std::string& scales, const std::string& sizes, bool is_nearest, bool align_corners) {
    OnnxAttributes attributes{{"mode", is_nearest ? "nearest" : "linear"},
                              {"coordinate_transformation_mode", is_nearest ? "asymmetric" : align_corners ? "align_corners" : "half_pixel"}};
    if (is_nearest) attributes.push_back({"nearest_mode", "floor"});
    std::vector<std::string> inputs{n.in(0), "", scales};
    if (!sizes.empty()) inputs.push_back(sizes);
    n.out("Resize", inputs, attributes);
}

void interpolate(const OnnxNode& n) {
    const bool is_nearest = n.attrs().text("mode") == "nearest", align = n.attrs().flag("align_corners");
    const double scale = n.attrs().real("scale", 0);
    if (!n.has(1) && scale > 0) return resize(n, n.writer().tensor(Tensor::of<float>({1, 1, static_cast<float>(scale), static_cast<float>(scale)}, {4}), n.writer().fresh(n.node().path + ".scales")), "", is_nearest, align);
    const Shape& y = n.out_shape();
    const auto part = [&](const std::string& x, std::int64_t from, std::int64_t to) { return n.via("Slice", {n.via("Shape", {x}), n.integers({from}), n.integers({to})}); };
    const std::string size = y[2] != dynamic && y[3] != dynamic ? n.integers({y[2], y[3]}) : part(n.in(1), 2, 4);
    const std::string sizes = y.is_dynamic() ? n.via("Concat", {part(n.in(0), 0, 2), size}, {{"axis", std::int64_t{0}}}) : n.integers(dims_of(y));
    resize(n, "", sizes, is_nearest, align);
}

void unpool(const OnnxNode& n) {
    const Integers factor = n.attrs().integers("factor");
    if (n.attrs().flag("repeat"))
        return resize(n, n.writer().tensor(Tensor::of<float>({1, 1, static_cast<float>(factor[0]), static_cast<float>(factor[1])}, {4}), n.writer().fresh(n.node().path + ".scales")), "", true, false);
    const Shape& x = n.shape(0);
    n.need(x[1] != dynamic && x[2] != dynamic && x[3] != dynamic, "an open height or width");
    const std::string cells = n.via("Reshape", {n.in(0), n.integers({0, x[1], x[2], 1, x[3], 1})});
    const std::string spread = n.via("Pad", {cells, n.integers({0, 0, 0, 0, 0, 0, 0, 0, 0, factor[0] - 1, 0, factor[1] - 1}), n.number(0)}, {{"mode", "constant"}});
    n.out("Reshape", {spread, n.integers({0, x[1], x[2] * factor[0], x[3] * factor[1]})});
}

void pixel_shuffle(const OnnxNode& n) { n.out("DepthToSpace", {n.in(0)}, {{"blocksize", n.attrs().integer("factor")}, {"mode", "CRD"}}); }

/// Reshape, transpose, reshape: what moves elements between dimensions.
void shuffled(const OnnxNode& n, const Integers& apart, const Integers& order) {
    const Shape &x = n.shape(0), &y = n.out_shape();
    n.need(x[1] != dynamic && x[2] != dynamic && x[3] != dynamic, "open channels, height or width");
    n.out("Reshape", {n.via("Transpose", {n.via("Reshape", {n.in(0), n.integers(apart)})}, {{"perm", order}}), n.integers({0, y[1], y[2], y[3]})});
}
void pixel_unshuffle(const OnnxNode& n) {
    const std::int64_t f = n.attrs().integer("factor");
    const Shape& x = n.shape(0);
    shuffled(n, {0, x[1], x[2] / f, f, x[3] / f, f}, {0, 1, 3, 5, 2, 4});
}
void channel_shuffle(const OnnxNode& n) {
    const std::int64_t groups = n.attrs().integer("groups");
    const Shape& x = n.shape(0);
    shuffled(n, {0, groups, x[1] / groups, x[2], x[3]}, {0, 2, 1, 3, 4});
}

void roi_align(const OnnxNode& n) {
    const auto& a = n.attrs();
    const bool aligned = a.flag("aligned");
    n.need(!aligned || n.writer().opset() >= 16, "aligned, which came with operator set 16");
    const auto columns = [&](std::int64_t from, std::int64_t to) { return n.via("Slice", {n.in(1), n.integers({from}), n.integers({to}), n.integers({1})}); };
    const std::string image = n.via("Cast", {n.via("Reshape", {columns(0, 1), n.integers({-1})})}, {{"to", std::int64_t{onnx_type::i64}}});
    const Integers out = a.integers("output");
    OnnxAttributes attributes{{"mode", "avg"}, {"output_height", out[0]}, {"output_width", out[1]}, {"sampling_ratio", a.integer("sampling")}, {"spatial_scale", a.real("scale")}};
    if (n.writer().opset() >= 16) attributes.push_back({"coordinate_transformation_mode", aligned ? "half_pixel" : "output_half_pixel"});
    n.out("RoiAlign", {n.in(0), columns(1, 5), image}, attributes);
}

void roi_pool(const OnnxNode& n) { n.out("MaxRoiPool", {n.in(0), n.in(1)}, {{"pooled_shape", n.attrs().integers("output")}, {"spatial_scale", n.attrs().real("scale")}}); }

}  // namespace

const std::map<std::string, OnnxRule, std::less<>>& onnx_rules() {
    static const std::map<std::string, OnnxRule, std::less<>> rules{
        {"add", plain("Add")},
        {"subtract", plain("Sub")},
        {"multiply", plain("Mul")},
        {"divide", plain("Div")},
        {"maximum", plain("Max")},
        {"minimum", plain("Min")},
        {"scale_shift", scale_shift},
        {"sum", reduce_sum},
        {"mean", reduce_mean},
        {"max_over", max_over},
        {"expand_to", expand_to},
        {"reshape_to", reshape_to},
        {"reshape", reshape},
        {"per_channel", per_channel},
        {"transpose", transpose},
        {"concat", concat},
        {"slice", slice},
        {"flip", flip},
        {"pad", pad},
        {"relu", plain("Relu")},
        {"leaky_relu", [](const OnnxNode& n) { n.out("LeakyRelu", {n.in(0)}, {{"alpha", n.attrs().real("slope")}}); }},
        {"relu6", [](const OnnxNode& n) { clip(n, 0, 6); }},
        {"hard_tanh", [](const OnnxNode& n) { clip(n, n.attrs().real("low"), n.attrs().real("high")); }},
        {"clamp", [](const OnnxNode& n) { clip(n, n.attrs().real("low"), n.attrs().real("high")); }},
        {"sigmoid", plain("Sigmoid")},
        {"log_sigmoid", [](const OnnxNode& n) { n.out("Neg", {n.via("Softplus", {n.via("Neg", {n.in(0)})})}); }},
        {"hard_sigmoid", [](const OnnxNode& n) { n.out("HardSigmoid", {n.in(0)}, {{"alpha", 1.0 / 6}, {"beta", 0.5}}); }},
        {"tanh", plain("Tanh")},
        {"elu", elu},
        {"silu", silu},
        {"hard_swish", hard_swish},
        {"mish", [](const OnnxNode& n) { n.out("Mul", {n.in(0), n.via("Tanh", {n.via("Softplus", {n.in(0)})})}); }},
        {"gelu", gelu},
        {"gelu_tanh", gelu_tanh},
        {"softplus", softplus},
        {"softsign", plain("Softsign")},
        {"softshrink", [](const OnnxNode& n) { n.out("Shrink", {n.in(0)}, {{"lambd", n.attrs().real("lambda")}, {"bias", n.attrs().real("lambda")}}); }},
        {"hardshrink", [](const OnnxNode& n) { n.out("Shrink", {n.in(0)}, {{"lambd", n.attrs().real("lambda")}, {"bias", 0.0}}); }},
        {"threshold", threshold},
        {"softmax", [](const OnnxNode& n) { n.out("Softmax", {n.in(0)}, {{"axis", n.attrs().integer("axis")}}); }},
        {"log_softmax", [](const OnnxNode& n) { n.out("LogSoftmax", {n.in(0)}, {{"axis", n.attrs().integer("axis")}}); }},
        {"exp", plain("Exp")},
        {"log", plain("Log")},
        {"sin", plain("Sin")},
        {"cos", plain("Cos")},
        {"sqrt", plain("Sqrt")},
        {"rsqrt", [](const OnnxNode& n) { n.out("Reciprocal", {n.via("Sqrt", {n.in(0)})}); }},
        {"square", [](const OnnxNode& n) { n.out("Mul", {n.in(0), n.in(0)}); }},
        {"abs", plain("Abs")},
        {"sign", plain("Sign")},
        {"erf", plain("Erf")},
        {"pow", [](const OnnxNode& n) { n.out("Pow", {n.in(0), n.number(n.attrs().real("exponent"))}); }},
        {"greater", [](const OnnxNode& n) { out_comparison(n, "Greater", {n.in(0), n.in(1)}); }},
        {"greater_equal", [](const OnnxNode& n) { out_comparison(n, "GreaterOrEqual", {n.in(0), n.in(1)}); }},
        {"in_range", in_range},
        {"where", [](const OnnxNode& n) { n.out("Where", {n.via("Cast", {n.in(0)}, {{"to", std::int64_t{onnx_type::boolean}}}), n.in(1), n.in(2)}); }},
        {"batch_norm_inference", batch_norm},
        {"lrn", lrn},
        {"conv2d", conv2d},
        {"conv2d_backward_input", conv_transpose2d},
        {"linear", linear},
        {"matmul", matmul},
        {"max_pool2d", max_pool},
        {"avg_pool2d", avg_pool},
        {"adaptive_avg_pool2d", [](const OnnxNode& n) { adaptive_pool(n, false); }},
        {"adaptive_max_pool2d", [](const OnnxNode& n) { adaptive_pool(n, true); }},
        {"max_pool2d_backward", max_unpool},
        {"interpolate", interpolate},
        {"unpool", unpool},
        {"pixel_shuffle", pixel_shuffle},
        {"pixel_unshuffle", pixel_unshuffle},
        {"channel_shuffle", channel_shuffle},
        {"quantize", write_quantize},
        {"dequantize", write_dequantize},
        {"fake_quantize", write_fake_quantize},
        {"roi_align", roi_align},
        {"roi_pool", roi_pool},
    };
    return rules;
}

}  // namespace fovea
