#include "data/picture_files.h"

#include <algorithm>

#include "core/file.h"
#include "core/text.h"

namespace fovea {

namespace {

class PictureFiles : public Dataset {
public:
    PictureFiles(std::string name, std::vector<std::string> classes, std::vector<PictureFile> files) : Dataset(std::move(name), std::move(classes)), files_(std::move(files)) {
        has_tags_ = std::ranges::any_of(files_, [](const PictureFile& file) { return !file.tags.empty(); });
    }

    std::int64_t size() const override { return static_cast<std::int64_t>(files_.size()); }
    Shape image_shape() const override { return {0, 0, 3}; }
    std::int64_t label(std::int64_t index) const override { return file(index).label; }
    std::vector<std::int64_t> tags(std::int64_t index) const override { return file(index).tags.empty() ? Dataset::tags(index) : file(index).tags; }
    bool has_tags() const override { return has_tags_; }
    double weight(std::int64_t index) const override { return file(index).weight; }
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
    bool has_tags_ = false;
};

}  // namespace

DatasetPtr picture_files(std::string name, std::vector<std::string> classes, std::vector<PictureFile> files) {
    const auto check = [&](const PictureFile& file, std::int64_t label) {
        require<ArgumentError>(label >= 0 && label < static_cast<std::int64_t>(classes.size()), "data set '{}': '{}' has label {}, expected 0..{}", name, file.path.string(), label,
                               static_cast<std::int64_t>(classes.size()) - 1);
    };
    for (const PictureFile& file : files) {
        check(file, file.label);
        for (const std::int64_t tag : file.tags) check(file, tag);
    }
    return std::make_shared<PictureFiles>(std::move(name), std::move(classes), std::move(files));
}

bool is_picture_name(std::string_view name) {
    constexpr std::array<std::string_view, 8> endings{".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".pgm", ".pnm"};
    std::string ending = std::filesystem::path(name).extension().string();
    std::ranges::transform(ending, ending.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return std::ranges::find(endings, ending) != endings.end();
}

}  // namespace fovea
