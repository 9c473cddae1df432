#include "io/file.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/text.h"
#include "fovea/io.h"

namespace fovea {

namespace {

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
