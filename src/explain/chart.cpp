#include "explain/chart.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/markup.h"
#include "core/text.h"

namespace fovea {

namespace {

constexpr std::size_t most_names = 8;

/// Means of neighbours, so that a run of a million steps stays a small picture.
std::vector<std::pair<double, double>> thinned(const std::vector<std::pair<double, double>>& points) {
    constexpr std::size_t wanted = 600;
    if (points.size() <= 2 * wanted) return points;
    const std::size_t group = (points.size() + wanted - 1) / wanted;
    std::vector<std::pair<double, double>> means;
    for (std::size_t first = 0; first < points.size(); first += group) {
        const std::size_t end = std::min(points.size(), first + group);
        double x = 0, y = 0;
        for (std::size_t i = first; i < end; ++i) x += points[i].first, y += points[i].second;
        means.emplace_back(x / static_cast<double>(end - first), y / static_cast<double>(end - first));
    }
    return means;
}

struct Extent {
    double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
    void add(double value) { low = std::min(low, value), high = std::max(high, value); }
    [[nodiscard]] bool is_empty() const { return low > high; }
    /// A single value, or one that differs in its last digits only, gets at least `half` to either side, and what numbers of its size can tell apart.
    void open(double half) {
        const double size = std::max(std::abs(low), std::abs(high)), least = std::max(low == high ? half : 0, 1e-12 * size);
        if (high - low < least) low -= least, high += least;
    }
};

/// 1, 2 or 5 times a power of ten, so that about `count` steps cover the range.
double step_of(const Extent& range, double count) {
    const double raw = (range.high - range.low) / count, power = std::pow(10, std::floor(std::log10(raw)));
    for (const double factor : {1.0, 2.0, 5.0})
        if (raw <= factor * power) return factor * power;
    return 10 * power;
}

/// The multiples of `step` within the range; counted, since adding a small step to a large value may leave it as it is.
std::vector<double> ticks(const Extent& range, double step) {
    std::vector<double> at;
    const double first = std::ceil(range.low / step - 1e-9), last = std::floor(range.high / step + 1e-9);
    for (double i = 0; i <= std::min(last - first, 20.0); ++i) at.push_back(first + i == 0 ? 0 : (first + i) * step);
    return at;
}

}  // namespace

std::string line_chart(const ChartSpec& spec, const std::vector<Series>& series) {
    const auto is_shown = [&](const std::pair<double, double>& point) { return std::isfinite(point.first) && std::isfinite(point.second) && (!spec.is_logarithmic || point.second > 0); };
    const auto height_of = [&](double value) { return spec.is_logarithmic ? std::log10(value) : value; };
    std::vector<Series> lines = series;
    Extent across, up;
    for (Series& line : lines) {
        line.points = thinned(line.points);
        for (const auto& point : line.points)
            if (is_shown(point)) across.add(point.first), up.add(height_of(point.second));
    }
    const std::size_t names = spec.has_names && lines.size() <= most_names ? lines.size() : 0;
    constexpr double left = 58, right = 14, bottom = 40;
    const double top = names > 0 ? 46 : 30;
    std::string svg = fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" x=\"{0:g}\" y=\"{1:g}\" width=\"{2:g}\" height=\"{3:g}\" viewBox=\"0 0 {2:g} {3:g}\" font-family=\"sans-serif\" "
                                  "font-size=\"11\">\n<rect width=\"{2:g}\" height=\"{3:g}\" fill=\"white\"/>\n<text x=\"{4:g}\" y=\"18\" font-size=\"13\" font-weight=\"bold\">{5}</text>\n",
                                  spec.x, spec.y, spec.width, spec.height, left, markup_escaped(spec.title));
    if (up.is_empty()) return svg + fmt::format("<text x=\"{:g}\" y=\"{:g}\" fill=\"#777\">no data yet</text>\n</svg>\n", left, spec.height / 2);
    across.open(0.5);
    if (spec.is_share || spec.is_from_zero) up.low = std::min(up.low, 0.0);
    if (spec.is_logarithmic) up.low = std::floor(up.low), up.high = std::max(up.low + 1, std::ceil(up.high));
    else up.open(0.5 * std::max(1e-9, std::abs(up.low)));
    const auto x_of = [&](double x) { return left + (x - across.low) / (across.high - across.low) * (spec.width - left - right); };
    const auto y_of = [&](double y) { return spec.height - bottom - (y - up.low) / (up.high - up.low) * (spec.height - top - bottom); };

