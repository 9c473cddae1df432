// What convolution planners share: the geometry in oneDNN's terms, weights with groups, a primitive for each size of a part.
#pragma once

#include <map>
#include <string_view>

#include "backends/cpu/onednn.h"

namespace fovea::cpu {

struct ConvGeometry {
    dnnl::memory::dims stride, dilation, before, after;
    std::int64_t groups;
    bool is_supported;

    explicit ConvGeometry(const Attrs& attrs) : groups(attrs.integer("groups")) {
        const auto s = attrs.integers("stride"), p = attrs.integers("pad"), d = attrs.integers("dilation");
        stride = {s[0], s[1]};
        dilation = {d[0] - 1, d[1] - 1};
        before = {p[0], p[2]};
        after = {p[1], p[3]};
        is_supported = p[0] >= 0 && p[1] >= 0 && p[2] >= 0 && p[3] >= 0;
    }
};

/// Weights [K, C/g, R, S] as oneDNN takes them: [g, K/g, C/g, R, S] when there are groups.
[[nodiscard]] inline dnnl::memory::dims weight_dims(const Shape& w, std::int64_t groups) {
    if (groups == 1) return dims_of(w);
    return {groups, w[0] / groups, w[1], w[2], w[3]};
}
[[nodiscard]] inline Shape weight_shape(const Shape& w, std::int64_t groups) { return groups == 1 ? w : Shape{groups, w[0] / groups, w[1], w[2], w[3]}; }

/// The descriptor of a weight value in `layout`; groups change the rank, not the bytes.
[[nodiscard]] inline dnnl::memory::desc weight_desc(const Layout& layout, const Shape& w, std::int64_t groups) { return desc_of(layout, weight_shape(w, groups)); }
[[nodiscard]] inline Layout weight_layout(const dnnl::memory::desc& desc, const Shape& w, std::int64_t groups) { return layout_of(desc, weight_shape(w, groups)); }

[[nodiscard]] inline bool is_reference(const char* implementation) {
    const std::string_view name(implementation);
    return name.find("ref") != std::string_view::npos;
}
/// Whether oneDNN fell back to loops, or to a matrix product over copies of the map.
[[nodiscard]] inline bool is_slow(const char* implementation) { return is_reference(implementation) || std::string_view(implementation).find("gemm") != std::string_view::npos; }

/// A primitive for one size of piece, with the descriptors its arguments need.
struct Sized {
    dnnl::primitive primitive;
    dnnl::memory::desc a, b, c, bias, scratch;
};

}  // namespace fovea::cpu
