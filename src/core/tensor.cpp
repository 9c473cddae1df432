#include <cstring>

#include "core/memory.h"
#include "core/text.h"
#include "fovea/core.h"

namespace fovea {

namespace {

/// Calls f with a value of the C++ type behind `dtype`.
template <class F> decltype(auto) with_type(DType dtype, F&& f) {
    switch (dtype) {
        case DType::f32: return f(float{});
        case DType::f64: return f(double{});
        case DType::i32: return f(std::int32_t{});
        case DType::i64: return f(std::int64_t{});
        case DType::u8: return f(std::uint8_t{});
    }
    fail<ArgumentError>("unknown dtype {}", static_cast<int>(dtype));
}

}  // namespace

std::size_t size_of(DType dtype) {
    return with_type(dtype, [](auto v) { return sizeof v; });
}

std::string_view name_of(DType dtype) {
    constexpr std::string_view names[] = {"f32", "f64", "i32", "i64", "u8"};
    return names[static_cast<std::size_t>(dtype)];
}

Tensor::Tensor(const Shape& shape, DType dtype) : shape_(shape), dtype_(dtype) {
    require<ShapeError>(!shape.is_dynamic(), "a tensor needs a known shape, got {}", shape);
    const std::size_t bytes = static_cast<std::size_t>(shape.elements()) * size_of(dtype);
    storage_ = allocate(bytes);  // an empty tensor owns storage too
    std::memset(storage_.get(), 0, (bytes + 63) / 64 * 64);
}

template <class T> Tensor Tensor::of(std::span<const T> values, const Shape& shape) {
    require<ShapeError>(static_cast<std::int64_t>(values.size()) == shape.elements(), "tensor {}: {} values given, {} needed", shape, values.size(), shape.elements());
    Tensor tensor(shape, dtype_of<T>());
    if (!values.empty()) std::memcpy(tensor.raw(), values.data(), values.size_bytes());
    return tensor;
}

Tensor Tensor::scalar(double value, DType dtype) {
    Tensor tensor(Shape{}, dtype);
    tensor.set(0, value);
    return tensor;
}

Tensor Tensor::over(std::shared_ptr<std::byte[]> values, const Shape& shape, DType dtype) {
    require<ShapeError>(!shape.is_dynamic() && values != nullptr, "a tensor needs values and a known shape, got {}", shape);
    require<ArgumentError>(reinterpret_cast<std::uintptr_t>(values.get()) % size_of(dtype) == 0, "tensor {}: values at an address that is no multiple of {} bytes", shape, size_of(dtype));
    Tensor tensor;
    tensor.shape_ = shape, tensor.dtype_ = dtype, tensor.storage_ = std::move(values);
    return tensor;
}

template <class T> std::span<T> Tensor::data() {
    require<ArgumentError>(dtype_ == dtype_of<T>(), "tensor {} holds {}, not {}", shape_, dtype_, dtype_of<T>());
    return {reinterpret_cast<T*>(raw()), static_cast<std::size_t>(elements())};
}

template <class T> std::span<const T> Tensor::data() const { return const_cast<Tensor*>(this)->data<T>(); }

#define FOVEA_TENSOR_TYPE(T)                                             \
    template Tensor Tensor::of<T>(std::span<const T>, const Shape&);     \
    template std::span<T> Tensor::data<T>();                             \
    template std::span<const T> Tensor::data<T>() const;
FOVEA_TENSOR_TYPE(float)
FOVEA_TENSOR_TYPE(double)
FOVEA_TENSOR_TYPE(std::int32_t)
FOVEA_TENSOR_TYPE(std::int64_t)
FOVEA_TENSOR_TYPE(std::uint8_t)
#undef FOVEA_TENSOR_TYPE

Tensor Tensor::clone() const {
    if (is_empty()) return {};
    Tensor copy(shape_, dtype_);
    std::memcpy(copy.raw(), raw(), bytes());
    return copy;
}

Tensor Tensor::reshape(const Shape& shape) const {
    require<ShapeError>(shape.elements() == elements(), "cannot view {} as {}: {} against {} elements", shape_, shape, elements(), shape.elements());
    Tensor view = *this;
    view.shape_ = shape;
    return view;
}

Tensor Tensor::to(DType dtype) const {
    if (dtype == dtype_ || is_empty()) return *this;
    Tensor result(shape_, dtype);
    with_type(dtype_, [&](auto from) {
        with_type(dtype, [&](auto to) {
            const auto source = data<decltype(from)>();
            const auto target = result.data<decltype(to)>();
            for (std::size_t i = 0; i < source.size(); ++i) target[i] = static_cast<decltype(to)>(source[i]);
        });
    });
    return result;
}

double Tensor::at(std::int64_t i) const {
    return with_type(dtype_, [&](auto v) { return static_cast<double>(data<decltype(v)>()[static_cast<std::size_t>(i)]); });
}

void Tensor::set(std::int64_t i, double value) {
    with_type(dtype_, [&](auto v) { data<decltype(v)>()[static_cast<std::size_t>(i)] = static_cast<decltype(v)>(value); });
}

}  // namespace fovea
