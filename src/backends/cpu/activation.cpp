// Activations three ways: alone, at the end of our own kernels (in place, while the values are in the cache), as post-ops of oneDNN's.
#include "ops/activation.h"

#include "backends/cpu/kernels.h"
#include "backends/cpu/simd.h"

namespace fovea::cpu {

UnaryKernel unary_kernel(const std::string& op, const Attrs& attrs) {
    static const std::map<std::string, Math::Unary, std::less<>> plain{
        {"relu", simd().relu},                  {"sigmoid", math().sigmoid},       {"tanh", math().tanh}, {"relu6", math().relu6},
        {"hard_sigmoid", math().hard_sigmoid}, {"hard_swish", math().hard_swish}, {"gelu", math().gelu}, {"gelu_tanh", math().gelu_tanh},
    };
    if (const auto it = plain.find(op); it != plain.end()) return it->second;
    if (op == "silu") return [beta = static_cast<float>(attrs.real("beta", 1))](float* y, const float* x, std::int64_t n) { math().silu(y, x, beta, n); };
    if (op == "leaky_relu") return [slope = static_cast<float>(attrs.real("slope"))](float* y, const float* x, std::int64_t n) { math().leaky_relu(y, x, slope, n); };
    if (op == "elu")
        return [alpha = static_cast<float>(attrs.real("alpha")), width = static_cast<float>(attrs.real("width", 1)), scale = static_cast<float>(attrs.real("scale", 1))](
                   float* y, const float* x, std::int64_t n) { math().elu(y, x, alpha, width, scale, n); };
    return {};
}

BackwardKernel backward_kernel(const std::string& op, const Attrs& attrs) {
    static const std::map<std::string, Math::Backward, std::less<>> plain{
        {"relu_backward", simd().relu_backward},   {"sigmoid_backward", math().sigmoid_backward},           {"tanh_backward", math().tanh_backward},
        {"relu6_backward", math().relu6_backward}, {"hard_sigmoid_backward", math().hard_sigmoid_backward}, {"hard_swish_backward", math().hard_swish_backward},
        {"gelu_backward", math().gelu_backward},   {"gelu_tanh_backward", math().gelu_tanh_backward},
    };
    if (const auto it = plain.find(op); it != plain.end()) return it->second;
    if (op == "silu_backward")
        return [beta = static_cast<float>(attrs.real("beta", 1))](float* dx, const float* dy, const float* x, std::int64_t n) { math().silu_backward(dx, dy, x, beta, n); };
    if (op == "leaky_relu_backward")
        return [slope = static_cast<float>(attrs.real("slope"))](float* dx, const float* dy, const float* x, std::int64_t n) { math().leaky_relu_backward(dx, dy, x, slope, n); };
    if (op == "elu_backward")
        return [alpha = static_cast<float>(attrs.real("alpha")), width = static_cast<float>(attrs.real("width", 1)), scale = static_cast<float>(attrs.real("scale", 1))](
                   float* dx, const float* dy, const float* x, std::int64_t n) { math().elu_backward(dx, dy, x, alpha, width, scale, n); };
    return {};
}

UnaryKernel activation_kernel(const Node& node) {
    const std::string op = node.attrs.text("activation");
    return op.empty() ? UnaryKernel{} : unary_kernel(op, activation_attrs(node.attrs));
}

std::optional<Epilogue> epilogue_of(const Node& node) {
    using Kind = Epilogue::Kind;
    static const std::map<std::string, Kind, std::less<>> plain{{"", Kind::none},
                                                                {"relu", Kind::relu},
                                                                {"relu6", Kind::relu6},
                                                                {"sigmoid", Kind::sigmoid},
                                                                {"hard_sigmoid", Kind::hard_sigmoid},
                                                                {"hard_swish", Kind::hard_swish}};
    const std::string op = node.attrs.text("activation");
    const Attrs attrs = activation_attrs(node.attrs);
    if (const auto it = plain.find(op); it != plain.end()) return Epilogue{it->second};
    if (op == "leaky_relu") return Epilogue{Kind::leaky_relu, static_cast<float>(attrs.real("slope"))};
    if (op == "silu") return Epilogue{Kind::silu, static_cast<float>(attrs.real("beta", 1))};
    return {};
}

bool append_activation(dnnl::post_ops& post, const Node& node) {
    using dnnl::algorithm;
    const std::string op = node.attrs.text("activation");
    const Attrs attrs = activation_attrs(node.attrs);
    const auto append = [&](algorithm kind, double alpha = 0, double beta = 0) { post.append_eltwise(1.0f, kind, static_cast<float>(alpha), static_cast<float>(beta)); };
    if (op.empty()) return true;
    if (op == "relu") append(algorithm::eltwise_relu);
    else if (op == "leaky_relu") append(algorithm::eltwise_relu, attrs.real("slope"));
    else if (op == "relu6") append(algorithm::eltwise_clip, 0, 6);
    else if (op == "sigmoid") append(algorithm::eltwise_logistic);
    else if (op == "silu") append(algorithm::eltwise_swish, attrs.real("beta", 1));
    else if (op == "hard_swish") append(algorithm::eltwise_hardswish);
    else if (op == "hard_sigmoid") append(algorithm::eltwise_linear, 1.0 / 6, 0.5), append(algorithm::eltwise_clip, 0, 1);
    else if (op == "tanh") append(algorithm::eltwise_tanh);
    else if (op == "gelu") append(algorithm::eltwise_gelu_erf);
    else if (op == "gelu_tanh") append(algorithm::eltwise_gelu_tanh);
    else if (op == "elu" && attrs.real("width", 1) == 1 && attrs.real("scale", 1) == 1) append(algorithm::eltwise_elu, attrs.real("alpha"));
    else return false;
    return true;
}

}  // namespace fovea::cpu
