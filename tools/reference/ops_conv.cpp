#include "case.h"
#include "core/text.h"

namespace fovea::reference {

namespace {

/// A kernel size, where the case repeats it, is that of the weight [.., .., R, S].
void check_kernel(OpCase& op, const Shape& weight) {
    const Size2 own{weight[2], weight[3]}, said = op.size2({"kernel_size", "kernel"}, own);
    require<ArgumentError>(said == own, "{}: the kernel is {}x{}, but the weight is {}", op.attrs().who(), said.h, said.w, weight);
}

/// Around the input: a number, [height, width], "valid" or "same". As in PyTorch "same" needs stride 1, and its odd row and column go to
/// the bottom and right.
Pad4 around(OpCase& op, const Shape& weight, const Size2& stride, const Size2& dilation) {
    if (!op.attrs().has_text("padding")) return op.padding();
    if (op.attrs().choice("padding", "valid", {"valid", "same"}) == "valid") return 0;
    require<ArgumentError>(stride == Size2(1), "{}: padding \"same\" needs stride 1, got {}x{}", op.attrs().who(), stride.h, stride.w);
    const std::int64_t h = dilation.h * (weight[2] - 1), w = dilation.w * (weight[3] - 1);
    return {h / 2, h - h / 2, w / 2, w - w / 2};
}

OpResult convolution(OpCase& op) {
    op.agrees("bias", 2);
    const Shape weight = op.shape(1);
    check_kernel(op, weight);
    const Size2 stride = op.size2("stride", 1), dilation = op.size2("dilation", 1);
    const std::string mode = op.attrs().choice("padding_mode", "zeros", {"zeros", "reflect", "replicate"});
    return conv2d(op.x(), op.x(1), op.x(2),
                  {.stride = stride,
                   .pad = around(op, weight, stride, dilation),
                   .pad_mode = mode == "reflect" ? PadMode::reflect : mode == "replicate" ? PadMode::replicate : PadMode::given,
                   .dilation = dilation,
                   .groups = op.integer("groups", 1)});
}

/// [C, C, k, k] with a tent on the diagonal: outer(1 - |i - c| / f), f = (k + 1) / 2, c = f - 0.5 for even k, f - 1 for odd.
Tensor bilinear_weight(std::int64_t channels, std::int64_t k) {
    Tensor weight(Shape{channels, channels, k, k}, DType::f64);
    const auto f = static_cast<double>((k + 1) / 2);
    const double centre = k % 2 == 0 ? f - 0.5 : f - 1;
    const auto tent = [&](std::int64_t i) { return 1 - std::abs(static_cast<double>(i) - centre) / f; };
    for (std::int64_t c = 0; c < channels; ++c)
        for (std::int64_t r = 0; r < k; ++r)
            for (std::int64_t s = 0; s < k; ++s) weight.set(((c * channels + c) * k + r) * k + s, tent(r) * tent(s));
    return weight;
}

OpResult transposed(OpCase& op) {
    op.agrees("bias", 2);
    (void)op.attrs().choice("padding_mode", "zeros", {"zeros"});
    Value weight = op.x(1);
    if (op.has(1)) {
        check_kernel(op, op.shape(1));
    } else {  // the case describes a weight: the bilinear kernel
        const std::string known = "bilinear kernel on the diagonal", text = op.text("weight", known);
        require<ArgumentError>(text.starts_with(known), "{}: attribute 'weight' must begin with \"{}\", got \"{}\"", op.attrs().who(), known, text);
        weight = op.constant(bilinear_weight(op.shape()[1], op.integer({"kernel_size", "kernel"})));
    }
    return conv_transpose2d(op.x(), weight, op.x(2),
                            {.stride = op.size2("stride", 1), .pad = op.padding(), .output_pad = op.size2("output_padding", 0), .dilation = op.size2("dilation", 1),
                             .groups = op.integer("groups", 1)});
}

/// PyTorch's order: two numbers for each dimension, the last one first, so left, right, top, bottom.
OpResult padded(OpCase& op) {
    const auto sides = op.attrs().integers("pad");
    const auto rank = static_cast<std::size_t>(op.shape().rank());
    require<ArgumentError>(!sides.empty() && sides.size() % 2 == 0 && sides.size() <= 2 * rank, "{}: attribute 'pad' must have two numbers for each padded dimension of {}, got {}",
                           op.attrs().who(), op.shape(), sides.size());
    if (op.attrs().has("order")) op.attrs().says("order", "left,right,top,bottom");
    const std::string mode = op.attrs().choice("mode", "constant", {"constant", "zero", "reflect", "replicate"});
    const PadMode kind = mode == "reflect" ? PadMode::reflect : mode == "replicate" ? PadMode::replicate : PadMode::given;
    std::vector<std::int64_t> before(rank, 0), after = before;
    for (std::size_t i = 0; i < sides.size() / 2; ++i) before[rank - 1 - i] = sides[2 * i], after[rank - 1 - i] = sides[2 * i + 1];
    return pad(op.x(), before, after, PadSpec{.mode = kind, .value = mode == "constant" ? op.real("value", 0) : 0});
}

}  // namespace

void add_conv_ops(OpTable& table) {
    table["conv2d"] = convolution;
    table["conv_transpose2d"] = transposed;
    table["pad"] = padded;
    table["linear"] = [](OpCase& op) -> OpResult {
        op.agrees("bias", 2);
        return linear(op.x(), op.x(1), op.x(2));
    };
}

}  // namespace fovea::reference
