#include "io/onnx_writer.h"

#include <algorithm>
#include <cstring>

#include "backends/reference/interpreter.h"
#include "fovea/passes.h"
#include "fovea/quantize.h"

namespace fovea {

namespace {

bool is_named(const Node& node, std::string_view op) { return node.op->name == op; }

}  // namespace

OnnxWriter::OnnxWriter(const Graph& graph, const Parameters& parameters, int opset, onnx::GraphProto& out)
    : graph_(graph), parameters_(parameters), opset_(opset), out_(out), is_constant_(graph.nodes().size(), false) {
    for (const Node& node : graph.nodes()) {
        bool is_constant = !is_named(node, "input") && !node.op->is_random && !node.outputs[0].shape.is_dynamic();
        for (std::size_t i = 0; i < node.inputs.size() && is_constant; ++i)
            is_constant = node.inputs[i].is_empty() || !node.op->reads_values_of(i) || is_constant_[static_cast<std::size_t>(node.inputs[i].id())];
        // A small tensor spread over a large one would make the file large; every reader broadcasts. Weights on a grid are written as integers.
        is_constant_[static_cast<std::size_t>(node.id)] = is_constant && !is_named(node, "expand_to") && !is_named(node, "fake_quantize");
    }
    find_broadcasts();
    for (const Value& input : graph.inputs()) taken_.insert(names_[{input.id(), 0}] = input.path());
    for (const auto& [name, value] : graph.outputs()) {
        require<ArgumentError>(value.dtype() == DType::f32, "write onnx: output '{}' is {}; only real outputs can be written", name, value.dtype());
        if (is_constant(value) || names_.contains({value.id(), value.output()}) || taken_.contains(name)) continue;
        taken_.insert(names_[{value.id(), value.output()}] = name);
    }
    // Parameters that nodes read directly keep their names; what is computed from others may take the names that are left.
    for (const Node& node : graph.nodes())
        for (const Value& input : node.inputs)
            if (!is_constant_[static_cast<std::size_t>(node.id)] && !input.is_empty() && is_named(input.node(), "parameter")) {
                std::string& name = names_[{input.id(), 0}];
                if (name.empty()) name = fresh(input.path());
            }
}

std::string OnnxWriter::fresh(const std::string& wanted) {
    std::string name = wanted;
    for (int i = 1; !taken_.insert(name).second; ++i) name = fmt::format("{}_{}", wanted, i);
    return name;
}

std::string OnnxWriter::name_of_constant(const Node& node) const {
    if (is_named(node, "fold_bias")) {
        constexpr std::string_view suffix = ".folded_bias";
        if (node.path.ends_with(suffix)) return node.path.substr(0, node.path.size() - suffix.size()) + ".bias";
    }
    const Node* source = &node;
    while (!source->inputs.empty() && !source->inputs[0].is_empty()) source = &source->inputs[0].node();
    return is_named(*source, "parameter") ? source->path : node.path;
}

std::vector<Tensor> OnnxWriter::evaluate(const Node& node) {
    if (const auto known = evaluated_.find(node.id); known != evaluated_.end()) return known->second;
    std::vector<Tensor> result;
    if (is_named(node, "parameter")) {
        const Tensor& value = parameters_.at(node.path);
        require<ShapeError>(value.shape() == node.outputs[0].shape, "write onnx: parameter '{}' is {}, the network's is {}", node.path, value.shape(), node.outputs[0].shape);
        return {value};
    }
    if (is_named(node, "constant")) return {node.attrs.tensor("value")};
    std::vector<Tensor> inputs;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
        const Value& input = node.inputs[i];
        if (input.is_empty()) {
            inputs.emplace_back();
        } else if (!node.op->reads_values_of(i)) {
            Shape shape = input.shape();  // only read for its form: a batch of 1 stands for an open one
            for (int d = 0; d < shape.rank(); ++d) shape[d] = shape[d] == dynamic ? 1 : shape[d];
            inputs.emplace_back(shape, DType::f64);
        } else {
            const Tensor value = evaluate(input.node())[static_cast<std::size_t>(input.output())];
            inputs.push_back(value.dtype() == DType::f32 ? value.to(DType::f64) : value);
        }
    }
    result = run_node(node, inputs, {.real = DType::f64});
    // Small ones may be read by many; a folded weight is read once, and keeping it would double the memory of a large network.
    if (result.front().elements() <= 1 << 16) evaluated_[node.id] = result;
    return result;
}

