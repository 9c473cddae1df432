// An ONNX file on its way to a graph. What each operator becomes stands in onnx_read_ops.cpp; what is computed while reading (shapes,
// mostly) in onnx_read_host.cpp.
#pragma once

#include <functional>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/io.h"
#include "fovea/ops.h"
#include "graph/op.h"
#include "io/onnx.h"

namespace fovea {

/// A size that is open (the batch) inside a list of sizes computed while reading. Arithmetic with it stays open, as NaN does.
inline constexpr double open_size = std::numeric_limits<double>::quiet_NaN();

/// One named value of the file: computed by the graph, or known now.
struct Operand {
    Value value{};
    Tensor tensor{};         ///< f32 as stored; whole numbers and what is computed from them as f64
    bool is_integer = false; ///< of `tensor`
    int data_type = 0;       ///< of an initialiser, as the file says it
    Value shape_of{};        ///< of `tensor`: it is the shape of this value
    std::string parameter{}; ///< the initialiser's name: used as a weight it becomes a parameter
    bool is_broken = false;  ///< its node could not be read
    [[nodiscard]] bool is_known() const { return !tensor.is_empty(); }
};

enum class Role { weight, buffer, number };

class OnnxReader;

/// One node while it is read: shorthand for the rules.
class ReadNode {
public:
    ReadNode(OnnxReader& reader, const onnx::NodeProto& proto, std::string path) : reader_(reader), proto_(proto), path_(std::move(path)) {}

    [[nodiscard]] OnnxReader& reader() const { return reader_; }
    [[nodiscard]] const onnx::NodeProto& proto() const { return proto_; }
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::int64_t opset() const;
    [[nodiscard]] Graph& graph() const;
    [[nodiscard]] int inputs() const { return proto_.input_size(); }
    [[nodiscard]] int outputs() const { return proto_.output_size(); }
    [[nodiscard]] bool has(int i) const { return i < proto_.input_size() && !proto_.input(i).empty(); }
    [[nodiscard]] Operand& operand(int i) const;
    [[nodiscard]] bool is_known(int i) const { return operand(i).is_known(); }
    /// Input i as a value of the graph; an initialiser becomes a parameter, another known tensor a constant.
    [[nodiscard]] Value value(int i, Role role = Role::number) const;
    /// Input i as a weight under another form (transposed, reshaped): `change` is applied to the initialiser where this is its only use,
    /// to the value otherwise, so that parameters are of the form our ops read.
    [[nodiscard]] Value weight(int i, const std::function<Value(const Value&)>& change, Role role = Role::weight) const;
    [[nodiscard]] const Shape& shape(int i) const;
    /// Input i, whose numbers must be known while reading; NaN stands for an open size.
    [[nodiscard]] std::vector<double> numbers(int i) const;
    [[nodiscard]] std::vector<std::int64_t> integers(int i) const;
    /// A list that older operator sets keep in attribute `name` and newer ones in input i; `given` is false where it is absent.
    [[nodiscard]] std::vector<std::int64_t> list(std::string_view name, int i, bool* given = nullptr) const;
    /// The same for one number.
    [[nodiscard]] double number(std::string_view name, int i, double otherwise) const;

    [[nodiscard]] const onnx::AttributeProto* attribute(std::string_view name) const;
    [[nodiscard]] bool has_attribute(std::string_view name) const { return attribute(name) != nullptr; }
    [[nodiscard]] std::int64_t integer(std::string_view name, std::int64_t otherwise) const;
    [[nodiscard]] double real(std::string_view name, double otherwise) const;
    [[nodiscard]] std::string text(std::string_view name, std::string_view otherwise) const;
    [[nodiscard]] std::vector<std::int64_t> integers(std::string_view name, std::vector<std::int64_t> otherwise) const;

    void set(const Value& value, int output = 0) const;
    void set_known(Tensor tensor, bool is_integer, int output = 0) const;
    /// Throws ArgumentError: this form of the operator is not read.
    template <class... Args> void need(bool condition, fmt::format_string<Args...> text, Args&&... args) const {
        require<ArgumentError>(condition, "{} '{}': {}", proto_.op_type(), path_, fmt::format(text, std::forward<Args>(args)...));
    }

private:
    OnnxReader& reader_;
    const onnx::NodeProto& proto_;
    std::string path_;
};

using ReadRule = std::function<void(const ReadNode&)>;
/// Operator -> the nodes it becomes.
[[nodiscard]] const std::map<std::string, ReadRule, std::less<>>& read_rules();
/// Operators on tensors that are known while reading, where read_rules() has none or another meaning (whole numbers).
[[nodiscard]] const std::map<std::string, ReadRule, std::less<>>& host_rules();

class OnnxReader {
public:
    OnnxReader(const onnx::ModelProto& model, std::size_t file_bytes, const ReadOnnxOptions& options);
    [[nodiscard]] OnnxNetwork read();

    [[nodiscard]] Graph& graph() { return *current_; }
    [[nodiscard]] std::int64_t opset() const { return opset_; }
    [[nodiscard]] Operand& operand(const std::string& name);
    [[nodiscard]] Value as_value(Operand& operand, const std::string& name, Role role);
    [[nodiscard]] int uses(const std::string& name) const;
    void set(const std::string& name, Operand operand) { operands_[name] = std::move(operand); }
    /// The batch the file was written for; `dynamic` where it is open there.
    [[nodiscard]] std::int64_t written_batch() const { return written_batch_; }
    [[nodiscard]] std::string node_path(const onnx::NodeProto& node) const;
    /// `change` applied to a tensor at once, by the plain loops.
    [[nodiscard]] Tensor evaluate(const Tensor& tensor, const std::function<Value(const Value&)>& change);

private:
    void read_opsets();
    void read_initializers();
    void read_inputs();
    void read_nodes();
    void read_node(const onnx::NodeProto& node);
    void read_outputs();
    [[nodiscard]] bool is_computed_now(const onnx::NodeProto& node);
    void compute_now(const ReadNode& node);
    void check_sizes(std::size_t first_node) const;
    [[nodiscard]] Tensor tensor_of(const onnx::TensorProto& proto, bool& is_integer) const;
    friend Tensor tensor_attribute(const ReadNode& node, const onnx::TensorProto& proto, bool& is_integer);

    const onnx::ModelProto& model_;
    std::size_t file_bytes_;
    const ReadOnnxOptions& options_;
    OnnxNetwork network_;
    Graph* current_ = nullptr;
    std::int64_t opset_ = 0;
    std::int64_t written_batch_ = dynamic;
    std::map<std::string, Operand> operands_;
    std::map<std::string, int> uses_;
    std::set<std::string> reserved_;  ///< names of initialisers and inputs: no node takes them
    std::vector<std::string> problems_;
};

/// The tensor of a Constant node.
[[nodiscard]] Tensor tensor_attribute(const ReadNode& node, const onnx::TensorProto& proto, bool& is_integer);
/// A shape's product, or a refusal where it is absurd (a damaged file): more than 2^40 elements.
void check_elements(const ReadNode& node, const std::vector<std::int64_t>& dims, std::int64_t limit = std::int64_t{1} << 40);

}  // namespace fovea
