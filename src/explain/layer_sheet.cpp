// The layer table as a sheet and as JSON.
#include <cmath>

#include <nlohmann/json.hpp>

#include "core/text.h"
#include "fovea/explain.h"

namespace fovea {

namespace {

using Json = nlohmann::ordered_json;

std::string number_text(double value) { return value == std::floor(value) ? fmt::format("{:.0f}", value) : fmt::format("{:.2f}", value); }

/// "163", "35x19"
std::string pair_text(const std::array<double, 2>& pair) { return pair[0] == pair[1] ? number_text(pair[0]) : number_text(pair[0]) + "x" + number_text(pair[1]); }

Json pair_json(const std::array<double, 2>& pair) {
    const auto number = [](double v) { return v == std::floor(v) ? Json(static_cast<std::int64_t>(v)) : Json(v); };
    return pair[0] == pair[1] ? number(pair[0]) : Json{number(pair[0]), number(pair[1])};
}

/// Height x width x channels as tables of lectures have it: "55x55x96", "4096".
std::string volume_text(const Shape& shape) {
    std::string text;
    if (shape.rank() == 4 && shape[2] * shape[3] > 1) text = fmt::format("{}x{}x{}", shape[2], shape[3], shape[1]);
    else if (shape.rank() == 4) text = fmt::format("{}", shape[1]);
    else text = fmt::format("{}", fmt::join(shape.dims().subspan(shape.rank() > 1 ? 1 : 0), "x"));
    return shape.rank() > 0 && shape[0] > 1 ? fmt::format("{} x {}", shape[0], text) : text;
}

/// As papers print counts: three digits and a unit.
std::string rounded_text(std::int64_t value) {
    const auto v = static_cast<double>(value);
    if (value < 1000) return fmt::format("{}", value);
    const int power = v >= 1e9 ? 9 : v >= 1e6 ? 6 : 3;
    const double scaled = v / std::pow(10, power);
    return fmt::format("{:.{}f} {}", scaled, scaled < 10 ? 2 : scaled < 100 ? 1 : 0, power == 9 ? "G" : power == 6 ? "M" : "k");
}

std::string_view operations_title(Convention convention) { return convention == Convention::sifre ? "operations" : "multiply-adds"; }

}  // namespace

Sheet sheet_of(const LayerTable& table) {
    const bool is_paper = table.convention == Convention::paper;
    Sheet sheet{.title = fmt::format("{}, {} convention", table.model.empty() ? "network" : table.model, name_of(table.convention))};
    sheet.columns = {{"layer", "layer"}, {"kind", "kind"}, {"output", "output"}, {"parameters", "parameters", true}, {std::string(operations_title(table.convention)), "operations", true},
                     {table.convention == Convention::cs231n ? "memory" : "volume", "volume", true}, {"bytes", "activation_bytes", true}, {"field", "receptive_field", true}, {"stride", "stride", true}};
    const std::array columns{&Layer::parameters, &Layer::operations, &Layer::volume, &Layer::activation_bytes};
    for (const Layer& layer : table.layers) {
        std::vector<Sheet::Cell> row{layer.path, layer.title, volume_text(layer.output)};
        for (const auto column : columns) {
            const std::int64_t value = layer.*column, most = table.largest(column);
            const bool is_most = value == most && value > 0 && &layer != table.layers.data();
            if (is_paper) {
                row.emplace_back(rounded_text(value));
                row.back().is_marked = is_most;
            } else {
                row.emplace_back(value, is_most);
            }
        }
        row.emplace_back(pair_text(layer.field.size));
        row.emplace_back(pair_text(layer.field.stride));
        sheet.rows.push_back(std::move(row));
    }
    std::vector<Sheet::Cell> totals{"total", "", ""};
    for (const std::int64_t value : {table.parameters, table.operations, table.volume, table.activation_bytes}) {
        if (is_paper) totals.emplace_back(rounded_text(value));
        else totals.emplace_back(value);
    }
    totals.emplace_back("");
    totals.emplace_back("");
    sheet.totals.push_back(std::move(totals));
    if (is_paper)
        if (const PublishedCount* count = find_published(table.model)) {
            if (!count->parameters.empty()) sheet.notes.push_back(fmt::format("the paper prints {} parameters; counted {}", count->parameters, with_commas(table.parameters)));
            if (!count->operations.empty()) sheet.notes.push_back(fmt::format("the paper prints {} operations, meaning multiply-adds; counted {}", count->operations, with_commas(table.operations)));
        }
    sheet.notes.push_back(fmt::format("{} parameters ({}), {} {}, {} values between the layers ({})", with_commas(table.parameters), human_bytes(static_cast<double>(table.parameters) * 4),
                                      with_commas(table.operations), operations_title(table.convention), with_commas(table.volume), human_bytes(static_cast<double>(table.volume) * 4)));
    return sheet;
}

std::string to_json(const LayerTable& table) {
    Json layers = Json::array(), largest = Json::object();
    struct Column {
        const char* key;
        std::int64_t Layer::*member;
    };
    constexpr std::array columns{Column{"parameters", &Layer::parameters}, Column{"operations", &Layer::operations}, Column{"volume", &Layer::volume},
                                 Column{"activation_bytes", &Layer::activation_bytes}};
    for (const Layer& layer : table.layers) {
        if (&layer == table.layers.data()) continue;
        Json row{{"layer", layer.path}, {"op", layer.op}, {"kind", layer.title}, {"output", layer.output.dims()}};
        for (const Column& column : columns) row[column.key] = layer.*column.member;
        if (table.convention != Convention::sifre) row["macs"] = layer.operations;
        row["receptive_field"] = pair_json(layer.field.size);
        row["stride"] = pair_json(layer.field.stride);
        layers.push_back(std::move(row));
        for (const Column& column : columns)
            if (layer.*column.member > 0 && layer.*column.member == table.largest(column.member)) largest[column.key].push_back(layer.path);
    }
    Json document{{"command", "summary"}, {"model", table.model}, {"convention", name_of(table.convention)}, {"input", table.input.dims()}, {"layers", std::move(layers)},
                  {"parameters", table.parameters}, {"operations", table.operations}, {"volume", table.volume}, {"activation_bytes", table.activation_bytes},
                  {"parameter_bytes", table.parameters * 4}, {"largest", std::move(largest)}};
    if (table.convention != Convention::sifre) document["macs"] = table.operations;
    if (const PublishedCount* count = find_published(table.model)) document["published"] = {{"parameters", count->parameters}, {"operations", count->operations}};
    return document.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace fovea
