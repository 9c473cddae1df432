// How each network is trained when the command line says nothing else.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "fovea/data.h"

namespace fovea::cli {

struct Recipe {
    std::int64_t epochs = 10;
    std::int64_t batch = 128;
    std::string optimizer = "sgd";
    std::map<std::string, double> optimizer_options{{"lr", 0.05}, {"momentum", 0.9}, {"nesterov", 1}, {"weight_decay", 5e-4}};
    std::string schedule = "one-cycle";
    std::map<std::string, double> schedule_options{};
    Augment augment{};
    double label_smoothing = 0;
    double clip = 0;     ///< largest L2 norm of the gradient; 0: as it is
    std::string init{};  ///< a scheme of init_of(); empty: as the model declares
};

/// By the model's name, for pictures [C, H, W].
[[nodiscard]] Recipe recipe_for(std::string_view model, std::int64_t channels);

}  // namespace fovea::cli
