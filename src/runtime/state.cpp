#include "runtime/state.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "backends/reference/interpreter.h"
#include "core/memory.h"
#include "core/team.h"

namespace fovea {

AlignedBytes::AlignedBytes(std::size_t bytes) : bytes_(bytes) {
    if (bytes > 0) data_ = allocate(bytes);
}

State::State(const Parameters& parameters) : State(Parameters(parameters)) {}
State::State(Parameters&& parameters) : impl_(std::make_unique<Impl>()) {
    for (const std::string& name : parameters.names()) {
        const Tensor tensor = std::move(parameters.at(name));
        const bool is_real = tensor.dtype() == DType::f32 || tensor.dtype() == DType::f64;
        Impl::Entry entry{.type = {tensor.shape(), is_real ? DType::f32 : tensor.dtype()}, .real = is_real ? tensor.dtype() : DType::f32};
        entry.is_borrowed = is_mapped(tensor.raw());
        if (entry.is_borrowed || !tensor.is_shared()) {
            const auto keeper = std::make_shared<Tensor>(tensor);
            entry.bytes = AlignedBytes(std::shared_ptr<std::byte[]>(keeper, keeper->raw()), tensor.bytes());
        } else {
            entry.bytes = AlignedBytes(tensor.bytes());
            std::memcpy(entry.bytes.data(), tensor.raw(), tensor.bytes());
        }
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

Tensor State::Impl::look(std::string_view name) const {
    const auto it = entries.find(name);
    if (it == entries.end() || it->second.layout) return read(name);
    const Entry& entry = it->second;
    const auto keeper = std::make_shared<AlignedBytes>(entry.bytes);
    return Tensor::over(std::shared_ptr<std::byte[]>(keeper, keeper->data()), entry.type.shape, stored_as(entry.type.dtype, entry.real));
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
    entry.is_borrowed = false;
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

/// A row-major value as `layout` has it. Of a mapped file, what has been copied as it lies is given back on the way: a large weight is never there twice.
AlignedBytes in_layout(const Executable::Impl& program, const Type& type, const Layout& layout, const Tensor& plain) {
    AlignedBytes bytes(bytes_of(type, layout, program.real));
    if (layout) {
        reorder_now(*program.backend, type, nullptr, plain.raw(), layout, bytes.data(), program.real);
        return bytes;
    }
    constexpr std::size_t stretch = std::size_t{8} << 20;
    for (std::size_t from = 0; from < plain.bytes(); from += stretch) {
        const std::size_t count = std::min(stretch, plain.bytes() - from);
        std::memcpy(bytes.data() + from, plain.raw() + from, count);
        release_mapped(plain.raw() + from, count);
    }
    return bytes;
}

/// Brings one entry to the precision and layout an executable wants. Returns whether anything moved.
bool convert(State::Impl& state, const std::string& name, State::Impl::Entry& entry, const Executable::Impl& program, const Layout& layout) {
    if (!entry.is_borrowed && same_layout(entry.layout, layout) && stored_as(entry.type.dtype, entry.real) == stored_as(entry.type.dtype, program.real)) return false;
    const Tensor plain = state.look(name).to(stored_as(entry.type.dtype, program.real));
    entry.real = program.real;
    entry.layout = layout;
    entry.is_borrowed = false;
    entry.bytes = in_layout(program, entry.type, layout, plain);
    release_mapped(plain.raw(), plain.bytes());
    return true;
}

/// Which buffers the program's kernels or outputs read.
std::vector<bool> read_buffers(const Executable::Impl& program) {
    std::vector<bool> is_read(program.buffers.size(), false);
    const auto note = [&](int buffer) {
        if (buffer >= 0) is_read[static_cast<std::size_t>(program.buffers[static_cast<std::size_t>(buffer)].root)] = true;
    };
    for (const Item& item : program.items) std::ranges::for_each(item.in, note);
    std::ranges::for_each(program.output_buffers, note);
    return is_read;
}

/// What a program reads that is made of its parameters: values of its prologue, one-way forms of those and of parameters.
class Deriving {
public:
    Deriving(State::Impl& state, const Executable::Impl& program, State::Impl::Derived& derived) : state_(state), program_(program), derived_(derived), is_read_(read_buffers(program)) {
        derived_.packed.assign(program_.packed.size(), {});
        for (std::size_t k = 0; k < program_.packed.size(); ++k) packed_of_[program_.packed[k].first].push_back(k);
    }

    /// Each value on a thread of its own: packing is half the way from the start of a process to its first answer.
    void run() {
        if (!program_.derived.empty()) run_prologue();
        std::vector<int> parameters;
        for (const auto& [parameter, forms] : packed_of_)
            if (!program_.derived.contains(name_of(parameter))) parameters.push_back(parameter);
        parallel_for(static_cast<std::int64_t>(parameters.size()), [&](std::int64_t i) {
            const int parameter = parameters[static_cast<std::size_t>(i)];
            pack_and_release(parameter, state_.look(name_of(parameter)));
        });
    }

private:
    [[nodiscard]] const std::string& name_of(int parameter) const { return program_.parameters[static_cast<std::size_t>(parameter)].name; }

    /// Some values at a time: a network's weights should not lie in memory once more while they are made.
    void run_prologue() {
        constexpr std::size_t group_bytes = std::size_t{16} << 20;
        Parameters parameters;
        for (const ParameterInfo& info : program_.prologue.parameters()) parameters.set(info.name, state_.look(info.name));
        std::map<std::string, int, std::less<>> index;
        for (std::size_t i = 0; i < program_.parameters.size(); ++i) index.emplace(program_.parameters[i].name, static_cast<int>(i));
        const auto& outputs = program_.prologue.outputs();
        for (const auto& [name, value] : outputs) derived_.bytes[name];  // their places, so that threads change none
        for (std::size_t begin = 0, end = 0; begin < outputs.size(); begin = end) {
            for (std::size_t bytes = 0; end < outputs.size() && (end == begin || bytes < group_bytes); ++end) bytes += row_major_bytes(outputs[end].second.type(), program_.real);
            parallel_for(static_cast<std::int64_t>(end - begin), [&](std::int64_t i) {
                const auto& [name, value] = outputs[begin + static_cast<std::size_t>(i)];
                if (const auto it = index.find(name); it != index.end()) keep(it->second, interpret(program_.prologue, std::span(&value, 1), {}, parameters, {.real = program_.real}).front());
            });
            for (const std::string& name : parameters.names()) release_mapped(parameters.at(name).raw(), parameters.at(name).bytes());
        }
    }

    void keep(int parameter, const Tensor& value) {
        const auto at = static_cast<std::size_t>(program_.parameter_buffers[static_cast<std::size_t>(parameter)]);
        const Buffer& buffer = program_.buffers[at];
        AlignedBytes& bytes = derived_.bytes.at(name_of(parameter));
        bytes = is_read_[at] ? in_layout(program_, buffer.type, buffer.layout, value) : AlignedBytes();
        pack(parameter, value);
    }

    void pack_and_release(int parameter, const Tensor& value) {
        pack(parameter, value);
        release_mapped(value.raw(), value.bytes());
    }

    void pack(int parameter, const Tensor& value) {
        const auto forms = packed_of_.find(parameter);
        if (forms == packed_of_.end()) return;
        for (const std::size_t k : forms->second) {
            const Buffer& buffer = program_.buffers[static_cast<std::size_t>(program_.packed[k].second)];
            derived_.packed[k] = in_layout(program_, buffer.type, buffer.layout, value);
        }
    }

    State::Impl& state_;
    const Executable::Impl& program_;
    State::Impl::Derived& derived_;
    std::vector<bool> is_read_;
    std::map<int, std::vector<std::size_t>> packed_of_;  ///< parameter -> its places in program.packed
};

/// Everything the program keeps beside the parameters, made again where they changed.
void derive(State::Impl& state, const Executable& executable) {
    const Executable::Impl& program = executable.impl();
    auto& derived = state.derived[&program];
    if (derived.version == state.version) return;
    Deriving(state, program, derived).run();
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
