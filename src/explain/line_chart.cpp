// Charts over a common axis, below one another.
#include "core/markup.h"
#include "explain/chart.h"
#include "fovea/explain.h"

#include <fmt/format.h>

namespace fovea {

std::string line_charts(const std::string& title, const std::string& x_title, const std::vector<LineChart>& charts) {
    constexpr double width = 720, title_height = 34, chart_height = 260;
    const double height = title_height + chart_height * static_cast<double>(charts.size());
    std::string svg = fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:g}\" height=\"{1:g}\" viewBox=\"0 0 {0:g} {1:g}\" font-family=\"sans-serif\">\n"
                                  "<rect width=\"{0:g}\" height=\"{1:g}\" fill=\"white\"/>\n<text x=\"{2:g}\" y=\"22\" text-anchor=\"middle\" font-size=\"15\">{3}</text>\n",
                                  width, height, width / 2, markup_escaped(title));
    constexpr const char* colours[] = {"#4477aa", "#ee6677", "#228833", "#ccbb44"};
    for (std::size_t c = 0; c < charts.size(); ++c) {
        std::vector<Series> lines;
        for (const LineChart::Line& line : charts[c].lines) lines.push_back({.name = line.name, .points = line.points, .colour = colours[lines.size() % std::size(colours)], .width = 2});
        if (lines.size() == 1) lines[0].name = charts[c].title;
        svg += line_chart({.title = charts[c].title, .x_title = x_title, .is_from_zero = true, .has_marks = true, .y = title_height + chart_height * static_cast<double>(c), .width = width, .height = chart_height},
                          lines);
    }
    return svg + "</svg>\n";
}

}  // namespace fovea
