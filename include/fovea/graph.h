// Graph: a network as static single-assignment nodes. A layer is a function that appends nodes (ops.h).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "fovea/core.h"

namespace fovea {

class Graph;
class Value;
struct Node;
struct OpDef;

/// Shape and element type of one value. DType::f32 means "real": compile() decides whether it runs as f32 or f64.
struct Type {
    Shape shape;
    DType dtype = DType::f32;
    friend bool operator==(const Type&, const Type&) = default;
};

using Attr = std::variant<bool, std::int64_t, double, std::string, std::vector<std::int64_t>, std::vector<double>, Tensor>;

/// The options of one node, sorted by name. Getters throw ArgumentError when the name or the kind is wrong.
class Attrs {
public:
    Attrs() = default;
    Attrs(std::initializer_list<std::pair<std::string_view, Attr>> items);

    [[nodiscard]] bool has(std::string_view name) const;
    [[nodiscard]] bool flag(std::string_view name, bool otherwise = false) const;
    [[nodiscard]] std::int64_t integer(std::string_view name) const;
    [[nodiscard]] std::int64_t integer(std::string_view name, std::int64_t otherwise) const;
    [[nodiscard]] double real(std::string_view name) const;
    [[nodiscard]] double real(std::string_view name, double otherwise) const;
    [[nodiscard]] std::string text(std::string_view name, std::string_view otherwise = "") const;
    [[nodiscard]] std::vector<std::int64_t> integers(std::string_view name) const;
    [[nodiscard]] std::vector<double> reals(std::string_view name) const;
    [[nodiscard]] const Tensor& tensor(std::string_view name) const;
    void set(std::string_view name, Attr value);
    void erase(std::string_view name);
    [[nodiscard]] const std::map<std::string, Attr, std::less<>>& items() const { return items_; }
    /// "kernel=3 stride=2 pad=[1, 1]"
    [[nodiscard]] std::string str() const;

private:
    [[nodiscard]] const Attr& get(std::string_view name) const;
    std::map<std::string, Attr, std::less<>> items_;
};

/// How a parameter starts. Fans are those of PyTorch: fan_in = elements / dim 0, for a transposed convolution of its own layout.
/// dirac: the first filters of a convolution hand on one input channel each, the others begin as kaiming_uniform says (Jordan 2024, arXiv:2404.00498, sec. 3.1).
struct Init {
    enum class Kind { zeros, ones, constant, uniform, normal, truncated_normal, xavier_uniform, xavier_normal, kaiming_uniform, kaiming_normal, fan_in_uniform, orthogonal, dlib, bilinear, dirac, values };
    Kind kind = Kind::zeros;
    double a = 0;    ///< constant: value; uniform: low; normal: mean; kaiming: negative slope of the leaky ReLU; xavier, orthogonal: gain
    double b = 0;    ///< uniform: high; normal: standard deviation; kaiming: 1 for fan_out; fan_in_uniform: the fan (bias of a layer)
    Tensor values{};  ///< Kind::values

    static Init zeros() { return {}; }
    static Init ones() { return {Kind::ones}; }
    static Init constant(double v) { return {Kind::constant, v}; }
    static Init uniform(double low, double high) { return {Kind::uniform, low, high}; }
    static Init normal(double mean, double sigma) { return {Kind::normal, mean, sigma}; }
};

/// A named tensor that lives beside the graph: a trained parameter, or a buffer such as running statistics.
struct ParameterInfo {
    std::string name;
    Type type;
    Init init;
    bool is_trainable = true;
};

/// Named tensors in declaration order: the state of a network (PyTorch's state_dict).
class Parameters {
public:
    void set(std::string_view name, Tensor value);
    [[nodiscard]] bool has(std::string_view name) const;
    /// Throws ArgumentError, with the nearest names, when there is none.
    [[nodiscard]] Tensor& at(std::string_view name);
    [[nodiscard]] const Tensor& at(std::string_view name) const;
    void erase(std::string_view name);
    [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
    [[nodiscard]] std::size_t size() const { return names_.size(); }
    [[nodiscard]] Parameters clone() const;
    /// Those that `graph` reads, sharing their memory. Throws ArgumentError when one is missing.
    [[nodiscard]] Parameters of(const Graph& graph) const;

private:
    std::vector<std::string> names_;
    std::map<std::string, Tensor, std::less<>> values_;
};

/// One output of one node. A small handle: copies freely, lives as long as its graph.
class Value {
public:
    Value() = default;
    Value(Graph* graph, int node, int output) : graph_(graph), node_(node), output_(output) {}

