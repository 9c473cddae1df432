// Pictures in class folders on disk, decoded when asked for.
#include <algorithm>

#include "core/text.h"
#include "fovea/data.h"

namespace fovea {

namespace {

namespace fs = std::filesystem;

bool is_image_file(const fs::path& path) {
    std::string ending = path.extension().string();
    std::ranges::transform(ending, ending.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return ending == ".jpg" || ending == ".jpeg" || ending == ".png";
}

/// Sorted by name: the order in which a file system lists is its own.
std::vector<fs::path> sorted(const fs::path& directory, bool wants_directories) {
    std::vector<fs::path> paths;
    std::error_code error;
    for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
        const bool is_hidden = it->path().filename().string().starts_with(".");
        std::error_code type_error;  // a dangling link is neither
        if (!is_hidden && (wants_directories ? it->is_directory(type_error) : it->is_regular_file(type_error) && is_image_file(it->path()))) paths.push_back(it->path());
    }
    require<FormatError>(!error, "open '{}': {}", directory.string(), error.message());
    std::ranges::sort(paths);
    return paths;
}

class FolderDataset : public Dataset {
public:
    FolderDataset(std::string name, std::vector<std::string> classes, std::vector<std::pair<fs::path, std::int64_t>> files)
        : Dataset(std::move(name), std::move(classes)), files_(std::move(files)) {}

    std::int64_t size() const override { return static_cast<std::int64_t>(files_.size()); }
    Shape image_shape() const override { return {0, 0, 3}; }
    std::int64_t label(std::int64_t index) const override { return file(index).second; }
    Sample get(std::int64_t index) const override { return {read_image(file(index).first), file(index).second}; }

private:
    const std::pair<fs::path, std::int64_t>& file(std::int64_t index) const {
        require<ArgumentError>(index >= 0 && index < size(), "data set '{}': no picture {} of {}", name(), index, size());
        return files_[static_cast<std::size_t>(index)];
    }

    std::vector<std::pair<fs::path, std::int64_t>> files_;
};

/// The directory of the classes of a split.
fs::path split_directory(const fs::path& directory, Split split) {
    const auto train = directory / "train", val = directory / "val", test = directory / "test";
    const bool has_train = fs::is_directory(train), has_val = fs::is_directory(val), has_test = fs::is_directory(test);
    if (!has_train && !has_val && !has_test) return directory;
    if (split == Split::train && has_train) return train;
    if (split == Split::val && (has_val || has_test)) return has_val ? val : test;
    if (split == Split::test && (has_val || has_test)) return has_test ? test : val;
    fail<FormatError>("open '{}': no {} there", directory.string(), split == Split::train ? "train/" : "val/ and no test/");
}

}  // namespace

DatasetPtr image_folder(const fs::path& directory, Split split) {
    const fs::path root = split_directory(directory, split);
    const auto folders = sorted(root, true);
    require<FormatError>(!folders.empty(), "open '{}': no class folders there", root.string());
    std::vector<std::string> classes;
    std::vector<std::pair<fs::path, std::int64_t>> files;
    for (const auto& folder : folders) {
        for (auto& file : sorted(folder, false)) files.emplace_back(std::move(file), static_cast<std::int64_t>(classes.size()));
        classes.push_back(folder.filename().string());
    }
    require<FormatError>(!files.empty(), "open '{}': no *.jpg, *.jpeg or *.png in its {} class folders", root.string(), classes.size());
    return std::make_shared<FolderDataset>(fmt::format("folder:{} ({})", directory.string(), root == directory ? "undivided" : name_of(split)), std::move(classes), std::move(files));
}

}  // namespace fovea
