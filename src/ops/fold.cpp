// The two small ops fold_batch_norm() leaves behind: evaluated once, when the parameters of an inference program are adopted.
#include <cmath>

#include "graph/op.h"

namespace fovea {

void register_fold(OpRegistry& ops) {
    const auto cost = [](const OpInputs& in) { return Cost{0, 2 * in.shape(0).elements()}; };
    // w [K, ...], gamma [K], var [K] -> w gamma / sqrt(var + eps)
    ops.add({.name = "fold_weight",
             .shape = [](const OpInputs& in) { return Types(in.type(0)); },
             .cost = cost,
             .reference =
                 [](const OpRun& run) {
                     run.with_real([&](auto tag) {
                         using T = decltype(tag);
                         const std::int64_t channels = run.shape(0)[0], inner = run.shape(0).elements() / channels;
                         for (std::int64_t k = 0; k < channels; ++k) {
                             const double scale = run.in<T>(1)[k] / std::sqrt(static_cast<double>(run.in<T>(2)[k]) + run.attrs().real("eps"));
                             for (std::int64_t i = 0; i < inner; ++i) run.out<T>()[k * inner + i] = static_cast<T>(run.in<T>(0)[k * inner + i] * scale);
                         }
                     });
                 }});
    // gamma, beta, mean, var, optional bias [K] -> beta + (bias - mean) gamma / sqrt(var + eps)
    ops.add({.name = "fold_bias",
             .shape = [](const OpInputs& in) { return Types(in.type(0)); },
             .cost = cost,
             .reference = [](const OpRun& run) {
                 run.with_real([&](auto tag) {
                     using T = decltype(tag);
                     for (std::int64_t k = 0; k < run.shape(0)[0]; ++k) {
                         const double scale = run.in<T>(0)[k] / std::sqrt(static_cast<double>(run.in<T>(3)[k]) + run.attrs().real("eps"));
                         const double bias = run.has(4) ? static_cast<double>(run.in<T>(4)[k]) : 0.0;
                         run.out<T>()[k] = static_cast<T>(run.in<T>(1)[k] + (bias - run.in<T>(2)[k]) * scale);
                     }
                 });
             }});
}

}  // namespace fovea
