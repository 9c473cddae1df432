#include "io/onnx_reader.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "backends/reference/interpreter.h"
#include "fovea/passes.h"
#include "io/file.h"
#include "io/readers.h"

namespace fovea {

namespace {

/// Numbers computed while reading are lists of sizes; a larger one is a damaged file.
constexpr std::int64_t most_known_elements = std::int64_t{1} << 22;
constexpr std::int64_t largest_size = std::int64_t{1} << 31;

bool is_standard(const std::string& domain) { return domain.empty() || domain == "ai.onnx"; }

/// "Loop (2 nodes, the first 'Loop_12')"
std::string counted(const std::string& op, int count, const std::string& first) { return fmt::format("{} ({} node{}, the first '{}')", op, count, count == 1 ? "" : "s", first); }

}  // namespace

// ---- one node ---------------------------------------------------------------------------------------------------------------

std::int64_t ReadNode::opset() const { return reader_.opset(); }
Graph& ReadNode::graph() const { return reader_.graph(); }

Operand& ReadNode::operand(int i) const {
    need(has(i), "input {} is missing", i);
    return reader_.operand(proto_.input(i));
}

Value ReadNode::value(int i, Role role) const {
    Operand& given = operand(i);
    return reader_.as_value(given, proto_.input(i), role);
}

Value ReadNode::weight(int i, const std::function<Value(const Value&)>& change, Role role) const {
    Operand& given = operand(i);
    if (!given.is_known() || !given.value.is_empty() || reader_.uses(proto_.input(i)) > 1) return change(value(i, role));
    given.tensor = reader_.evaluate(given.tensor, change);
    return value(i, role);
}

const Shape& ReadNode::shape(int i) const {
    const Operand& given = operand(i);
    return given.is_known() ? given.tensor.shape() : given.value.shape();
}

std::vector<double> ReadNode::numbers(int i) const {
    const Operand& given = operand(i);
    need(given.is_known(), "input {} ('{}') is computed from the data; it is only read where it is known beforehand", i, proto_.input(i));
    std::vector<double> result;
    for (std::int64_t k = 0; k < given.tensor.elements(); ++k) result.push_back(given.tensor.at(k));
    return result;
}

std::vector<std::int64_t> ReadNode::integers(int i) const {
    std::vector<std::int64_t> result;
    for (const double v : numbers(i)) {
        need(!std::isnan(v), "input {} depends on the batch, which is open: a file with a fixed batch can be read", i);
        result.push_back(static_cast<std::int64_t>(std::clamp(v, -0x1p53, 0x1p53)));
    }
    return result;
}

std::vector<std::int64_t> ReadNode::list(std::string_view name, int i, bool* given) const {
    const bool is_there = has_attribute(name) || has(i);
    if (given) *given = is_there;
    if (!is_there) return {};
    return has_attribute(name) ? integers(name, {}) : integers(i);
}

double ReadNode::number(std::string_view name, int i, double otherwise) const {
    if (has_attribute(name)) return real(name, otherwise);
    if (!has(i)) return otherwise;
    const auto all = numbers(i);
    need(all.size() == 1, "input {} must be one number, got {}", i, all.size());
    return all[0];
}

const onnx::AttributeProto* ReadNode::attribute(std::string_view name) const {
    for (const auto& candidate : proto_.attribute())
        if (candidate.name() == name) return &candidate;
    return nullptr;
}

std::int64_t ReadNode::integer(std::string_view name, std::int64_t otherwise) const {
    const auto* found = attribute(name);
    if (!found) return otherwise;
    need(found->i() >= -largest_size && found->i() <= largest_size, "{} {} is beyond any size", name, found->i());
    return found->i();
}

double ReadNode::real(std::string_view name, double otherwise) const {
    const auto* found = attribute(name);
    return found ? static_cast<double>(found->f()) : otherwise;
}

std::string ReadNode::text(std::string_view name, std::string_view otherwise) const {
    const auto* found = attribute(name);
    return found ? found->s() : std::string(otherwise);
}

std::vector<std::int64_t> ReadNode::integers(std::string_view name, std::vector<std::int64_t> otherwise) const {
    const auto* found = attribute(name);
    if (!found) return otherwise;
    return {found->ints().begin(), found->ints().end()};
}

void ReadNode::set(const Value& value, int output) const {
    need(output < outputs(), "output {} is missing", output);
    reader_.set(proto_.output(output), {.value = value});
}

void ReadNode::set_known(Tensor tensor, bool is_integer, int output) const {
    need(output < outputs(), "output {} is missing", output);
    reader_.set(proto_.output(output), {.tensor = std::move(tensor), .is_integer = is_integer});
}

void check_elements(const ReadNode& node, const std::vector<std::int64_t>& dims, std::int64_t limit) {
    std::int64_t product = 1;
    for (const std::int64_t dim : dims) {
        node.need(dim >= 0 && !__builtin_mul_overflow(product, std::max<std::int64_t>(dim, 1), &product) && product <= limit, "the shape [{}] is beyond any size", fmt::join(dims, ", "));
    }
}

Tensor tensor_attribute(const ReadNode& node, const onnx::TensorProto& proto, bool& is_integer) { return node.reader().tensor_of(proto, is_integer); }

// ---- the file ---------------------------------------------------------------------------------------------------------------

OnnxReader::OnnxReader(const onnx::ModelProto& model, std::size_t file_bytes, const ReadOnnxOptions& options) : model_(model), file_bytes_(file_bytes), options_(options), current_(&network_.graph) {}

Operand& OnnxReader::operand(const std::string& name) {
    const auto found = operands_.find(name);
    require<FormatError>(found != operands_.end(), "'{}' is read before any node makes it", name);
    return found->second;
}

int OnnxReader::uses(const std::string& name) const {
    const auto found = uses_.find(name);
    return found == uses_.end() ? 0 : found->second;
}

Value OnnxReader::as_value(Operand& operand, const std::string& name, Role role) {
    if (!operand.is_known()) {
        require<FormatError>(!operand.value.is_empty(), "'{}' has no value", name);
        return operand.value;
    }
    if (current_ != &network_.graph) return current_->constant(operand.tensor);
    if (!operand.value.is_empty()) return operand.value;
    const Shape& shape = operand.tensor.shape();
    // A number, or a table spread over places (anchors, positions), is no weight; one value per channel is.
    const bool is_weight = !operand.is_integer && role != Role::number;
    const bool is_scale = !operand.parameter.empty() && !operand.is_integer && operand.tensor.elements() > 1;
    if (!is_weight && !is_scale) return operand.value = current_->constant(operand.tensor.to(DType::f32), fmt::format("{}.value", name));
    const std::string parameter = operand.parameter.empty() ? name : operand.parameter;
    const bool is_per_channel = std::ranges::count_if(shape.dims(), [](auto dim) { return dim > 1; }) <= 1;
    const bool is_trainable = role == Role::weight || (role == Role::number && is_per_channel);
    const Tensor values = operand.tensor.to(DType::f32);
    operand.value = current_->parameter(parameter, shape, {.kind = Init::Kind::values, .values = values}, is_trainable);
    network_.parameters.set(parameter, values);
    return operand.value;
}

Tensor OnnxReader::evaluate(const Tensor& tensor, const std::function<Value(const Value&)>& change) {
    Graph scratch;
    const Value y = change(scratch.constant(tensor));
    return interpret(scratch, {&y, 1}, {}, {}, {.real = DType::f64}).front();
}

std::string OnnxReader::node_path(const onnx::NodeProto& node) const {
    // A layer is called after its weight, as it is where networks are built: "layer1.0.conv1.weight" belongs to layer1.0.conv1.
    constexpr std::string_view suffix = ".weight";
    std::string path;
    if (node.input_size() > 1) {
        const auto found = operands_.find(node.input(1));
        if (found != operands_.end() && found->second.parameter.ends_with(suffix)) path = found->second.parameter.substr(0, found->second.parameter.size() - suffix.size());
    }
    if (path.empty()) path = !node.name().empty() ? node.name() : node.output_size() > 0 ? node.output(0) : node.op_type();
    while (reserved_.contains(path)) path += ".node";
    return path;
}

Tensor OnnxReader::tensor_of(const onnx::TensorProto& proto, bool& is_integer) const {
    const std::string& name = proto.name();
    require<FormatError>(proto.data_location() == 0 && proto.external_data_size() == 0, "the values of '{}' lie in another file, which is not opened: save the model as one file", name);
    const auto stored = stored_as(proto.data_type());
    require<FormatError>(stored.has_value(), "'{}' has data type {}, which is not read", name, proto.data_type());
    is_integer = held_as(*stored) != DType::f32 && held_as(*stored) != DType::f64;
    require<FormatError>(proto.dims_size() <= Shape::max_rank, "'{}' has {} dimensions", name, proto.dims_size());
    std::int64_t count = 1;
    Shape shape;
    for (const std::int64_t dim : proto.dims()) {
        require<FormatError>(dim >= 0 && !__builtin_mul_overflow(count, dim, &count), "'{}' has the shape [{}]", name, fmt::join(proto.dims(), ", "));
        shape.push_back(dim);
    }
    const auto check = [&](std::size_t have) {
        require<FormatError>(have == static_cast<std::size_t>(count), "'{}' {} takes {} values, the file holds {}", name, shape, count, have);
    };
    // Before anything of the claimed size is made: every element takes at least a byte of the file.
    require<FormatError>(static_cast<std::size_t>(count) <= file_bytes_, "'{}' {} takes more values than the file of {} bytes can hold", name, shape, file_bytes_);
    const auto filled = [&](const auto& values) {
        check(static_cast<std::size_t>(values.size()));
        Tensor tensor(shape, is_integer || *stored == Stored::f64 ? DType::f64 : DType::f32);
        for (int i = 0; i < values.size(); ++i) tensor.set(i, static_cast<double>(values[i]));
        return tensor;
    };
    if (!proto.has_raw_data()) {
        switch (*stored) {
            case Stored::f32: return filled(proto.float_data());
            case Stored::f64: return filled(proto.double_data());
            case Stored::i64: return filled(proto.int64_data());
            case Stored::f16:
            case Stored::bf16: {
                check(static_cast<std::size_t>(proto.int32_data_size()));
                Tensor tensor(shape);
                for (int i = 0; i < proto.int32_data_size(); ++i) {
                    const auto bits = static_cast<std::uint16_t>(proto.int32_data(i));
                    widen(*stored, reinterpret_cast<const std::byte*>(&bits), tensor, i);
                }
                return tensor;
            }
            default: return filled(proto.int32_data());
        }
    }
    const std::string& raw = proto.raw_data();
    require<FormatError>(raw.size() == static_cast<std::size_t>(count) * size_of(*stored), "'{}' {} takes {} bytes, the file holds {}", name, shape,
                         static_cast<std::size_t>(count) * size_of(*stored), raw.size());
    Tensor tensor(shape, held_as(*stored));
    for (std::int64_t i = 0; i < count; ++i) widen(*stored, reinterpret_cast<const std::byte*>(raw.data()) + static_cast<std::size_t>(i) * size_of(*stored), tensor, i);
    return is_integer || *stored == Stored::f64 ? tensor.to(DType::f64) : tensor;
}

void OnnxReader::read_opsets() {
    for (const auto& opset : model_.opset_import())
        if (is_standard(opset.domain())) opset_ = opset.version();
    require<FormatError>(opset_ >= 1, "it does not say which operator set it uses: no ONNX model");
    network_.opset = opset_;
    network_.producer = model_.producer_name();
    for (const auto& entry : model_.metadata_props()) network_.metadata[entry.key()] = entry.value();
}

void OnnxReader::read_initializers() {
    for (const auto& proto : model_.graph().initializer()) {
        Operand operand;
        operand.tensor = tensor_of(proto, operand.is_integer);
        operand.data_type = proto.data_type();
        if (!operand.is_integer) operand.parameter = proto.name();
        reserved_.insert(proto.name());
        operands_[proto.name()] = std::move(operand);
    }
    for (const auto& node : model_.graph().node())
        for (const auto& input : node.input()) ++uses_[input];
    for (const auto& output : model_.graph().output()) ++uses_[output.name()];
}

void OnnxReader::read_inputs() {
    std::vector<const onnx::ValueInfoProto*> inputs;
    for (const auto& info : model_.graph().input())
        if (!operands_.contains(info.name())) inputs.push_back(&info);  // before version 4 of the format initialisers are inputs too
    require<FormatError>(!inputs.empty(), "it has no input");
    for (const auto* info : inputs) {
        const auto& type = info->type().tensor_type();
        require<FormatError>(type.elem_type() == onnx_type::f32 || type.elem_type() == onnx_type::f16 || type.elem_type() == onnx_type::f64,
                             "input '{}' has data type {}; networks of real numbers are read", info->name(), type.elem_type());
        Shape shape;
        for (int d = 0; d < type.shape().dim_size(); ++d) {
            const auto& dim = type.shape().dim(d);
            std::int64_t size = dim.has_dim_value() && dim.dim_value() != -1 ? dim.dim_value() : dynamic;
            require<FormatError>(d < Shape::max_rank && (size == dynamic || (size >= 1 && size <= largest_size)), "dimension {} of input '{}' is {}", d, info->name(), size);
            if (d == 0) written_batch_ = size;
            if (d == 0 && options_.open_batch) size = dynamic;
            shape.push_back(size);
        }
        const std::string name = inputs.size() == 1 && !options_.input.empty() ? options_.input : info->name();
        require<FormatError>(!name.empty() && !reserved_.contains(name), "input '{}' has another's name", name);
        reserved_.insert(name);
        operands_[info->name()] = {.value = network_.graph.input(name, shape)};
    }
}

void OnnxReader::check_sizes(std::size_t first_node) const {
    for (std::size_t i = first_node; i < network_.graph.nodes().size(); ++i) {
        const Node& node = network_.graph.nodes()[i];
        for (const Type& type : node.outputs) {
            std::int64_t product = 1;
            for (const std::int64_t dim : type.shape.dims())
                require<ArgumentError>(dim == dynamic || (!__builtin_mul_overflow(product, std::max<std::int64_t>(dim, 1), &product) && product <= std::int64_t{1} << 40),
                                       "{} '{}': the shape {} is beyond any size", node.op->name, node.path, type.shape);
        }
    }
}

bool OnnxReader::is_computed_now(const onnx::NodeProto& node) {
    if (node.op_type() == "Constant" || node.op_type() == "Shape" || node.op_type() == "Size" || node.input_size() == 0) return true;
    bool is_known = true, is_weight = false;
    for (const auto& input : node.input()) {
        if (input.empty()) continue;
        const Operand& given = operand(input);
        is_known &= given.is_known() && (given.shape_of.is_empty() || node.op_type() != "Expand");
        is_weight |= !given.parameter.empty() && given.tensor.elements() > 1;
    }
    // What is made of weights stays in the graph, where it can be trained.
    return is_known && !is_weight;
}

void OnnxReader::compute_now(const ReadNode& node) {
    if (const auto rule = host_rules().find(node.proto().op_type()); rule != host_rules().end()) return rule->second(node);
    // The same rule as in the network, on a graph of constants that is evaluated at once.
    const auto& op_type = node.proto().op_type();
    const bool is_integer = node.operand(op_type == "Where" ? 1 : 0).is_integer;
    Graph scratch;
    const std::vector<std::pair<std::string, Operand>> before = [&] {
        std::vector<std::pair<std::string, Operand>> kept;
        for (const auto& output : node.proto().output()) kept.emplace_back(output, Operand{});
        return kept;
    }();
    current_ = &scratch;
    try {
        read_rules().at(op_type)(node);
    } catch (...) {
        current_ = &network_.graph;
        throw;
    }
    current_ = &network_.graph;
    for (const auto& [name, unused] : before) {
        const auto found = operands_.find(name);
        if (found == operands_.end() || found->second.value.is_empty()) continue;
        const Value y = found->second.value;
        for (const Node& made : scratch.nodes()) {
            const auto dims = made.outputs[0].shape.dims();
            check_elements(node, {dims.begin(), dims.end()}, most_known_elements);
        }
        found->second = {.tensor = interpret(scratch, {&y, 1}, {}, {}, {.real = DType::f64}).front(), .is_integer = is_integer};
    }
}

void OnnxReader::read_node(const onnx::NodeProto& proto) {
    require<FormatError>(proto.output_size() >= 1, "{} '{}' has no output", proto.op_type(), proto.name());
    // What follows from a node that could not be read is not reported again.
    bool is_broken = !is_standard(proto.domain()) || (!read_rules().contains(proto.op_type()) && !host_rules().contains(proto.op_type()));
    for (const auto& input : proto.input()) is_broken |= !input.empty() && operand(input).is_broken;
    const auto mark = [&] {
        for (const auto& output : proto.output())
            if (!output.empty()) operands_[output] = {.is_broken = true};
    };
    if (is_broken) return mark();
    const std::size_t nodes = network_.graph.nodes().size();
    try {
        const ReadNode node(*this, proto, node_path(proto));
        if (is_computed_now(proto)) {
            compute_now(node);
        } else {
            const auto rule = read_rules().find(proto.op_type());
            node.need(rule != read_rules().end(), "is read on sizes that are known beforehand, not on data");
            rule->second(node);
            check_sizes(nodes);
        }
    } catch (const FormatError&) {
        throw;
    } catch (const Error& error) {
        problems_.emplace_back(error.what());
        mark();
    }
}

void OnnxReader::read_nodes() {
    std::map<std::string, std::pair<int, std::string>> unknown;  // operator -> how often, where first
    for (const auto& proto : model_.graph().node()) {
        if (!is_standard(proto.domain()) || (!read_rules().contains(proto.op_type()) && !host_rules().contains(proto.op_type()))) {
            auto& [count, where] = unknown[is_standard(proto.domain()) ? proto.op_type() : proto.domain() + "." + proto.op_type()];
            if (count++ == 0) where = !proto.name().empty() ? proto.name() : proto.output_size() > 0 ? proto.output(0) : "";
        }
        read_node(proto);
    }
    for (const auto& [op, found] : unknown) problems_.push_back(counted(op, found.first, found.second));
    require<FormatError>(problems_.empty(), "not read: {}", fmt::join(problems_, "; "));
}

void OnnxReader::read_outputs() {
    require<FormatError>(model_.graph().output_size() > 0, "it has no output");
    bool is_first = true;
    for (const auto& info : model_.graph().output()) {
        Operand& result = operand(info.name());
        const std::string name = is_first && !options_.output.empty() ? options_.output : info.name();
        is_first = false;
        network_.graph.output(name, as_value(result, info.name(), Role::number));
    }
}

OnnxNetwork OnnxReader::read() {
    read_opsets();
    read_initializers();
    read_inputs();
    read_nodes();
    read_outputs();
    network_.graph = remove_dead_code(network_.graph);
    network_.parameters = network_.parameters.of(network_.graph);
    network_.graph.verify();
    return std::move(network_);
}

OnnxNetwork parse_onnx(std::span<const std::byte> bytes, std::string_view name, const ReadOnnxOptions& options) {
    require<FormatError>(bytes.size() < std::size_t{1} << 31, "read '{}': {} bytes; a file of the format ends at 2 GiB", name, bytes.size());
    onnx::ModelProto model;
    require<FormatError>(model.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) && model.has_graph(), "read '{}': no ONNX model, or a damaged one", name);
    try {
        return OnnxReader(model, bytes.size(), options).read();
    } catch (const Error& error) {
        fail<FormatError>("read '{}': {}", name, error.what());
    }
}

OnnxNetwork read_onnx(const std::string& path, const ReadOnnxOptions& options) {
    const MappedFile file(path);
    return parse_onnx(file.bytes(), path, options);
}

bool is_onnx(const std::string& path) { return std::filesystem::is_regular_file(path) && looks_like_onnx(MappedFile(path).bytes()); }

bool looks_like_onnx(std::span<const std::byte> bytes) {
    const auto byte = [&](std::size_t i) { return i < bytes.size() ? std::to_integer<int>(bytes[i]) : 0; };
    // ModelProto: field 1 (ir_version) is a small number, fields 2 to 8 (producer, domain, ..., opset) come next.
    const int next = byte(2) >> 3, form = byte(2) & 7;
    return byte(0) == 0x08 && byte(1) >= 1 && byte(1) <= 32 && next >= 2 && next <= 8 && (form == 2 || (form == 0 && next == 5));
}

std::vector<std::string> read_onnx_operators() {
    std::set<std::string> names;
    for (const auto& [name, rule] : read_rules()) names.insert(name);
    for (const auto& [name, rule] : host_rules()) names.insert(name);
    return {names.begin(), names.end()};
}

}  // namespace fovea
