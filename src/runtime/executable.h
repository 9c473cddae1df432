// What compile() makes: buffers, kernels in order, the stages one after another, and where every byte lies.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "backends/backend.h"
#include "fovea/runtime.h"

namespace fovea {

/// A value in memory. `root` is the buffer whose bytes it shares (itself, or what it is a view or an in-place update of).
struct Buffer {
    /// local: written and read by rows inside one stage, so that a thread needs the rows of the part it works on, in memory of its own.
    enum class Place { arena, local, input, parameter, constant, packed };
    Type type;
    Layout layout;
    std::size_t bytes = 0;
    Place place = Place::arena;
    int index = -1;            ///< of the input, parameter, constant or packed parameter
    int root = -1;
    std::size_t shift = 0;     ///< of a slice: bytes from where its root begins
    std::size_t offset = 0;    ///< in the arena, or in a thread's local memory
    std::size_t row_bytes = 0; ///< local: of a row of the root
    std::string path;
};

/// A kernel bound to buffers.
struct Item {
    Kernel kernel;
    std::vector<int> in, out;         ///< buffer ids, -1 for absent or shape-only inputs
    std::size_t scratch_offset = 0;   ///< in the arena
    bool has_locals = false;          ///< some of its buffers are local
    PlanLine line;
};

/// Phases that run without waiting for one another: those by rows part by part, then the splits.
struct Stage {
    std::vector<std::pair<int, int>> phases;        ///< (item, phase)
    std::vector<std::pair<int, int>> rows, splits;  ///< the same, by kind
    std::vector<int> pieces;                        ///< how many parts: of the phases by rows, all together (0: there are none), then of each split
};

struct Executable::Impl {
    Graph graph;                       ///< after the passes
    const Backend* backend = nullptr;
    DType real = DType::f32;
    Precision precision = Precision::f32;  ///< what it runs in: f32 where bf16 was asked for in vain
    PlanContext context;
    std::vector<Buffer> buffers;
    std::vector<Item> items;
    std::vector<Stage> stages;
    std::vector<Port> inputs, outputs;
    std::vector<int> input_buffers, output_buffers;
    std::vector<ParameterInfo> parameters;        ///< used ones, in declaration order
    std::vector<int> parameter_buffers;
    std::vector<std::pair<int, int>> packed;      ///< (parameter index, buffer): one-way forms made when a State is adopted
    std::vector<Tensor> constants;                ///< in the layout their consumer wants
    std::vector<std::pair<int, int>> copies;      ///< (parameter index, buffer) updates that could not be made in place
    std::set<int> updated;                        ///< parameters a run changes
    std::size_t arena_bytes = 0;
    Recomputed recomputed;
    std::size_t workspace_bytes = 0;              ///< of each thread
    std::size_t local_bytes = 0;                  ///< of each thread: its local buffers, behind the workspace
    /// What a session takes: the arena, and what each thread that has parts to do takes for itself.
    [[nodiscard]] std::size_t session_bytes() const;
    std::vector<PlanLine> plan;
    std::vector<PlanChoice> choices;
    std::vector<std::string> fallbacks;
    /// Inference: values that depend on parameters alone (folded weights), computed once when a State is adopted.
    Graph prologue;
    std::set<std::string> derived;                ///< names among `parameters` that the prologue makes
};

/// Groups the phases of the items into stages (see Phase for what may share one) and makes buffers local that live inside one. `kept`: buffers
/// read after the run.
void plan_stages(Executable::Impl& program, const std::vector<int>& kept);
/// Gives every arena buffer and scratch an offset so that nothing alive at the same stage overlaps, and every local buffer one so that nothing
/// alive at the same phase does.
void plan_memory(Executable::Impl& program, const std::vector<int>& kept);

/// Memory for kernels: 64-byte aligned, huge pages asked for where it is large.
class AlignedBytes {
public:
    AlignedBytes() = default;
    explicit AlignedBytes(std::size_t bytes);
    /// Memory that another owner keeps, aligned as it may be.
    AlignedBytes(std::shared_ptr<std::byte[]> data, std::size_t bytes) : data_(std::move(data)), bytes_(bytes) {}
    [[nodiscard]] std::byte* data() const { return data_.get(); }
    [[nodiscard]] std::size_t size() const { return bytes_; }

private:
    std::shared_ptr<std::byte[]> data_;
    std::size_t bytes_ = 0;
};

/// Copies a value between layouts now, on this thread: parameters in and out of kernel layout.
void reorder_now(const Backend& backend, const Type& type, const Layout& from, const std::byte* source, const Layout& to, std::byte* target, DType real);

}  // namespace fovea
