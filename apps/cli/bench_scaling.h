#pragma once

#include "command.h"

namespace fovea::cli {

void add_bench_scaling(CLI::App& bench);

}  // namespace fovea::cli
