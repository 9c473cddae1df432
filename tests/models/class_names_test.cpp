// What predicted numbers are called.
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "fovea/models.h"
#include "support.h"

namespace fovea {
namespace {

TEST(ClassNames, ImageNetHasAThousandOfWhichWellKnownOnesStandInTheirRows) {
    const std::vector<std::string> names = class_names("imagenet");
    ASSERT_EQ(names.size(), 1000U);
    EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), 1000U) << "a name stands twice";
    EXPECT_EQ(names[0], "tench");
    EXPECT_EQ(names[207], "golden retriever");
    EXPECT_EQ(names[281], "tabby");
    EXPECT_EQ(names[340], "zebra");
    EXPECT_EQ(names[404], "airliner");
    EXPECT_EQ(names[817], "sports car");
    EXPECT_EQ(names[999], "toilet tissue");
    for (const std::string& name : names) EXPECT_FALSE(name.empty() || name.find('|') != std::string::npos || name.front() == ' ' || name.back() == ' ') << name;
    const std::vector<std::string> more = class_names("imagenet1001");
    ASSERT_EQ(more.size(), 1001U);
    EXPECT_EQ(more[0], "background");
    EXPECT_TRUE(std::equal(names.begin(), names.end(), more.begin() + 1));
}

TEST(ClassNames, OfImageNetAreTorchvisions) {
    std::ifstream file("/usr/lib/python3/dist-packages/torchvision/models/_meta.py");
    if (!file) GTEST_SKIP() << "Debian's python3-torchvision is not installed";
    std::vector<std::string> theirs;
    bool is_inside = false;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("_IMAGENET_CATEGORIES")) is_inside = true;
        else if (line == "]") is_inside = false;
        else if (is_inside) theirs.push_back(line.substr(5, line.size() - 7));  // four blanks, quotes, comma
    }
    EXPECT_EQ(theirs, class_names("imagenet"));
}

TEST(ClassNames, OfACardAreThoseItWasPublishedWith) {
    EXPECT_EQ(class_names(find_model("resnet50"), 1000).at(340), "zebra");
    EXPECT_EQ(class_names(find_model("mobilenet_v1"), 1001).at(0), "background");
    EXPECT_EQ(class_names(find_model("cifar_resnet20"), 10).at(9), "truck");
    EXPECT_EQ(class_names(find_model("lenet5"), 10).at(9), "9");
    EXPECT_TRUE(class_names(find_model("resnet50"), 10).empty()) << "a new head has classes of its own";
    EXPECT_TRUE(class_names(find_model("five_blocks"), 2).empty());
    for (const std::string& set : class_sets()) EXPECT_GE(class_names(set).size(), 10U) << set;
    EXPECT_EQ(class_names("fashion-mnist").at(7), "Sneaker");
    EXPECT_EQ(class_names("cifar100").at(99), "worm");
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)class_names("imagnet"); }),
              "no classes are known by 'imagnet'; there are imagenet, imagenet1001, mnist, fashion-mnist, cifar10, cifar100");
}

}  // namespace
}  // namespace fovea
