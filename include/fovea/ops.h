// The op catalogue: every layer, activation and loss is a function that appends nodes to the graph of its input.
// Shape letters: N batch, C channels in, K channels out, H W input, P Q output, R S kernel, L classes.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "fovea/graph.h"

namespace fovea {

// ---- arithmetic: element by element, shapes broadcast as in numpy -----------------------------------------------------------

/// A scalar constant of shape [].
Value scalar(Graph& graph, double value);
Value add(const Value& a, const Value& b, std::string_view name = {});
Value subtract(const Value& a, const Value& b, std::string_view name = {});
Value multiply(const Value& a, const Value& b, std::string_view name = {});
Value divide(const Value& a, const Value& b, std::string_view name = {});
/// scale * x + shift, both fixed numbers.
Value scale_shift(const Value& x, double scale, double shift, std::string_view name = {});

inline Value operator+(const Value& a, const Value& b) { return add(a, b); }
inline Value operator-(const Value& a, const Value& b) { return subtract(a, b); }
inline Value operator*(const Value& a, const Value& b) { return multiply(a, b); }
inline Value operator/(const Value& a, const Value& b) { return divide(a, b); }
inline Value operator+(const Value& a, double b) { return scale_shift(a, 1, b); }
inline Value operator-(const Value& a, double b) { return scale_shift(a, 1, -b); }
inline Value operator*(const Value& a, double b) { return scale_shift(a, b, 0); }
inline Value operator*(double a, const Value& b) { return scale_shift(b, a, 0); }
inline Value operator+(double a, const Value& b) { return scale_shift(b, 1, a); }
inline Value operator-(double a, const Value& b) { return scale_shift(b, -1, a); }
inline Value operator/(const Value& a, double b) { return scale_shift(a, 1 / b, 0); }
inline Value operator-(const Value& a) { return scale_shift(a, -1, 0); }

// ---- shape and reduction ----------------------------------------------------------------------------------------------------

struct ReduceSpec {
    std::vector<std::int64_t> axes{};  ///< empty: all; negative counts from the end
    bool keep = false;                 ///< reduced dimensions stay, with size 1
};
Value sum(const Value& x, const ReduceSpec& spec = {}, std::string_view name = {});
Value mean(const Value& x, const ReduceSpec& spec = {}, std::string_view name = {});
/// x broadcast to the shape of `like`, whose values are never read.
Value expand_to(const Value& x, const Value& like);
/// x summed over the dimensions in which expand_to(_, x) would repeat `like`: the transpose of expand_to.
Value sum_to(const Value& x, const Value& like);
/// The same elements under the shape of `like`.
Value reshape_to(const Value& x, const Value& like);

// ---- activations ------------------------------------------------------------------------------------------------------------

Value relu(const Value& x, std::string_view name = {});

}  // namespace fovea
