// A file that is either the old one or the new one, whole.
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mapped_file.h"
#include "core/text.h"
#include "fovea/core.h"

namespace fovea {

namespace {

namespace fs = std::filesystem;

[[nodiscard]] std::string reason(int error) { return std::strerror(error); }

/// Removes a file unless told that it has become something to keep.
struct TemporaryFile {
    std::string path;
    bool keep = false;
    ~TemporaryFile() {
        if (!keep) ::unlink(path.c_str());
    }
};

void write_all(const Descriptor& file, const std::string& path, std::string_view bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t written = ::write(file.get(), bytes.data() + done, bytes.size() - done);
        if (written < 0 && errno == EINTR) continue;
        require<Error>(written > 0, "write '{}': {} after {} of {} bytes", path, reason(errno), done, bytes.size());
        done += static_cast<std::size_t>(written);
    }
}

}  // namespace

void write_file_atomically(const std::string& name, std::string_view bytes) {
    std::error_code ignored;
    if (const fs::file_status status = fs::status(name, ignored); fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status)) {
        Descriptor device(::open(name.c_str(), O_WRONLY | O_CLOEXEC));
        require<Error>(device.get() >= 0, "write '{}': {}", name, reason(errno));
        write_all(device, name, bytes);
        return;
    }
    const std::string path = fs::is_symlink(name, ignored) ? fs::weakly_canonical(name, ignored).string() : name;
    const std::size_t slash = path.find_last_of('/');
    const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    std::string pattern = path + ".XXXXXX";
    Descriptor file(::mkostemp(pattern.data(), O_CLOEXEC));
    require<Error>(file.get() >= 0, "write '{}': {}", path, reason(errno));
    TemporaryFile temporary{pattern};
    write_all(file, path, bytes);
    // mkostemp makes 0600; a weights file is as readable as any other file its user makes.
    const mode_t mask = ::umask(0);
    ::umask(mask);
    // Apart from require(), whose arguments may be worked out first: errno would be an older one.
    const bool is_whole = ::fchmod(file.get(), 0666 & ~mask) == 0 && ::fsync(file.get()) == 0 && file.close();
    require<Error>(is_whole, "write '{}': {}", path, reason(errno));
    const bool is_renamed = ::rename(pattern.c_str(), path.c_str()) == 0;
    require<Error>(is_renamed, "write '{}': {}", path, reason(errno));
    temporary.keep = true;
    // The name itself is durable only once its directory is; a file system that cannot sync directories is not an error.
    const Descriptor folder(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder.get() >= 0) ::fsync(folder.get());
}

}  // namespace fovea
