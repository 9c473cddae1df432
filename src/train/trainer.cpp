// One compiled training step and its state.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/text.h"
#include "fovea/nn.h"
#include "fovea/ops.h"
#include "fovea/passes.h"
#include "fovea/train.h"
#include "graph/op.h"
#include "train/over_ranks.h"
#include "train/with_loss.h"

namespace fovea {

struct Trainer::Impl {
    Impl(Graph given, const Value& given_loss, const Optimizer& given_optimizer, const TrainerSpec& given_spec)
        : graph(std::move(given)), optimizer(given_optimizer), spec(given_spec) {
        Value loss(&graph, given_loss.id(), given_loss.output());
        if (!spec.step.frozen.empty()) {
            Graph frozen = with_frozen_norms(graph, spec.step.frozen, loss);
            graph = std::move(frozen);
            loss = Value(&graph, loss.id(), loss.output());
        }
        if (spec.ranks != nullptr && spec.ranks->size() > 1) {
            require<ArgumentError>(spec.bucket_bytes > 0, "trainer: gradients travel in buckets of at least one byte, got {}", spec.bucket_bytes);
            spec.step.bucket_bytes = spec.bucket_bytes;
            if (spec.synchronises_norms) {
                Graph synchronised = with_synchronised_norms(graph, loss);
                graph = std::move(synchronised);
                loss = Value(&graph, loss.id(), loss.output());
            }
        }
        keep_outputs(loss);
        Graph gathering;
        if (spec.step.accumulate > 1) {
            gathering = graph.clone();
            append_accumulation(gathering, Value(&gathering, loss.id(), loss.output()), spec.step);
        }
        append_optimizer(graph, loss, optimizer, spec.step);
        for (const ParameterInfo& info : graph.parameters()) (info.name.starts_with(optimizer_prefix) ? optimizer_names : network_names).push_back(info.name);
        for (const Value& input : graph.inputs()) input_names.push_back(input.path());
        state = std::make_shared<State>(make_parameters(graph, spec.seed));
        CompileOptions options = spec.compile;
        options.inference = false;
        program = std::make_unique<Program>(graph.clone(), state, options);
        if (spec.step.accumulate > 1) gather = std::make_unique<Program>(std::move(gathering), state, options);
    }

    /// The loss, every other scalar, and the tensors asked for: nothing else is copied out of a step.
    void keep_outputs(const Value& loss) {
        const auto outputs = graph.outputs();
        graph.clear_outputs();
        graph.output("loss", loss);
        for (const auto& [name, value] : outputs) {
            const bool is_wanted = std::any_of(spec.keep.begin(), spec.keep.end(), [&, n = std::string_view(name)](const std::string& pattern) { return matches_glob(pattern, n); });
            if (name != "loss" && (value.shape().rank() == 0 || is_wanted)) graph.output(name, value);
        }
    }

    [[nodiscard]] bool has_input(std::string_view name) const { return std::find(input_names.begin(), input_names.end(), name) != input_names.end(); }

    [[nodiscard]] std::map<std::string, Tensor> with_scalars(std::map<std::string, Tensor> inputs, double lr, double momentum, std::int64_t update) const {
        if (has_input("lr")) inputs["lr"] = Tensor::scalar(lr);
        if (has_input("t")) inputs["t"] = Tensor::scalar(static_cast<double>(update));
        if (has_input("momentum")) inputs["momentum"] = Tensor::scalar(momentum);
        if (has_input("batches")) inputs["batches"] = Tensor::scalar(static_cast<double>(accumulated + 1));
        if (has_input("ema_rate")) inputs["ema_rate"] = Tensor::scalar(ema_rate(update));
        if (has_input("lookahead")) inputs["lookahead"] = Tensor::scalar(update % spec.step.lookahead_every == 0 ? 1.0 : 0.0);
        return inputs;
    }

