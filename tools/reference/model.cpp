#include "model.h"

#include <ostream>

#include "core/text.h"
#include "fill.h"
#include "fovea/models.h"
#include "fovea/nn.h"
#include "fovea/ops.h"
#include "fovea/passes.h"

namespace fovea::reference {

namespace {

Shape shape_from(const Json& json) {
    const auto dims = json.get<std::vector<std::int64_t>>();
    return Shape(std::span<const std::int64_t>(dims));
}

ModelOptions options_for(const Shape& input) {
    require<ArgumentError>(input.rank() == 4, "the record's input is {}, fovea's networks take [N, C, H, W]", input);
    return {.channels = input[1], .height = input[2], .width = input[3], .dropout = 0, .drop_path = 0};
}

/// The loss of the record, on an input "label" or "target" per output; adds what they hold to `inputs`.
Value record_loss(Graph& net, const Json& train, std::int64_t batch, std::map<std::string, Tensor>& inputs) {
    const auto kind = train.at("loss_kind").get<std::string>();
    Value total;
    for (const auto& [output, weight] : train.at("loss_weights").items()) {
        const Value out = net.find_output(output == "logits" ? "out" : output);  // networks with auxiliary heads call the main one so
        Value loss;
        if (kind == "ce" || kind.starts_with("rbf distance")) {
            Shape shape{batch};
            for (int d = 2; d < out.shape().rank(); ++d) shape.push_back(out.shape()[d]);
            const std::string name = "label " + output;
            Shape declared = shape;
            declared[0] = dynamic;
            const Value label = net.input(name, declared, DType::i32);
            inputs[name] = labels(shape, out.shape()[1]);
            loss = model_loss(kind == "ce" ? ModelLoss::cross_entropy : ModelLoss::label_distance, out, label);
        } else {
            Shape shape = out.shape();
            shape[0] = batch;
            const std::string name = "target " + output;
            const Value target = net.input(name, out.shape());
            if (kind == "bce1") {
                Tensor ones(shape);
                for (std::int64_t i = 0; i < ones.elements(); ++i) ones.set(i, 1);
                inputs[name] = ones;
            } else {
                inputs[name] = image("target", shape);
            }
            const Value difference = out - target;
            if (kind == "mse")
                loss = mean(square(difference));
            else if (kind == "l1")
                loss = mean(abs(difference));
            else if (kind == "bce1")  // softplus(x) - x t without overflow
                loss = mean(maximum(out, 0.0) - out * target + log(1.0 + exp(-abs(out))));
            else
                fail<ArgumentError>("loss kind '{}' is not known", kind);
        }
        const Value part = weight.get<double>() * loss;
        total = total.is_empty() ? part : total + part;
    }
    return total;
}

void run_evaluation(const std::string& name, const Json& record, const How& how, std::ostream& messages, Json& result) {
    const Shape shape = shape_from(record.at("input").at("shape"));
    Graph net = build_model(name, options_for(shape));
    const double gain = record.value("gain", 1.0);
    Parameters parameters;
    for (const ParameterInfo& info : net.parameters()) parameters.set(info.name, parameter(info, gain));
    net.clear_updates();
    const auto state = make_state(parameters, how);
    const std::map<std::string, Tensor> inputs{{"image", image(record.at("input").at("name").get<std::string>(), shape)}};

    std::vector<Value> outputs;
    std::vector<std::string> names_of_outputs;
    for (const auto& [output, value] : net.outputs())
        if (!auxiliary_weight(value)) outputs.push_back(value), names_of_outputs.push_back(output);
    const auto values = evaluate(net, outputs, inputs, how, state, /*inference=*/true);
    const std::string main = record.at("eval").value("output", "out");
    for (std::size_t i = 0; i < values.size(); ++i) {
        const std::string& output = names_of_outputs[i];
        if (output == main || outputs.size() == 1)
            result.update(summary(values[i]));
        else
            result["eval_extra"][output] = summary(values[i]);
    }

    // Asked for by name, and computed in a program of their own: as outputs they keep convolutions and norms from being folded.
    std::vector<Value> taps;
    std::vector<std::string> names;
    for (const Json& row : record.value("eval_intermediate", Json::array())) {
        const auto path = row.at(0).get<std::string>();
        try {
            taps.push_back(net.find(path));
            names.push_back(path);
        } catch (const Error&) {
            messages << name << ": no module '" << path << "'\n";
        }
    }
    if (!taps.empty()) {
        const auto seen = evaluate(net, taps, inputs, how, state, true);
        for (std::size_t i = 0; i < seen.size(); ++i) result["intermediate"][names[i]] = number(l2(seen[i]));
    }

    result["params"] = net.trainable_scalars();
    Shape single = shape;
    single[0] = 1;
    result["macs"] = specialize(to_inference(net), {{"image", single}}).cost().macs;
    result["state"] = Json::array();
    for (const ParameterInfo& info : net.parameters()) result["state"].push_back({info.name, info.type.shape.dims()});
}

void run_training(const std::string& name, const Json& record, const How& how, Json& result) {
    const Json& train = record.at("train");
    const Shape shape = shape_from(train.at("input_shape"));
    Graph net = build_model(name, options_for(shape));
    Parameters parameters;
    for (const ParameterInfo& info : net.parameters()) parameters.set(info.name, parameter(info, record.value("gain", 1.0)));
    const auto state = make_state(parameters, how);
    std::map<std::string, Tensor> inputs{{"image", image(record.at("input").at("name").get<std::string>(), shape)}};
    const Value loss = record_loss(net, train, shape[0], inputs);
    std::vector<Value> trained;
    std::vector<std::string> names;
    for (const ParameterInfo& info : net.parameters()) {
        if (!info.is_trainable) continue;
        trained.push_back(net.find(info.name));
        names.push_back(info.name);
    }
    std::vector<Value> wanted{loss};
    std::vector<std::string> with_gradient;
    const auto gradient = gradients(loss, trained);
    for (std::size_t i = 0; i < gradient.size(); ++i) {
        if (gradient[i].is_empty()) continue;
        wanted.push_back(gradient[i]);
        with_gradient.push_back(names[i]);
    }
    const auto values = evaluate(net, wanted, inputs, how, state);
    result["loss"] = number(values[0].at(0));
    result["grads"] = Json::object();
    for (std::size_t i = 0; i < with_gradient.size(); ++i) {
        const Tensor& g = values[i + 1];
        result["grads"][with_gradient[i]] = {number(l2(g)), number(g.at(0)), number(g.elements() > 1 ? g.at(1) : 0.0), number(probe(g))};
    }
    // The step's new running statistics, read back from the state it updated.
    const Json statistics = train.value("running_stats", Json::object());
    for (const auto& [statistic, unused] : statistics.items())
        if (net.find_parameter(statistic) != nullptr) {
            const Tensor value = state->read(statistic);
            Json row{number(l2(value))};
            for (const Json& v : first_values(value, 3)) row.push_back(v);
            result["running_stats"][statistic] = row;
        }
}

}  // namespace

Json run_model(const std::string& name, const Json& record, const How& how, std::ostream& messages) {
    Json result = Json::object();
    run_evaluation(name, record, how, messages, result);
    if (record.contains("train")) run_training(name, record, how, result);
    return result;
}

}  // namespace fovea::reference
