// A small reader for Python's pickle that can only build plain containers and PyTorch tensors. Nothing in the stream is ever run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/elements.h"

namespace fovea {

/// One Python object. Children are pointers into the Pickle that owns them all, so shared and cyclic objects need no care.
struct PickleObject {
    enum class Kind { none, boolean, integer, real, text, bytes, list, tuple, dictionary, global, storage, tensor };
    Kind kind = Kind::none;
    std::int64_t integer = 0;  ///< boolean, integer; tensor: offset into the storage, in elements
    double real = 0;
    std::string text;  ///< text, bytes; global: "module name"; storage: its key
    std::vector<PickleObject*> items;                            ///< list, tuple
    std::vector<std::pair<PickleObject*, PickleObject*>> pairs;  ///< dictionary
    // storage and tensor
    Stored stored{};
    std::int64_t count = 0;  ///< storage: elements
    PickleObject* storage = nullptr;
    std::vector<std::int64_t> sizes, strides;
};

/// Owns the objects of one or several streams.
class Pickle {
public:
    /// Reads one object from the front of `bytes`, which then begins behind its STOP. Throws FormatError beginning with "load 'file': ".
    PickleObject* read(std::span<const std::byte>& bytes, std::string_view file);

private:
    friend class PickleMachine;
    std::deque<PickleObject> objects_;  // a deque: addresses stay
};

}  // namespace fovea
