#include "fovea/nn.h"

namespace fovea {

Value conv_bn(const Value& x, const ConvBnSpec& spec, std::string_view conv, std::string_view norm) {
    const Value y = conv2d(x, {.out = spec.out, .kernel = spec.kernel, .stride = spec.stride, .pad = spec.pad, .groups = spec.groups, .bias = false, .init = spec.init}, conv);
    return batch_norm(y, {.eps = spec.eps, .momentum = spec.momentum}, norm);
}

Value conv_bn_relu(const Value& x, const ConvBnSpec& spec, std::string_view conv, std::string_view norm) { return relu(conv_bn(x, spec, conv, norm)); }

Value inception(const Value& x, const std::vector<Branch>& branches, std::string_view name) {
    std::vector<Value> parts;
    for (const Branch& branch : branches) parts.push_back(branch(x));
    return concat(parts, 1, name);
}

}  // namespace fovea
