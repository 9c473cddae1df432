// A loss becomes a whole training step: gradients, clipping and one update per parameter, in the same graph.
#include <algorithm>

#include "core/text.h"
#include "fovea/passes.h"
#include "train/optimizer.h"
#include "train/over_ranks.h"
#include "train/updater.h"

namespace fovea {

namespace {

bool matches_any(const std::vector<std::string>& patterns, std::string_view name) {
    return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) { return matches_glob(pattern, name); });
}

/// A pattern that fits nothing is a spelling mistake.
void check_patterns(const std::vector<std::string>& patterns, const std::vector<std::string>& names, std::string_view what) {
    for (const std::string& pattern : patterns)
        if (std::none_of(names.begin(), names.end(), [&](const std::string& name) { return matches_glob(pattern, name); }))
            fail<ArgumentError>("{} pattern '{}' matches no trainable parameter; nearest: {}", what, pattern, fmt::join(nearest_names(pattern, names), ", "));
}

/// sqrt of the sum of all squares.
Value joint_norm(const std::vector<Value>& gradients) {
    Value total;
    for (const Value& g : gradients) {
        const Value squares = sum(square(g));
        total = total.is_empty() ? squares : total + squares;
    }
    return sqrt(total, "gradient_norm");
}

struct Slopes {
    std::vector<std::string> names;  ///< of all trainable parameters
    std::vector<Value> trained, gradients;
};

Slopes slopes_of(Graph& graph, const Value& loss, const StepSpec& spec) {
    require<ArgumentError>(&loss.graph() == &graph, "append_optimizer: the loss '{}' belongs to another graph", loss.path());
    require<ShapeError>(loss.shape().rank() == 0, "the loss '{}' is {}; a training step needs one number: reduce it with mean or sum", loss.path(), loss.shape());
    Slopes result;
    for (const ParameterInfo& info : graph.parameters())
        if (info.is_trainable) result.names.push_back(info.name);
    check_patterns(spec.frozen, result.names, "frozen");
    std::vector<Value> candidates;
    for (const std::string& name : result.names)
        if (!matches_any(spec.frozen, name)) candidates.push_back(graph.find(name));
    const std::vector<Value> found = gradients(loss, candidates);
    for (std::size_t i = 0; i < found.size(); ++i) {
        if (found[i].is_empty()) continue;  // a head that this loss does not use
        result.trained.push_back(candidates[i]);
        result.gradients.push_back(found[i]);
    }
    require<ArgumentError>(!result.trained.empty(), "nothing to train: the loss '{}' depends on none of the {} trainable parameters{}", loss.path(), result.names.size(),
                           spec.frozen.empty() ? "" : " that are not frozen");
    return result;
}

/// The loss by this rank's share of the rows: the ranks' gradients then add up to that of the whole batch's mean.
Value counted(const Value& loss, StepInputs& inputs, const StepSpec& spec) { return spec.bucket_bytes > 0 ? loss * inputs("share") : loss; }

Value waiting_gradient(Graph& graph, const Value& p) { return graph.parameter(fmt::format("{}accumulated.{}", optimizer_prefix, p.path()), p.shape(), Init::zeros(), false); }

/// The gradients of this batch and of those that wait, as their mean.
void join_accumulated(Graph& graph, Slopes& slopes, StepInputs& inputs) {
    const Value part = scalar(graph, 1) / inputs("batches");
    for (std::size_t i = 0; i < slopes.trained.size(); ++i) {
        const Value waiting = waiting_gradient(graph, slopes.trained[i]);
        slopes.gradients[i] = (waiting + slopes.gradients[i]) * part;
        graph.update(waiting, expand_to(scalar(graph, 0), waiting));
    }
}

