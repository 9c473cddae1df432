#include "case.h"
#include "core/text.h"

namespace fovea::reference {

namespace {

OpResult convolution(OpCase& op) {
    return conv2d(op.x(), op.x(1), op.x(2), {.stride = op.size2("stride", 1), .pad = op.padding(), .dilation = op.size2("dilation", 1), .groups = op.integer("groups", 1)});
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
    // Without a weight among the inputs the case describes one: the bilinear kernel.
    const Value weight = op.has(1) ? op.x(1) : op.constant(bilinear_weight(op.shape()[1], op.integer("kernel", 4)));
    return conv_transpose2d(op.x(), weight, op.x(2),
                            {.stride = op.size2("stride", 1), .pad = op.padding(), .output_pad = op.size2("output_padding", 0), .dilation = op.size2("dilation", 1),
                             .groups = op.integer("groups", 1)});
}

/// PyTorch's order: left, right, top, bottom.
OpResult padded(OpCase& op) {
    const auto sides = op.attrs().at("pad").get<std::vector<std::int64_t>>();
    require<ArgumentError>(sides.size() == 4, "pad has {} numbers, 4 are needed", sides.size());
    const std::string mode = op.text("mode", "zero");
    require<ArgumentError>(mode == "zero" || mode == "constant" || mode == "reflect" || mode == "replicate", "pad mode '{}' is not known", mode);
    const PadMode kind = mode == "reflect" ? PadMode::reflect : mode == "replicate" ? PadMode::replicate : PadMode::given;
    return pad(op.x(), Pad4{sides[2], sides[3], sides[0], sides[1]}, PadSpec{.mode = kind, .value = op.real("value", 0)});
}

}  // namespace

void add_conv_ops(OpTable& table) {
    table["conv2d"] = convolution;
    table["conv_transpose2d"] = transposed;
    table["pad"] = padded;
    table["linear"] = [](OpCase& op) -> OpResult { return linear(op.x(), op.x(1), op.x(2)); };
}

}  // namespace fovea::reference
