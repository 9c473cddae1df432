#include "backends/cpu/onednn.h"

#include <omp.h>

#include <array>

namespace fovea::cpu {

dnnl::engine& engine() {
    static dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
    return cpu;
}

dnnl::memory::dims dims_of(const Shape& shape) {
    const auto dims = shape.dims();
    return dnnl::memory::dims(dims.begin(), dims.end());
}

dnnl::memory::desc plain_desc(const Shape& shape) {
    dnnl::memory::dims strides(static_cast<std::size_t>(shape.rank()));
    std::int64_t step = 1;
    for (int i = shape.rank() - 1; i >= 0; --i) {
        strides[static_cast<std::size_t>(i)] = step;
        step *= shape[i];
    }
    return dnnl::memory::desc(dims_of(shape), dnnl::memory::data_type::f32, strides);
}

dnnl::memory::desc channels_last_desc(const Shape& s, dnnl::memory::data_type element) {
    return dnnl::memory::desc(dims_of(s), element, dnnl::memory::dims{s[1] * s[2] * s[3], 1, s[3] * s[1], s[1]});
}

Layout channels_last(const Shape& shape) {
    if (shape.rank() != 4 || shape[1] == 1 || shape[2] * shape[3] == 1) return nullptr;
    return std::make_shared<DnnlLayout>(channels_last_desc(shape));
}

Layout layout_of(const dnnl::memory::desc& desc, const Shape& shape) {
    if (desc == plain_desc(shape)) return nullptr;
    return std::make_shared<DnnlLayout>(desc);
}

dnnl::memory::desc desc_of(const Layout& layout, const Shape& shape) { return layout ? static_cast<const DnnlLayout&>(*layout).desc() : plain_desc(shape); }

SliceLayout::SliceLayout(const Shape& shape, std::int64_t pixel_stride)
    : DnnlLayout(dnnl::memory::desc(dims_of(shape), dnnl::memory::data_type::f32, dnnl::memory::dims{pixel_stride * shape[2] * shape[3], 1, shape[3] * pixel_stride, pixel_stride})),
      shape_(shape), pixel_stride_(pixel_stride) {}

std::string SliceLayout::name() const { return "nhwc of " + std::to_string(pixel_stride_); }
Layout SliceLayout::plain() const { return channels_last(shape_); }

std::int64_t pixel_stride(const Layout& layout, const Shape& shape) {
    const auto* slice = dynamic_cast<const SliceLayout*>(layout.get());
    return slice ? slice->pixel_stride() : shape[1];
}

std::string DnnlLayout::name() const {
    const auto& d = desc_.data;
    if (d.format_kind != dnnl_blocked) return d.data_type == dnnl_bf16 ? "packed bf16" : "packed";
    const auto& b = d.format_desc.blocking;
    // Outer dimensions by falling stride, as oneDNN writes them: "nhwc" is "acdb".
    std::array<int, 12> order{};
    for (int i = 0; i < d.ndims; ++i) order[static_cast<std::size_t>(i)] = i;
    std::stable_sort(order.begin(), order.begin() + d.ndims, [&](int x, int y) { return b.strides[x] > b.strides[y]; });
    if (d.ndims == 4 && b.inner_nblks == 0 && order[0] == 0 && order[1] == 2 && order[2] == 3 && order[3] == 1) return d.data_type == dnnl_bf16 ? "nhwc bf16" : "nhwc";
    std::string text;
    for (int i = 0; i < d.ndims; ++i) {
        const int dim = order[static_cast<std::size_t>(i)];
        bool is_blocked = false;
        for (int k = 0; k < b.inner_nblks; ++k) is_blocked |= b.inner_idxs[k] == dim;
        text += static_cast<char>((is_blocked ? 'A' : 'a') + dim);
    }
    for (int k = 0; k < b.inner_nblks; ++k) text += std::to_string(b.inner_blks[k]) + static_cast<char>('a' + b.inner_idxs[k]);
    if (d.data_type == dnnl_bf16) text += " bf16";
    return text;
}

SingleThreaded::SingleThreaded() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
SingleThreaded::~SingleThreaded() { omp_set_num_threads(before_); }

dnnl::primitive_attr planned_scratch() {
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    return attr;
}

void execute(const dnnl::primitive& primitive, std::initializer_list<Argument> arguments) {
    static thread_local dnnl::stream stream(engine());
    const SingleThreaded single;  // some kernels ask again when they run
    constexpr std::size_t most = 10;
    std::array<dnnl_exec_arg_t, most> list{};
    int count = 0;
    dnnl_status_t status = dnnl_success;
    for (const Argument& argument : arguments) {
        if (!argument.data) continue;
        dnnl_memory_t memory = nullptr;
        status = dnnl_memory_create(&memory, &argument.desc->data, engine().get(), argument.data);
        if (status != dnnl_success) break;
        list[static_cast<std::size_t>(count++)] = {argument.kind, memory};
    }
    if (status == dnnl_success) status = dnnl_primitive_execute(primitive.get(), stream.get(), count, list.data());
    for (int i = 0; i < count; ++i) dnnl_memory_destroy(list[static_cast<std::size_t>(i)].memory);
    if (status != dnnl_success) throw BackendError("cpu backend: oneDNN could not run a primitive (status " + std::to_string(status) + ")");
}

}  // namespace fovea::cpu
