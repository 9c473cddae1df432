// Tables as people and programs read them: aligned text, JSON, CSV, Markdown, HTML.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/markup.h"
#include "core/text.h"
#include "fovea/explain.h"

namespace fovea {

namespace {

using Json = nlohmann::ordered_json;

/// Columns a terminal gives the text: UTF-8 continuation bytes take none.
std::size_t width_of(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string plain(const Sheet::Cell& cell) { return cell.number ? with_commas(*cell.number) : cell.text; }

std::string as_table(const Sheet& sheet) {
    // A star stands behind the number it marks; numbers without one keep its place free, so that digits stay below digits.
    const auto starred = [&](const Sheet::Cell& cell, std::size_t column) { return plain(cell) + (cell.is_marked ? "*" : sheet.columns[column].is_number ? " " : ""); };
    std::vector<std::size_t> widths;
    for (std::size_t c = 0; c < sheet.columns.size(); ++c) {
        std::size_t width = width_of(sheet.columns[c].title) + (sheet.columns[c].is_number ? 1 : 0);
        for (const auto* rows : {&sheet.rows, &sheet.totals})
            for (const auto& row : *rows) width = std::max(width, width_of(starred(row[c], c)));
        widths.push_back(width);
    }
    std::size_t total = 2 * (widths.size() - 1);
    for (const std::size_t width : widths) total += width;
    std::string line;
    for (std::size_t i = 0; i < total; ++i) line += "─";
    std::string text = sheet.title.empty() ? "" : sheet.title + "\n";
    const auto add = [&](auto&& cell_of) {
        std::string row;
        for (std::size_t c = 0; c < widths.size(); ++c) {
            const std::string cell = cell_of(c), gap(widths[c] - width_of(cell), ' ');
            row += (c ? "  " : "") + (sheet.columns[c].is_number ? gap + cell : cell + gap);
        }
        row.erase(row.find_last_not_of(' ') + 1);
        text += row + "\n";
    };
    add([&](std::size_t c) { return sheet.columns[c].title + (sheet.columns[c].is_number ? " " : ""); });
    text += line + "\n";
    for (const auto& row : sheet.rows) add([&](std::size_t c) { return starred(row[c], c); });
    if (!sheet.totals.empty()) text += line + "\n";
    for (const auto& row : sheet.totals) add([&](std::size_t c) { return starred(row[c], c); });
    for (const std::string& note : sheet.notes) text += (&note == sheet.notes.data() ? "\n" : "") + note + "\n";
    return text;
}

std::string as_csv(const Sheet& sheet) {
    std::string text;
    const auto add = [&](auto&& cell_of) {
        for (std::size_t c = 0; c < sheet.columns.size(); ++c) {
            std::string cell = cell_of(c);
            if (cell.find_first_of(",\"\n") != std::string::npos) {
                for (std::size_t at = cell.find('"'); at != std::string::npos; at = cell.find('"', at + 2)) cell.insert(at, 1, '"');
                cell = "\"" + cell + "\"";
            }
            text += (c ? "," : "") + cell;
        }
        text += "\n";
    };
    add([&](std::size_t c) { return sheet.columns[c].key; });
    for (const auto* rows : {&sheet.rows, &sheet.totals})
        for (const auto& row : *rows) add([&](std::size_t c) { return row[c].number ? fmt::format("{}", *row[c].number) : row[c].text; });
    return text;
}

std::string as_markdown(const Sheet& sheet) {
    const auto escaped = [](std::string text) {
        for (std::size_t at = text.find('|'); at != std::string::npos; at = text.find('|', at + 2)) text.insert(at, 1, '\\');
        return text;
    };
    std::string text = sheet.title.empty() ? "" : "**" + sheet.title + "**\n\n", rule;
    for (const auto& column : sheet.columns) {
        text += "| " + column.title + " ";
        rule += column.is_number ? "|---:" : "|---";
    }
    text += "|\n" + rule + "|\n";
    for (const auto* rows : {&sheet.rows, &sheet.totals})
        for (const auto& row : *rows) {
            for (const Sheet::Cell& cell : row) text += cell.is_marked ? "| **" + escaped(plain(cell)) + "** " : "| " + escaped(plain(cell)) + " ";
            text += "|\n";
        }
    for (const std::string& note : sheet.notes) text += "\n" + note + "\n";
    return text;
}

std::string as_html(const Sheet& sheet) {
    std::string text = "<!doctype html>\n<meta charset=\"utf-8\">\n<title>" + markup_escaped(sheet.title) +
                       "</title>\n<style>body{font-family:sans-serif}table{border-collapse:collapse}td,th{padding:2px 10px;text-align:left}"
                       ".n{text-align:right;font-variant-numeric:tabular-nums}thead,tfoot{border-top:1px solid;border-bottom:1px solid}</style>\n<table>\n";
    if (!sheet.title.empty()) text += "<caption>" + markup_escaped(sheet.title) + "</caption>\n";
    const auto number = [&](std::size_t c) { return sheet.columns[c].is_number ? " class=\"n\"" : ""; };
    const auto add = [&](const std::vector<Sheet::Cell>& row) {
        text += "<tr>";
        for (std::size_t c = 0; c < row.size(); ++c)
            text += fmt::format("<td{}>{}{}{}</td>", number(c), row[c].is_marked ? "<b>" : "", markup_escaped(plain(row[c])), row[c].is_marked ? "</b>" : "");
        text += "</tr>\n";
    };
    text += "<thead><tr>";
    for (std::size_t c = 0; c < sheet.columns.size(); ++c) text += fmt::format("<th{}>{}</th>", number(c), markup_escaped(sheet.columns[c].title));
    text += "</tr></thead>\n<tbody>\n";
    for (const auto& row : sheet.rows) add(row);
    text += "</tbody>\n";
    if (!sheet.totals.empty()) {
        text += "<tfoot>\n";
        for (const auto& row : sheet.totals) add(row);
        text += "</tfoot>\n";
    }
    text += "</table>\n";
    for (const std::string& note : sheet.notes) text += "<p>" + markup_escaped(note) + "</p>\n";
    return text;
}

std::string as_json(const Sheet& sheet) {
    const auto object = [&](const std::vector<Sheet::Cell>& row) {
        Json document = Json::object();
        for (std::size_t c = 0; c < row.size(); ++c) document[sheet.columns[c].key] = row[c].number ? Json(*row[c].number) : Json(row[c].text);
        return document;
    };
    Json document{{"title", sheet.title}, {"rows", Json::array()}};
    for (const auto& row : sheet.rows) document["rows"].push_back(object(row));
    for (const auto& row : sheet.totals) document["totals"].push_back(object(row));
    if (!sheet.notes.empty()) document["notes"] = sheet.notes;
    return document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

TableFormat table_format_of(std::string_view name) {
    constexpr std::array<std::string_view, 5> names{"table", "json", "csv", "md", "html"};
    const auto it = std::ranges::find(names, name);
    require<ArgumentError>(it != names.end(), "no table format '{}'; there are {}", name, fmt::join(names, ", "));
    return static_cast<TableFormat>(it - names.begin());
}

std::string to_text(const Sheet& sheet, TableFormat format) {
    for (const auto* rows : {&sheet.rows, &sheet.totals})
        for (const auto& row : *rows) require<ArgumentError>(row.size() == sheet.columns.size(), "a row of '{}' has {} cells, the table {} columns", sheet.title, row.size(), sheet.columns.size());
    switch (format) {
        case TableFormat::table: return as_table(sheet);
        case TableFormat::json: return as_json(sheet);
        case TableFormat::csv: return as_csv(sheet);
        case TableFormat::md: return as_markdown(sheet);
        case TableFormat::html: return as_html(sheet);
    }
    return {};
}

}  // namespace fovea
