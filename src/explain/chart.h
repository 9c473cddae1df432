// Line charts as SVG.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace fovea {

struct Series {
    std::string name;
    std::vector<std::pair<double, double>> points;  ///< those that are not finite (or, on a logarithmic axis, not above 0) leave a gap
    std::string colour = "#3b77b5";
    double width = 1.5;
    bool is_filled = false;  ///< the area that the line and a straight one between its ends enclose, pale
};
struct ChartSpec {
    std::string title, x_title;
    bool is_logarithmic = false;  ///< the y axis
    bool is_share = false;        ///< y in 0..1, shown in percent
    bool is_from_zero = false;    ///< the y axis begins at 0
    bool has_marks = false;       ///< a dot at each point, its values as a tooltip
    bool has_names = true;        ///< below the title, up to eight of them
    double x = 0, y = 0;          ///< place in an enclosing SVG
    double width = 460, height = 280;
};
/// Each line has its name as a tooltip. Long series are averaged to some 600 points.
[[nodiscard]] std::string line_chart(const ChartSpec& spec, const std::vector<Series>& series);

/// One of eight colours that are told apart easily, for run number `run` among several.
[[nodiscard]] std::string run_colour(std::size_t run);
/// Colour `index` of `count` from blue (first) to red (last).
[[nodiscard]] std::string rainbow(std::size_t index, std::size_t count);

}  // namespace fovea