    [[nodiscard]] bool is_empty() const { return graph_ == nullptr; }
    [[nodiscard]] Graph& graph() const;
    [[nodiscard]] int id() const { return node_; }
    [[nodiscard]] int output() const { return output_; }
    [[nodiscard]] const Node& node() const;
    [[nodiscard]] const Type& type() const;
    [[nodiscard]] const Shape& shape() const { return type().shape; }
    [[nodiscard]] DType dtype() const { return type().dtype; }
    /// Path of the node that makes it, e.g. "layer1.0.conv1".
    [[nodiscard]] const std::string& path() const;
    /// Another output of the same node.
    [[nodiscard]] Value sibling(int output) const { return {graph_, node_, output}; }
    friend bool operator==(const Value&, const Value&) = default;
    friend auto operator<=>(const Value& a, const Value& b) { return std::pair(a.node_, a.output_) <=> std::pair(b.node_, b.output_); }

private:
    Graph* graph_ = nullptr;
    int node_ = -1;
    int output_ = 0;
};

/// One operation. `op` says what it means everywhere; inputs are (node, output) pairs of the same graph.
struct Node {
    int id = -1;
    const OpDef* op = nullptr;
    std::string path;
    std::vector<Value> inputs;  ///< an empty Value marks an optional input that is absent
    Attrs attrs;
    std::vector<Type> outputs;
};

/// Multiply-adds (convolution and linear layers only, PyTorch's convention) and all arithmetic operations of a node.
struct Cost {
    std::int64_t macs = 0;
    std::int64_t operations = 0;
};

/// What a node does: "conv2d".
[[nodiscard]] std::string_view op_name(const Node& node);
/// Cost of one node. Throws Error naming the op when it has no cost rule: a count is never silently zero.
[[nodiscard]] Cost cost_of(const Node& node);

class Graph {
public:
    Graph() = default;
    Graph(Graph&&) noexcept;
    Graph& operator=(Graph&&) noexcept;
    Graph(const Graph&) = delete;
    Graph& operator=(const Graph&) = delete;
    /// A copy whose values have the same ids.
    [[nodiscard]] Graph clone() const;

    /// Appends an input that each run supplies, e.g. input("image", {dynamic, 3, 224, 224}).
    Value input(std::string_view name, const Shape& shape, DType dtype = DType::f32);
    /// Declares a named tensor and returns its value. `name` is relative to the open scopes. Declaring a name twice with the
    /// same type gives the first value again (shared weights); another type throws ArgumentError.
    Value parameter(std::string_view name, const Shape& shape, const Init& init = {}, bool is_trainable = true, DType dtype = DType::f32);
    Value constant(const Tensor& tensor, std::string_view name = {});
    /// Appends a node: checks arguments and shapes now, so that an error points at the caller's line.
    Value add(std::string_view op, std::vector<Value> inputs, Attrs attrs = {}, std::string_view name = {});

    /// Names a result of the program. Several outputs are allowed; names are unique.
    void output(std::string_view name, const Value& value);
    /// After a run that updates state, `parameter` holds `value` (running statistics, optimiser).
    void update(const Value& parameter, const Value& value);

    /// Opens a path component until the returned object dies: names added inside become "scope.name".
    class Scope {
    public:
        Scope(Graph& graph, std::string_view name);
        ~Scope();
        Scope(const Scope&) = delete;
        Scope& operator=(const Scope&) = delete;

    private:
        Graph& graph_;
        std::size_t length_;
    };
    [[nodiscard]] Scope scope(std::string_view name) { return Scope(*this, name); }
    /// Absolute path for a relative name in the open scopes.
    [[nodiscard]] std::string path_of(std::string_view name) const;
    /// The path the next node called `name` will get: unlike path_of, numbered when the name is taken.
    [[nodiscard]] std::string next_path(std::string_view name) const;
    /// Records `value` as what the module at the open scope (or `name` below it) returns: the taps of find(), subgraph() and
    /// intermediate comparisons, e.g. "layer1.0".
    void module_output(std::string_view name, const Value& value);

    [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }
    [[nodiscard]] const Node& node(int id) const { return nodes_[static_cast<std::size_t>(id)]; }
    [[nodiscard]] const std::vector<ParameterInfo>& parameters() const { return parameters_; }
    [[nodiscard]] const ParameterInfo* find_parameter(std::string_view name) const;
    [[nodiscard]] const std::vector<std::pair<std::string, Value>>& outputs() const { return outputs_; }
    [[nodiscard]] const std::vector<std::pair<Value, Value>>& updates() const { return updates_; }
    [[nodiscard]] const std::vector<std::pair<std::string, Value>>& modules() const { return modules_; }
    [[nodiscard]] std::vector<Value> inputs() const;
    [[nodiscard]] Value find_output(std::string_view name) const;
    /// The value a path stands for: a module's output, a node's first output, a parameter. Throws ArgumentError with the nearest paths.
    [[nodiscard]] Value find(std::string_view path) const;
    void clear_outputs() { outputs_.clear(); }
    void clear_updates() { updates_.clear(); }

    /// Throws Error when an invariant is broken: order, types, dangling values, duplicate names.
    void verify() const;
    /// One line per node: id, path, op, attributes, inputs, types.
    [[nodiscard]] std::string print() const;
    /// Sum over the nodes; throws Error naming the op when one has no cost rule.
    [[nodiscard]] Cost cost() const;
    /// Number of trainable scalars, connected weights only where a parameter is masked.
    [[nodiscard]] std::int64_t trainable_scalars() const;
    /// Marks part of a parameter as fixed: `count` of its scalars are not trainable (LeNet-5's sparse C3).
    void copy_fixed_scalars(const Graph& other) { fixed_scalars_ = other.fixed_scalars_; }
    void set_fixed_scalars(std::string_view parameter, std::int64_t count) { fixed_scalars_[std::string(parameter)] = count; }

private:
    friend class Value;
    std::string unique_path(std::string_view name, std::string_view op);
    void rebind();

    std::vector<Node> nodes_;
    std::vector<ParameterInfo> parameters_;
    std::map<std::string, int, std::less<>> parameter_nodes_;
    std::map<std::string, std::int64_t, std::less<>> fixed_scalars_;
    std::vector<std::pair<std::string, Value>> outputs_;
    std::vector<std::pair<Value, Value>> updates_;
    std::vector<std::pair<std::string, Value>> modules_;
    std::map<std::string, int, std::less<>> path_uses_;
    std::string prefix_;
};

}  // namespace fovea
