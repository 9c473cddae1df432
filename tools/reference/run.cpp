#include "run.h"

#include <cmath>

#include "core/text.h"
#include "fill.h"

namespace fovea::reference {

std::shared_ptr<State> make_state(const Parameters& parameters, const How& how) {
    Parameters converted;
    for (const auto& name : parameters.names()) {
        const Tensor& value = parameters.at(name);
        converted.set(name, value.dtype() == DType::f32 || value.dtype() == DType::f64 ? value.to(how.real()) : value);
    }
    return std::make_shared<State>(converted);
}

std::vector<Tensor> evaluate(const Graph& graph, const std::vector<Value>& wanted, const std::map<std::string, Tensor>& inputs, const How& how, const std::shared_ptr<State>& state,
                             bool inference) {
    Graph program = graph.clone();
    program.clear_outputs();
    if (!state) program.clear_updates();
    for (std::size_t i = 0; i < wanted.size(); ++i) program.output(fmt::format("wanted{}", i), Value(&program, wanted[i].id(), wanted[i].output()));
    std::map<std::string, Shape> shapes;
    std::map<std::string, Tensor> given;
    for (const auto& [name, tensor] : inputs) {
        shapes[name] = tensor.shape();
        given[name] = tensor.dtype() == DType::f32 || tensor.dtype() == DType::f64 ? tensor.to(how.real()) : tensor;
    }
    const Executable executable = compile(program, shapes, {.backend = how.backend, .precision = how.precision, .inference = inference});
    // Inputs that nothing needs (labels whose values do not matter) are not part of the compiled program.
    std::map<std::string, Tensor> used;
    for (const auto& port : executable.inputs())
        if (const auto it = given.find(port.name); it != given.end()) used.insert(*it);
    Session session(executable, state ? state : std::make_shared<State>(Parameters{}));
    std::vector<Tensor> results;
    for (const Tensor& result : session.run(used)) results.push_back(result.clone());
    return results;
}

Json number(double value) {
    if (std::isfinite(value)) return value;
    return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

Json first_values(const Tensor& tensor, std::int64_t count) {
    Json values = Json::array();
    for (std::int64_t i = 0; i < std::min(count, tensor.elements()); ++i) values.push_back(number(tensor.at(i)));
    return values;
}

double l2(const Tensor& tensor) {
    double total = 0;
    for (std::int64_t i = 0; i < tensor.elements(); ++i) total += tensor.at(i) * tensor.at(i);
    return std::sqrt(total);
}

Json shape_of(const Tensor& tensor) { return Json(tensor.shape().dims()); }

Json summary(const Tensor& tensor) {
    double sum = 0;
    for (std::int64_t i = 0; i < tensor.elements(); ++i) sum += tensor.at(i);
    Json json{{"shape", shape_of(tensor)}, {"outputs", first_values(tensor, 32)}, {"l2", number(l2(tensor))}, {"sum", number(sum)}, {"probe", number(probe(tensor))}};
    if (tensor.shape().rank() >= 2) {
        const std::int64_t batch = tensor.shape()[0], row = tensor.elements() / std::max<std::int64_t>(1, batch);
        json["argmax"] = Json::array();
        for (std::int64_t n = 0; n < batch; ++n) {
            std::int64_t best = 0;
            for (std::int64_t i = 1; i < row; ++i)
                if (tensor.at(n * row + i) > tensor.at(n * row + best)) best = i;
            json["argmax"].push_back(best);
        }
    }
    return json;
}

}  // namespace fovea::reference
