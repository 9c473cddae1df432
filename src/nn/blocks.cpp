#include "fovea/nn.h"

namespace fovea {

Value conv_bn(const Value& x, const ConvBnSpec& spec, std::string_view conv, std::string_view norm) {
    const Value y = conv2d(x, {.out = spec.out, .kernel = spec.kernel, .stride = spec.stride, .pad = spec.pad, .groups = spec.groups, .bias = false, .init = spec.init}, conv);
    return batch_norm(y, {.eps = spec.eps, .momentum = spec.momentum}, norm);
}

Value conv_bn_relu(const Value& x, const ConvBnSpec& spec, std::string_view conv, std::string_view norm) { return relu(conv_bn(x, spec, conv, norm)); }

Value conv_bn_relu(const Value& x, const ConvBnSpec& spec, std::string_view name) {
    const auto scope = x.graph().scope(name);
    const Value y = conv_bn_relu(x, spec, "conv", "bn");
    x.graph().module_output("", y);
    return y;
}

Value auxiliary(const Value& x, double weight, std::string_view name) { return x.graph().add("auxiliary", {x}, {{"weight", weight}}, name); }

std::optional<double> auxiliary_weight(const Value& x) { return op_name(x.node()) == "auxiliary" ? std::optional(x.node().attrs.real("weight")) : std::nullopt; }

Value inception(const Value& x, const std::vector<Branch>& branches, std::string_view name) {
    std::vector<Value> parts;
    for (const Branch& branch : branches) parts.push_back(branch(x));
    return concat(parts, 1, name);
}

}  // namespace fovea
