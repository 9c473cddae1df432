// A part of 'fovea bench' in a file of its own.
#pragma once

#include "command.h"

namespace fovea::cli {

void add_bench_loader(CLI::App& bench);

}  // namespace fovea::cli
