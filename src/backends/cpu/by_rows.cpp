// Ops that treat every sample alike and alone, without a kernel of their own: the plain loops on the rows of each part, row-major.
#include "backends/cpu/kernels.h"

namespace fovea::cpu {

namespace {

constexpr std::uint32_t every = ~0u;

/// The inputs of which a part needs its own rows only, where the op allows that at all: its other inputs are read whole, however
/// their first dimension compares with the batch.
std::optional<std::uint32_t> row_inputs(const Node& node) {
    struct Rule {
        std::uint32_t rows;
        bool (*applies)(const Node&);
    };
    const auto always = [](const Node&) { return true; };
    const auto off_batch = [](const Node& n) {  // along an axis that is not the batch
        const std::int64_t axis = n.attrs.integer("axis");
        return axis != 0 && axis != -n.outputs[0].shape.rank();
    };
    const auto keeps_batch = [](const Node& n) {
        const auto axes = n.attrs.integers("axes");
        const int rank = n.inputs[0].shape().rank();
        return !axes.empty() && std::ranges::none_of(axes, [rank](std::int64_t a) { return a == 0 || a == -rank; });
    };
    static const std::map<std::string, Rule, std::less<>> rules{
        {"softmax", {1, off_batch}},
        {"log_softmax", {1, off_batch}},
        {"slice", {1, off_batch}},
        {"slice_backward", {0b11, off_batch}},
        {"concat", {every, off_batch}},
        {"concat_part", {every, off_batch}},
        {"pad", {1, [](const Node& n) { return n.attrs.integers("before")[0] == 0 && n.attrs.integers("after")[0] == 0; }}},
        {"pad_backward", {0b11, [](const Node& n) { return n.attrs.integers("before")[0] == 0 && n.attrs.integers("after")[0] == 0; }}},
        {"flip", {1, [](const Node& n) { return std::ranges::count(n.attrs.integers("axes"), 0) == 0; }}},
        {"transpose", {1, [](const Node& n) { return n.attrs.integers("order")[0] == 0; }}},
        {"sum", {1, keeps_batch}},
        {"mean", {1, keeps_batch}},
        {"expand_to", {0b11, [](const Node& n) { return n.inputs[0].shape().rank() == n.outputs[0].shape.rank() && n.inputs[0].shape()[0] == n.outputs[0].shape[0]; }}},
        {"sum_to", {0b11, [](const Node& n) { return n.inputs[0].shape().rank() == n.outputs[0].shape.rank() && n.inputs[0].shape()[0] == n.outputs[0].shape[0]; }}},
        {"one_hot", {0b11, always}},
        {"avg_pool2d", {1, always}},
        {"avg_pool2d_backward", {0b11, always}},
        {"adaptive_avg_pool2d", {1, always}},
        {"adaptive_avg_pool2d_backward", {0b11, always}},
        {"adaptive_max_pool2d", {1, always}},
        {"max_pool2d", {1, always}},
        {"max_pool2d_backward", {0b111, always}},
        {"gather_plane", {0b11, always}},
        {"interpolate", {1, always}},
        {"interpolate_backward", {0b11, always}},
        {"unpool", {1, always}},
        {"unpool_backward", {0b11, always}},
        {"unfold", {1, always}},
        {"unfold_backward", {0b11, always}},
        {"locally_connected2d", {1, always}},
        {"conv2d", {0b1001, always}},
        {"conv2d_backward_input", {0b101, always}},
        {"batch_norm_inference", {1, always}},
        {"lrn", {1, always}},
        {"lrn_backward", {0b111, always}},
        {"channel_window_sum", {1, always}},
        {"channel_shuffle", {1, always}},
        {"pixel_shuffle", {1, always}},
        {"pixel_unshuffle", {1, always}},
        {"max_over", {0b11, [](const Node& n) { return n.inputs[0].shape().rank() == n.outputs[0].shape.rank() && n.inputs[0].shape()[0] == n.outputs[0].shape[0]; }}},
    };
    if (node.op->is_elementwise) {
        // Broadcasting aligns shapes at their end: an operand of full rank that is as long as the batch is the batch's.
        std::uint32_t rows = 0;
        for (std::size_t i = 0; i < node.inputs.size(); ++i)
            if (!node.inputs[i].is_empty() && node.inputs[i].shape().rank() == node.outputs[0].shape.rank() && node.inputs[i].shape()[0] == node.outputs[0].shape[0]) rows |= 1u << i;
        return rows;
    }
    const auto it = rules.find(node.op->name);
    if (it == rules.end() || !it->second.applies(node)) return {};
    return it->second.rows;
}

struct Operand {
    Type type;
    std::size_t row_bytes = 0;  ///< 0: read whole
};

}  // namespace

std::optional<Kernel> plan_by_rows(const Node& node, const PlanContext& context) {
    constexpr std::size_t most = 31;
    if (!node.op->reference || node.inputs.size() > most || node.outputs.size() > most) return {};
    for (const Type& type : node.outputs)
        if (type.shape.rank() == 0 || type.shape[0] != context.rows || type.shape.elements() == 0) return {};
    const auto rows = row_inputs(node);
    if (!rows) return {};
    std::vector<Operand> ins, outs;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        const Value& input = node.inputs[i];
        Operand operand{input.is_empty() ? Type{} : Type{input.shape(), stored_as(input.dtype(), context.real)}};
        if (!input.is_empty() && (*rows >> i & 1)) {
            if (input.shape().rank() == 0 || input.shape()[0] != context.rows) return {};
            operand.row_bytes = static_cast<std::size_t>(input.shape().elements() / context.rows) * size_of(operand.type.dtype);
        }
        ins.push_back(operand);
    }
    for (const Type& type : node.outputs) {
        const DType dtype = stored_as(type.dtype, context.real);
        outs.push_back({{type.shape, dtype}, static_cast<std::size_t>(type.shape.elements() / context.rows) * size_of(dtype)});
    }
    Kernel kernel;
    kernel.name = "loops:rows";
    kernel.in.resize(node.inputs.size());
    kernel.out.resize(node.outputs.size());
    kernel.phases.push_back({.kind = Phase::Kind::rows, .row_reads = *rows, .run = [op = node.op, attrs = node.attrs, ins, outs, real = context.real](const KernelArgs& args, const Part& part) {
                                 const auto cut = [&](const std::vector<Operand>& operands, std::span<std::byte* const> data, std::vector<Type>& types, auto& pointers) {
                                     for (std::size_t i = 0; i < operands.size(); ++i) {
                                         types.push_back(operands[i].type);
                                         if (operands[i].row_bytes) types.back().shape[0] = part.end - part.begin;
                                         pointers.push_back(data[i] ? data[i] + static_cast<std::size_t>(part.begin) * operands[i].row_bytes : nullptr);
                                     }
                                 };
                                 std::vector<Type> in_types, out_types;
                                 std::vector<const void*> in;
                                 std::vector<void*> out;
                                 cut(ins, args.in, in_types, in);
                                 cut(outs, args.out, out_types, out);
                                 op->reference(OpRun(attrs, in_types, out_types, in, out, real, args.seed, args.step));
                             }});
    return kernel;
}

}  // namespace fovea::cpu