    /// Where this rank's rows lie in the whole batch; without any it takes part with one row of zeros that counts nowhere.
    RankPlace take_place(std::map<std::string, Tensor>& inputs, std::int64_t& rows) const {
        const auto any = inputs.find("image") != inputs.end() ? inputs.find("image") : inputs.begin();
        const std::int64_t own = any == inputs.end() || any->second.shape().rank() == 0 ? 1 : any->second.shape()[0];
        rows = own;
        if (spec.step.bucket_bytes == 0) return {};
        RankPlace place{.ranks = spec.ranks, .is_idle = own == 0};
        const std::vector<std::int64_t> all = gathered(spec.ranks, own);
        rows = std::accumulate(all.begin(), all.end(), std::int64_t{0});
        place.first_row = std::accumulate(all.begin(), all.begin() + spec.ranks->rank(), std::int64_t{0});
        for (const Value& input : graph.inputs()) {
            const auto it = inputs.find(input.path());
            if (!place.is_idle || it == inputs.end() || input.shape().rank() == 0) continue;
            Shape one = input.shape().rank() == it->second.shape().rank() ? it->second.shape() : input.shape();
            one[0] = 1;
            it->second = Tensor(one, input.dtype());
        }
        inputs["share"] = Tensor::scalar(rows > 0 ? static_cast<double>(own) / static_cast<double>(rows) : 0, DType::f64);
        return place;
    }

    /// The part of the newest weights in the average: all at the first update, so that it begins where they are.
    [[nodiscard]] double ema_rate(std::int64_t update) const {
        const auto t = static_cast<double>(update);
        return update <= 1 ? 1 : 1 - std::min(spec.step.ema, (1 + t) / (10 + t));
    }

    [[nodiscard]] Parameters read(const std::vector<std::string>& names) const {
        Parameters values;
        for (const std::string& name : names) values.set(name, state->read(name));
        return values;
    }

    Graph graph;
    Optimizer optimizer;
    TrainerSpec spec;
    std::vector<std::string> network_names, optimizer_names, input_names;
    std::shared_ptr<State> state;
    std::unique_ptr<Program> program, gather;  ///< gather: the step that only accumulates, where there is one
    std::int64_t updates = 0, random_step = 0, accumulated = 0;
};

Trainer::Trainer(const Value& loss, const Optimizer& optimizer, const TrainerSpec& spec) : impl_(std::make_unique<Impl>(loss.graph().clone(), loss, optimizer, spec)) {}
Trainer::~Trainer() = default;
Trainer::Trainer(Trainer&&) noexcept = default;

StepResult Trainer::step(const Batch& batch) {
    std::map<std::string, Tensor> inputs{{"image", batch.images}};
    if (impl_->has_input("label")) inputs["label"] = labels_of(batch);
    return step(inputs);
}

StepResult Trainer::step(const std::map<std::string, Tensor>& inputs, std::optional<double> lr, std::optional<double> momentum, bool update_now) {
    Impl& self = *impl_;
    StepResult result;
    std::map<std::string, Tensor> mine = inputs;
    const RankPlace place = self.take_place(mine, result.rows);
    if (result.rows == 0 && place.ranks != nullptr) {
        result.is_update = false;
        return result;
    }
    result.is_update = update_now || self.accumulated + 1 >= self.spec.step.accumulate;
    Program& program = result.is_update ? *self.program : *self.gather;
    const auto given = !result.is_update ? mine
                                         : self.with_scalars(mine, lr.value_or(learning_rate_of(self.optimizer)), momentum.value_or(momentum_of(self.optimizer).value_or(0)), self.updates + 1);
    const std::vector<Tensor> outputs = program.run(given, {.seed = self.spec.seed, .step = static_cast<std::uint64_t>(self.random_step), .place = place});
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        const std::string& name = program.graph().outputs()[i].first;
        if (name == "loss") result.loss = outputs[i].at(0);
        if (outputs[i].shape().rank() == 0) result.scalars[name] = outputs[i].at(0);
        else result.tensors[name] = outputs[i];
    }
    self.updates += result.is_update;
    self.accumulated = result.is_update ? 0 : self.accumulated + 1;
    ++self.random_step;
    if (self.spec.check_finite)
        require(std::isfinite(result.loss), "update {}: the loss is {}; a smaller learning rate (now {:g}), a warm-up or clip_norm may help", self.updates, std::isnan(result.loss) ? "NaN" : "infinite",
                lr.value_or(learning_rate_of(self.optimizer)));
    return result;
}

