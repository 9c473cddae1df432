// One function per format, from a file's bytes to named tensors. What a file says besides its tensors goes to `metadata` unless that is null.
#pragma once

#include "fovea/io.h"
#include "io/file.h"

namespace fovea {

[[nodiscard]] Parameters read_safetensors(const Source& source, Metadata* metadata);
[[nodiscard]] Parameters read_pytorch(const Source& source, Metadata* metadata);

}  // namespace fovea
