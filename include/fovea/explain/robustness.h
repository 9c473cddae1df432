// How far a classifier's answers survive what happens to pictures: size, turn, viewpoint, occlusion, light, blur, noise.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "fovea/explain.h"
#include "fovea/train.h"

namespace fovea {

/// A change of pictures at fixed strengths.
struct Disturbance {
    std::string name;                ///< "rotation"
    std::string unit;                ///< of its strength: "degrees"
    double none = 0;                 ///< the strength that leaves a picture as it is
    std::vector<double> strengths;   ///< in ascending order, without `none`
};
/// scale, rotation, shear, occlusion, brightness, contrast, saturation, blur, noise.
[[nodiscard]] const std::vector<Disturbance>& disturbances();
/// The picture, of the network's input size, changed. What comes in from outside its edges is `mean`. Where an occlusion lies and what
/// noise is added are functions of `sample`. Throws ArgumentError naming the nearest disturbance.
[[nodiscard]] Image disturbed(const Image& image, std::string_view name, double strength, const std::array<std::uint8_t, 3>& mean, std::int64_t sample);

struct Robustness {
    struct Point {
        std::string name;
        double strength = 0;
        double top1 = 0, loss = 0;
    };
    Evaluation clean;
    std::vector<Point> points;  ///< in the order of disturbances()

    /// Mean top-1 over the strengths of a disturbance; of all of them, each counting the same, for an empty name.
    [[nodiscard]] double mean_top1(std::string_view name = {}) const;
};
/// evaluate() of the pictures as they are and at each strength of each disturbance. Pictures are brought to the network's size first.
/// `on_point` is called after each evaluation with how many there were.
[[nodiscard]] Robustness measure_robustness(const Graph& network, const Parameters& parameters, const DatasetPtr& dataset, const EvaluateSpec& spec = {}, const std::function<void(std::int64_t)>& on_point = {});
/// How many evaluations that takes.
[[nodiscard]] std::int64_t robustness_evaluations();
[[nodiscard]] Sheet robustness_sheet(const Robustness& robustness);
/// Accuracy against strength, a chart for each disturbance: an SVG document.
[[nodiscard]] std::string robustness_chart(const Robustness& robustness);

}  // namespace fovea