Parameters Trainer::parameters() const { return impl_->read(impl_->network_names); }
Parameters Trainer::optimizer_state() const { return impl_->read(impl_->optimizer_names); }

void Trainer::load(const Parameters& parameters) {
    for (const std::string& name : parameters.names()) {
        const ParameterInfo* info = impl_->graph.find_parameter(name);
        if (info == nullptr) {
            std::vector<std::string> names = impl_->network_names;
            names.insert(names.end(), impl_->optimizer_names.begin(), impl_->optimizer_names.end());
            fail<ArgumentError>("the network has no parameter '{}'; nearest: {}", name, fmt::join(nearest_names(name, names), ", "));
        }
        const Tensor& value = parameters.at(name);
        require<ShapeError>(value.shape() == info->type.shape, "parameter '{}' is {}, the given one {}", name, info->type.shape, value.shape());
    }
    for (const std::string& name : parameters.names()) impl_->state->write(name, parameters.at(name));
}

std::int64_t Trainer::updates() const { return impl_->updates; }
std::int64_t Trainer::accumulated() const { return impl_->accumulated; }
void Trainer::set_progress(std::int64_t updates, std::int64_t random_step, std::int64_t accumulated) {
    impl_->updates = updates;
    impl_->accumulated = accumulated;
    impl_->random_step = random_step;
}
const Graph& Trainer::graph() const { return impl_->graph; }
Program& Trainer::program() { return *impl_->program; }

namespace {

bool is_finite(const Tensor& tensor) {
    if (tensor.dtype() == DType::f32) {
        const auto values = tensor.data<float>();
        return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
    }
    if (tensor.dtype() == DType::f64) {
        const auto values = tensor.data<double>();
        return std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
    }
    return true;
}

}  // namespace

std::string Trainer::first_not_finite(const Parameters& parameters, const std::map<std::string, Tensor>& inputs, std::int64_t updates, std::int64_t random_step, double lr,
                                      double momentum) const {
    for (const std::string& name : parameters.names())
        if (!is_finite(parameters.at(name))) return fmt::format("parameter '{}'", name);
    for (const auto& [name, value] : inputs)
        if (!is_finite(value)) return fmt::format("input '{}'", name);
    for (const auto& [name, value] : inputs)
        if (value.shape().rank() > 0 && value.shape()[0] == 0) return {};  // of several ranks one without rows
    auto given = impl_->with_scalars(inputs, lr, momentum, updates + 1);
    given["share"] = Tensor::scalar(1);
    std::vector<Value> values;  // every real result, in the order in which a step computes them
    for (const Node& node : impl_->graph.nodes()) {
        if (node.inputs.empty()) continue;
        for (std::size_t o = 0; o < node.outputs.size(); ++o)
            if (node.outputs[o].dtype == DType::f32) values.emplace_back(const_cast<Graph*>(&impl_->graph), node.id, static_cast<int>(o));
    }
    // Some at a time, because all of them at once may not fit into memory; each run repeats what comes before.
    constexpr std::size_t at_once = 48;
    CompileOptions options = impl_->spec.compile;
    options.inference = false;
    options.fuse = false;  // a fused kernel would hide where it began
    for (std::size_t first = 0; first < values.size(); first += at_once) {
        Graph probe = impl_->graph.clone();
        probe.clear_outputs();
        probe.clear_updates();
        const std::size_t end = std::min(values.size(), first + at_once);
        for (std::size_t i = first; i < end; ++i) probe.output(fmt::format("{}", i), Value(&probe, values[i].id(), values[i].output()));
        Program program(remove_dead_code(probe, true), std::make_shared<State>(parameters), options);
        std::map<std::string, Tensor> needed;
        for (const Value& input : program.graph().inputs())
            if (const auto it = given.find(input.path()); it != given.end()) needed.insert(*it);
        const std::vector<Tensor> results = program.run(needed, {.seed = impl_->spec.seed, .step = static_cast<std::uint64_t>(random_step)});
        for (std::size_t i = first; i < end; ++i)
            if (!is_finite(results[i - first])) return fmt::format("{} '{}'", values[i].node().op->name, values[i].path());
    }
    return {};
}

}  // namespace fovea
