// How a classifier's accuracy follows its confidence, drawn.
#pragma once

#include <string>

#include "fovea/train/reliability.h"

namespace fovea {

/// Reliability diagram: the accuracy of each bin, its distance from the bin's confidence, and below them where the pictures lie: an SVG document.
[[nodiscard]] std::string reliability_chart(const Reliability& reliability);

}  // namespace fovea
