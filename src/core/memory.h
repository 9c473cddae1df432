#pragma once

#include <cstddef>
#include <memory>

namespace fovea {

/// Memory for vectors, its values unknown: aligned to a cache line (one AVX-512 register) and rounded up to a multiple of it, so that
/// vector loads stay inside. From 2 MiB on it asks for huge pages, as many as fit inside: fewer page walks, and a five-hundredth of the page faults.
/// Throws std::bad_alloc.
[[nodiscard]] std::shared_ptr<std::byte[]> allocate(std::size_t bytes);
/// What allocate() takes for so many bytes.
[[nodiscard]] std::size_t allocated(std::size_t bytes);

/// Bytes [from, from + bytes) of an open file. Private pages: what is written there stays in this process. Null when the system refuses (errno).
[[nodiscard]] std::shared_ptr<std::byte[]> map_file(int descriptor, std::size_t from, std::size_t bytes);
/// Whether `address` lies in a file mapped so, which costs no memory to keep: the system can always read its pages again.
[[nodiscard]] bool is_mapped(const std::byte* address);
/// Of bytes in a file mapped so, gives the pages back that nobody has written to: for values of which another form has been made. Whoever reads
/// them again gets them from the file. Nothing happens to other memory.
void release_mapped(const std::byte* address, std::size_t bytes);

}  // namespace fovea
