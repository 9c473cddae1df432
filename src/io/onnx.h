// What reading and writing ONNX share. Private to io, as protobuf is.
#pragma once

#include <optional>
#include <string>

#include "io/elements.h"
#include "io/onnx.pb.h"

namespace fovea {

/// TensorProto.DataType of the standard.
namespace onnx_type {
inline constexpr int f32 = 1, u8 = 2, i8 = 3, i16 = 5, i32 = 6, i64 = 7, text = 8, boolean = 9, f16 = 10, f64 = 11, bf16 = 16;
}

/// How a file stores a data type; empty for one that is not read (texts, complex and 16-bit unsigned numbers).
[[nodiscard]] inline std::optional<Stored> stored_as(int data_type) {
    switch (data_type) {
        case onnx_type::f32: return Stored::f32;
        case onnx_type::f64: return Stored::f64;
        case onnx_type::f16: return Stored::f16;
        case onnx_type::bf16: return Stored::bf16;
        case onnx_type::i8: return Stored::i8;
        case onnx_type::i16: return Stored::i16;
        case onnx_type::i32: return Stored::i32;
        case onnx_type::i64: return Stored::i64;
        case onnx_type::u8: return Stored::u8;
        case onnx_type::boolean: return Stored::boolean;
        default: return std::nullopt;
    }
}

inline constexpr int oldest_written_opset = 13, newest_written_opset = 17;

}  // namespace fovea
