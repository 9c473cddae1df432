// Pictures in files of their own, decoded when asked for.
#pragma once

#include "fovea/data.h"

namespace fovea {

struct PictureFile {
    std::filesystem::path path;
    std::int64_t label = 0;
    double weight = 1;  ///< Dataset::weight
    std::vector<std::int64_t> tags{};  ///< Dataset::tags, label first; empty: the label alone
};

/// Throws ArgumentError when a label has no class.
[[nodiscard]] DatasetPtr picture_files(std::string name, std::vector<std::string> classes, std::vector<PictureFile> files);

/// Whether a file's name says that it is a picture.
[[nodiscard]] bool is_picture_name(std::string_view name);

}  // namespace fovea