void clip(Graph& graph, std::vector<Value>& slopes, const StepSpec& spec) {
    if (spec.clip_value > 0)
        for (Value& g : slopes) g = clamp(g, -spec.clip_value, spec.clip_value);
    if (spec.clip_norm == 0 && !spec.log_gradient_norm) return;
    const Value norm = joint_norm(slopes);
    graph.output("gradient_norm", norm);
    if (spec.clip_norm == 0) return;
    const Value factor = minimum(scalar(graph, spec.clip_norm) / (norm + 1e-6), 1.0);  // 1e-6 as clip_grad_norm_
    for (Value& g : slopes) g = g * factor;
}

Rule rule_of(const Value& p, const StepSpec& spec) {
    const bool is_matrix = p.shape().rank() > 1;
    Rule rule{.is_elementwise = !is_matrix};
    for (const ParameterGroup& group : spec.groups) {
        if (!matches_any(group.parameters, p.path())) continue;
        rule = {group.lr, group.weight_decay, group.elementwise || !is_matrix};
        break;
    }
    if (matches_any(spec.no_decay, p.path()) || (!spec.decay_norms_and_biases && !is_matrix)) rule.decay = 0;
    return rule;
}

/// What the graph's updates will leave in each parameter, changed by `change(parameter, next)`.
template <class F> void change_updates(Graph& graph, F&& change) {
    const auto updates = graph.updates();
    graph.clear_updates();
    for (const auto& [parameter, next] : updates) graph.update(parameter, change(parameter, next));
}

/// 1 at the first update, 0 after it: state that begins where the parameter is.
Value is_first(StepInputs& inputs) { return clamp(2.0 - inputs("t"), 0, 1); }

void look_ahead(Graph& graph, const StepSpec& spec, StepInputs& inputs) {
    const Value first = is_first(inputs), due = inputs("lookahead");
    std::vector<std::pair<Value, Value>> slow_weights;
    change_updates(graph, [&](const Value& p, const Value& next) {
        const ParameterInfo* info = graph.find_parameter(p.path());
        if (!info->is_trainable) return next;
        const Value slow = graph.parameter(fmt::format("{}slow.{}", optimizer_prefix, p.path()), p.shape(), Init::zeros(), false);
        const Value base = slow + (p - slow) * first, target = base + (next - base) * spec.lookahead_alpha;
        slow_weights.emplace_back(slow, base + (target - base) * due);
        return next + (target - next) * due;
    });
    for (const auto& [slow, value] : slow_weights) graph.update(slow, value);
}

void keep_average(Graph& graph, StepInputs& inputs) {
    const Value rate = inputs("ema_rate");
    std::vector<std::pair<Value, Value>> averages;
    for (const auto& [p, next] : graph.updates()) {
        if (p.path().starts_with(optimizer_prefix) || p.dtype() != DType::f32) continue;
        const Value average = graph.parameter(std::string(average_prefix) + p.path(), p.shape(), Init::zeros(), false);
        averages.emplace_back(average, average + (next - average) * rate);
    }
    for (const auto& [average, value] : averages) graph.update(average, value);
}

void check_spec(const StepSpec& spec, const std::vector<std::string>& names) {
    require<ArgumentError>(spec.clip_norm >= 0 && spec.clip_value >= 0, "clipping: limits are at least 0 (0 is off), got norm {} and value {}", spec.clip_norm, spec.clip_value);
    require<ArgumentError>(spec.accumulate >= 1, "accumulate: at least one batch makes an update, got {}", spec.accumulate);
    require<ArgumentError>(spec.ema >= 0 && spec.ema < 1, "ema: the decay lies in 0..1, 1 left out (0 is off), got {}", spec.ema);
    require<ArgumentError>(spec.lookahead_every >= 0 && spec.lookahead_alpha > 0 && spec.lookahead_alpha <= 1, "lookahead: every so many updates (0 is off) by a part in 0..1, got {} and {}",
                           spec.lookahead_every, spec.lookahead_alpha);
    check_patterns(spec.no_decay, names, "no_decay");
    for (const ParameterGroup& group : spec.groups) {
        require<ArgumentError>(!group.parameters.empty(), "group '{}' names no parameters", group.name);
        require<ArgumentError>(group.lr >= 0 && group.weight_decay >= 0, "group '{}': factors are at least 0, got lr {} and weight_decay {}", group.name, group.lr, group.weight_decay);
        check_patterns(group.parameters, names, fmt::format("group '{}':", group.name));
    }
}

}  // namespace

