#include "runtime/state.h"

#include <cstring>

#include "backends/reference/interpreter.h"
#include "core/memory.h"

namespace fovea {

AlignedBytes::AlignedBytes(std::size_t bytes) : bytes_(bytes) {
    if (bytes > 0) data_ = allocate(bytes);
}

State::State(const Parameters& parameters) : impl_(std::make_unique<Impl>()) {
    for (const std::string& name : parameters.names()) {
        const Tensor& tensor = parameters.at(name);
        const bool is_real = tensor.dtype() == DType::f32 || tensor.dtype() == DType::f64;
        Impl::Entry entry{.type = {tensor.shape(), is_real ? DType::f32 : tensor.dtype()}, .real = is_real ? tensor.dtype() : DType::f32, .bytes = AlignedBytes(tensor.bytes())};
        std::memcpy(entry.bytes.data(), tensor.raw(), tensor.bytes());
        impl_->names.push_back(name);
        impl_->entries.emplace(name, std::move(entry));
    }
}
State::~State() = default;
State::State(State&&) noexcept = default;
State& State::operator=(State&&) noexcept = default;

Tensor State::Impl::read(std::string_view name) const {
    const auto it = entries.find(name);
    if (it == entries.end()) fail<ArgumentError>("state: no parameter '{}'; nearest: {}", name, fmt::join(nearest_names(name, names), ", "));
    const Entry& entry = it->second;
    Tensor tensor(entry.type.shape, stored_as(entry.type.dtype, entry.real));
    if (entry.layout)
        reorder_now(*backend, entry.type, entry.layout, entry.bytes.data(), nullptr, tensor.raw(), entry.real);
    else
        std::memcpy(tensor.raw(), entry.bytes.data(), tensor.bytes());
    return tensor;
}

Tensor State::read(std::string_view name) const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->read(name);
}

Parameters State::read() const {
    const std::lock_guard lock(impl_->mutex);
    Parameters parameters;
    for (const std::string& name : impl_->names) parameters.set(name, impl_->read(name));
    return parameters;
}

void State::write(std::string_view name, const Tensor& value) {
    const std::lock_guard lock(impl_->mutex);
    const auto it = impl_->entries.find(name);
    if (it == impl_->entries.end()) fail<ArgumentError>("state: no parameter '{}'; nearest: {}", name, fmt::join(nearest_names(name, impl_->names), ", "));
    Impl::Entry& entry = it->second;
    require<ShapeError>(value.shape() == entry.type.shape, "state: parameter '{}' is {}, got {}", name, entry.type.shape, value.shape());
    const Tensor converted = value.to(stored_as(entry.type.dtype, entry.real));
    entry.layout = nullptr;
    entry.bytes = AlignedBytes(converted.bytes());
    std::memcpy(entry.bytes.data(), converted.raw(), converted.bytes());
    ++impl_->version;
}

std::size_t State::bytes() const {
    const std::lock_guard lock(impl_->mutex);
    std::size_t total = 0;
    for (const auto& [name, entry] : impl_->entries) total += entry.bytes.size();
    return total;
}

