// A part of 'fovea data' in a file of its own.
#pragma once

#include "command.h"

namespace fovea::cli {

void add_data_preview(CLI::App& data);

}  // namespace fovea::cli
