// Exponential linear units: ELU (Clevert et al. 2016, arXiv:1511.07289), CELU (Barron 2017, arXiv:1704.07483), SELU
// (Klambauer et al. 2017, arXiv:1706.02515). All are scale * (x > 0 ? x : alpha (exp(x / width) - 1)).
#include <cmath>

#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/unary.h"

namespace fovea {

Value elu(const Value& x, const EluSpec& spec, std::string_view name) { return x.graph().add("elu", {x}, {{"alpha", spec.alpha}}, name); }

Value celu(const Value& x, const EluSpec& spec, std::string_view name) {
    require<ArgumentError>(spec.alpha > 0, "celu '{}': alpha must be positive, got {}", x.graph().path_of(name), spec.alpha);
    return x.graph().add("elu", {x}, {{"alpha", spec.alpha}, {"width", spec.alpha}}, name.empty() ? "celu" : name);
}

Value selu(const Value& x, std::string_view name) {
    // The fixed point of mean 0 and variance 1, as printed in the paper.
    return x.graph().add("elu", {x}, {{"alpha", 1.6732632423543772848170429916717}, {"scale", 1.0507009873554804934193349852946}}, name.empty() ? "selu" : name);
}

namespace {

struct Elu {
    explicit Elu(const Attrs& attrs) : alpha(attrs.real("alpha")), width(attrs.real("width", 1)), scale(attrs.real("scale", 1)) {}
    template <class T> T value(T x) const { return static_cast<T>(scale) * (x > 0 ? x : static_cast<T>(alpha) * std::expm1(x / static_cast<T>(width))); }
    template <class T> T slope(T x) const { return x > 0 ? static_cast<T>(scale) : static_cast<T>(scale * alpha / width) * std::exp(x / static_cast<T>(width)); }
    [[nodiscard]] Value slope(const Value& x) const {
        // The exponential of the negative part only: the other branch must not overflow.
        return where(greater(x, 0), scalar(x.graph(), scale), scale * alpha / width * exp(minimum(x, 0) / width));
    }
    double alpha, width, scale;
};

}  // namespace

void register_elu(OpRegistry& ops) { add_activation<Elu>(ops, "elu", 4); }

}  // namespace fovea
