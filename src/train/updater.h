// Update nodes of one parameter after the other, for every optimiser.
#pragma once

#include <map>
#include <string_view>
#include <vector>

#include "fovea/ops.h"
#include "fovea/train.h"

namespace fovea {

/// Scalar inputs of the step, declared when first used.
class StepInputs {
public:
    explicit StepInputs(Graph& graph) : graph_(graph) {}
    Value operator()(std::string_view name);

private:
    Graph& graph_;
    std::map<std::string, Value, std::less<>> values_;
};

/// How one parameter is trained.
struct Rule {
    double lr = 1, decay = 1;   ///< factors of the optimiser's
    bool is_elementwise = true; ///< no per-layer rule
};

class Updater {
public:
    Updater(Graph& graph, const StepSpec& spec, StepInputs& inputs) : graph_(graph), spec_(spec), inputs_(inputs) {}

    void operator()(const Sgd& o, const Value& p, const Value& g, const Rule& rule);
    void operator()(const Adam& o, const Value& p, const Value& g, const Rule& rule);
    void operator()(const AdamW& o, const Value& p, const Value& g, const Rule& rule);
    void operator()(const RMSprop& o, const Value& p, const Value& g, const Rule& rule);
    void operator()(const Adagrad& o, const Value& p, const Value& g, const Rule& rule);
    void operator()(const Adadelta& o, const Value& p, const Value& g, const Rule& rule);
    void operator()(const Lars& o, const Value& p, const Value& g, const Rule& rule);
    void operator()(const Lamb& o, const Value& p, const Value& g, const Rule& rule);
    void operator()(const Lion& o, const Value& p, const Value& g, const Rule& rule);
    void operator()(const Muon& o, const Value& p, const Value& g, const Rule& rule);

private:
    Value lr(const Rule& rule, double factor = 1);
    Value momentum(bool moves) { return moves && spec_.momentum_input ? inputs_("momentum") : Value{}; }
    Value slot(std::string_view name, const Value& p, double initial = 0);
    void adam(const AdamUpdateSpec& spec, const Value& p, const Value& g, const Value& lr, bool moves);
    template <class F> void finish(const Value& p, const std::vector<Value>& slots, F&& update);

    Graph& graph_;
    const StepSpec& spec_;
    StepInputs& inputs_;
    std::map<double, Value> rates_;
};

/// A matrix [M, N] made nearly orthogonal: `steps` of the quintic Newton-Schulz iteration X = a X + (b A + c A A) X, A = X X^T, with
/// (a, b, c) = (3.4445, -4.7750, 2.0315), from X = G / |G|.
[[nodiscard]] Value newton_schulz(const Value& matrix, int steps);

}  // namespace fovea
