#include "backends/cpu/cpu.h"

namespace fovea {

namespace {
class CpuBackend final : public Backend {
public:
    std::string name() const override { return "cpu"; }
    std::optional<Kernel> plan(const Node&, const PlanContext&) const override { return {}; }
    Kernel reorder(const Type& type, const Layout&, const Layout&, const PlanContext& context) const override { return plan_copy(type, context.real); }
};
}  // namespace

const Backend& cpu_backend() {
    static const CpuBackend backend;
    return backend;
}

}  // namespace fovea
