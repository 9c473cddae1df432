#include "io/file.h"

#include <cstring>

#include "core/text.h"
#include "fovea/io.h"

namespace fovea {

Tensor Source::tensor(std::span<const std::byte> from, Stored stored, const Shape& shape) const {
    const DType dtype = held_as(stored);
    const bool is_as_stored = size_of(stored) == size_of(dtype);
    if (file && is_as_stored && !from.empty() && reinterpret_cast<std::uintptr_t>(from.data()) % size_of(dtype) == 0) {
        require<Error>(from.data() >= bytes.data() && from.data() + from.size() <= bytes.data() + bytes.size(), "load '{}': values outside the file", name);
        return Tensor::over(file->piece(static_cast<std::size_t>(from.data() - bytes.data()), from.size()), shape, dtype);
    }
    Tensor tensor(shape, dtype);
    if (is_as_stored) {
        if (!from.empty()) std::memcpy(tensor.raw(), from.data(), from.size());
    } else {
        widen_all(stored, from.data(), tensor);
    }
    return tensor;
}

}  // namespace fovea
