// Sliding windows over a plane: sizes, checks and the ranges in which no bounds test is needed.
#pragma once

#include <algorithm>
#include <array>

#include "fovea/ops.h"
#include "graph/op.h"

namespace fovea {

/// floor and ceil of a / b for b > 0 and any sign of a.
[[nodiscard]] inline std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }
[[nodiscard]] inline std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return -floor_div(-a, b); }

struct Range {
    std::int64_t begin, end;
};

/// One axis of a window: output p reads input p * stride + r * dilation - before for r = 0 .. kernel - 1.
struct Axis {
    std::int64_t kernel, stride, before, after, dilation;
    [[nodiscard]] std::int64_t extent() const { return dilation * (kernel - 1) + 1; }
    [[nodiscard]] std::int64_t padded(std::int64_t size) const { return size + before + after; }
    /// Outputs p in [0, count) for which tap r reads inside [0, size).
    [[nodiscard]] Range outputs(std::int64_t r, std::int64_t size, std::int64_t count) const {
        const std::int64_t shift = before - r * dilation;  // input = p * stride - shift
        const std::int64_t begin = std::clamp<std::int64_t>(ceil_div(shift, stride), 0, count);
        return {begin, std::clamp<std::int64_t>(floor_div(size - 1 + shift, stride) + 1, begin, count)};
    }
    /// Taps r for which output p reads inside [0, size).
    [[nodiscard]] Range taps(std::int64_t p, std::int64_t size) const {
        const std::int64_t start = p * stride - before;
        const std::int64_t begin = std::clamp<std::int64_t>(ceil_div(-start, dilation), 0, kernel);
        return {begin, std::clamp<std::int64_t>(floor_div(size - 1 - start, dilation) + 1, begin, kernel)};
    }
};

struct Window {
    Axis h, w;
    /// The kernel is an attribute (pooling, unfold).
    explicit Window(const Attrs& attrs) : Window(attrs, kernel_of(attrs)) {}
    /// The kernel is a weight's last two sizes.
    Window(const Attrs& attrs, Size2 kernel) {
        const auto stride = attrs.integers("stride"), pad = attrs.integers("pad");
        const auto dilation = attrs.has("dilation") ? attrs.integers("dilation") : std::vector<std::int64_t>{1, 1};
        require<ArgumentError>(stride.size() == 2 && pad.size() == 4 && dilation.size() == 2, "a window takes 2 strides, 4 pads and 2 dilations, got {}, {} and {}", stride.size(),
                               pad.size(), dilation.size());
        h = {kernel.h, stride[0], pad[0], pad[1], dilation[0]};
        w = {kernel.w, stride[1], pad[2], pad[3], dilation[1]};
    }

private:
    static Size2 kernel_of(const Attrs& attrs) {
        const auto kernel = attrs.integers("kernel");
        require<ArgumentError>(kernel.size() == 2, "a window has 2 sizes, got {}", kernel.size());
        return {kernel[0], kernel[1]};
    }
};

inline std::vector<std::int64_t> integers_of(Size2 size) { return {size.h, size.w}; }
inline std::vector<std::int64_t> integers_of(Pad4 pad) { return {pad.top, pad.bottom, pad.left, pad.right}; }

/// Throws through `in` for a kernel, stride or dilation below 1.
inline void check_window(const OpInputs& in, const Window& window) {
    const auto& [h, w] = window;
    in.check<ArgumentError>(h.kernel >= 1 && w.kernel >= 1, "kernel must be at least 1, got {}x{}", h.kernel, w.kernel);
    in.check<ArgumentError>(h.stride >= 1 && w.stride >= 1, "stride must be at least 1, got {}x{}", h.stride, w.stride);
    in.check<ArgumentError>(h.dilation >= 1 && w.dilation >= 1, "dilation must be at least 1, got {}x{}", h.dilation, w.dilation);
}

/// Number of windows along an axis of `size` (which may be dynamic); `side` is "height" or "width".
inline std::int64_t windows_along(const OpInputs& in, const Axis& axis, std::int64_t size, std::string_view side) {
    if (size == dynamic) return dynamic;
    const std::int64_t room = axis.padded(size) - axis.extent();
    in.check(size >= 1 && room >= 0, "kernel of {} {} does not fit into {} padded by {} and {}; input {}", side, axis.extent(), size, axis.before, axis.after, in.shape(0));
    if (in.attrs().flag("strict"))
        in.check(room % axis.stride == 0, "({} {} + pad {} + {} - kernel {}) / stride {} + 1 = {:.2f} is not whole; input {}", side, size, axis.before, axis.after, axis.extent(),
                 axis.stride, static_cast<double>(room) / static_cast<double>(axis.stride) + 1, in.shape(0));
    if (!in.attrs().flag("ceil")) return room / axis.stride + 1;
    std::int64_t count = ceil_div(room, axis.stride) + 1;
    if ((count - 1) * axis.stride >= size + axis.before) --count;  // a window must start inside the input or its left padding
    return count;
}

}  // namespace fovea
