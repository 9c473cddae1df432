// Optimiser trajectories: six parameters s("param"), gradient s("grad<t>") + 0.5 p at step t, through the update ops of training.
#include <functional>

#include "case.h"
#include "core/text.h"
#include "fill.h"

namespace fovea::reference {

namespace {

/// What an update op needs: p, g, the learning rate and the step count (1 at the first step) as scalars, its own state tensors.
struct UpdateInputs {
    Value p, g, lr, step;
    std::vector<Value> state;
};

struct Optimiser {
    std::size_t states;
    std::vector<double> start;  ///< of each state tensor; missing ones are 0
    std::function<Value(const UpdateInputs&)> update;
};

Optimiser sgd(Fields& a) {
    const SgdUpdateSpec spec{.momentum = a.real("momentum", 0), .dampening = a.real("dampening", 0), .nesterov = a.flag("nesterov", false), .weight_decay = a.real("weight_decay", 0)};
    const bool has_velocity = spec.momentum != 0;
    return {has_velocity ? 1U : 0U, {}, [=](const UpdateInputs& in) { return sgd_update(in.p, in.g, in.lr, has_velocity ? in.state[0] : Value{}, spec, in.step); }};
}

Optimiser adam(Fields& a, bool decoupled) {
    AdamUpdateSpec spec{.eps = a.real("eps", 1e-8), .weight_decay = a.real("weight_decay", decoupled ? 0.01 : 0), .decoupled = decoupled, .amsgrad = a.flag("amsgrad", false)};
    if (a.has("betas")) {
        const std::vector<double> betas = a.reals("betas");
        require<ArgumentError>(betas.size() == 2, "{}: attribute 'betas' must be two numbers, got {}", a.who(), betas.size());
        spec.beta1 = betas[0], spec.beta2 = betas[1];
    }
    return {spec.amsgrad ? 3U : 2U, {}, [=](const UpdateInputs& in) { return adam_update(in.p, in.g, in.lr, in.step, in.state[0], in.state[1], spec, spec.amsgrad ? in.state[2] : Value{}); }};
}

Optimiser rmsprop(Fields& a) {
    const RmspropUpdateSpec spec{.alpha = a.real("alpha", 0.99), .eps = a.real("eps", 1e-8), .momentum = a.real("momentum", 0), .weight_decay = a.real("weight_decay", 0),
                                 .centered = a.flag("centered", false)};
    const bool moves = spec.momentum != 0;
    return {1U + (moves ? 1U : 0U) + (spec.centered ? 1U : 0U), {}, [=](const UpdateInputs& in) {
                return rmsprop_update(in.p, in.g, in.lr, in.state[0], spec, moves ? in.state[1] : Value{}, spec.centered ? in.state[moves ? 2 : 1] : Value{});
            }};
}

Optimiser adagrad(Fields& a) {
    const AdagradUpdateSpec spec{.lr_decay = a.real("lr_decay", 0), .eps = a.real("eps", 1e-10), .weight_decay = a.real("weight_decay", 0)};
    return {1, {a.real("initial_accumulator_value", 0)}, [=](const UpdateInputs& in) { return adagrad_update(in.p, in.g, in.lr, in.step, in.state[0], spec); }};
}

Optimiser adadelta(Fields& a) {
    const AdadeltaUpdateSpec spec{.rho = a.real("rho", 0.9), .eps = a.real("eps", 1e-6), .weight_decay = a.real("weight_decay", 0)};
    return {2, {}, [=](const UpdateInputs& in) { return adadelta_update(in.p, in.g, in.lr, in.state[0], in.state[1], spec); }};
}

const std::map<std::string, std::function<Optimiser(Fields&)>, std::less<>>& optimisers() {
    static const std::map<std::string, std::function<Optimiser(Fields&)>, std::less<>> table{
        {"SGD", sgd},         {"Adam", [](Fields& a) { return adam(a, false); }}, {"AdamW", [](Fields& a) { return adam(a, true); }},
        {"RMSprop", rmsprop}, {"Adagrad", adagrad},                                    {"Adadelta", adadelta}};
    return table;
}

}  // namespace

bool is_optimiser(std::string_view op) { return optimisers().contains(op); }

Json run_optimiser(const Json& json, const How& how) {
    const std::string op = json.at("op").get<std::string>();
    Fields attrs(json.value("attrs", Json::object()), op, "attribute"), fields(json, op, "field");
    // The rate of each step is among the case's fields; the others say how PyTorch computes, not what.
    attrs.note({"lr", "capturable", "differentiable", "foreach", "fused"});
    const Optimiser optimiser = optimisers().at(op)(attrs);
    const double sign = attrs.flag("maximize", false) ? -1 : 1;
    attrs.finish();
    fields.says("param0", "s('param'), 6 values");
    fields.says("grad", "at step t (0-based): s('grad<t>') + 0.5*param");
    require<ArgumentError>(fields.has("lr_per_step"), "{}: field 'lr_per_step' is missing", op);
    const std::vector<double> rates = fields.reals("lr_per_step");
    constexpr std::int64_t size = 6;

    // Parameter and state live in the State; each step is one run of one compiled program that updates them, as in training.
    Graph graph;
    UpdateInputs in;
    in.p = graph.parameter("param", {size});
    in.g = sign * (graph.input("grad", {size}) + 0.5 * in.p);
    in.lr = graph.input("lr", {});
    in.step = graph.input("step", {});
    Parameters parameters;
    parameters.set("param", image("param", {size}));
    for (std::size_t s = 0; s < optimiser.states; ++s) {
        const std::string name = fmt::format("state{}", s);
        in.state.push_back(graph.parameter(name, {size}, {}, false));
        Tensor start(Shape{size});
        for (std::int64_t i = 0; i < size; ++i) start.set(i, s < optimiser.start.size() ? optimiser.start[s] : 0);
        parameters.set(name, start);
    }
    const Value updated = optimiser.update(in);
    graph.update(in.p, updated);
    for (std::size_t s = 0; s < optimiser.states; ++s) graph.update(in.state[s], updated.sibling(static_cast<int>(s) + 1));
    const Executable executable = compile(graph, {{"grad", {size}}, {"lr", {}}, {"step", {}}}, {.backend = how.backend, .precision = how.precision});
    Session session(executable, make_state(parameters, how));

    Json trajectory = Json::array();
    std::int64_t t = 0;
    for (const double rate : rates) {
        std::map<std::string, Tensor> inputs{{"grad", image(fmt::format("grad{}", t), {size}).to(how.real())},
                                             {"lr", Tensor::scalar(rate, how.real())},
                                             {"step", Tensor::scalar(static_cast<double>(t + 1), how.real())}};
        std::map<std::string, Tensor> used;
        for (const auto& port : executable.inputs()) used[port.name] = inputs.at(port.name);
        (void)session.run(used);
        trajectory.push_back(first_values(session.state().read("param"), size));
        ++t;
    }
    return {{"trajectory", trajectory}};
}

}  // namespace fovea::reference
