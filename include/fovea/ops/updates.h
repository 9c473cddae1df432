// Optimiser updates, one step for one parameter p with gradient g.
// Each returns p'; the new state follows as siblings 1, 2, ... in the order of the state arguments that are present. The learning
// rate and the step count (1 at the first step) are real scalars [], so that a schedule changes them without compiling again.
#pragma once

#include <string>
#include <string_view>

#include "fovea/graph.h"

namespace fovea {

struct SgdUpdateSpec {
    double momentum = 0;
    double dampening = 0;  ///< needs step_count: the first step is not damped
    bool nesterov = false;
    double weight_decay = 0;
    bool decoupled = false;      ///< decay shrinks p by lr * weight_decay instead of joining the gradient
    std::string form = "torch";  ///< "torch": v = mu v + g, p -= lr v; "caffe": v = mu v + lr g, p -= v; "ema": v = mu v + (1 - mu) g
};
/// `momentum`, a real scalar [], replaces the spec's: for schedules that move it.
Value sgd_update(const Value& p, const Value& g, const Value& lr, const Value& velocity, const SgdUpdateSpec& spec = {}, const Value& step_count = {}, const Value& momentum = {},
                 std::string_view name = {});

struct AdamUpdateSpec {
    double beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
    bool decoupled = false;  ///< AdamW
    bool amsgrad = false;    ///< needs v_max
};
/// `beta1`, a real scalar [], replaces the spec's.
Value adam_update(const Value& p, const Value& g, const Value& lr, const Value& step_count, const Value& m, const Value& v, const AdamUpdateSpec& spec = {}, const Value& v_max = {},
                  const Value& beta1 = {}, std::string_view name = {});

struct RmspropUpdateSpec {
    double alpha = 0.99, eps = 1e-8, momentum = 0, weight_decay = 0;
    bool decoupled = false;
    bool centered = false;    ///< needs the running mean gradient
    bool eps_inside = false;  ///< sqrt(s + eps) instead of sqrt(s) + eps
};
Value rmsprop_update(const Value& p, const Value& g, const Value& lr, const Value& square_mean, const RmspropUpdateSpec& spec = {}, const Value& velocity = {},
                     const Value& mean = {}, std::string_view name = {});

struct AdagradUpdateSpec {
    double lr_decay = 0, eps = 1e-10, weight_decay = 0;
    bool decoupled = false;
};
Value adagrad_update(const Value& p, const Value& g, const Value& lr, const Value& step_count, const Value& squares, const AdagradUpdateSpec& spec = {}, std::string_view name = {});

struct AdadeltaUpdateSpec {
    double rho = 0.9, eps = 1e-6, weight_decay = 0;
    bool decoupled = false;
};
Value adadelta_update(const Value& p, const Value& g, const Value& lr, const Value& square_mean, const Value& step_mean, const AdadeltaUpdateSpec& spec = {},
                      std::string_view name = {});

}  // namespace fovea
