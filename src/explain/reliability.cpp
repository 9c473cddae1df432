// Reliability diagram as in Guo et al. 2017, arXiv:1706.04599, fig. 1.
#include "fovea/explain/reliability.h"

#include <algorithm>

#include "core/text.h"
#include "explain/chart.h"

namespace fovea {

namespace {

/// A filled bar from one height to another.
Series bar(const std::string& name, double left, double right, double from, double to, const std::string& colour) {
    return {.name = name, .points = {{left, from}, {left, to}, {right, to}, {right, from}}, .colour = colour, .width = 0.8, .is_filled = true};
}

}  // namespace

std::string reliability_chart(const Reliability& reliability) {
    constexpr double width = 360, diagram = 300, histogram = 150;
    std::vector<Series> bars, shares;
    const std::int64_t images = reliability.images();
    for (std::size_t b = 0; images > 0 && b < reliability.bins.size(); ++b) {
        const Reliability::Bin& bin = reliability.bins[b];
        const auto count = static_cast<double>(reliability.bins.size());
        const double left = static_cast<double>(b) / count, right = static_cast<double>(b + 1) / count;
        const std::string range = fmt::format("{:.2f} to {:.2f}: {} pictures", left, right, with_commas(bin.images));
        shares.push_back(bar(range, left, right, 0, static_cast<double>(bin.images) / static_cast<double>(images), "#3b77b5"));
        if (bin.images == 0) continue;
        const std::string tip = fmt::format("{}, {:.2f} % right, sure to {:.2f} %", range, bin.accuracy() * 100, bin.confidence() * 100);
        bars.push_back(bar(tip, left, right, 0, bin.accuracy(), "#3b77b5"));
        bars.push_back(bar(tip, left, right, bin.accuracy(), bin.confidence(), "#c03030"));
    }
    if (images > 0) bars.push_back({.name = "as right as sure", .points = {{0, 0}, {1, 1}}, .colour = "#777", .width = 1});
    return fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:g}\" height=\"{1:g}\" viewBox=\"0 0 {0:g} {1:g}\">\n", width, diagram + histogram) +
           line_chart({.title = fmt::format("Accuracy by confidence (ECE {:.2f} %)", reliability.expected_error() * 100), .x_title = "confidence; red: its distance from the accuracy", .is_share = true, .has_names = false,
                       .width = width, .height = diagram},
                      bars) +
           line_chart({.title = "Share of the pictures", .x_title = "confidence", .is_share = true, .has_names = false, .y = diagram, .width = width, .height = histogram}, shares) + "</svg>\n";
}

}  // namespace fovea
