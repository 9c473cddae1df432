#include "data/picture_files.h"

#include <algorithm>

#include "core/file.h"
#include "core/text.h"

namespace fovea {

namespace {

class PictureFiles : public Dataset {
public:
    PictureFiles(std::string name, std::vector<std::string> classes, std::vector<PictureFile> files) : Dataset(std::move(name), std::move(classes)), files_(std::move(files)) {}

    std::int64_t size() const override { return static_cast<std::int64_t>(files_.size()); }
    Shape image_shape() const override { return {0, 0, 3}; }
    std::int64_t label(std::int64_t index) const override { return file(index).label; }
    std::string key(std::int64_t index) const override { return (file(index).path.parent_path().filename() / file(index).path.filename()).string(); }
    Sample get(std::int64_t index) const override { return get_part(index, {}); }
    Sample get_part(std::int64_t index, const DecodeLimits& limits) const override { return {read_image(file(index).path, 3, limits), file(index).label}; }
    std::vector<std::byte> encoded(std::int64_t index) const override { return read_file(file(index).path); }

private:
    const PictureFile& file(std::int64_t index) const {
        require<ArgumentError>(index >= 0 && index < size(), "data set '{}': no picture {} of {}", name(), index, size());
        return files_[static_cast<std::size_t>(index)];
    }

    std::vector<PictureFile> files_;
};

}  // namespace

DatasetPtr picture_files(std::string name, std::vector<std::string> classes, std::vector<PictureFile> files) {
    for (const PictureFile& file : files)
        require<ArgumentError>(file.label >= 0 && file.label < static_cast<std::int64_t>(classes.size()), "data set '{}': '{}' has label {}, expected 0..{}", name, file.path.string(), file.label,
                               static_cast<std::int64_t>(classes.size()) - 1);
    return std::make_shared<PictureFiles>(std::move(name), std::move(classes), std::move(files));
}

bool is_picture_name(std::string_view name) {
    constexpr std::array<std::string_view, 8> endings{".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".pgm", ".pnm"};
    std::string ending = std::filesystem::path(name).extension().string();
    std::ranges::transform(ending, ending.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return std::ranges::find(endings, ending) != endings.end();
}

}  // namespace fovea