bool matches_glob(std::string_view pattern, std::string_view name) {
    std::size_t p = 0, n = 0, star = std::string_view::npos, mark = 0;
    while (n < name.size()) {
        if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n]) && pattern[p] != '*') ++p, ++n;
        else if (p < pattern.size() && pattern[p] == '*') star = p++, mark = n;
        else if (star != std::string_view::npos) p = star + 1, n = ++mark;  // the last star takes one character more
        else return false;
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

void append_optimizer(Graph& graph, const Value& loss, const Optimizer& optimizer, const StepSpec& spec) {
    check(optimizer);
    StepInputs inputs(graph);
    Slopes slopes = slopes_of(graph, counted(loss, inputs, spec), spec);
    check_spec(spec, slopes.names);
    if (spec.accumulate > 1) join_accumulated(graph, slopes, inputs);
    if (spec.bucket_bytes > 0) reduce_over_ranks(graph, slopes.gradients, inputs, spec.bucket_bytes);
    clip(graph, slopes.gradients, spec);
    Updater update(graph, spec, inputs);
    for (std::size_t i = 0; i < slopes.trained.size(); ++i)
        std::visit([&](const auto& o) { update(o, slopes.trained[i], slopes.gradients[i], rule_of(slopes.trained[i], spec)); }, optimizer);
    if (spec.lookahead_every > 0) look_ahead(graph, spec, inputs);
    if (spec.ema > 0) keep_average(graph, inputs);
}

void append_accumulation(Graph& graph, const Value& loss, const StepSpec& spec) {
    StepInputs inputs(graph);
    const Slopes slopes = slopes_of(graph, counted(loss, inputs, spec), spec);
    std::vector<Value> none;  // gradients wait where they are made
    if (spec.bucket_bytes > 0) reduce_over_ranks(graph, none, inputs, spec.bucket_bytes);
    for (std::size_t i = 0; i < slopes.trained.size(); ++i) {
        const Value waiting = waiting_gradient(graph, slopes.trained[i]);
        graph.update(waiting, waiting + slopes.gradients[i]);
    }
}

Graph with_frozen_norms(const Graph& graph, const std::vector<std::string>& frozen, Value& loss) {
    Graph result;
    Rewriter rewrite(graph, result);
    std::vector<std::string> buffers;  // that stay as they are
    for (const Node& node : graph.nodes()) {
        const bool is_norm = op_name(node) == "batch_norm";
        const bool has_scale = is_norm && graph.find_parameter(node.inputs[1].path()) != nullptr;
        if (!is_norm || !matches_any(frozen, node.inputs[has_scale ? 1 : 3].path())) {
            rewrite.copy(node);
            continue;
        }
        std::vector<Value> inputs;
        for (const Value& input : node.inputs) inputs.push_back(rewrite(input));
        rewrite.set(Value(const_cast<Graph*>(&graph), node.id, 0), result.add("batch_norm_inference", inputs, {{"eps", node.attrs.real("eps")}}, node.path));
        const std::string& mean = node.inputs[3].path();
        buffers.push_back(mean);
        buffers.push_back(node.inputs[4].path());
        buffers.push_back(mean.substr(0, mean.size() - std::string_view("running_mean").size()) + "num_batches_tracked");
    }
    for (const auto& [name, value] : graph.outputs()) result.output(name, rewrite(value));
    for (const auto& [parameter, value] : graph.updates())
        if (std::ranges::find(buffers, parameter.path()) == buffers.end()) result.update(rewrite(parameter), rewrite(value));
    for (const auto& [name, value] : graph.modules())
        if (rewrite.has(value)) result.module_output(name, rewrite(value));
    result.copy_fixed_scalars(graph);
    loss = rewrite(Value(const_cast<Graph*>(&graph), loss.id(), loss.output()));
    return result;
}

}  // namespace fovea
