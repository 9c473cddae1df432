// Reductions, and the same elements under other shapes.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "fovea/graph.h"

namespace fovea {

struct ReduceSpec {
    std::vector<std::int64_t> axes{};  ///< empty: all; negative counts from the end
    bool keep = false;                 ///< reduced dimensions stay, with size 1
};
Value sum(const Value& x, const ReduceSpec& spec = {}, std::string_view name = {});
Value mean(const Value& x, const ReduceSpec& spec = {}, std::string_view name = {});
/// Largest value over axes; equal ones share the gradient.
Value max_over(const Value& x, const ReduceSpec& spec = {}, std::string_view name = {});

/// x broadcast to the shape of `like`, whose values are never read.
Value expand_to(const Value& x, const Value& like);
/// x summed over the dimensions in which expand_to(_, x) would repeat `like`: the transpose of expand_to.
Value sum_to(const Value& x, const Value& like);
/// The same elements under the shape of `like`.
Value reshape_to(const Value& x, const Value& like);

// ---- reshaping --------------------------------------------------------------------------------------------------------------

inline constexpr std::int64_t to_end = 0x7fffffffffffffff;
struct SliceSpec {
    std::int64_t axis;
    std::int64_t start = 0;       ///< negative counts from the end
    std::int64_t stop = to_end;   ///< exclusive; negative counts from the end
    std::int64_t step = 1;
};
/// Every step-th element of [start, stop) along one axis, as x[start:stop:step] of numpy.
Value slice(const Value& x, const SliceSpec& spec, std::string_view name = {});
Value concat(const std::vector<Value>& values, std::int64_t axis = 1, std::string_view name = {});
/// Joins along a new axis.
Value stack(const std::vector<Value>& values, std::int64_t axis = 0, std::string_view name = {});
/// Pieces of the given sizes along an axis, which they fill.
std::vector<Value> split(const Value& x, const std::vector<std::int64_t>& sizes, std::int64_t axis = 1, std::string_view name = {});
/// Dimension i of the result is dimension order[i] of x.
Value transpose(const Value& x, const std::vector<std::int64_t>& order, std::string_view name = {});
/// Without the dimension of size 1 at `axis`; with one of size 1 put there.
Value squeeze(const Value& x, std::int64_t axis, std::string_view name = {});
Value unsqueeze(const Value& x, std::int64_t axis, std::string_view name = {});

/// The same elements under another shape. 0 keeps the dimension of x at that place (a batch that is not known yet), one -1 takes the rest.
Value reshape(const Value& x, const std::vector<std::int64_t>& shape, std::string_view name = {});
/// Dimensions start_dim and after become one.
Value flatten(const Value& x, int start_dim = 1, std::string_view name = {});

}  // namespace fovea