void OnnxWriter::find_broadcasts() {
    // ONNX broadcasts in its arithmetic as we do: an expand_to that only feeds such nodes, beside a value of the full shape, says nothing.
    static const std::set<std::string, std::less<>> broadcasting{"add", "subtract", "multiply", "divide", "maximum", "minimum", "where", "greater", "greater_equal"};
    is_needless_.assign(graph_.nodes().size(), false);
    for (const Node& node : graph_.nodes()) is_needless_[static_cast<std::size_t>(node.id)] = is_named(node, "expand_to");
    for (const auto& [name, value] : graph_.outputs()) is_needless_[static_cast<std::size_t>(value.id())] = false;
    for (const Node& node : graph_.nodes()) {
        const bool is_fine = broadcasting.contains(node.op->name) && std::ranges::any_of(node.inputs, [&](const Value& other) {
            return !is_named(other.node(), "expand_to") && other.shape() == node.outputs[0].shape;
        });
        for (const Value& input : node.inputs)
            if (!input.is_empty() && !is_fine) is_needless_[static_cast<std::size_t>(input.id())] = false;
    }
}

std::string OnnxWriter::name(const Value& value) {
    if (is_needless(value.node())) return name(value.node().inputs[0]);
    std::string& known = names_[{value.id(), value.output()}];
    if (!is_constant(value)) {
        if (known.empty()) known = fresh(value.output() == 0 ? value.path() : fmt::format("{}:{}", value.path(), value.output()));
        return known;
    }
    // A direct parameter has its name already and is written at its first use.
    if (const auto key = std::pair(value.id(), -1 - value.output()); names_.emplace(key, "written").second)
        known = tensor(evaluate(value.node())[static_cast<std::size_t>(value.output())], known.empty() ? fresh(name_of_constant(value.node())) : known);
    return known;
}

std::string OnnxWriter::tensor(const Tensor& value, const std::string& wanted) {
    const Tensor stored = value.dtype() == DType::f64 ? value.to(DType::f32) : value;
    onnx::TensorProto& initializer = *out_.add_initializer();
    for (const std::int64_t dim : stored.shape().dims()) initializer.add_dims(dim);
    initializer.set_name(wanted);
    initializer.set_data_type(stored.dtype() == DType::f32 ? onnx_type::f32 : stored.dtype() == DType::i64 ? onnx_type::i64 : stored.dtype() == DType::i32 ? onnx_type::i32 : onnx_type::u8);
    initializer.set_raw_data(stored.raw(), stored.bytes());
    return wanted;
}

std::string OnnxWriter::bytes(const Tensor& value, int data_type, const std::string& wanted) {
    onnx::TensorProto& initializer = *out_.add_initializer();
    for (const std::int64_t dim : value.shape().dims()) initializer.add_dims(dim);
    initializer.set_name(wanted);
    initializer.set_data_type(data_type);
    const auto fill = [&](auto tag) {
        std::vector<decltype(tag)> all;
        for (std::int64_t i = 0; i < value.elements(); ++i) all.push_back(static_cast<decltype(tag)>(value.at(i)));
        initializer.set_raw_data(all.data(), all.size() * sizeof(tag));
    };
    if (data_type == onnx_type::u8) fill(std::uint8_t{});
    else if (data_type == onnx_type::i8) fill(std::int8_t{});
    else fill(std::int32_t{});
    return wanted;
}

std::string OnnxWriter::integers(const std::vector<std::int64_t>& values) {
    std::string& name = integer_lists_[values];
    if (name.empty()) name = tensor(Tensor::of<std::int64_t>(std::span<const std::int64_t>(values), {static_cast<std::int64_t>(values.size())}), fresh(fmt::format("[{}]", fmt::join(values, ","))));
    return name;
}

std::string OnnxWriter::number(double value) {
    std::string& name = numbers_[value];
    if (name.empty()) name = tensor(Tensor::scalar(value), fresh(fmt::format("{:g}", value)));
    return name;
}

void OnnxWriter::add(std::string_view op_type, const std::vector<std::string>& inputs, const OnnxAttributes& attributes, const std::vector<std::string>& outputs,
                     const std::string& node_name) {
    onnx::NodeProto& node = *out_.add_node();
    node.set_op_type(std::string(op_type));
    node.set_name(node_name);
    for (const auto& input : inputs) node.add_input(input);
    for (const auto& output : outputs) node.add_output(output);
    for (const auto& [name, value] : attributes) {
        // AttributeProto.AttributeType: FLOAT 1, INT 2, STRING 3, INTS 7.
        onnx::AttributeProto& attribute = *node.add_attribute();
        attribute.set_name(name);
        if (const auto* i = std::get_if<std::int64_t>(&value)) attribute.set_type(2), attribute.set_i(*i);
        if (const auto* f = std::get_if<double>(&value)) attribute.set_type(1), attribute.set_f(static_cast<float>(*f));
        if (const auto* s = std::get_if<std::string>(&value)) attribute.set_type(3), attribute.set_s(*s);
        if (const auto* list = std::get_if<std::vector<std::int64_t>>(&value)) {
            attribute.set_type(7);
            for (const std::int64_t i : *list) attribute.add_ints(i);
        }
    }
}

