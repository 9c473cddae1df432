#include "case.h"

#include <cmath>
#include <regex>

#include "core/text.h"
#include "fill.h"
#include "fovea/passes.h"

namespace fovea::reference {

namespace {

Shape shape_from(const Json& json) {
    const auto dims = json.get<std::vector<std::int64_t>>();
    return Shape(std::span<const std::int64_t>(dims));
}

/// {"name", "shape", "scale", "shift"} by the rule, or {"name", "given": {"shape", "values" | "int"}}. s is rounded to f32 first,
/// the rest is double.
Tensor case_input(const Json& json) {
    if (json.contains("given")) {
        const Json& given = json["given"];
        const bool is_integer = given.contains("int");
        Tensor tensor(shape_from(given.at("shape")), is_integer ? DType::i32 : DType::f64);
        std::int64_t i = 0;
        const Json& values = given.at(is_integer ? "int" : "values");
        require<FormatError>(static_cast<std::int64_t>(values.size()) == tensor.elements(), "{} values for shape {}", values.size(), tensor.shape());
        for (const Json& value : values) tensor.set(i++, value.get<double>());
        return tensor;
    }
    const double scale = json.value("scale", 1.0), shift = json.value("shift", 0.0);
    Tensor tensor = image(json.at("name").get<std::string>(), shape_from(json.at("shape"))).to(DType::f64);
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

OpCase::OpCase(const Json& json) : attrs_(json.value("attrs", Json::object())) {
    for (const Json& input : json.value("inputs", Json::array())) {
        const auto name = input.at("name").get<std::string>();
        const Tensor tensor = case_input(input);
        inputs_.push_back(graph_.input(name, tensor.shape(), tensor.dtype() == DType::i32 ? DType::i32 : DType::f32));
        given_[name] = tensor;
    }
}

Size2 OpCase::size2(const char* name, std::int64_t otherwise) const {
    if (!has_attr(name)) return otherwise;
    const Json& value = attrs_[name];
    if (value.is_array()) return {value.at(0).get<std::int64_t>(), value.at(1).get<std::int64_t>()};
    return value.get<std::int64_t>();
}

Pad4 OpCase::padding() const {
    const Size2 both = size2("padding", 0);
    return {both.h, both.w};
}

Reduction OpCase::reduction() const {
    const std::string name = text("reduction", "mean");
    require<ArgumentError>(name == "mean" || name == "sum" || name == "none", "reduction '{}' is none of mean, sum, none", name);
    return name == "mean" ? Reduction::mean : name == "sum" ? Reduction::sum : Reduction::none;
}

Value OpCase::constant(const std::vector<double>& values) { return graph_.constant(Tensor::of(std::span<const double>(values), {static_cast<std::int64_t>(values.size())})); }

Value OpCase::described(const std::string& text, const Shape& shape) {
    static const std::regex form(R"(^(?:([-0-9.e]+)\+)?(?:([-0-9.e]+)\*)?([su])\('([^']+)'\)$)");
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

Json run_case(const Json& json, OpBuilder builder, const How& how) {
    OpCase op(json);
    const OpResult built = builder(op);
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
OpBuilder find_builder(const std::string& op) {
    static const std::regex value("_[0-9.]+$");
    for (const std::string& name : {op, std::regex_replace(op, value, "")})
        if (const auto it = all_ops().find(name); it != all_ops().end()) return it->second;
    return nullptr;
}

}  // namespace

Json run_cases(const Json& file, const std::string& stem, const How& how, std::vector<std::string>& unknown, std::vector<std::string>& failed) {
    Json results = Json::object();
    for (const Json& json : file.at("cases")) {
        const auto name = stem + "/" + json.at("name").get<std::string>(), op = json.at("op").get<std::string>();
        const OpBuilder builder = find_builder(op);
        try {
            if (is_optimiser(op) && json.contains("lr_per_step"))
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
