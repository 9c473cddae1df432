// Listings that mean AlexNet or a VGG and say something else: what teaching material got wrong, told once.
#include <algorithm>
#include <cctype>

#include "models/listing.h"

namespace fovea::listing {

namespace {

std::vector<const Step*> of(const Network& network, std::string_view layer) {
    std::vector<const Step*> found;
    for (const Step& step : network.steps)
        if (step.layer == layer) found.push_back(&step);
    return found;
}

/// Krizhevsky et al. 2012: 96 (11 x 11), 256 (5 x 5), 384, 384, 256 (3 x 3), two layers of 4096.
void compare_with_alexnet(Network& network) {
    const auto convolutions = of(network, "conv"), linears = of(network, "linear");
    if (convolutions.size() != 5 || linears.size() != 3 || convolutions[0]->kernel != 11) return;
    constexpr std::int64_t out[] = {96, 256, 384, 384, 256}, kernel[] = {11, 5, 3, 3, 3};
    static constexpr const char* names[] = {"first convolution", "second convolution", "first convolution of the last group", "second convolution of the last group", "third convolution of the last group"};
    for (std::size_t i = 0; i < 5; ++i) {
        if (convolutions[i]->out != out[i]) network.note(fmt::format("line {}: the {} has {} filters, AlexNet's has {}", convolutions[i]->line, names[i], convolutions[i]->out, out[i]));
        if (convolutions[i]->kernel != kernel[i])
            network.note(fmt::format("line {}: the {} is {} x {}, AlexNet's is {} x {}", convolutions[i]->line, names[i], convolutions[i]->kernel, convolutions[i]->kernel, kernel[i], kernel[i]));
        if (i > 0 && convolutions[i]->stride != 1) network.note(fmt::format("line {}: the {} has stride {}, AlexNet's has 1", convolutions[i]->line, names[i], convolutions[i]->stride));
    }
}

/// Simonyan and Zisserman 2014, table 1: convolutions per block.
void compare_with_vgg(Network& network) {
    std::vector<int> blocks{0};
    std::int64_t kernel = 0, convolutions = 0;
    bool has_widths = true;
    constexpr std::int64_t widths[] = {64, 128, 256, 512, 512};
    for (const Step& step : network.steps) {
        if (step.layer == "conv") {
            has_widths &= blocks.size() <= 5 && step.out == widths[blocks.size() - 1];
            ++blocks.back(), ++convolutions, kernel = std::max(kernel, step.kernel);
        } else if (step.layer == "pool") {
            blocks.push_back(0);
        }
    }
    if (blocks.back() == 0) blocks.pop_back();
    const auto linears = static_cast<std::int64_t>(of(network, "linear").size());
    if (blocks.size() != 5 || !has_widths || kernel != 3 || linears != 3) return;
    struct Known {
        const char* name;
        std::vector<int> blocks;
    };
    static const Known known[] = {{"A", {1, 1, 2, 2, 2}}, {"B", {2, 2, 2, 2, 2}}, {"D", {2, 2, 3, 3, 3}}, {"E", {2, 2, 4, 4, 4}}};
    for (const Known& k : known)
        if (k.blocks == blocks) {
            network.note(fmt::format("this is VGG's configuration {} ({} layers with weights)", k.name, convolutions + linears));
            return;
        }
    network.note(fmt::format("{} convolutions + {} fully connected = {} layers, {} per block: no configuration of VGG (D has 2-2-3-3-3, E 2-2-4-4-4)", convolutions, linears, convolutions + linears,
                             fmt::join(blocks, "-")));
}

}  // namespace

void compare_with_known(Network& network) {
    compare_with_alexnet(network);
    compare_with_vgg(network);
    for (const Step& step : network.steps)
        if (step.layer == "pool" && step.stride > step.kernel)
            network.note(fmt::format("line {}: {} takes steps of {} with a window of {}: pixels between the windows are never read", step.line, step.label, step.stride, step.kernel));
}

}  // namespace fovea::listing
