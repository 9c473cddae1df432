#pragma once

#include <atomic>
#include <mutex>

#include "runtime/executable.h"

namespace fovea {

struct State::Impl {
    struct Entry {
        Type type;
        DType real = DType::f32;  ///< how "real" values are stored
        Layout layout;
        AlignedBytes bytes;
        bool is_borrowed = false;  ///< the bytes lie in a mapped file: row-major, read only, perhaps not aligned
    };
    std::vector<std::string> names;
    std::map<std::string, Entry, std::less<>> entries;
    const Backend* backend = nullptr;  ///< of the layouts
    /// Results of the prologue of an executable, with the version they were made for.
    struct Derived {
        std::uint64_t version = 0;
        std::map<std::string, AlignedBytes> bytes;  ///< empty where only packed forms are read
        std::vector<AlignedBytes> packed;  ///< one-way forms of parameters, in the order of the program's list
        std::weak_ptr<const Executable::Impl> owner;
    };
    std::map<const Executable::Impl*, Derived> derived;
    std::uint64_t version = 1;  ///< grows with every change of values or layouts
    std::mutex mutex;

    [[nodiscard]] Tensor read(std::string_view name) const;
    /// The same without a copy where the values lie row-major: a look, valid until the entry changes.
    [[nodiscard]] Tensor look(std::string_view name) const;
};

}  // namespace fovea
