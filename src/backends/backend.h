// What a backend offers: layouts for values and kernels for nodes. Nothing outside a backend's folder knows more.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "graph/op.h"

namespace fovea {

/// How a value lies in memory when that is not row-major. Immutable and shared.
class LayoutDetail {
public:
    virtual ~LayoutDetail() = default;
    [[nodiscard]] virtual std::string name() const = 0;  ///< "nChw16c"
    [[nodiscard]] virtual std::size_t bytes() const = 0;
    /// From the first element's first byte to the last one's last: more than bytes() where others lie between.
    [[nodiscard]] virtual std::size_t span_bytes() const { return bytes(); }
    [[nodiscard]] virtual bool equals(const LayoutDetail& other) const = 0;
    /// A form for kernels that does not give the exact values back: it is made beside the value, never instead of it.
    [[nodiscard]] virtual bool is_one_way() const { return false; }
    /// A one-way layout is made from row-major and from this.
    [[nodiscard]] virtual std::shared_ptr<const LayoutDetail> made_from() const { return nullptr; }
    /// Integers that stand for values on a grid.
    [[nodiscard]] virtual bool is_bytes() const { return false; }
    /// The value lies between others in a larger map: a part of what a concat joins.
    [[nodiscard]] virtual bool is_slice() const { return false; }
    /// Any kernel may be asked to read it. Where not (bytes, bf16, a slice), plain() is the layout of the same values that all know: f32 in
    /// memory of their own (null: row-major).
    [[nodiscard]] virtual bool is_plain() const { return true; }
    [[nodiscard]] virtual std::shared_ptr<const LayoutDetail> plain() const { return nullptr; }
};
/// Null means row-major.
using Layout = std::shared_ptr<const LayoutDetail>;

[[nodiscard]] inline bool same_layout(const Layout& a, const Layout& b) { return a == b || (a && b && a->equals(*b)); }
[[nodiscard]] inline std::string layout_name(const Layout& layout) { return layout ? layout->name() : "row-major"; }

/// The piece of a phase one call does: part `index` of `count`; for a phase by rows, the rows [begin, end) of dimension 0.
struct Part {
    int index = 0;
    int count = 1;
    std::int64_t begin = 0;
    std::int64_t end = 0;
};

struct KernelArgs {
    std::span<std::byte* const> in;   ///< null where an input is absent or only its shape matters
    std::span<std::byte* const> out;
    std::byte* scratch = nullptr;
    std::byte* workspace = nullptr;   ///< of the calling thread: nothing in it outlives the call
    std::uint64_t seed = 0;
    std::uint64_t step = 0;
    RankPlace place{};
};

/// A step of a kernel: the next begins when it has ended. Its parts run in any order on any threads; the partition depends on shapes alone,
/// never on the number of threads, so neither do the bytes that come out.
struct Phase {
    enum class Kind {
        rows,   ///< parts are the program's row ranges: part p reads row inputs and writes row outputs only at its own rows
        split,  ///< `parts` independent pieces of the work
    };
    Kind kind = Kind::split;
    int parts = 1;                  ///< of a split
    std::uint32_t reads = ~0u;      ///< bit i: input i is read (bit 31: and all after it)
    std::uint32_t row_reads = 0;    ///< bit i: ... only at the rows of the part (rows phases)
    std::uint32_t writes = ~0u;     ///< bit o: output o is written (an output that no phase writes gets no memory)
    bool uses_scratch = false;
    bool is_collective = false;     ///< one part, in a stage of which no other phase is: ranks meet in the same order
    std::function<void(const KernelArgs&, const Part&)> run;
};

/// One of several ways to run a node: the same values up to rounding, in different time.
struct Candidate {
    std::string name;         ///< "winograd", "direct", "onednn", "onednn bf16"
    double predicted_ms = 0;  ///< by the backend's cost model, on two cores of a nominal machine: what counts is the order
    double measured_ms = 0;   ///< 0: not measured
};

/// A node made executable.
struct Kernel {
    std::string name;                 ///< "jit:avx512_core", "simd", "loops"
    std::vector<Layout> in, out;      ///< layouts it wants and gives
    std::vector<Phase> phases;
    std::size_t scratch_bytes = 0;
    std::size_t workspace_bytes = 0;  ///< a call's own; unlike scratch it stays in the cache of the thread from part to part
    std::vector<int> in_place;        ///< per output: the input whose buffer it may overwrite, or -1 (empty: none)
    std::string fallback;             ///< why the plain loops run, where a fast kernel was wanted
    std::vector<Candidate> candidates;  ///< where there were several: this kernel first
    /// The kernel also does these nodes, each the only reader of the one before (PlanContext::only_reader); `out` are the last one's outputs.
    /// Their inputs but those they read here, parameters or values of nodes before the first, follow the node's own in `in`.
    std::vector<const Node*> through;
};

/// What a backend may look at while it plans a node.
struct PlanContext {
    DType real = DType::f32;
    std::int64_t rows = 1;                  ///< the batch: dimension 0 that row phases are cut along
    std::vector<std::int64_t> row_bounds;   ///< part p covers rows [row_bounds[p], row_bounds[p + 1])
    /// Layout of a value planned before; row-major for an undecided parameter. Always a plain one, which a reorder gives where need be:
    /// kernels that read bytes, bf16 or slices as they lie ask for what is stored.
    std::function<Layout(const Value&)> layout;
    std::function<Layout(const Value&)> stored;
    /// The slice of a joined map that an output is wanted in: a kernel that can write there gives it as its `out`. Null: anywhere.
    std::function<Layout(const Node&, int output)> home = [](const Node&, int) { return Layout{}; };
    /// Whether an output may be written over input i of its node, a slice: nobody reads those channels afterwards.
    std::function<bool(const Node&, int input)> may_overwrite = [](const Node&, int) { return false; };
    /// Whether input i of a concat is already where the joined map has it.
    std::function<bool(const Node&, int input)> is_placed = [](const Node&, int) { return false; };
    /// A parameter whose layout nobody has chosen: the kernel may take what it likes best.
    std::function<bool(const Value&)> is_undecided;
    /// Whether anybody reads an output of the node.
    std::function<bool(const Node&, int output)> is_read;
    /// The one node that reads the node's outputs, once; null where there are several, or an output of the graph.
    std::function<const Node*(const Node&)> only_reader;
    /// The whole program is too little work to wake other threads for: every kernel runs on the caller's.
    bool is_serial = false;
    bool is_inference = false;  ///< no value is made again for a reverse pass: which nodes share a kernel may change the last bits
    bool has_fixed_parameters = false;  ///< no run changes them: packed forms are made once
    std::int64_t weight_bytes = 0;      ///< of all parameters the program reads
    /// Which of several candidates to take, by measurement; puts the times into them. plan(i) makes candidate i. -1: none is known.
    std::function<int(const Node&, std::vector<Candidate>&, const std::function<std::optional<Kernel>(std::size_t)>& plan)> choose;
    bool stores_bf16 = false;  ///< kernels that can keep maps in layouts of bf16 elements; the others ask for f32 and get it by reorders
    bool allows_winograd = true;
    bool forces_winograd = false;  ///< wherever there is a kernel, whatever it costs: for tests
    [[nodiscard]] int parts() const { return static_cast<int>(row_bounds.size()) - 1; }
    /// Row phases pay when there are enough rows for every core; below that kernels cut their work themselves.
    [[nodiscard]] bool is_sharded() const { return parts() >= 4; }
    /// Weights come from memory each time they are read first: all together they are more than a third-level cache keeps.
    [[nodiscard]] bool has_cold_weights() const { return weight_bytes > std::int64_t{16} << 20; }
    /// Too few for a part on every core, in a program worth several threads: kernels cut a sample's work.
    [[nodiscard]] bool has_few_samples() const { return !is_sharded() && !is_serial; }
};

/// How values lie that a concat joins along the channels: each part, and the whole.
struct JoinedLayouts {
    Layout part, whole;
};

class Backend {
public:
    virtual ~Backend() = default;
    [[nodiscard]] virtual std::string name() const = 0;
    /// The processor and the instructions kernels use, for measurements that hold on this machine alone; empty where nothing depends on it.
    [[nodiscard]] virtual std::string machine() const { return {}; }
    /// Why values on grids of bytes are kept as f32 here; empty where they are not.
    [[nodiscard]] virtual std::string lacks_int8() const = 0;
    /// Why programs of Precision::bf16 run as f32 here; empty where they do not.
    [[nodiscard]] virtual std::string lacks_bf16() const = 0;
    /// A kernel for the node, or nothing where the backend does not support it.
    [[nodiscard]] virtual std::optional<Kernel> plan(const Node& node, const PlanContext& context) const = 0;
    /// Copies a value from one layout to another.
    [[nodiscard]] virtual Kernel reorder(const Type& type, const Layout& from, const Layout& to, const PlanContext& context) const = 0;
    /// Nothing where a part cannot lie inside the whole. Channel c of the whole is its element c: parts start that far into it.
    [[nodiscard]] virtual std::optional<JoinedLayouts> joined(const Type& /*part*/, const Type& /*whole*/, const PlanContext& /*context*/) const { return {}; }
    /// Whether the node's kernel reads an input that is a slice as it lies.
    [[nodiscard]] virtual bool reads_slice(const Node& /*node*/, int /*input*/) const { return false; }
};

[[nodiscard]] inline DType stored_as(DType dtype, DType real) { return dtype == DType::f32 ? real : dtype; }
[[nodiscard]] inline std::size_t row_major_bytes(const Type& type, DType real) {
    return static_cast<std::size_t>(type.shape.elements()) * size_of(stored_as(type.dtype, real));
}
[[nodiscard]] inline std::size_t bytes_of(const Type& type, const Layout& layout, DType real) { return layout ? layout->bytes() : row_major_bytes(type, real); }

/// The plain loops as a kernel: row-major, one part. Every backend's fallback.
[[nodiscard]] Kernel plan_loops(const Node& node, DType real);
/// Copies row-major bytes: the reorder of a backend that knows one layout.
[[nodiscard]] Kernel plan_copy(const Type& type, DType real);

/// "reference" or "cpu"; throws ArgumentError naming those that exist.
[[nodiscard]] const Backend& find_backend(std::string_view name);

}  // namespace fovea