namespace {

/// Brings one entry to the precision and layout an executable wants. Returns whether anything moved.
bool convert(State::Impl& state, const std::string& name, State::Impl::Entry& entry, const Executable::Impl& program, const Layout& layout) {
    if (same_layout(entry.layout, layout) && stored_as(entry.type.dtype, entry.real) == stored_as(entry.type.dtype, program.real)) return false;
    const Tensor plain = state.read(name).to(stored_as(entry.type.dtype, program.real));
    entry.real = program.real;
    entry.layout = layout;
    entry.bytes = AlignedBytes(bytes_of(entry.type, layout, program.real));
    if (layout)
        reorder_now(*program.backend, entry.type, nullptr, plain.raw(), layout, entry.bytes.data(), program.real);
    else
        std::memcpy(entry.bytes.data(), plain.raw(), plain.bytes());
    return true;
}

/// The one-way forms of parameters and of what the prologue made.
void pack(const State::Impl& state, const Executable::Impl& program, State::Impl::Derived& derived) {
    derived.packed.clear();
    for (const auto& [parameter, id] : program.packed) {
        const std::string& name = program.parameters[static_cast<std::size_t>(parameter)].name;
        const Buffer& buffer = program.buffers[static_cast<std::size_t>(id)];
        const Buffer& source = program.buffers[static_cast<std::size_t>(program.parameter_buffers[static_cast<std::size_t>(parameter)])];
        const AlignedBytes& from = program.derived.contains(name) ? derived.bytes.at(name) : state.entries.find(name)->second.bytes;
        AlignedBytes plain = from;
        if (source.layout) {
            plain = AlignedBytes(row_major_bytes(buffer.type, program.real));
            reorder_now(*program.backend, source.type, source.layout, from.data(), nullptr, plain.data(), program.real);
        }
        AlignedBytes bytes(buffer.bytes);
        reorder_now(*program.backend, buffer.type, nullptr, plain.data(), buffer.layout, bytes.data(), program.real);
        derived.packed.push_back(bytes);
    }
}

/// What the prologue makes of the parameters, in the layouts the program reads.
void run_prologue(State::Impl& state, const Executable::Impl& program, State::Impl::Derived& derived) {
    Parameters parameters;
    for (const ParameterInfo& info : program.prologue.parameters()) parameters.set(info.name, state.read(info.name));
    std::vector<Value> wanted;
    for (const auto& [name, value] : program.prologue.outputs()) wanted.push_back(value);
    const std::vector<Tensor> values = interpret(program.prologue, wanted, {}, parameters, {.real = program.real});
    for (std::size_t i = 0; i < program.parameters.size(); ++i) {
        const std::string& name = program.parameters[i].name;
        for (std::size_t o = 0; o < values.size(); ++o) {
            if (program.prologue.outputs()[o].first != name) continue;
            const Buffer& buffer = program.buffers[static_cast<std::size_t>(program.parameter_buffers[i])];
            AlignedBytes bytes(buffer.bytes);
            if (buffer.layout)
                reorder_now(*program.backend, buffer.type, nullptr, values[o].raw(), buffer.layout, bytes.data(), program.real);
            else
                std::memcpy(bytes.data(), values[o].raw(), buffer.bytes);
            derived.bytes[name] = bytes;
        }
    }
}

/// Everything the program keeps beside the parameters, made again where they changed.
void derive(State::Impl& state, const Executable& executable) {
    const Executable::Impl& program = executable.impl();
    auto& derived = state.derived[&program];
    if (derived.version == state.version) return;
    if (!program.derived.empty()) run_prologue(state, program, derived);
    pack(state, program, derived);
    derived.version = state.version;
}

}  // namespace

void State::adopt(const Executable& executable) {
    const std::lock_guard lock(impl_->mutex);
    const Executable::Impl& program = executable.impl();
    bool moved = false;
    impl_->backend = impl_->backend ? impl_->backend : program.backend;
    for (std::size_t i = 0; i < program.parameters.size(); ++i) {
        const ParameterInfo& info = program.parameters[i];
        if (program.derived.contains(info.name)) continue;
        const auto it = impl_->entries.find(info.name);
        if (it == impl_->entries.end())  // not require(): the nearest names are dear, and there are thousands of parameters
            fail<ArgumentError>("the program needs parameter '{}' {}; the state has none of that name, nearest: {}", info.name, info.type.shape,
                                fmt::join(nearest_names(info.name, impl_->names), ", "));
        require<ShapeError>(it->second.type == info.type, "parameter '{}' is {} {} in the program and {} {} in the state", info.name, info.type.dtype, info.type.shape,
                            it->second.type.dtype, it->second.type.shape);
        moved |= convert(*impl_, info.name, it->second, program, program.buffers[static_cast<std::size_t>(program.parameter_buffers[i])].layout);
    }
    impl_->backend = program.backend;
    if (moved) ++impl_->version;
    if (!program.derived.empty() || !program.packed.empty()) derive(*impl_, executable);
}

}  // namespace fovea
