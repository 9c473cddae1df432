// A graph on its way to ONNX: names, initialisers, nodes. What each op becomes stands in onnx_written_ops.cpp.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "fovea/io.h"
#include "graph/op.h"
#include "io/onnx.h"

namespace fovea {

struct OnnxAttribute {
    std::string name;
    std::variant<std::int64_t, double, std::string, std::vector<std::int64_t>> value;
};
using OnnxAttributes = std::vector<OnnxAttribute>;

class OnnxWriter {
public:
    OnnxWriter(const Graph& graph, const Parameters& parameters, int opset, onnx::GraphProto& out);

    [[nodiscard]] int opset() const { return opset_; }
    /// The ONNX name of a value; what depends on parameters alone becomes an initialiser when it is first asked for.
    std::string name(const Value& value);
    /// Whether the value is computed here and now, because no input reaches it.
    [[nodiscard]] bool is_constant(const Value& value) const { return is_constant_[static_cast<std::size_t>(value.id())]; }
    /// `wanted`, or `wanted` with a number where that name is taken.
    std::string fresh(const std::string& wanted);
    /// Initialisers; equal lists and numbers are written once.
    std::string integers(const std::vector<std::int64_t>& values);
    std::string number(double value);
    std::string tensor(const Tensor& value, const std::string& wanted);
    /// Whole numbers as u8, s8 or s32.
    std::string bytes(const Tensor& value, int data_type, const std::string& wanted);
    /// The value of what is_constant(): parameters are those given.
    [[nodiscard]] Tensor constant(const Value& value) { return evaluate(value.node())[static_cast<std::size_t>(value.output())]; }
    /// Appends a node with one output.
    void add(std::string_view op_type, const std::vector<std::string>& inputs, const OnnxAttributes& attributes, const std::vector<std::string>& outputs, const std::string& node_name);
    /// Graph input, every node, graph outputs. Throws ArgumentError listing what ONNX has no counterpart for.
    void write_all();

private:
    void find_broadcasts();
    [[nodiscard]] bool is_needless(const Node& node) const { return is_needless_[static_cast<std::size_t>(node.id)]; }
    [[nodiscard]] std::vector<Tensor> evaluate(const Node& node);
    [[nodiscard]] std::string name_of_constant(const Node& node) const;
    void describe(const std::string& name, const Type& type, onnx::ValueInfoProto& info) const;

    const Graph& graph_;
    const Parameters& parameters_;
    int opset_;
    onnx::GraphProto& out_;
    std::vector<bool> is_constant_, is_needless_;
    std::map<int, std::vector<Tensor>> evaluated_;
    std::map<std::pair<int, int>, std::string> names_;
    std::set<std::string, std::less<>> taken_;
    std::map<std::vector<std::int64_t>, std::string> integer_lists_;
    std::map<double, std::string> numbers_;
};

/// One node while it is written: shorthand for the rules of onnx_written_ops.cpp.
class OnnxNode {
public:
    OnnxNode(OnnxWriter& writer, const Node& node) : writer_(writer), node_(node) {}
    [[nodiscard]] OnnxWriter& writer() const { return writer_; }
    [[nodiscard]] const Node& node() const { return node_; }
    [[nodiscard]] const Attrs& attrs() const { return node_.attrs; }
    [[nodiscard]] bool has(std::size_t i) const { return i < node_.inputs.size() && !node_.inputs[i].is_empty(); }
    [[nodiscard]] const Shape& shape(std::size_t i) const { return node_.inputs[i].shape(); }
    [[nodiscard]] const Shape& out_shape() const { return node_.outputs[0].shape; }
    /// Name of input i; "" where it is absent.
    [[nodiscard]] std::string in(std::size_t i) const { return has(i) ? writer_.name(node_.inputs[i]) : std::string(); }
    [[nodiscard]] std::string integers(const std::vector<std::int64_t>& values) const { return writer_.integers(values); }
    [[nodiscard]] std::string number(double value) const { return writer_.number(value); }
    /// An intermediate result.
    [[nodiscard]] std::string via(std::string_view op_type, const std::vector<std::string>& inputs, const OnnxAttributes& attributes = {}) const;
    /// The node's own result (output 0).
    void out(std::string_view op_type, const std::vector<std::string>& inputs, const OnnxAttributes& attributes = {}) const;
    /// Throws ArgumentError: this form of the op is not in ONNX.
    template <class... Args> void need(bool condition, fmt::format_string<Args...> text, Args&&... args) const {
        require<ArgumentError>(condition, "{} '{}' ({})", node_.op->name, node_.path, fmt::format(text, std::forward<Args>(args)...));
    }

private:
    OnnxWriter& writer_;
    const Node& node_;
};

using OnnxRule = std::function<void(const OnnxNode&)>;
/// quantize, dequantize and fake_quantize.
void write_quantize(const OnnxNode& n);
void write_dequantize(const OnnxNode& n);
void write_fake_quantize(const OnnxNode& n);
/// The inputs x, weight and bias of a layer on grids, as integer kernels look for them: x straight from a DequantizeLinear, the bias in s32.
[[nodiscard]] std::vector<std::string> quantized_inputs(const OnnxNode& n);
/// Op -> what it becomes.
[[nodiscard]] const std::map<std::string, OnnxRule, std::less<>>& onnx_rules();

}  // namespace fovea
