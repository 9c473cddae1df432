// What an op is: all that is true of it on every device. Each file in src/ops fills one or a few OpDefs.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/text.h"
#include "fovea/comm.h"
#include "fovea/graph.h"

namespace fovea {

/// What a shape or cost rule sees: the types of the inputs and the attributes.
class OpInputs {
public:
    OpInputs(std::string_view op, std::string_view path, std::span<const Type> types, std::span<const bool> present, const Attrs& attrs)
        : op_(op), path_(path), types_(types), present_(present), attrs_(attrs) {}
    [[nodiscard]] int count() const { return static_cast<int>(types_.size()); }
    [[nodiscard]] bool has(int i) const { return i < count() && present_[static_cast<std::size_t>(i)]; }
    [[nodiscard]] const Type& type(int i) const { return types_[static_cast<std::size_t>(i)]; }
    [[nodiscard]] const Shape& shape(int i) const { return type(i).shape; }
    [[nodiscard]] DType dtype(int i) const { return type(i).dtype; }
    [[nodiscard]] const Attrs& attrs() const { return attrs_; }
    /// "conv2d 'layer2.0.conv1'": how every message of this node begins.
    [[nodiscard]] std::string who() const;
    /// Throws E("conv2d 'path': text") unless the condition holds.
    template <class E = ShapeError, class... Args> void check(bool condition, fmt::format_string<Args...> text, Args&&... args) const {
        if (!condition) throw E(who() + ": " + fmt::format(text, std::forward<Args>(args)...));
    }

private:
    std::string_view op_, path_;
    std::span<const Type> types_;
    std::span<const bool> present_;
    const Attrs& attrs_;
};

/// The types of an op's outputs; a single shape means one real output.
struct Types : std::vector<Type> {
    using std::vector<Type>::vector;
    Types(const Shape& shape) : std::vector<Type>{Type{shape}} {}
    Types(const Type& type) : std::vector<Type>{type} {}
};
/// The gradients of an op's inputs; an empty Value where there is none.
struct Values : std::vector<Value> {
    using std::vector<Value>::vector;
    Values(const Value& value) : std::vector<Value>{value} {}
};

/// What a gradient rule sees: the node, and the gradient of each of its outputs (empty where nothing depends on it).
class Grad {
public:
    Grad(const Node& node, std::span<const Value> dy, Graph& graph) : node_(node), dy_(dy), graph_(graph) {}
    [[nodiscard]] Value x(int i = 0) const { return node_.inputs[static_cast<std::size_t>(i)]; }
    [[nodiscard]] bool has(int i) const { return i < static_cast<int>(node_.inputs.size()) && !x(i).is_empty(); }
    [[nodiscard]] Value y(int i = 0) const { return Value(&graph_, node_.id, i); }
    [[nodiscard]] Value dy(int i = 0) const { return dy_[static_cast<std::size_t>(i)]; }
    [[nodiscard]] const Attrs& attrs() const { return node_.attrs; }
    [[nodiscard]] const Node& node() const { return node_; }
    [[nodiscard]] Graph& graph() const { return graph_; }
    [[nodiscard]] int inputs() const { return static_cast<int>(node_.inputs.size()); }

private:
    const Node& node_;
    std::span<const Value> dy_;
    Graph& graph_;
};

/// What the plain loops see: row-major buffers of the compiled precision.
class OpRun {
public:
    OpRun(const Attrs& attrs, std::span<const Type> in_types, std::span<const Type> out_types, std::span<const void* const> in, std::span<void* const> out, DType real,
          std::uint64_t seed, std::uint64_t step, const RankPlace& place = {})
        : attrs_(attrs), in_types_(in_types), out_types_(out_types), in_(in), out_(out), real_(real), seed_(seed), step_(step), place_(place) {}
    [[nodiscard]] const Attrs& attrs() const { return attrs_; }
    [[nodiscard]] int inputs() const { return static_cast<int>(in_.size()); }
    [[nodiscard]] int outputs() const { return static_cast<int>(out_.size()); }
    [[nodiscard]] bool has(int i) const { return i < inputs() && in_[static_cast<std::size_t>(i)] != nullptr; }
    [[nodiscard]] const Shape& shape(int i) const { return in_types_[static_cast<std::size_t>(i)].shape; }
    [[nodiscard]] const Shape& out_shape(int i = 0) const { return out_types_[static_cast<std::size_t>(i)].shape; }
    [[nodiscard]] DType dtype(int i) const { return in_types_[static_cast<std::size_t>(i)].dtype; }
    template <class T> [[nodiscard]] const T* in(int i) const { return static_cast<const T*>(in_[static_cast<std::size_t>(i)]); }
    template <class T> [[nodiscard]] T* out(int i = 0) const { return static_cast<T*>(out_[static_cast<std::size_t>(i)]); }
    /// f32 or f64: what "real" values are stored as in this run.
    [[nodiscard]] DType real() const { return real_; }
    [[nodiscard]] std::uint64_t seed() const { return seed_; }
    [[nodiscard]] std::uint64_t step() const { return step_; }
    [[nodiscard]] const RankPlace& place() const { return place_; }
    /// Calls f(T{}) with the C++ type of "real".
    template <class F> void with_real(F&& f) const { real_ == DType::f64 ? f(double{}) : f(float{}); }
    /// y = f(x) element by element; the function is called with T and must work for float and double.
    template <class F> void map(F&& f) const {
        with_real([&](auto tag) {
            using T = decltype(tag);
            const T* x = in<T>(0);
            T* y = out<T>();
            const std::int64_t n = out_shape().elements();
            for (std::int64_t i = 0; i < n; ++i) y[i] = static_cast<T>(f(x[i]));
        });
    }
    /// z = f(x, y) element by element over equal shapes.
    template <class F> void zip(F&& f) const {
        with_real([&](auto tag) {
            using T = decltype(tag);
            const T *x = in<T>(0), *y = in<T>(1);
            T* z = out<T>();
            const std::int64_t n = out_shape().elements();
            for (std::int64_t i = 0; i < n; ++i) z[i] = static_cast<T>(f(x[i], y[i]));
        });
    }

private:
    const Attrs& attrs_;
    std::span<const Type> in_types_, out_types_;
    std::span<const void* const> in_;
    std::span<void* const> out_;
    DType real_;
    std::uint64_t seed_, step_;
    RankPlace place_;
};

struct OpDef {
    std::string name;
    /// Checks arguments and gives the types of the outputs. Must accept dynamic dimensions wherever sizes do not decide anything.
    std::function<Types(const OpInputs&)> shape;
    /// Appends the nodes of the reverse pass and returns one gradient per input (empty: none, e.g. labels).
    std::function<Values(const Grad&)> gradient;
    /// The same outputs composed from ops that have gradients: used to differentiate an op that has no gradient rule of its own
    /// (fused backward ops), so that second derivatives exist. Gets the node's inputs; returns one Value per output.
    std::function<Values(const Node&)> expand;
    std::function<Cost(const OpInputs&)> cost;
    std::function<void(const OpRun&)> reference;
    /// Output 0 is a function of the same element of each (equally shaped or absent) input: any layout and any range will do.
    bool is_elementwise = false;
    /// Bit i: only the shape of input i matters, its values are never read. Bit 31 stands for all inputs from there on.
    std::uint32_t shape_only = 0;
    [[nodiscard]] bool reads_values_of(std::size_t input) const { return !(shape_only >> (input < 31 ? input : 31) & 1); }
    /// The same bytes under another shape: no work when the layout is plain.
    bool is_view = false;
    /// The result depends on (seed, step): never folded.
    bool is_random = false;
    /// Ranks take part in it together: never folded or done twice, and done by all ranks in the order of the nodes.
    bool is_collective = false;
    /// Removed (replaced by input 0) when compiled for inference.
    bool is_identity_at_inference = false;
};

/// The op is, or the node was made so: a batch norm over the batches of all ranks.
[[nodiscard]] inline bool is_collective(const Node& node) { return node.op->is_collective || node.attrs.flag("synchronised"); }

class OpRegistry {
public:
    void add(OpDef op);
    /// Throws ArgumentError with the nearest names.
    [[nodiscard]] const OpDef& at(std::string_view name) const;
    [[nodiscard]] bool has(std::string_view name) const { return ops_.contains(name); }
    [[nodiscard]] std::vector<std::string> names() const;
    /// The ops of src/ops, registered on first use.
    static const OpRegistry& instance();

private:
    std::map<std::string, std::unique_ptr<const OpDef>, std::less<>> ops_;
};

/// Calls every register_<file>() of src/ops; generated at configure time.
void register_all_ops(OpRegistry& ops);

/// Shape rule of `node` on other input types (specialisation to a batch, re-checking after a rewrite).
[[nodiscard]] std::vector<Type> infer_types(const OpDef& op, std::string_view path, std::span<const Value> inputs, const Attrs& attrs);

}  // namespace fovea
