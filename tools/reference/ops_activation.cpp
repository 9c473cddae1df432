#include "case.h"

namespace fovea::reference {

namespace {

template <Value (*f)(const Value&, std::string_view)> OpResult plain(OpCase& op) { return f(op.x(), {}); }

OpResult leaky(OpCase& op) { return leaky_relu(op.x(), {.slope = op.real({"negative_slope", "slope"}, 0.01)}); }

OpResult gaussian(OpCase& op, const char* otherwise) { return gelu(op.x(), {.approximate = op.attrs().choice("approximate", otherwise, {"none", "tanh"}) == "tanh"}); }

/// x * sigmoid(w2 relu(w1 gap(x) + b1) + b2), inputs x, w1, b1, w2, b2.
OpResult squeeze(OpCase& op) {
    op.attrs().says("formula", "x * sigmoid(w2 relu(w1 gap(x) + b1) + b2)");
    const Value pooled = flatten(global_avg_pool(op.x()));
    const Value gate = sigmoid(linear(relu(linear(pooled, op.x(1), op.x(2))), op.x(3), op.x(4)));
    return op.x() * reshape(gate, {0, op.shape()[1], 1, 1});
}

}  // namespace

void add_activation_ops(OpTable& table) {
    table["relu"] = plain<relu>;
    table["relu6"] = plain<relu6>;
    table["sigmoid"] = plain<sigmoid>;
    table["log_sigmoid"] = plain<log_sigmoid>;
    table["tanh"] = plain<tanh>;
    table["selu"] = plain<selu>;
    table["mish"] = plain<mish>;
    table["softsign"] = plain<softsign>;
    table["tanhshrink"] = plain<tanhshrink>;
    for (const char* name : {"hardswish", "hard_swish"}) table[name] = plain<hard_swish>;
    for (const char* name : {"hardsigmoid", "hard_sigmoid"}) table[name] = plain<hard_sigmoid>;
    for (const char* name : {"silu", "swish"}) table[name] = [](OpCase& op) -> OpResult { return silu(op.x(), {.beta = op.real("beta", 1)}); };
    table["scaled_tanh"] = [](OpCase& op) -> OpResult { return scaled_tanh(op.x(), {.a = op.real("a", 1.7159), .s = op.real("b", 2.0 / 3)}); };
    table["leaky_relu"] = leaky;
    table["elu"] = [](OpCase& op) -> OpResult { return elu(op.x(), {.alpha = op.real("alpha", 1)}); };
    table["celu"] = [](OpCase& op) -> OpResult { return celu(op.x(), {.alpha = op.real("alpha", 1)}); };
    for (const char* name : {"gelu", "gelu_erf"}) table[name] = [](OpCase& op) { return gaussian(op, "none"); };
    table["gelu_tanh"] = [](OpCase& op) { return gaussian(op, "tanh"); };
    table["softplus"] = [](OpCase& op) -> OpResult { return softplus(op.x(), {.beta = op.real("beta", 1), .threshold = op.real("threshold", 20)}); };
    for (const char* name : {"hardtanh", "hard_tanh"})
        table[name] = [](OpCase& op) -> OpResult { return hard_tanh(op.x(), {.low = op.real("min_val", -1), .high = op.real("max_val", 1)}); };
    table["softshrink"] = [](OpCase& op) -> OpResult { return softshrink(op.x(), {.lambda = op.real("lambd", 0.5)}); };
    table["hardshrink"] = [](OpCase& op) -> OpResult { return hardshrink(op.x(), {.lambda = op.real("lambd", 0.5)}); };
    table["threshold"] = [](OpCase& op) -> OpResult { return threshold(op.x(), {.threshold = op.real("threshold"), .value = op.real("value")}); };
    table["prelu"] = [](OpCase& op) -> OpResult { return prelu_with_slope(op.x(), op.x(1)); };
    table["softmax"] = [](OpCase& op) -> OpResult { return softmax(op.x(), {.axis = op.axis("dim", 1)}); };
    table["log_softmax"] = [](OpCase& op) -> OpResult { return log_softmax(op.x(), {.axis = op.axis("dim", 1)}); };
    table["squeeze_excite"] = squeeze;
    table["channel_shuffle"] = [](OpCase& op) -> OpResult { return channel_shuffle(op.x(), op.integer("groups")); };
}

}  // namespace fovea::reference
