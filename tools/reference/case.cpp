#include "case.h"

#include <cstdlib>
#include <regex>

#include "core/text.h"
#include "fill.h"
#include "fovea/passes.h"

namespace fovea::reference {

namespace {

Shape shape_from(Fields& fields) {
    require<ArgumentError>(fields.has("shape"), "{}: its shape is missing", fields.who());
    const auto dims = fields.integers("shape");
    require<ArgumentError>(std::ranges::all_of(dims, [](std::int64_t d) { return d >= 0; }), "{}: its shape has a negative size", fields.who());
    return Shape(std::span<const std::int64_t>(dims));
}

/// {"name", "shape", "scale", "shift"} by the rule, or {"name", "given": {"shape", "values" | "int"}}. s is rounded to f32 first,
/// the rest is double.
Tensor case_input(const Json& json, const std::string& name) {
    Fields fields(json, fmt::format("input '{}'", name), "field");
    fields.note({"name"});
    if (fields.has("given")) {
        fields.finish();
        Fields given(json["given"], fields.who(), "given field");
        const bool is_integer = given.has("int");
        Tensor tensor(shape_from(given), is_integer ? DType::i32 : DType::f64);
        const auto integers = given.integers("int");
        const auto values = is_integer ? std::vector<double>(integers.begin(), integers.end()) : given.reals("values");
        require<ArgumentError>(static_cast<std::int64_t>(values.size()) == tensor.elements(), "{}: {} values for shape {}", fields.who(), values.size(), tensor.shape());
        given.finish();
        std::int64_t i = 0;
        for (const double value : values) tensor.set(i++, value);
        return tensor;
    }
    const double scale = fields.real("scale", 1), shift = fields.real("shift", 0);
    Tensor tensor = image(name, shape_from(fields)).to(DType::f64);
    fields.finish();
    for (double& v : tensor.data<double>()) v = shift + scale * v;
    return tensor;
}

/// Small tensors whole, large ones as first values and sums, as the records have them.
Json tensor_result(const Tensor& tensor) {
    constexpr std::int64_t whole = 512;
    Json json{{"shape", shape_of(tensor)}};
    if (tensor.dtype() != DType::f32 && tensor.dtype() != DType::f64) {
        json["int"] = Json::array();
        for (std::int64_t i = 0; i < tensor.elements(); ++i) json["int"].push_back(static_cast<std::int64_t>(tensor.at(i)));
    } else if (tensor.elements() <= whole) {
        json["values"] = first_values(tensor, whole);
    } else {
        const Json all = summary(tensor);
        json["first"] = all["outputs"];
        for (const char* key : {"l2", "sum", "probe"}) json[key] = all[key];
    }
    return json;
}

}  // namespace

OpCase::OpCase(const Json& json) : attrs_(json.value("attrs", Json::object()), json.at("op").get<std::string>(), "attribute") {
    const Json inputs = json.value("inputs", Json::array());
    require<ArgumentError>(inputs.is_array(), "{}: its inputs must be a list", attrs_.who());
    for (const Json& input : inputs) {
        const auto name = Fields(input, fmt::format("input {}", inputs_.size() + 1), "field").text("name");
        const Tensor tensor = case_input(input, name);
        inputs_.push_back(graph_.input(name, tensor.shape(), tensor.dtype() == DType::i32 ? DType::i32 : DType::f32));
        given_[name] = tensor;
    }
}

Value OpCase::x(std::size_t i) {
    require<ArgumentError>(has(i) || i > 0, "{}: the case has no inputs", attrs_.who());
    if (!has(i)) return {};
    read_.insert(i);
    return inputs_[i];
}

const Type& OpCase::type(std::size_t i) const {
    require<ArgumentError>(has(i), "{}: needs at least {} inputs, got {}", attrs_.who(), i + 1, inputs_.size());
    return inputs_[i].type();
}

Pad4 OpCase::padding() {
    const Size2 both = size2("padding", 0);
    return {both.h, both.w};
}

Reduction OpCase::reduction(const std::string& otherwise) {
    const std::string name = attrs_.choice("reduction", otherwise, {"mean", "sum", "none"});
    return name == "mean" ? Reduction::mean : name == "sum" ? Reduction::sum : Reduction::none;
}

std::int64_t OpCase::axis(FieldName name, std::int64_t otherwise) {
    const std::int64_t axis = integer(name, otherwise), rank = shape().rank();
    require<ArgumentError>(axis >= -rank && axis < rank, "{}: attribute '{}' must lie in {}..{} for input {}, got {}", attrs_.who(), name.torch, -rank, rank - 1, shape(), axis);
    return axis < 0 ? axis + rank : axis;
}

void OpCase::agrees(const char* name, std::size_t i) {
    const bool says = flag(name, has(i));
    require<ArgumentError>(says == has(i), "{}: attribute '{}' is {}, but there are {} inputs", attrs_.who(), name, says, inputs_.size());
}

void OpCase::finish() const {
    attrs_.finish();
    for (std::size_t i = 0; i < inputs_.size(); ++i) require<ArgumentError>(read_.contains(i), "{}: input {} '{}' is not read by this tool", attrs_.who(), i + 1, inputs_[i].path());
}

Value OpCase::constant(const std::vector<double>& values) { return graph_.constant(Tensor::of(std::span<const double>(values), {static_cast<std::int64_t>(values.size())})); }

Value OpCase::described(const std::string& text, const Shape& shape) {
    static const std::regex form(R"(^(?:(-?[0-9.]+(?:e-?[0-9]+)?)\+)?(?:(-?[0-9.]+(?:e-?[0-9]+)?)\*)?([su])\('([^']+)'\)$)");
    std::smatch match;
    require<ArgumentError>(std::regex_match(text, match, form), "'{}' is not of the form a+b*s('name')", text);
    const double shift = match[1].matched ? std::stod(match[1]) : 0, scale = match[2].matched ? std::stod(match[2]) : 1;
    Tensor tensor(shape, DType::f64);
    for (std::int64_t i = 0; i < tensor.elements(); ++i) {
        const double u = unit(match[4].str(), i);
        tensor.set(i, shift + scale * (match[3] == "s" ? 2 * u - 1 : u));
    }
    return graph_.constant(tensor);
}

namespace {

const OpTable& all_ops() {
    static const OpTable table = [] {
        OpTable t;
        add_activation_ops(t);
        add_conv_ops(t);
        add_detect_ops(t);
        add_loss_ops(t);
        add_norm_ops(t);
        add_pool_ops(t);
        add_resample_ops(t);
        return t;
    }();
    return table;
}

/// A record may put an attribute's value behind the operator's name ("leaky_relu_0.1"); the attribute is what counts.
const std::regex value_in_name("_([0-9.]+)$");

OpBuilder find_builder(const std::string& op) {
    for (const std::string& name : {op, std::regex_replace(op, value_in_name, "")})
        if (const auto it = all_ops().find(name); it != all_ops().end()) return it->second;
    return nullptr;
}

/// Without the attribute the operator's default would answer for the value in the name.
void check_value_in_name(const std::string& op, const Json& attrs) {
    std::smatch match;
    if (all_ops().contains(op) || !std::regex_search(op, match, value_in_name)) return;
    const std::string value = match[1];
    const bool is_there = std::ranges::any_of(attrs, [&](const Json& attr) { return attr.is_number() && attr.get<double>() == std::strtod(value.c_str(), nullptr); });
    require<ArgumentError>(is_there, "{}: no attribute has the value {} of its name", op, value);
}

Json run_case(const Json& json, OpBuilder builder, const How& how) {
    OpCase op(json);
    op.attrs().note({"inplace"});  // says where the result goes
    check_value_in_name(json.at("op"), json.value("attrs", Json::object()));
    const OpResult built = builder(op);
    op.finish();
    std::map<std::string, Tensor> inputs = op.given();
    std::vector<Value> wanted = built.outputs;
    std::vector<std::size_t> place;  // of each gradient among the inputs
    if (json.contains("grads") && !json["grads"].is_null()) {
        std::vector<Value> ys, cotangents, xs;
        for (std::size_t i = 0; i < built.differentiable; ++i) {
            const Value& y = built.outputs[i];
            const std::string name = fmt::format("cotangent {}", i);
            ys.push_back(y);
            cotangents.push_back(op.graph().input(name, y.shape()));
            inputs[name] = image("cotangent", y.shape());  // each output starts again at element 0
        }
        std::vector<std::size_t> candidates;
        for (std::size_t i = 0; i < op.inputs(); ++i)
            if (op.x(i).dtype() == DType::f32) xs.push_back(op.x(i)), candidates.push_back(i);
        const auto gradient = gradients(ys, xs, cotangents);
        for (std::size_t i = 0; i < gradient.size(); ++i)
            if (!gradient[i].is_empty()) wanted.push_back(gradient[i]), place.push_back(candidates[i]);
    }
    const auto values = evaluate(op.graph(), wanted, inputs, how);
    Json result{{"outputs", Json::array()}};
    for (std::size_t i = 0; i < built.outputs.size(); ++i) result["outputs"].push_back(tensor_result(values[i]));
    if (json.contains("grads") && !json["grads"].is_null()) {
        result["grads"] = Json(std::vector<Json>(op.inputs(), nullptr));
        for (std::size_t i = 0; i < place.size(); ++i) result["grads"][place[i]] = tensor_result(values[built.outputs.size() + i]);
    }
    return result;
}

}  // namespace

Json run_cases(const Json& file, const std::string& stem, const How& how, std::vector<std::string>& unknown, std::vector<std::string>& failed) {
    require<FormatError>(file.is_object() && file.contains("cases") && file["cases"].is_array(), "operator cases: the file has no list 'cases'");
    Json results = Json::object();
    for (const Json& json : file["cases"]) {
        std::string name = fmt::format("{}/case {}", stem, results.size() + unknown.size() + failed.size() + 1);
        try {
            Fields fields(json, "case", "field");
            name = stem + "/" + fields.text("name");
            const std::string op = fields.text("op");
            const OpBuilder builder = find_builder(op);
            if (is_optimiser(op))
                results[name] = run_optimiser(json, how);
            else if (builder != nullptr)
                results[name] = run_case(json, builder, how);
            else
                unknown.push_back(fmt::format("{}: op '{}' is not known to this tool", name, op));
        } catch (const std::exception& error) {
            failed.push_back(fmt::format("{}: {}", name, error.what()));
        }
    }
    return results;
}

}  // namespace fovea::reference
