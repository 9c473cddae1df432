// oneDNN behind one header: descriptors, primitives and layouts as the CPU backend uses them. No other folder includes oneDNN.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>

#include <memory>
#include <string>
#include <vector>

#include "backends/backend.h"

namespace fovea::cpu {

/// A layout oneDNN describes: channels-last activations, packed weights.
class DnnlLayout : public LayoutDetail {
public:
    explicit DnnlLayout(const dnnl::memory::desc& desc) : desc_(desc) {}
    [[nodiscard]] std::string name() const override;
    [[nodiscard]] std::size_t bytes() const override { return desc_.get_size(); }
    [[nodiscard]] bool equals(const LayoutDetail& other) const override {
        const auto* same = dynamic_cast<const DnnlLayout*>(&other);
        return same && desc_ == same->desc_;
    }
    [[nodiscard]] const dnnl::memory::desc& desc() const { return desc_; }

private:
    dnnl::memory::desc desc_;
};

/// Channels last, between other channels: the pixels of a value [N, C, H, W] lie `pixel_stride` floats apart.
class SliceLayout final : public DnnlLayout {
public:
    SliceLayout(const Shape& shape, std::int64_t pixel_stride);
    [[nodiscard]] std::string name() const override;
    [[nodiscard]] std::size_t bytes() const override { return static_cast<std::size_t>(shape_.elements()) * sizeof(float); }
    [[nodiscard]] std::size_t span_bytes() const override { return static_cast<std::size_t>(shape_[0] * shape_[2] * shape_[3] * pixel_stride_) * sizeof(float); }
    [[nodiscard]] bool is_slice() const override { return true; }
    [[nodiscard]] bool is_plain() const override { return false; }
    [[nodiscard]] Layout plain() const override;
    [[nodiscard]] std::int64_t pixel_stride() const { return pixel_stride_; }

private:
    Shape shape_;
    std::int64_t pixel_stride_;
};
/// Floats from a pixel to the next of a value that is channels last, alone or as a slice.
[[nodiscard]] std::int64_t pixel_stride(const Layout& layout, const Shape& shape);

[[nodiscard]] dnnl::engine& engine();

[[nodiscard]] dnnl::memory::dims dims_of(const Shape& shape);
/// Row-major descriptor.
[[nodiscard]] dnnl::memory::desc plain_desc(const Shape& shape);
/// N H W C descriptor of a [N, C, H, W] shape.
[[nodiscard]] dnnl::memory::desc channels_last_desc(const Shape& shape, dnnl::memory::data_type element = dnnl::memory::data_type::f32);
/// The layout of activations [N, C, H, W]: channels last. Null (row-major) where the bytes are the same: C = 1 or H W = 1.
[[nodiscard]] Layout channels_last(const Shape& shape);
/// Descriptor as a Layout; null when it equals row-major.
[[nodiscard]] Layout layout_of(const dnnl::memory::desc& desc, const Shape& shape);
[[nodiscard]] dnnl::memory::desc desc_of(const Layout& layout, const Shape& shape);

/// Primitives created or run while this lives use one thread: they run inside the parts of a phase, whose threads are fovea's own.
class SingleThreaded {
public:
    SingleThreaded();
    ~SingleThreaded();
    SingleThreaded(const SingleThreaded&) = delete;
    SingleThreaded& operator=(const SingleThreaded&) = delete;

private:
    int before_;
};

/// One argument of a primitive: its kind, its descriptor, its address.
struct Argument {
    int kind;
    const dnnl::memory::desc* desc;
    void* data;
};
/// Runs the primitive on this thread's stream.
void execute(const dnnl::primitive& primitive, std::initializer_list<Argument> arguments);

/// Attributes every primitive gets: scratch memory comes from the plan, not from the library's heap.
[[nodiscard]] dnnl::primitive_attr planned_scratch();

}  // namespace fovea::cpu
