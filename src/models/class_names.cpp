#include "models/class_names.h"

#include "core/text.h"
#include "data/formats.h"
#include "fovea/models.h"

namespace fovea {

namespace {

std::vector<std::string> parted(std::string_view text) {
    std::vector<std::string> names;
    for (std::size_t at = 0; at <= text.size();) {
        const std::size_t end = std::min(text.find('|', at), text.size());
        names.emplace_back(text.substr(at, end - at));
        at = end + 1;
    }
    return names;
}

/// Networks converted from TensorFlow count one class more: 0 is none of the others.
std::vector<std::string> with_background(std::vector<std::string> names) {
    names.insert(names.begin(), "background");
    return names;
}

}  // namespace

std::vector<std::string> class_names(std::string_view set) {
    if (set == "imagenet") return parted(imagenet_class_names);
    if (set == "imagenet1001") return with_background(parted(imagenet_class_names));
    if (set == "mnist") return mnist_classes();
    if (set == "fashion-mnist") return fashion_mnist_classes();
    if (set == "cifar10") return cifar10_classes();
    if (set == "cifar100") return cifar100_classes();
    fail<ArgumentError>("no classes are known by '{}'; there are {}", set, fmt::join(class_sets(), ", "));
}

const std::vector<std::string>& class_sets() {
    static const std::vector<std::string> sets{"imagenet", "imagenet1001", "mnist", "fashion-mnist", "cifar10", "cifar100"};
    return sets;
}

std::vector<std::string> class_names(const ModelCard& card, std::int64_t outputs) {
    const bool is_imagenet = card.classes == 1000;
    if (is_imagenet && outputs == 1000) return class_names("imagenet");
    if (is_imagenet && outputs == 1001) return class_names("imagenet1001");
    if (card.classes != 10 || outputs != 10) return {};
    // Of ten classes there are grey digits and coloured pictures of 32 x 32.
    return class_names(card.channels == 1 ? "mnist" : "cifar10");
}

}  // namespace fovea
