#include "io/file.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/text.h"
#include "fovea/io.h"

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

namespace {

// A tensor smaller than this lies in the one mapping of the file: a mapping of its own takes a call and some pages.
constexpr std::size_t own_piece_bytes = std::size_t{1} << 20;

[[nodiscard]] std::string reason(int error) { return std::strerror(error); }

/// Removes a file unless told that it has become something to keep.
struct TemporaryFile {
    std::string path;
    bool keep = false;
    ~TemporaryFile() {
        if (!keep) ::unlink(path.c_str());
    }
};

}  // namespace

MappedFile::MappedFile(const std::string& path) : path_(path), file_(std::make_shared<const Descriptor>(::open(path.c_str(), O_RDONLY | O_CLOEXEC))) {
    require<Error>(file_->get() >= 0, "read '{}': {}", path, reason(errno));
    struct stat info {};
    require<Error>(::fstat(file_->get(), &info) == 0, "read '{}': {}", path, reason(errno));
    require<Error>(S_ISREG(info.st_mode), "read '{}': not a regular file", path);
    size_ = static_cast<std::size_t>(info.st_size);
    if (size_ == 0) return;
    data_ = map_file(file_->get(), 0, size_);
    require<Error>(data_ != nullptr, "read '{}': {}", path, reason(errno));
}

std::shared_ptr<std::byte[]> MappedFile::piece(std::size_t from, std::size_t size) const {
    if (size < own_piece_bytes) return {data_, data_.get() + from};
    std::shared_ptr<std::byte[]> own = map_file(file_->get(), from, size);
    require<Error>(own != nullptr, "read '{}': {}", path_, reason(errno));
    return own;
}

Tensor Source::tensor(std::span<const std::byte> from, Stored stored, const Shape& shape) const {
    const DType dtype = held_as(stored);
    const bool is_as_stored = size_of(stored) == size_of(dtype);
    if (file && is_as_stored && !from.empty() && reinterpret_cast<std::uintptr_t>(from.data()) % size_of(dtype) == 0) {
        require<Error>(from.data() >= bytes.data() && from.data() + from.size() <= bytes.data() + bytes.size(), "load '{}': values outside the file", name);
        return Tensor::over(file->piece(static_cast<std::size_t>(from.data() - bytes.data()), from.size()), shape, dtype);
    }
    Tensor tensor(shape, dtype);
    if (is_as_stored) {
        if (!from.empty()) std::memcpy(tensor.raw(), from.data(), from.size());
    } else {
        widen_all(stored, from.data(), tensor);
    }
    return tensor;
}

void write_file_atomically(const std::string& path, std::string_view bytes) {
    const std::size_t slash = path.find_last_of('/');
    const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    std::string pattern = path + ".XXXXXX";
    Descriptor file(::mkostemp(pattern.data(), O_CLOEXEC));
    require<Error>(file.get() >= 0, "write '{}': {}", path, reason(errno));
    TemporaryFile temporary{pattern};
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t written = ::write(file.get(), bytes.data() + done, bytes.size() - done);
        if (written < 0 && errno == EINTR) continue;
        require<Error>(written > 0, "write '{}': {} after {} of {} bytes", path, reason(errno), done, bytes.size());
        done += static_cast<std::size_t>(written);
    }
    // mkostemp makes 0600; a weights file is as readable as any other file its user makes.
    const mode_t mask = ::umask(0);
    ::umask(mask);
    require<Error>(::fchmod(file.get(), 0666 & ~mask) == 0 && ::fsync(file.get()) == 0 && file.close(), "write '{}': {}", path, reason(errno));
    require<Error>(::rename(pattern.c_str(), path.c_str()) == 0, "write '{}': {}", path, reason(errno));
    temporary.keep = true;
    // The name itself is durable only once its directory is; a file system that cannot sync directories is not an error.
    const Descriptor folder(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder.get() >= 0) ::fsync(folder.get());
}

}  // namespace fovea
