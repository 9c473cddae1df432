// A folder per class.
#include <algorithm>
#include <set>

#include "core/text.h"
#include "data/picture_files.h"

namespace fovea {

namespace {

namespace fs = std::filesystem;

/// Sorted by name: the order in which a file system lists is its own.
std::vector<fs::path> sorted(const fs::path& directory, bool wants_directories) {
    std::vector<fs::path> paths;
    std::error_code error;
    for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
        const bool is_hidden = it->path().filename().string().starts_with(".");
        std::error_code type_error;  // a dangling link is neither
        if (!is_hidden && (wants_directories ? it->is_directory(type_error) : it->is_regular_file(type_error) && is_picture_name(it->path().filename().string()))) paths.push_back(it->path());
    }
    require<FormatError>(!error, "open '{}': {}", directory.string(), error.message());
    std::ranges::sort(paths);
    return paths;
}

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

/// The class folders of all splits: a class has one number, also where a split lacks it.
std::vector<std::string> class_names(const fs::path& directory, const fs::path& root) {
    std::set<std::string> names;
    for (const fs::path& split : {root, directory / "train", directory / "val", directory / "test"})
        if (split == root || (root != directory && fs::is_directory(split)))
            for (const fs::path& folder : sorted(split, true)) names.insert(folder.filename().string());
    return {names.begin(), names.end()};
}

}  // namespace

DatasetPtr image_folder(const fs::path& directory, Split split) {
    const fs::path root = split_directory(directory, split);
    const auto folders = sorted(root, true);
    require<FormatError>(!folders.empty(), "open '{}': no class folders there", root.string());
    const std::vector<std::string> classes = class_names(directory, root);
    std::vector<PictureFile> files;
    for (const auto& folder : folders) {
        const auto number = std::ranges::lower_bound(classes, folder.filename().string()) - classes.begin();
        for (auto& file : sorted(folder, false)) files.push_back({std::move(file), number});
    }
    require<FormatError>(!files.empty(), "open '{}': no *.jpg, *.png, *.webp, *.bmp or *.ppm in its {} class folders", root.string(), classes.size());
    return picture_files(fmt::format("folder:{} ({})", directory.string(), root == directory ? "undivided" : name_of(split)), std::move(classes), std::move(files));
}

}  // namespace fovea
