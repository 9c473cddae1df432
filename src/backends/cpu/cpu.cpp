// The CPU backend: which planner serves which op. What none serves, the plain loops run, and the plan says so.
#include "backends/cpu/cpu.h"

#include "backends/cpu/bf16.h"
#include "backends/cpu/int8.h"
#include "backends/cpu/kernels.h"

namespace fovea {

namespace {

using Planner = std::optional<Kernel> (*)(const Node&, const PlanContext&);

Planner planner_of(const std::string& op) {
    static const std::map<std::string, Planner, std::less<>> planners{
        {"conv2d", cpu::plan_conv2d},
        {"conv2d_backward_input", cpu::plan_conv2d_backward_input},
        {"conv2d_backward_weight", cpu::plan_conv2d_backward_weight},
        {"linear", cpu::plan_linear},
        {"matmul", cpu::plan_matmul},
        {"batch_norm", cpu::plan_batch_norm},
        {"batch_norm_apply", cpu::plan_batch_norm_apply},
        {"batch_norm_backward", cpu::plan_batch_norm_backward},
        {"batch_norm_inference", cpu::plan_batch_norm_inference},
        {"max_pool2d", cpu::plan_pool},
        {"adaptive_max_pool2d", cpu::plan_pool},
        {"max_pool2d_backward", cpu::plan_pool},
        {"sum", cpu::plan_reduction},
        {"mean", cpu::plan_reduction},
        {"multiply", cpu::plan_gated_pointwise},
        {"expand_to", cpu::plan_reduction},
        {"divide_by_count", cpu::plan_reduction},
        {"sum_to", cpu::plan_reduction},
        {"slice", cpu::plan_resample},
        {"slice_backward", cpu::plan_resample},
        {"pad", cpu::plan_resample},
        {"pad_backward", cpu::plan_resample},
        {"flip", cpu::plan_resample},
        {"unpool", cpu::plan_resample},
        {"unpool_backward", cpu::plan_resample},
        {"interpolate", cpu::plan_resample},
        {"interpolate_backward", cpu::plan_resample},
        {"avg_pool2d", cpu::plan_resample},
        {"avg_pool2d_backward", cpu::plan_resample},
        {"adaptive_avg_pool2d", cpu::plan_resample},
        {"adaptive_avg_pool2d_backward", cpu::plan_resample},
        {"concat", cpu::plan_concat},
        {"concat_part", cpu::plan_concat},
        {"softmax", cpu::plan_softmax},
        {"log_softmax", cpu::plan_softmax},
        {"softmax_cross_entropy", cpu::plan_softmax},
        {"softmax_cross_entropy_backward", cpu::plan_softmax},
        {"dropout", cpu::plan_dropout},
        {"choose_paths", cpu::plan_choose_paths},
        {"all_reduce_begin", cpu::plan_all_reduce},
        {"all_reduce_end", cpu::plan_all_reduce},
        {"lrn", cpu::plan_lrn},
        {"lrn_backward", cpu::plan_lrn},
        {"channel_shuffle", cpu::plan_shuffle},
        {"pixel_shuffle", cpu::plan_shuffle},
        {"pixel_unshuffle", cpu::plan_shuffle},
    };
    const auto it = planners.find(op);
    return it == planners.end() ? nullptr : it->second;
}

class CpuBackend final : public Backend {
public:
    std::string name() const override { return "cpu"; }
    std::string machine() const override { return cpu::machine_name(); }
    std::string lacks_int8() const override { return cpu::has_int8() ? "" : "this processor (or DNNL_MAX_CPU_ISA) has no AVX512-VNNI"; }
    std::string lacks_bf16() const override { return cpu::has_bf16() ? "" : "this processor has no AVX512-BF16"; }
    std::optional<Kernel> plan(const Node& node, const PlanContext& context) const override {
        if (auto kernel = cpu::plan_int8(node, context)) return kernel;
        if (const Planner planner = planner_of(node.op->name))
            if (auto kernel = planner(node, context)) return kernel;
        for (const Planner planner : {cpu::plan_elementwise, cpu::plan_broadcast, cpu::plan_by_rows})
            if (auto kernel = planner(node, context)) return kernel;
        return {};
    }
    Kernel reorder(const Type& type, const Layout& from, const Layout& to, const PlanContext& context) const override { return cpu::plan_reorder(type, from, to, context); }
    std::optional<JoinedLayouts> joined(const Type& part, const Type& whole, const PlanContext& context) const override {
        const Shape& shape = whole.shape;
        if (context.stores_bf16 || context.real != DType::f32 || whole.dtype != DType::f32 || shape.rank() != 4 || shape[0] != context.rows || part.shape.elements() == 0) return {};
        return JoinedLayouts{std::make_shared<cpu::SliceLayout>(part.shape, shape[1]), cpu::channels_last(shape)};
    }
    bool reads_slice(const Node& node, int input) const override {
        const std::string& op = node.op->name;
        if (op == "concat") return true;
        if (op == "batch_norm_backward") return input == 0 || input == 1 || input == 5;
        if (cpu::elementwise_reads_slices(node)) return true;
        if (op == "conv2d") return input == 0 && cpu::is_pointwise(node);
        return input == 0 && (op == "batch_norm" || op == "batch_norm_apply" || op == "batch_norm_inference" || op == "max_pool2d" || planner_of(op) == cpu::plan_resample);
    }
};

}  // namespace

const Backend& cpu_backend() {
    static const CpuBackend backend;
    return backend;
}

}  // namespace fovea
