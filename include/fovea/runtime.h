// compile(Graph) -> Executable; Session runs it. A whole training step is one Executable too.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fovea/comm.h"
#include "fovea/graph.h"
#include "fovea/passes.h"

namespace fovea {

/// How "real" values are stored. bf16: maps of the batch and the weights convolutions and linear layers read, 8 bits of mantissa each; sums,
/// statistics, losses, updates and the parameters themselves stay f32. A processor without bf16 dot products runs it as f32 and says so.
enum class Precision { f32, f64, bf16 };
[[nodiscard]] std::string_view name_of(Precision precision);
/// The precision of that name; throws ArgumentError naming those that exist.
[[nodiscard]] Precision precision_named(std::string_view name);

/// Winograd's F(4x4, 3x3) for 3 x 3 convolutions, and F(2x2, 5x5) on the same points for 5 x 5: where it is estimated to be faster, nowhere, or wherever there is a kernel. It rounds
/// differently from the direct sum: about 1e-6 of the result's norm against 2e-7.
enum class Winograd4x4 { by_cost, never, always };

struct CompileOptions {
    std::string backend = "cpu";            ///< "cpu" (oneDNN and own kernels, f32 and bf16) or "reference" (plain loops, f32 and f64)
    Precision precision = Precision::f32;
    bool inference = false;                 ///< dropout removed, batch norm on running statistics and folded, no updates
    bool fuse = true;                       ///< off: one kernel per node, for comparison and debugging
    Winograd4x4 winograd = Winograd4x4::by_cost;
    /// A training step may make forward values again instead of keeping them: equal results, less memory, more time.
    Recompute recompute = Recompute::none;
    /// Largest arena in bytes (0: any). The first of `recompute` and the modes after it that fits is taken; ArgumentError when none does.
    std::size_t memory_limit = 0;
    /// Times the ways to run each convolution, for some milliseconds each, where `plan_cache` does not know them. Its file keeps what was found.
    bool autotune = false;
    /// A file of measured choices; default_plan_cache() is the user's. Empty: a cost model chooses, and the plan is a function of shapes alone.
    /// A file of another machine, thread count or version, or a damaged one, is left aside and fallbacks() says so, once in a process.
    std::string plan_cache{};
    /// Called with the name and the result of each pass ("specialized", "folded", "fused", ...).
    std::function<void(std::string_view, const Graph&)> on_pass{};
};

/// Why a program of these options would run as f32 instead ("bf16: this processor has no AVX512-BF16; the cpu backend runs f32"); empty where
/// it would not.
[[nodiscard]] std::string unmet_precision(const CompileOptions& options);

/// Where measured choices of this machine, thread count and version are kept: what FOVEA_PLAN_CACHE names ("off" or empty: nothing), else
/// plan-<version>-<machine>.json in $XDG_CACHE_HOME/fovea or ~/.cache/fovea. Empty where there is no such place.
[[nodiscard]] std::string default_plan_cache();

/// One line of the plan: what runs, as what kernel, on which layouts.
struct PlanLine {
    std::string path;      ///< node path
    std::string op;
    std::string kernel;    ///< "jit:avx512_core", "simd", "loops", "view", "reorder"
    std::string layout;    ///< layout of output 0: "nChw16c", "row-major", ...
    std::string fused;     ///< "bias relu add"
    std::string problem;   ///< the one spelling of a problem, accepted by `fovea bench`
    std::int64_t bytes = 0;       ///< read and written
    std::int64_t operations = 0;  ///< 2 x multiply-adds for convolutions and linear layers
};

/// A node that could run in several ways, with the time of each; the one taken comes first.
struct PlanChoice {
    struct Way {
        std::string name;         ///< "winograd", "direct", "onednn", "onednn bf16"
        double predicted_ms = 0;  ///< on two cores of a nominal machine: what counts is the order
        double measured_ms = 0;   ///< on this one; 0: not measured
    };
    std::string path, op, problem;
    std::vector<Way> ways;
};

/// Time of one node in a profiled run.
struct ProfileLine {
    PlanLine plan;
    double start_ms = 0;
    double ms = 0;
    int thread = 0;
};

/// What recomputation did to a program.
struct Recomputed {
    Recompute mode = Recompute::none;
    std::int64_t nodes = 0;  ///< made twice
    double more_time = 0;    ///< estimated, as a share of the program's without it
};

/// A compiled program: immutable, shared by any number of sessions and threads.
class Executable {
public:
    struct Impl;
    explicit Executable(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

    struct Port {
        std::string name;
        Type type;
    };
    // A temporary gives copies of its lists: `for (const PlanLine& line : compile(graph).plan())` reads none that has died.
    [[nodiscard]] const std::vector<Port>& inputs() const&;
    [[nodiscard]] std::vector<Port> inputs() && { return std::as_const(*this).inputs(); }
    [[nodiscard]] const std::vector<Port>& outputs() const&;
    [[nodiscard]] std::vector<Port> outputs() && { return std::as_const(*this).outputs(); }
    /// Parameters and buffers the program reads or updates.
    [[nodiscard]] const std::vector<ParameterInfo>& parameters() const&;
    [[nodiscard]] std::vector<ParameterInfo> parameters() && { return std::as_const(*this).parameters(); }
    [[nodiscard]] const std::vector<PlanLine>& plan() const&;
    [[nodiscard]] std::vector<PlanLine> plan() && { return std::as_const(*this).plan(); }
    /// The nodes that had a choice.
    [[nodiscard]] const std::vector<PlanChoice>& choices() const&;
    [[nodiscard]] std::vector<PlanChoice> choices() && { return std::as_const(*this).choices(); }
    /// The plan as an aligned table: kernel, layout, fused parts, bytes, remaining reorders, choices, fallbacks.
    [[nodiscard]] std::string explain_plan() const;
    /// "conv2d 'stem': loops (cpu backend has no f64 kernel)", one per node that fell back to the plain loops.
    [[nodiscard]] const std::vector<std::string>& fallbacks() const&;
    [[nodiscard]] std::vector<std::string> fallbacks() && { return std::as_const(*this).fallbacks(); }
    /// The graph after all passes.
    [[nodiscard]] const Graph& graph() const;
    /// Activations and scratch of one session, planned by liveness.
    [[nodiscard]] std::size_t arena_bytes() const;
    [[nodiscard]] const Recomputed& recomputed() const;
    [[nodiscard]] const Impl& impl() const { return *impl_; }

private:
    std::shared_ptr<const Impl> impl_;
};

/// Specialises the graph to the input shapes, runs the passes, chooses kernels and layouts, plans memory.
/// Throws ShapeError, ArgumentError or BackendError.
[[nodiscard]] Executable compile(const Graph& graph, const std::map<std::string, Shape>& input_shapes = {}, const CompileOptions& options = {});

/// Parameters in kernel layout. Inference sessions share one; a training session owns its own and updates it in place.
class State {
public:
    explicit State(const Parameters& parameters);
    /// Takes over the tensors that nobody else holds: large networks are not in memory twice.
    explicit State(Parameters&& parameters);
    ~State();
    State(State&&) noexcept;
    State& operator=(State&&) noexcept;
    /// Brings every parameter of the executable into the layout it wants (no work when it already is).
    void adopt(const Executable& executable);
    /// Current values, row-major, as f32/f64/i64 in declaration order of the Parameters given.
    [[nodiscard]] Parameters read() const;
    [[nodiscard]] Tensor read(std::string_view name) const;
    void write(std::string_view name, const Tensor& value);
    [[nodiscard]] std::size_t bytes() const;

