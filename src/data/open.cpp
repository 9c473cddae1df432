// "cifar10:DIR" -> a data set.
#include <algorithm>

#include "core/text.h"
#include "fovea/data.h"

namespace fovea {

const std::vector<std::pair<std::string, std::string>>& dataset_names() {
    static const std::vector<std::pair<std::string, std::string>> names{
        {"mnist", "mnist:DIR            60,000 + 10,000 digits, 28x28 grey: {train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz]"},
        {"fashion-mnist", "fashion-mnist[:DIR]  60,000 + 10,000 clothes, same files (Debian: dataset-fashion-mnist)"},
        {"cifar10", "cifar10:DIR          50,000 + 10,000, 32x32 colour: *.bin, cifar-10-binary.tar.gz or cifar10-{train,test}-jpg.tar.xz"},
        {"cifar100", "cifar100:DIR         the same with 100 classes: train.bin, test.bin or cifar-100-binary.tar.gz"},
        {"cifar10-lossless", "cifar10-lossless:DIR one file of CIFAR-10 records (.bin, .bin.gz, .bin.xz), the same for every split"},
        {"folder", "folder:DIR           a sub-folder of *.jpg, *.png, ... per class; optional train/ and val/ or test/ above them"},
        {"csv", "csv:FILE             columns file and label, optional name, split and weight"},
        {"shards", "shards:DIR           {train,val,test}-*.tar in WebDataset's layout: KEY.jpg, KEY.cls; 'fovea data pack' writes them"},
        {"imagenet500", "imagenet500:DIR      500 pictures with ImageNet's labels: labels.csv, classes.csv, images/"},
    };
    return names;
}

DatasetPtr open_dataset(std::string_view text, Split split) {
    const auto colon = text.find(':');
    const std::string_view name = text.substr(0, colon);
    const std::filesystem::path directory = colon == std::string_view::npos ? "" : text.substr(colon + 1);
    std::vector<std::string> names;
    for (const auto& [known, help] : dataset_names()) names.push_back(known);
    if (std::ranges::find(names, name) == names.end()) {
        const auto nearest = nearest_names(name, names);
        fail<ArgumentError>("no data set '{}'; nearest: {}, {}, {}", name, nearest[0], nearest[1], nearest[2]);
    }
    if (name == "fashion-mnist" && directory.empty()) {
        require<FormatError>(std::filesystem::exists(fashion_mnist_directory), "open '{}': not there; install the package dataset-fashion-mnist or give fashion-mnist:DIR",
                             fashion_mnist_directory);
        return fashion_mnist(fashion_mnist_directory, split);
    }
    require<ArgumentError>(!directory.empty(), "data set '{}' needs its directory: {}:DIR", name, name);
    require<FormatError>(std::filesystem::exists(directory), "open '{}': no such file or directory", directory.string());
    if (name == "mnist") return mnist(directory, split);
    if (name == "fashion-mnist") return fashion_mnist(directory, split);
    if (name == "cifar10") return cifar10(directory, split);
    if (name == "cifar100") return cifar100(directory, split);
    if (name == "cifar10-lossless") return cifar10_file(directory);
    if (name == "csv") return csv_pictures(directory, split);
    if (name == "shards") return shards(directory, split);
    if (name == "imagenet500") return imagenet500(directory);
    return image_folder(directory, split);
}

}  // namespace fovea
