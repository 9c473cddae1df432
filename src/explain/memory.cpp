// Memory before anything runs: the plan's arena, the parameters in the layout the kernels want, what goes in and comes out. And measured.
#include <malloc.h>

#include <cmath>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>

#include "core/memory.h"
#include "core/text.h"
#include "fovea/explain.h"
#include "fovea/nn.h"
#include "fovea/ops.h"
#include "fovea/runtime.h"
#include "fovea/train.h"
#include "runtime/executable.h"

namespace fovea {

namespace {

/// Shapes of all inputs for a batch: the first dimension of those that have one.
std::map<std::string, Shape> shapes_for(const Graph& graph, std::int64_t batch) {
    std::map<std::string, Shape> shapes;
    for (const Value& input : graph.inputs()) {
        Shape shape = input.shape();
        if (shape.rank() > 0 && shape[0] == dynamic) shape[0] = batch;
        shapes[input.path()] = shape;
    }
    return shapes;
}

Executable compiled(const Graph& graph, std::int64_t batch, bool is_training, Recompute mode) {
    return compile(graph, shapes_for(graph, batch), {.inference = !is_training, .recompute = mode});
}

MemoryUse memory_of(const Executable& executable, const Graph& graph) {
    const Executable::Impl& program = executable.impl();
    const auto most = static_cast<std::size_t>(program.context.is_serial ? 1 : threads());
    MemoryUse use{.activations = allocated(program.arena_bytes) + most * (allocated(program.workspace_bytes) + allocated(program.local_bytes))};
    for (const auto& [parameter, buffer] : program.packed) use.derived += allocated(program.buffers[static_cast<std::size_t>(buffer)].bytes);
    std::map<std::string, std::size_t> in_layout;
    for (std::size_t i = 0; i < program.parameters.size(); ++i) {
        const std::size_t bytes = program.buffers[static_cast<std::size_t>(program.parameter_buffers[i])].bytes;
        if (program.derived.contains(program.parameters[i].name)) use.derived += allocated(bytes);
        else in_layout[program.parameters[i].name] = bytes;
    }
    // Parameters the program folded away stay in the state as they were declared.
    for (const ParameterInfo& info : graph.parameters()) {
        const auto it = in_layout.find(info.name);
        use.state += allocated(it == in_layout.end() ? static_cast<std::size_t>(info.type.shape.elements()) * size_of(info.type.dtype) : it->second);
    }
    for (const auto& port : executable.inputs()) use.inputs += static_cast<std::size_t>(port.type.shape.elements()) * size_of(port.type.dtype);
    for (const auto& port : executable.outputs()) use.outputs += static_cast<std::size_t>(port.type.shape.elements()) * size_of(port.type.dtype);
    return use;
}

/// A line of /proc/self/status in bytes: "VmRSS" what is resident now, "VmHWM" the most since it was last reset.
std::size_t status_bytes(std::string_view key) {
    std::ifstream file("/proc/self/status");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with(key)) {
            std::istringstream words(line.substr(key.size() + 1));
            std::size_t kilobytes = 0;
            words >> kilobytes;
            return kilobytes * 1024;
        }
    fail<Error>("memory: /proc/self/status has no {}: resident memory can be measured on Linux only", key);
}

void reset_peak() {
    std::ofstream file("/proc/self/clear_refs");
    file << "5";
    require(static_cast<bool>(file.flush()), "memory: /proc/self/clear_refs cannot be written: the peak of resident memory cannot be reset");
}

Tensor some_values(const Executable::Port& port) {
    Tensor tensor(port.type.shape, port.type.dtype);
    const Rng rng(0, hash_name(port.name));
    for (std::int64_t i = 0; i < tensor.elements(); ++i) tensor.set(i, port.type.dtype == DType::f32 ? rng.uniform(static_cast<std::uint64_t>(i)) : 0);
    return tensor;
}

}  // namespace

Graph training_step(const Graph& network, ModelLoss loss) {
    Graph graph = network.clone();
    const Value out = graph.find_output("out");
    const Value total = model_loss(loss, out, graph.input("label", {dynamic}, DType::i32));
    graph.clear_outputs();
    graph.output("loss", total);
    append_optimizer(graph, total, Sgd{.lr = 0.01, .momentum = 0.9});
    return graph;
}

MemoryUse predict_memory(const Graph& graph, std::int64_t batch, bool is_training, Recompute mode) {
    return memory_of(compiled(graph, batch, is_training, mode), graph);
}

std::size_t measure_memory(const Graph& graph, std::int64_t batch, bool is_training, Recompute mode) {
    const Executable executable = compiled(graph, batch, is_training, mode);
    const auto run = [&] {  // returns the peak
        Session session(executable, std::make_shared<State>(make_parameters(graph, 0)));
        std::map<std::string, Tensor> inputs;
        for (const auto& port : executable.inputs()) inputs[port.name] = some_values(port);
        // The first run brings the parameters into their layout, one after the other: their old bytes are not part of a run.
        (void)session.run(inputs);
        malloc_trim(0);
        reset_peak();
        (void)session.run(inputs);
        return status_bytes("VmHWM");
    };
    (void)run();  // brings in the pages of the code and the stacks of the threads, which are nobody's data
    malloc_trim(0);
    const std::size_t before = status_bytes("VmRSS"), peak = run();
    return peak > before ? peak - before : 0;
}

std::int64_t max_batch(const Graph& graph, std::size_t bytes, bool is_training) {
    // Memory is nearly a straight line over the batch. A compilation of a large network takes a second, so the line through two sizes says
    // which to try next; the answer is one that fits beside one that does not.
    struct Size {
        std::int64_t batch;
        double bytes;
    };
    const auto measured = [&](std::int64_t batch) { return Size{batch, static_cast<double>(predict_memory(graph, batch, is_training).total())}; };
    constexpr std::int64_t most = 1 << 20, first_step = 16;
    const auto budget = static_cast<double>(bytes);
    Size good = measured(1), before = good;
    if (good.bytes > budget) return 0;
    std::optional<Size> bad;
    for (int tries = 0; !bad || bad->batch - good.batch > 1; ++tries) {
        if (!bad && good.batch >= most) return most;
        const std::int64_t low = good.batch + 1, high = bad ? bad->batch - 1 : most;
        const Size& other = bad ? *bad : before;
        std::int64_t next = 1 + first_step;
        if (other.batch != good.batch) {
            const double slope = (other.bytes - good.bytes) / static_cast<double>(other.batch - good.batch);
            next = slope > 0 ? good.batch + static_cast<std::int64_t>(std::min((budget - good.bytes) / slope, static_cast<double>(most))) : 2 * good.batch;
            // The line ends where it says; the size behind it is tried as soon as it was found to fit.
            if (next <= good.batch) next = good.batch + 1;
        }
        // Steps in the memory can lead the line to the same end again and again: then halves are taken.
        if (tries >= 8) next = bad ? good.batch + (bad->batch - good.batch) / 2 : 2 * good.batch;
        const Size size = measured(std::clamp(next, low, high));
        if (size.bytes > budget) bad = size;
        else before = std::exchange(good, size);
    }
    return good.batch;
}

}  // namespace fovea
