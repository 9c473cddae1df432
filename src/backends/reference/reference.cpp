// The reference backend: every node through its plain loops, row-major, f32 or f64.
#include <cstring>

#include "backends/backend.h"
#include "backends/reference/reference.h"

namespace fovea {

Kernel plan_loops(const Node& node, DType real) {
    require<BackendError>(node.op->reference != nullptr, "reference backend: op '{}' ('{}') has no plain loops", node.op->name, node.path);
    std::vector<Type> in_types, out_types;
    for (const Value& input : node.inputs) {
        in_types.push_back(input.is_empty() ? Type{} : input.type());
        in_types.back().dtype = stored_as(in_types.back().dtype, real);
    }
    for (const Type& type : node.outputs) out_types.push_back({type.shape, stored_as(type.dtype, real)});
    Kernel kernel;
    kernel.name = "loops";
    kernel.in.resize(node.inputs.size());
    kernel.out.resize(node.outputs.size());
    // The node itself lives in the graph of the executable; what the loops need is copied so that the kernel stands alone.
    kernel.phases.push_back({.is_collective = is_collective(node), .run = [op = node.op, attrs = node.attrs, in_types, out_types, real](const KernelArgs& args, const Part&) {
        std::vector<const void*> in(args.in.begin(), args.in.end());
        std::vector<void*> out(args.out.begin(), args.out.end());
        op->reference(OpRun(attrs, in_types, out_types, in, out, real, args.seed, args.step, args.place));
    }});
    return kernel;
}

Kernel plan_copy(const Type& type, DType real) {
    Kernel kernel;
    kernel.name = "copy";
    kernel.in.resize(1);
    kernel.out.resize(1);
    const std::size_t bytes = row_major_bytes(type, real);
    kernel.phases.push_back({.run = [bytes](const KernelArgs& args, const Part&) { std::memcpy(args.out[0], args.in[0], bytes); }});
    return kernel;
}

namespace {

class ReferenceBackend final : public Backend {
public:
    std::string name() const override { return "reference"; }
    std::string lacks_int8() const override { return "its plain loops compute in f32"; }
    std::string lacks_bf16() const override { return "the plain loops know f32 and f64"; }
    std::optional<Kernel> plan(const Node& node, const PlanContext& context) const override { return plan_loops(node, context.real); }
    Kernel reorder(const Type& type, const Layout&, const Layout&, const PlanContext& context) const override { return plan_copy(type, context.real); }
};

}  // namespace

const Backend& reference_backend() {
    static const ReferenceBackend backend;
    return backend;
}

}  // namespace fovea
