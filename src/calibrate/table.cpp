// The quantisation table as JSON.
#include <nlohmann/json.hpp>

#include "core/text.h"
#include "fovea/calibrate.h"

namespace fovea {

using Json = nlohmann::ordered_json;

std::string to_text(const QuantizationTable& table) {
    Json values = Json::object(), weights = Json::object();
    for (const auto& [path, grid] : table.values) values[path] = {grid.scale, grid.zero_point, grid.low, grid.high};
    for (const auto& [path, scales] : table.weights) weights[path] = scales;
    return Json{{"method", table.method}, {"images", table.images}, {"values", values}, {"weights", weights}}.dump();
}

QuantizationTable parse_quantization(std::string_view text, std::string_view file) {
    QuantizationTable table;
    try {
        const Json json = Json::parse(text);
        table.method = json.at("method").get<std::string>();
        table.images = json.at("images").get<std::int64_t>();
        for (const auto& [path, grid] : json.at("values").items())
            table.values[path] = {grid.at(0).get<double>(), grid.at(1).get<std::int64_t>(), grid.at(2).get<std::int64_t>(), grid.at(3).get<std::int64_t>()};
        for (const auto& [path, scales] : json.at("weights").items()) table.weights[path] = scales.get<std::vector<double>>();
    } catch (const nlohmann::json::exception& error) {
        fail<FormatError>("'{}': its quantisation table cannot be read: {}", file, error.what());
    }
    return table;
}

}  // namespace fovea