    struct Impl;
    [[nodiscard]] Impl& impl() const { return *impl_; }

private:
    std::unique_ptr<Impl> impl_;
};

struct RunOptions {
    std::uint64_t seed = 0;  ///< of random nodes (dropout)
    std::uint64_t step = 0;
    RankPlace place{};       ///< among several ranks that run the same program
};

/// Whether each thread that helps a session stays on a core of its own: core number w of those the process may use for helper w; calling
/// threads stay free. Off by default: worth something on a machine that runs nothing else, harmful on a shared one.
void set_thread_pinning(bool on);
[[nodiscard]] bool thread_pinning();

/// One thread's place to run an executable: an arena and bindings. Not shared between threads. Several may run at once: they share the
/// threads() there are, and each caller works itself.
class Session {
public:
    Session(const Executable& executable, std::shared_ptr<State> state);
    ~Session();
    Session(Session&&) noexcept;

    /// Row-major inputs by name -> outputs in the order of Executable::outputs(). Updates change the State.
    std::vector<Tensor> run(const std::map<std::string, Tensor>& inputs, const RunOptions& options = {});
    /// Copies nothing: the tensors given are read in place when their dtype and layout fit.
    [[nodiscard]] State& state() const;

    /// From now on each run records its nodes; off by default.
    void set_profiling(bool on);
    [[nodiscard]] const std::vector<ProfileLine>& profile() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// A graph with a cache of its executables by input shape, and the State and sessions to run it: what Trainer, Classifier and the
/// command line use. Thread-safe for inference: each call takes a free session.
class Program {
public:
    Program(Graph graph, std::shared_ptr<State> state, CompileOptions options = {});
    ~Program();
    Program(Program&&) noexcept;

    std::vector<Tensor> run(const std::map<std::string, Tensor>& inputs, const RunOptions& options = {});
    [[nodiscard]] Executable executable(const std::map<std::string, Shape>& input_shapes);
    [[nodiscard]] const Graph& graph() const;
    [[nodiscard]] const std::shared_ptr<State>& state() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// A node as one line that `fovea bench`, a test and parse_problem read again: "conv2d n8c64h56w56 k128r3s3 stride2 pad1 f32".
[[nodiscard]] std::string problem_of(const Node& node, Precision precision = Precision::f32);

/// One op to run alone: its inputs, its weights as parameters, its results as outputs "y", "y1", ...
struct Problem {
    Graph graph;
    Precision precision = Precision::f32;
};
/// Throws ArgumentError saying which word is wrong; shapes are checked as in every graph.
[[nodiscard]] Problem parse_problem(std::string_view text);

/// Chrome trace (chrome://tracing, Perfetto) of a profiled run, as JSON text.
[[nodiscard]] std::string chrome_trace(const std::vector<ProfileLine>& profile);

}  // namespace fovea
