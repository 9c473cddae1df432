#include "core/mapped_file.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>

#include "core/memory.h"
#include "core/text.h"

namespace fovea {

namespace {

// A tensor smaller than this lies in the one mapping of the file: a mapping of its own takes a call and some pages.
constexpr std::size_t own_piece_bytes = std::size_t{1} << 20;

}  // namespace

MappedFile::MappedFile(const std::string& path) : path_(path), file_(std::make_shared<const Descriptor>(::open(path.c_str(), O_RDONLY | O_CLOEXEC))) {
    require<Error>(file_->get() >= 0, "read '{}': {}", path, std::strerror(errno));
    struct stat info {};
    const bool is_known = ::fstat(file_->get(), &info) == 0;  // before the message, which asks for errno
    require<Error>(is_known, "read '{}': {}", path, std::strerror(errno));
    require<Error>(S_ISREG(info.st_mode), "read '{}': not a regular file", path);
    size_ = static_cast<std::size_t>(info.st_size);
    if (size_ == 0) return;
    data_ = map_file(file_->get(), 0, size_);
    require<Error>(data_ != nullptr, "read '{}': {}", path, std::strerror(errno));
}

std::shared_ptr<std::byte[]> MappedFile::piece(std::size_t from, std::size_t size) const {
    if (size < own_piece_bytes) return {data_, data_.get() + from};
    std::shared_ptr<std::byte[]> own = map_file(file_->get(), from, size);
    require<Error>(own != nullptr, "read '{}': {}", path_, std::strerror(errno));
    return own;
}

}  // namespace fovea
