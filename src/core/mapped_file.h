// A file's bytes in memory without reading them, and the descriptor they come through.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include <unistd.h>

namespace fovea {

/// Owns a file descriptor.
class Descriptor {
public:
    explicit Descriptor(int fd) : fd_(fd) {}
    ~Descriptor() {
        if (fd_ >= 0) ::close(fd_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int get() const { return fd_; }
    /// Closes and reports what close() says: on some file systems a full disk is first noticed here.
    [[nodiscard]] bool close() { return ::close(std::exchange(fd_, -1)) == 0; }

private:
    int fd_;
};

/// A file, mapped whole. The mapping lives as long as this object or any tensor over it. Throws Error naming the path and the system's reason.
class MappedFile {
public:
    explicit MappedFile(const std::string& path);
    [[nodiscard]] std::span<const std::byte> bytes() const { return {data_.get(), size_}; }
    /// Bytes [from, from + size): of this mapping, or large ones in a mapping of their own, which ends with its last owner.
    [[nodiscard]] std::shared_ptr<std::byte[]> piece(std::size_t from, std::size_t size) const;

private:
    std::string path_;
    std::shared_ptr<const Descriptor> file_;
    std::shared_ptr<std::byte[]> data_;
    std::size_t size_ = 0;
};

}  // namespace fovea
