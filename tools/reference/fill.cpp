#include "fill.h"

#include <cmath>

namespace fovea::reference {

namespace {

std::uint64_t splitmix64(std::uint64_t x) {
    std::uint64_t z = x + 0x9E3779B97F4A7C15U;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
}

double unit_of(std::uint64_t hash, std::int64_t i) { return static_cast<double>(splitmix64(hash + static_cast<std::uint64_t>(i)) >> 40) * 0x1p-24; }

template <class F> Tensor filled(const Shape& shape, F&& f) {
    Tensor tensor(shape);
    auto values = tensor.data<float>();
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(f(static_cast<std::int64_t>(i)));
    return tensor;
}

}  // namespace

// hash_name is the same FNV-1a.
double unit(std::string_view name, std::int64_t i) { return unit_of(hash_name(name), i); }

Tensor image(std::string_view name, const Shape& shape) {
    const std::uint64_t hash = hash_name(name);
    return filled(shape, [&](std::int64_t i) { return 2 * unit_of(hash, i) - 1; });
}

Tensor parameter(const ParameterInfo& info, double gain) {
    const Shape& shape = info.type.shape;
    if (info.type.dtype != DType::f32 || shape.rank() == 0) return Tensor(shape, info.type.dtype);
    const std::uint64_t hash = hash_name(info.name);
    const std::string_view leaf = std::string_view(info.name).substr(info.name.rfind('.') + 1);
    if (shape.rank() >= 2) {
        const double bound = std::sqrt(6.0 / static_cast<double>(shape.elements(1, shape.rank()))) * gain;
        return filled(shape, [&](std::int64_t i) { return (2 * unit_of(hash, i) - 1) * bound; });
    }
    if (leaf == "running_var" || leaf.ends_with("weight")) return filled(shape, [&](std::int64_t i) { return 0.75 + 0.5 * unit_of(hash, i); });
    return filled(shape, [&](std::int64_t i) { return 0.1 * (2 * unit_of(hash, i) - 1); });
}

Tensor labels(const Shape& shape, std::int64_t classes) {
    Tensor tensor(shape, DType::i32);
    for (std::int64_t i = 0; i < tensor.elements(); ++i) tensor.set(i, static_cast<double>((i * 37 + 11) % classes));
    return tensor;
}

double probe(const Tensor& tensor) {
    const std::uint64_t hash = hash_name("probe");
    double total = 0;
    for (std::int64_t i = 0; i < tensor.elements(); ++i) total += tensor.at(i) * (2 * unit_of(hash, i) - 1);
    return total;
}

}  // namespace fovea::reference
