// What predicted numbers are called, where a network's classes are those of a well-known data set.
#pragma once

#include <string_view>

namespace fovea {

/// The 1000 names of ImageNet, parted by '|'.
extern const std::string_view imagenet_class_names;

}  // namespace fovea