void OnnxWriter::describe(const std::string& name, const Type& type, onnx::ValueInfoProto& info) const {
    info.set_name(name);
    auto& tensor_type = *info.mutable_type()->mutable_tensor_type();
    tensor_type.set_elem_type(onnx_type::f32);
    auto& shape = *tensor_type.mutable_shape();
    for (int d = 0; d < type.shape.rank(); ++d) {
        auto& dim = *shape.add_dim();
        if (type.shape[d] != dynamic) dim.set_dim_value(type.shape[d]);
        else dim.set_dim_param(d == 0 ? "N" : fmt::format("{}_{}", name, d));
    }
}

void OnnxWriter::write_all() {
    std::vector<std::string> problems;
    std::map<std::string, std::pair<int, std::string>> unknown;  // op -> how often, where first
    for (const Node& node : graph_.nodes()) {
        if (is_named(node, "input")) {
            if (node.outputs[0].dtype != DType::f32) problems.push_back(fmt::format("input '{}' ({})", node.path, node.outputs[0].dtype));
            describe(node.path, node.outputs[0], *out_.add_input());
        } else if (!is_constant_[static_cast<std::size_t>(node.id)] && !is_needless(node)) {
            const auto rule = onnx_rules().find(node.op->name);
            if (rule == onnx_rules().end()) {
                auto& [count, where] = unknown[node.op->name];
                if (count++ == 0) where = node.path;
                continue;
            }
            try {
                rule->second(OnnxNode(*this, node));
            } catch (const ArgumentError& error) {
                problems.emplace_back(error.what());
            }
        }
    }
    for (const auto& [op, found] : unknown) problems.push_back(fmt::format("{} ({} node{}, the first '{}')", op, found.first, found.first == 1 ? "" : "s", found.second));
    require<ArgumentError>(problems.empty(), "write onnx: no counterpart for {}", fmt::join(problems, "; "));
    for (const auto& [output, value] : graph_.outputs()) {
        // A constant, an input or a value with two names comes out through an Identity.
        if (is_constant(value) || name(value) != output) add("Identity", {name(value)}, {}, {output}, fresh(output + ".output"));
        describe(output, value.type(), *out_.add_output());
    }
}

std::string OnnxNode::via(std::string_view op_type, const std::vector<std::string>& inputs, const OnnxAttributes& attributes) const {
    const std::string name = writer_.fresh(fmt::format("{}.{}", node_.path, op_type));
    writer_.add(op_type, inputs, attributes, {name}, name);
    return name;
}

void OnnxNode::out(std::string_view op_type, const std::vector<std::string>& inputs, const OnnxAttributes& attributes) const {
    writer_.add(op_type, inputs, attributes, {writer_.name(Value(&node_.inputs.at(0).graph(), node_.id, 0))}, node_.path);
}

std::string to_onnx(const Graph& graph, const Parameters& parameters, const WriteOnnxOptions& options) {
    require<ArgumentError>(options.opset >= oldest_written_opset && options.opset <= newest_written_opset, "write onnx: opset {} is not written; {} to {} are", options.opset, oldest_written_opset,
                           newest_written_opset);
    require<ArgumentError>(options.batch >= 0, "write onnx: batch must be 0 (open) or a size, got {}", options.batch);
    require<ArgumentError>(!graph.outputs().empty(), "write onnx: the network has no output; Graph::output names one");
    Graph network = to_inference(graph);
    if (options.batch > 0) {
        std::map<std::string, Shape> shapes;
        for (const Value& input : network.inputs()) {
            Shape shape = input.shape();
            if (shape.rank() > 0 && shape[0] == dynamic) shape[0] = options.batch;
            shapes[input.path()] = shape;
        }
        network = specialize(network, shapes);
    }
    if (options.fold_batch_norm) network = fold_batch_norm(network);
    network = mark_weight_grids(network);
    network = remove_dead_code(network);
    onnx::ModelProto model;
    model.set_ir_version(options.opset >= 15 ? 8 : 7);  // the versions that came with these operator sets
    model.set_producer_name("fovea");
    onnx::OperatorSetIdProto& opset = *model.add_opset_import();
    opset.set_domain("");
    opset.set_version(options.opset);
    model.mutable_graph()->set_name(options.name);
    for (const auto& [key, value] : options.metadata) {
        onnx::Entry& entry = *model.add_metadata_props();
        entry.set_key(key);
        entry.set_value(value);
    }
    OnnxWriter(network, parameters, options.opset, *model.mutable_graph()).write_all();
    require<ArgumentError>(model.ByteSizeLong() < (1ULL << 31), "write onnx: {} do not fit into one file of the format, which ends at 2 GiB",
                           human_bytes(static_cast<double>(model.ByteSizeLong())));
    return model.SerializeAsString();
}

void write_onnx(const std::string& path, const Graph& graph, const Parameters& parameters, const WriteOnnxOptions& options) {
    write_file_atomically(path, to_onnx(graph, parameters, options));
}

std::vector<std::string> written_onnx_ops() {
    std::vector<std::string> names;
    for (const auto& [name, rule] : onnx_rules()) names.push_back(name);
    return names;
}

}  // namespace fovea
