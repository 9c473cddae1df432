// HDF5 files as far as Keras writes them, from bytes that may hold anything. Every offset is checked before it is followed, nothing outside
// the file is opened and nothing is run. libhdf5 1.10 was tried first: flipping the bits of one small file, one at a time, took it 20 s, of
// another it did not come to an end in 150 s.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "io/file.h"

namespace fovea {

struct Hdf5Chunks;

/// Throws FormatError beginning with "load 'file': ".
class Hdf5File {
public:
    explicit Hdf5File(const Source& source);

    /// A group or a data set, by the place of its header in the file.
    using Object = std::uint64_t;
    [[nodiscard]] Object root() const { return root_; }
    /// Below `group`, "a/b/c". Throws when a part is missing or a link to somewhere else.
    [[nodiscard]] Object find(Object group, const std::string& path) const;
    [[nodiscard]] bool has(Object group, const std::string& name) const;
    /// An attribute of texts, of fixed or free length; none when there is no such attribute. An empty list of numbers is an empty list.
    [[nodiscard]] std::optional<std::vector<std::string>> texts(Object object, const std::string& name) const;
    /// A data set's numbers as f32.
    [[nodiscard]] Tensor floats(Object dataset, const std::string& name) const;

private:
    struct Message {
        unsigned type = 0;
        std::span<const std::byte> bytes;
    };
    [[nodiscard]] std::vector<Message> messages(Object object) const;
    [[nodiscard]] std::optional<Object> child(Object group, const std::string& name) const;
    [[nodiscard]] std::optional<Object> child_in_tree(std::uint64_t tree, std::uint64_t heap, const std::string& name) const;
    [[nodiscard]] std::span<const std::byte> at(std::uint64_t offset, std::uint64_t size, std::string_view what) const;
    [[nodiscard]] std::string heap_text(std::uint64_t collection, std::uint32_t index, std::uint32_t length) const;
    void read_chunks(std::uint64_t tree, const Hdf5Chunks& layout, std::vector<std::byte>& values) const;

    const Source& source_;
    Object root_ = 0;
};

}  // namespace fovea