    const double up_step = spec.is_logarithmic ? std::max(1.0, std::ceil((up.high - up.low) / 6)) : step_of(up, 5);
    for (const double y : ticks(up, up_step)) {
        const std::string label = spec.is_logarithmic ? fmt::format("1e{:g}", y) : spec.is_share ? fmt::format("{:g} %", std::round(y * 1e6) / 1e4) : fmt::format("{:g}", y);
        svg += fmt::format("<line x1=\"{:g}\" y1=\"{:.1f}\" x2=\"{:g}\" y2=\"{:.1f}\" stroke=\"#ddd\"/><text x=\"{:g}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", left, y_of(y), spec.width - right, y_of(y),
                           left - 6, y_of(y) + 4, label);
    }
    const double across_step = std::max(step_of(across, 8), 1e-12);
    for (const double x : ticks(across, across_step))
        svg += fmt::format("<line x1=\"{0:.1f}\" y1=\"{1:g}\" x2=\"{0:.1f}\" y2=\"{2:g}\" stroke=\"#eee\"/><text x=\"{0:.1f}\" y=\"{3:g}\" text-anchor=\"middle\">{4:g}</text>\n", x_of(x), top, spec.height - bottom,
                           spec.height - bottom + 15, x);
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:g}\" text-anchor=\"middle\" fill=\"#555\">{}</text>\n", (left + spec.width - right) / 2, spec.height - 8, markup_escaped(spec.x_title));

    double name_x = left;
    for (const Series& line : lines) {
        if (names > 0) {
            svg += fmt::format("<line x1=\"{:g}\" y1=\"32\" x2=\"{:g}\" y2=\"32\" stroke=\"{}\" stroke-width=\"{:g}\"/><text x=\"{:g}\" y=\"36\">{}</text>\n", name_x, name_x + 16, line.colour, line.width, name_x + 20,
                               markup_escaped(line.name));
            name_x += 34 + 6.2 * static_cast<double>(line.name.size());
        }
        std::string path;
        bool is_down = false;
        std::size_t shown = 0;
        std::pair<double, double> only;
        for (const auto& point : line.points) {
            if (!is_shown(point)) {
                is_down = false;
                continue;
            }
            path += fmt::format("{}{:.1f} {:.1f}", is_down ? "L" : "M", x_of(point.first), y_of(height_of(point.second)));
            is_down = true;
            ++shown;
            only = point;
            if (spec.has_marks)
                svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"><title>{:g}: {:.6g}</title></circle>\n", x_of(point.first), y_of(height_of(point.second)), line.colour, point.first,
                                   point.second);
        }
        if (shown == 0) continue;
        const std::string tip = fmt::format("<title>{}</title>", markup_escaped(line.name));
        if (shown == 1 && !spec.has_marks) svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\">{}</circle>\n", x_of(only.first), y_of(height_of(only.second)), line.colour, tip);
        if (shown > 1)
            svg += fmt::format("<path d=\"{}\" fill=\"{}\" stroke=\"{}\" stroke-width=\"{:g}\" stroke-linejoin=\"round\">{}</path>\n", path, line.is_filled ? line.colour + "\" fill-opacity=\"0.35" : "none", line.colour, line.width, tip);
    }
    return svg + "</svg>\n";
}

std::string run_colour(std::size_t run) {
    constexpr std::array colours{"#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#000000"};
    return colours[run % colours.size()];
}

std::string rainbow(std::size_t index, std::size_t count) {
    return fmt::format("hsl({:.0f},75%,42%)", 240 - (count > 1 ? 240.0 * static_cast<double>(index) / static_cast<double>(count - 1) : 0));
}

}  // namespace fovea
