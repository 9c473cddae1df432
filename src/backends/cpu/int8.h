// int8: a value on a grid of 256 steps may lie in memory as bytes, channels last. It is a layout, the value stays "real": the reorder to f32
// gives exactly the values of the grid. Only fake_quantize makes such layouts; kernels that can read bytes ask PlanContext::stored for them.
#pragma once

#include <cstdint>

#include "backends/cpu/onednn.h"
#include "fovea/quantize.h"

namespace fovea::cpu {

/// Whether oneDNN's kernels multiply bytes exactly here: VNNI, and no environment variable forbids it. Without it products of two pairs
/// saturate at 16 bits, so values stay f32 on their grids.
[[nodiscard]] bool has_int8();

/// [N, C, H, W] channels last, or any other shape row-major; bytes that stand for (q - zero_point) * scale.
class Int8Layout final : public LayoutDetail {
public:
    Int8Layout(const Shape& shape, const Grid& grid) : shape_(shape), grid_(grid) {}
    [[nodiscard]] std::string name() const override { return std::string(shape_.rank() == 4 ? "nhwc " : "row-major ") + (is_signed() ? "s8" : "u8"); }
    [[nodiscard]] std::size_t bytes() const override { return static_cast<std::size_t>(shape_.elements()); }
    [[nodiscard]] bool equals(const LayoutDetail& other) const override {
        const auto* same = dynamic_cast<const Int8Layout*>(&other);
        return same && same->shape_ == shape_ && same->grid_ == grid_;
    }
    [[nodiscard]] bool is_bytes() const override { return true; }
    [[nodiscard]] bool is_plain() const override { return false; }
    [[nodiscard]] std::shared_ptr<const LayoutDetail> plain() const override { return channels_last(shape_); }
    [[nodiscard]] const Grid& grid() const { return grid_; }
    [[nodiscard]] bool is_signed() const { return grid_.low < 0; }
    [[nodiscard]] dnnl::memory::data_type data_type() const { return is_signed() ? dnnl::memory::data_type::s8 : dnnl::memory::data_type::u8; }

private:
    Shape shape_;
    Grid grid_;
};

/// Null where the layout is another.
[[nodiscard]] inline const Int8Layout* as_int8(const Layout& layout) { return dynamic_cast<const Int8Layout*>(layout.get()); }
/// The grid in bytes that the value lies on in memory, where it does.
[[nodiscard]] const Int8Layout* stored_int8(const Value& value, const PlanContext& context);

/// The grid that a fake_quantize node rounds to, where bytes hold it.
[[nodiscard]] std::optional<Grid> byte_grid(const Node& node);
/// Where `node` is read by a fake_quantize to bytes alone: that node, which a kernel may do as it writes.
[[nodiscard]] const Node* rounding_after(const Node& node, const PlanContext& context);

/// What a kernel writes: f32 channels last, or bytes through the fake_quantize behind it.
struct Int8Output {
    Int8Output(const Node& node, const PlanContext& context);
    explicit Int8Output(const Shape& shape) : layout(channels_last(shape)) {}
    const Node* through = nullptr;
    Grid grid{};
    Layout layout;
    [[nodiscard]] bool is_bytes() const { return through != nullptr; }
    /// Element `at` of the output.
    [[nodiscard]] std::byte* place(std::byte* out, std::int64_t at) const { return out + at * (is_bytes() ? 1 : 4); }
    /// Writes `count` values of f32 at element `at`.
    void write(std::byte* out, std::int64_t at, const float* values, std::int64_t count) const;
};

/// A kernel that reads or writes bytes, where there is one for the node.
[[nodiscard]] std::optional<Kernel> plan_int8(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_fake_quantize(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_int8_conv2d(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_int8_linear(const Node& node, const PlanContext& context);
/// Max and average pooling, means of maps, concat.
[[nodiscard]] std::optional<Kernel> plan_int8_pool(const Node& node, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_int8_concat(const Node& node, const PlanContext& context);
/// Sums, products, activations and batch norm, a piece at a time through f32 in the first-level cache.
[[nodiscard]] std::optional<Kernel> plan_int8_pointwise(const Node& node, const PlanContext& context);
/// From bytes to f32, and of weights and biases into the forms that the kernels read; nothing for other layouts.
[[nodiscard]] std::optional<Kernel> plan_int8_reorder(const Type& type, const Layout& from, const Layout& to, const PlanContext& context);
[[nodiscard]] std::optional<Kernel> plan_int8_weights(const Type& type, const Layout& from, const Layout& to);
[[nodiscard]] std::optional<Kernel> plan_packed_linear(const Type& type, const Layout& from, const Layout& to);

struct BytePool {
    std::int64_t channels, height, width, out_height, out_width, kernel_h, kernel_w, stride_h, stride_w, before_h, before_w, dilation_h, dilation_w;
};

struct Int8Simd {
    const char* name;
    /// y = (x - zero_point) * scale
    void (*to_f32)(float* y, const std::byte* x, std::int64_t count, const Grid& grid);
    /// y = x / scale rounded half to even, plus zero_point, saturated
    void (*from_f32)(std::byte* y, const float* x, std::int64_t count, const Grid& grid);
    /// Max pooling of the output lines [begin, end) of one sample, channels last.
    void (*max_pool)(std::byte* y, const std::byte* x, const BytePool& geometry, bool is_signed, std::int64_t begin, std::int64_t end);
    /// sums[c] += x over `pixels` pixels that lie `pitch` bytes apart.
    void (*add_pixels)(std::int32_t* sums, const std::byte* x, std::int64_t pixels, std::int64_t pitch, std::int64_t channels, bool is_signed);
};
[[nodiscard]] const Int8Simd& int8_simd();

}  // namespace fovea::cpu
