// Options as study.json keeps them, by the names they have on the command line.
#pragma once

#include <nlohmann/json.hpp>

#include "fovea/studies.h"

namespace fovea {

using StudyJson = nlohmann::ordered_json;

[[nodiscard]] inline StudyJson options_json(const StudyOptions& o) {
    return {{"short", o.is_short}, {"epochs", o.epochs}, {"data", o.data}, {"data_root", o.data_root}, {"near", o.near}, {"far", o.far}, {"weights", o.weights}, {"seed", o.seed}, {"precision", o.precision}};
}

}  // namespace fovea
