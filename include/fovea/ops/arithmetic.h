// Arithmetic and elementary functions, element by element; shapes broadcast as in numpy.
#pragma once

#include <cstdint>
#include <string_view>

#include "fovea/graph.h"

namespace fovea {

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

// ---- elementary functions ---------------------------------------------------------------------------------------------------

Value exp(const Value& x, std::string_view name = {});
Value log(const Value& x, std::string_view name = {});
/// x in radians
Value sin(const Value& x, std::string_view name = {});
Value cos(const Value& x, std::string_view name = {});
Value sqrt(const Value& x, std::string_view name = {});
/// 1 / sqrt(x)
Value rsqrt(const Value& x, std::string_view name = {});
Value square(const Value& x, std::string_view name = {});
Value abs(const Value& x, std::string_view name = {});
/// -1, 0 or 1; its derivative is 0.
Value sign(const Value& x, std::string_view name = {});
Value erf(const Value& x, std::string_view name = {});
Value pow(const Value& x, double exponent, std::string_view name = {});
/// Broadcast as numpy does; at a tie each side gets half the gradient.
Value maximum(const Value& a, const Value& b, std::string_view name = {});
Value maximum(const Value& a, double b);
Value minimum(const Value& a, const Value& b, std::string_view name = {});
Value minimum(const Value& a, double b);
/// x limited to [low, high]; the derivative is 1 on the edges.
Value clamp(const Value& x, double low, double high, std::string_view name = {});
/// Comparisons give 1 or 0 as real numbers; no gradient flows through them.
Value greater(const Value& a, const Value& b);
Value greater(const Value& a, double b);
Value greater_equal(const Value& a, const Value& b);
Value greater_equal(const Value& a, double b);
/// 1 where low < x < high (with the edges when closed), else 0.
Value in_range(const Value& x, double low, double high, bool closed = false);
/// condition != 0 ? a : b, element by element; shapes broadcast.
Value where(const Value& condition, const Value& a, const Value& b, std::string_view name = {});
/// A vector [C] as [C, 1, ..., 1], to meet the channels of like [N, C, ...].
Value per_channel(const Value& v, const Value& like);
/// labels [N, ...] (i32) -> [N, L, ...], the shape of `like`: 1 at the label's class. A label outside 0..L-1 gives zeros.
Value one_hot(const Value& labels, const Value& like);
/// The same, where only `ignore_index` may lie outside (zeros); another label fails when it is met.
Value one_hot(const Value& labels, const Value& like, std::int64_t ignore_index);
/// x + 1 for i64 counts.
Value increment(const Value& x, std::string_view name = {});

}  // namespace fovea
