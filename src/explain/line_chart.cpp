// Lines over a common axis, in one or several charts below one another.
#include <algorithm>
#include <cmath>

#include "core/markup.h"
#include "fovea/explain.h"

#include <fmt/format.h>

namespace fovea {

namespace {

constexpr double width = 720, chart_height = 260, left = 80, right = 24, top = 44, bottom = 46, inner = chart_height - top - bottom;

/// 1, 2 or 5 times a power of ten: about five steps up to `most`.
double step_of(double most) {
    const double rough = most / 5, power = std::pow(10, std::floor(std::log10(rough)));
    for (const double factor : {1.0, 2.0, 5.0})
        if (factor * power >= rough) return factor * power;
    return 10 * power;
}

}  // namespace

std::string line_charts(const std::string& title, const std::string& x_title, const std::vector<LineChart>& charts) {
    const double height = 34 + chart_height * static_cast<double>(charts.size());
    std::string svg = fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:g}\" height=\"{1:g}\" viewBox=\"0 0 {0:g} {1:g}\" font-family=\"sans-serif\" font-size=\"12\">\n"
                                  "<rect width=\"{0:g}\" height=\"{1:g}\" fill=\"white\"/>\n<text x=\"{2:g}\" y=\"22\" text-anchor=\"middle\" font-size=\"15\">{3}</text>\n",
                                  width, height, width / 2, markup_escaped(title));
    constexpr const char* colours[] = {"#4477aa", "#ee6677", "#228833", "#ccbb44"};
    for (std::size_t c = 0; c < charts.size(); ++c) {
        const LineChart& chart = charts[c];
        double low = 1e300, high = -1e300, most = 0;
        for (const LineChart::Line& line : chart.lines)
            for (const auto& [x, y] : line.points) low = std::min(low, x), high = std::max(high, x), most = std::max(most, y);
        if (low > high) continue;  // nothing to draw
        if (low == high) low -= 1, high += 1;
        if (most <= 0) most = 1;
        const double step = step_of(most), roof = std::ceil(most / step - 1e-9) * step, y0 = 34 + chart_height * static_cast<double>(c) + top;
        const auto x_of = [&](double x) { return left + (x - low) / (high - low) * (width - left - right); };
        const auto y_of = [&](double y) { return y0 + inner - y / roof * inner; };
        for (double y = 0; y <= roof * (1 + 1e-9); y += step)
            svg += fmt::format("<line x1=\"{0:g}\" y1=\"{2:.1f}\" x2=\"{1:g}\" y2=\"{2:.1f}\" stroke=\"#ddd\"/><text x=\"{3:g}\" y=\"{4:.1f}\" text-anchor=\"end\">{5:.6g}</text>\n", left, width - right, y_of(y),
                               left - 8, y_of(y) + 4, y);
        svg += fmt::format("<text x=\"{:g}\" y=\"{:.1f}\" font-weight=\"bold\">{}</text>\n", left, y0 - 12, markup_escaped(chart.title));
        double label_end = -1;  // labels of the axis do not overlap
        for (const auto& [x, y] : chart.lines[0].points) {
            if (x_of(x) < label_end) continue;
            label_end = x_of(x) + 34;
            svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{:.6g}</text>\n", x_of(x), y0 + inner + 18, x);
        }
        svg += fmt::format("<text x=\"{:g}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n", (left + width - right) / 2, y0 + inner + 36, markup_escaped(x_title));
        for (std::size_t l = 0; l < chart.lines.size(); ++l) {
            const LineChart::Line& line = chart.lines[l];
            const char* colour = colours[l % std::size(colours)];
            std::string points;
            for (const auto& [x, y] : line.points) points += fmt::format("{}{:.1f},{:.1f}", points.empty() ? "" : " ", x_of(x), y_of(y));
            svg += fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n", points, colour);
            for (const auto& [x, y] : line.points) svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"><title>{:g}: {:.6g}</title></circle>\n", x_of(x), y_of(y), colour, x, y);
            if (chart.lines.size() > 1)
                svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" fill=\"{}\" text-anchor=\"end\">{}</text>\n", width - right - 140 * static_cast<double>(chart.lines.size() - 1 - l), y0 - 12, colour,
                                   markup_escaped(line.name));
        }
    }
    return svg + "</svg>\n";
}

}  // namespace fovea
