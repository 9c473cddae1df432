// One function per format, from a file's bytes to named tensors. What a file says besides its tensors goes to `metadata` unless that is null.
// Names and layouts are PyTorch's where the format has others: weight, bias, running_mean, running_var; kernels [K, C, R, S].
#pragma once

#include "fovea/io.h"
#include "io/file.h"

namespace fovea {

[[nodiscard]] Parameters read_safetensors(const Source& source, Metadata* metadata);
[[nodiscard]] Parameters read_pytorch(const Source& source, Metadata* metadata);
/// With a prototxt only the layers it names, in its order. "conv1.weight", "conv1.bias"; BatchNorm and Scale become one.
[[nodiscard]] Parameters read_caffe(const Source& source, const Source* prototxt, Metadata* metadata);
/// "layers.<section>.conv.weight", "layers.<section>.bn.running_mean"; sections are numbered from 0 behind [net].
[[nodiscard]] Parameters read_darknet(const Source& source, const Source& cfg, Metadata* metadata);
/// "<layer>.weight" with the layers' names in the file.
[[nodiscard]] Parameters read_keras(const Source& source, Metadata* metadata);
/// dlib names no layers: "layers.0.con.weight", "layers.7.fc.bias", numbered from the input on.
[[nodiscard]] Parameters read_dlib(const Source& source, Metadata* metadata);

/// Whether the bytes are a protobuf message with the fields of a Caffe network.
[[nodiscard]] bool looks_like_caffe(std::span<const std::byte> bytes);
[[nodiscard]] bool looks_like_onnx(std::span<const std::byte> bytes);

}  // namespace fovea
