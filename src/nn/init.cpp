#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <span>
#include <thread>
#include <vector>

#include "core/text.h"
#include "fovea/nn.h"

namespace fovea {

namespace {

using Kind = Init::Kind;

/// some(begin, end) on all threads together.
template <class F> void in_parts(std::size_t count, F&& some) {
    // Some 50 ns a value: below 100,000 of them a thread costs more than it brings.
    const std::size_t parts = std::clamp<std::size_t>(count / 100'000, 1, static_cast<std::size_t>(threads()));
    std::vector<std::jthread> others;
    for (std::size_t part = 1; part < parts; ++part) others.emplace_back(some, count * part / parts, count * (part + 1) / parts);
    some(0, count / parts);
}

/// Fills element i with f(i); the draws of element i are numbered i, so size and order of other parameters do not matter.
template <class F> void fill(Tensor& tensor, F&& f) {
    if (tensor.dtype() == DType::f32) {
        const std::span<float> values = tensor.data<float>();
        in_parts(values.size(), [&](std::size_t begin, std::size_t end) {
            for (std::size_t i = begin; i < end; ++i) values[i] = static_cast<float>(f(i));
        });
        return;
    }
    for (std::int64_t i = 0; i < tensor.elements(); ++i) tensor.set(i, f(static_cast<std::uint64_t>(i)));
}

void fill_uniform(Tensor& tensor, const Rng& rng, double low, double high) {
    if (tensor.dtype() != DType::f32) return fill(tensor, [&](std::uint64_t i) { return low + (high - low) * rng.uniform(i); });
    // As Rng::uniform(), a block for four elements at a time.
    const std::span<float> values = tensor.data<float>();
    in_parts(values.size(), [&](std::size_t begin, std::size_t end) {
        std::array<std::uint32_t, 4> four{};
        for (std::size_t i = begin; i < end; ++i) {
            if (i == begin || i % 4 == 0) four = rng.block(i / 4);
            values[i] = static_cast<float>(low + (high - low) * ((four[i % 4] >> 8) * 0x1p-24));
        }
    });
}

void fill_normal(Tensor& tensor, const Rng& rng, double mean, double sigma) {
    fill(tensor, [&](std::uint64_t i) { return mean + sigma * rng.normal(i); });
}

void fill_truncated(Tensor& tensor, const ParameterInfo& p, std::uint64_t seed) {
    fill(tensor, [&](std::uint64_t i) {
        // Each try is a step of its own; 4.6 % of the draws are redrawn.
        for (std::uint64_t attempt = 0;; ++attempt)
            if (const double z = Rng(seed, hash_name(p.name), attempt).normal(i); std::abs(z) <= 2) return p.init.a + p.init.b * z;
    });
}

/// Gram-Schmidt, twice over for orthogonality to rounding, on a normal matrix of `rows` by `columns` with rows <= columns.
std::vector<double> orthonormal_rows(std::int64_t rows, std::int64_t columns, const Rng& rng) {
    std::vector<double> q(static_cast<std::size_t>(rows * columns));
    for (std::size_t i = 0; i < q.size(); ++i) q[i] = rng.normal(i);
    for (std::int64_t r = 0; r < rows; ++r) {
        double* row = &q[static_cast<std::size_t>(r * columns)];
        for (int pass = 0; pass < 2; ++pass)
            for (std::int64_t k = 0; k < r; ++k) {
                const double* other = &q[static_cast<std::size_t>(k * columns)];
                double dot = 0;
                for (std::int64_t c = 0; c < columns; ++c) dot += row[c] * other[c];
                for (std::int64_t c = 0; c < columns; ++c) row[c] -= dot * other[c];
            }
        double norm = 0;
        for (std::int64_t c = 0; c < columns; ++c) norm += row[c] * row[c];
        for (std::int64_t c = 0; c < columns; ++c) row[c] /= std::sqrt(norm);
    }
    return q;
}

void fill_orthogonal(Tensor& tensor, const Rng& rng, double gain) {
    require<ArgumentError>(tensor.shape().rank() >= 2, "orthogonal values need a matrix, got {}", tensor.shape());
    const std::int64_t rows = tensor.shape()[0], columns = rows > 0 ? tensor.elements() / rows : 0;
    const bool wide = rows <= columns;
    const std::vector<double> q = wide ? orthonormal_rows(rows, columns, rng) : orthonormal_rows(columns, rows, rng);
    fill(tensor, [&](std::uint64_t i) {
        const auto r = static_cast<std::int64_t>(i) / columns, c = static_cast<std::int64_t>(i) % columns;
        return gain * q[wide ? i : static_cast<std::size_t>(c * rows + r)];
    });
}

/// weight [C, K / groups, R, S] of a transposed convolution: channel c writes to its own output channel only.
void fill_bilinear(Tensor& tensor) {
    const Shape& shape = tensor.shape();
    require<ArgumentError>(shape.rank() == 4, "bilinear values need a weight [C, K, R, S], got {}", shape);
    const auto tap = [](std::int64_t i, std::int64_t size) {
        const auto factor = static_cast<double>((size + 1) / 2);
        const double centre = size % 2 == 1 ? factor - 1 : factor - 0.5;
        return 1 - std::abs(static_cast<double>(i) - centre) / factor;
    };
    fill(tensor, [&](std::uint64_t i) {
        const auto at = static_cast<std::int64_t>(i);
        const std::int64_t s = at % shape[3], r = at / shape[3] % shape[2], k = at / (shape[3] * shape[2]) % shape[1], c = at / (shape[3] * shape[2] * shape[1]);
        return shape[1] == 1 || k == c ? tap(r, shape[2]) * tap(s, shape[3]) : 0.0;
    });
}

/// Filters 0, 1, ... of weight [K, C / groups, R, S] become the identity of their input channel; those beyond the channels of a group stay.
void set_identity(Tensor& tensor) {
    const Shape& shape = tensor.shape();
    require<ArgumentError>(shape.rank() == 4, "dirac values need a weight [K, C, R, S], got {}", shape);
    const std::int64_t area = shape[2] * shape[3], filter = shape[1] * area;
    for (std::int64_t k = 0; k < std::min(shape[0], shape[1]); ++k)
        for (std::int64_t i = 0; i < filter; ++i) tensor.set(k * filter + i, i == k * area + shape[2] / 2 * shape[3] + shape[3] / 2 ? 1 : 0);
}

}  // namespace

Fans fans_of(const ParameterInfo& parameter) {
    const Shape& shape = parameter.type.shape;
    require<ArgumentError>(shape.rank() >= 2, "initialise '{}': fans need a shape of rank 2 or more, got {}", parameter.name, shape);
    const std::int64_t area = shape.elements(2, shape.rank());
    return {shape[1] * area, shape[0] * area};
}

Tensor initial_value(const ParameterInfo& p, std::uint64_t seed) {
    const Init& init = p.init;
    const Rng rng(seed, hash_name(p.name));
    Tensor value(p.type.shape, p.type.dtype);
    const auto gain = [&] { return init.a == 0 ? 1.0 : init.a; };
    const auto fan = [&] {
        const Fans fans = fans_of(p);
        return static_cast<double>(std::max<std::int64_t>(1, init.b == 1 ? fans.out : fans.in));
    };
    const auto both_fans = [&] { return static_cast<double>(std::max<std::int64_t>(1, fans_of(p).in + fans_of(p).out)); };
    switch (init.kind) {
        case Kind::zeros: break;
        case Kind::ones: fill(value, [](auto) { return 1.0; }); break;
        case Kind::constant: fill(value, [&](auto) { return init.a; }); break;
        case Kind::uniform: fill_uniform(value, rng, init.a, init.b); break;
        case Kind::normal: fill_normal(value, rng, init.a, init.b); break;
        case Kind::truncated_normal: fill_truncated(value, p, seed); break;
        case Kind::xavier_uniform: {
            const double bound = gain() * std::sqrt(6 / both_fans());
            fill_uniform(value, rng, -bound, bound);
            break;
        }
        case Kind::xavier_normal: fill_normal(value, rng, 0, gain() * std::sqrt(2 / both_fans())); break;
        case Kind::kaiming_uniform:
        case Kind::dirac: {
            const double bound = std::sqrt(6 / ((1 + init.a * init.a) * fan()));
            fill_uniform(value, rng, -bound, bound);
            if (init.kind == Kind::dirac) set_identity(value);
            break;
        }
        case Kind::kaiming_normal: fill_normal(value, rng, 0, std::sqrt(2 / ((1 + init.a * init.a) * fan()))); break;
        case Kind::fan_in_uniform: {
            require<ArgumentError>(init.b > 0, "initialise '{}': fan_in_uniform needs the layer's fan in b, got {}", p.name, init.b);
            const double bound = 1 / std::sqrt(init.b);
            fill_uniform(value, rng, -bound, bound);
            break;
        }
        case Kind::orthogonal: fill_orthogonal(value, rng, gain()); break;
        case Kind::dlib: {
            require<ArgumentError>(p.type.shape.rank() >= 2, "initialise '{}': dlib's rule needs a weight, got {}", p.name, p.type.shape);
            const std::int64_t outputs = p.type.shape[0], inputs = p.type.shape.elements(1, p.type.shape.rank());
            const double bound = std::sqrt(6.0 / static_cast<double>(inputs + outputs));
            fill_uniform(value, rng, -bound, bound);
            break;
        }
        case Kind::bilinear: fill_bilinear(value); break;
        case Kind::values:
            require<ShapeError>(init.values.shape() == p.type.shape, "initialise '{}': values of shape {} for a parameter {}", p.name, init.values.shape(), p.type.shape);
            return init.values.to(p.type.dtype).clone();
    }
    return value;
}

void initialize(Parameters& parameters, const Graph& graph, std::uint64_t seed) {
    for (const ParameterInfo& p : graph.parameters()) parameters.set(p.name, initial_value(p, seed));
}

Parameters make_parameters(const Graph& graph, std::uint64_t seed) {
    Parameters parameters;
    initialize(parameters, graph, seed);
    return parameters;
}

Init init_of(std::string_view scheme) {
    using Kind = Init::Kind;
    const std::size_t colon = scheme.find(':');
    const std::string name(scheme.substr(0, colon));
    double value = 0;
    if (colon != std::string_view::npos) {
        const std::string text(scheme.substr(colon + 1));
        std::size_t used = 0;
        try {
            value = std::stod(text, &used);
        } catch (const std::exception&) {
            used = 0;
        }
        require<ArgumentError>(used == text.size() && used > 0 && value > 0, "init '{}': '{}' is no positive number", scheme, text);
    }
    const bool has_sigma = name == "gaussian" || name == "truncated";
    require<ArgumentError>(has_sigma == (colon != std::string_view::npos), "init '{}': {}", scheme, has_sigma ? "give the deviation, e.g. " + name + ":0.01" : "it takes no number");
    if (name == "gaussian") return Init::normal(0, value);
    if (name == "truncated") return {Kind::truncated_normal, 0, value};
    static const std::map<std::string, Init> schemes{
        {"torch", {Kind::kaiming_uniform, std::sqrt(5.0)}}, {"xavier", {Kind::xavier_uniform}}, {"xavier-normal", {Kind::xavier_normal}}, {"he", {Kind::kaiming_normal}},
        {"msra", {Kind::kaiming_normal}},                   {"he-uniform", {Kind::kaiming_uniform}}, {"orthogonal", {Kind::orthogonal, 1}}, {"dlib", {Kind::dlib}}};
    const auto it = schemes.find(name);
    if (it != schemes.end()) return it->second;
    std::vector<std::string> names{"gaussian:0.01", "truncated:0.02"};
    for (const auto& [known, init] : schemes) names.push_back(known);
    fail<ArgumentError>("no init '{}'; nearest: {}", scheme, fmt::join(nearest_names(name, names), ", "));
}

Parameters make_parameters(const Graph& graph, std::uint64_t seed, std::string_view scheme) {
    const Init weights = init_of(scheme);
    Parameters parameters;
    for (const ParameterInfo& declared : graph.parameters()) {
        ParameterInfo p = declared;
        const bool is_weight = p.is_trainable && p.type.shape.rank() >= 2;
        // A bias belongs to the weight declared beside it: "fc1.bias" to "fc1.weight".
        const std::size_t dot = p.name.rfind('.');
        const ParameterInfo* sibling = dot == std::string::npos ? nullptr : graph.find_parameter(p.name.substr(0, dot) + ".weight");
        const bool is_bias = p.is_trainable && p.name.ends_with("bias") && sibling && sibling->type.shape.rank() >= 2;
        if (is_weight) p.init = weights;
        if (is_bias) p.init = scheme == "torch" ? Init{Init::Kind::fan_in_uniform, 0, static_cast<double>(fans_of(*sibling).in)} : Init::zeros();
        parameters.set(p.name, initial_value(p, seed));
    }
    return parameters;
}

}  // namespace fovea
