// Caffe's .prototxt: which layers a network has. Protocol buffers' text format, of which only this is kept.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/file.h"

namespace fovea {

struct PrototxtLayer {
    std::string name, type;
    std::int64_t outputs = 0;  ///< num_output of a convolution or matrix; 0: a layer without
};

/// In the order of the file. Throws FormatError naming file and line.
[[nodiscard]] std::vector<PrototxtLayer> read_prototxt(const Source& source);

}  // namespace fovea
