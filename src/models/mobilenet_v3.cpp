// MobileNetV3. Howard et al. 2019, arXiv:1905.02244, tables 1 and 2: inverted residuals found by search, some with squeeze and
// excitation, hard swish in the deeper half. Names of torchvision.
#include <span>

#include "core/text.h"
#include "models/build.h"
#include "models/inverted_residual.h"

namespace fovea {

namespace {

Value rectified(const Value& x) { return relu(x); }
Value hard_swished(const Value& x) { return hard_swish(x); }

constexpr double eps = 1e-3, momentum = 0.01;

struct Row {
    std::int64_t kernel, expanded, out;
    bool squeezes, swishes;
    std::int64_t stride;
};
constexpr Row large[] = {{3, 16, 16, false, false, 1},  {3, 64, 24, false, false, 2},  {3, 72, 24, false, false, 1}, {5, 72, 40, true, false, 2},   {5, 120, 40, true, false, 1},
                         {5, 120, 40, true, false, 1},  {3, 240, 80, false, true, 2},  {3, 200, 80, false, true, 1}, {3, 184, 80, false, true, 1},  {3, 184, 80, false, true, 1},
                         {3, 480, 112, true, true, 1},  {3, 672, 112, true, true, 1},  {5, 672, 160, true, true, 2}, {5, 960, 160, true, true, 1},  {5, 960, 160, true, true, 1}};
constexpr Row small[] = {{3, 16, 16, true, false, 2}, {3, 72, 24, false, false, 2}, {3, 88, 24, false, false, 1}, {5, 96, 40, true, true, 2},  {5, 240, 40, true, true, 1}, {5, 240, 40, true, true, 1},
                         {5, 120, 48, true, true, 1}, {5, 144, 48, true, true, 1},  {5, 288, 96, true, true, 2},  {5, 576, 96, true, true, 1}, {5, 576, 96, true, true, 1}};

Graph build(const ModelOptions& options, std::span<const Row> rows, std::int64_t hidden) {
    const auto width = [&](std::int64_t channels) { return in_eights(static_cast<double>(channels) * options.width_multiplier); };
    Graph net;
    Value x = conv_norm(image_input(net, options), "features.0", {width(16), 3, 2, 1, eps, momentum, hard_swished});
    net.module_output("features.0", x);
    int index = 1;
    StrideTaps taps(net);
    for (const Row& row : rows) {
        taps.before(x, row.stride);
        const auto scope = net.scope(fmt::format("features.{}", index++));
        const std::int64_t expanded = width(row.expanded);
        x = inverted_residual(x, {.expanded = expanded, .kernel = row.kernel, .stride = row.stride, .out = width(row.out), .activation = row.swishes ? hard_swished : rectified,
                                  .squeeze = row.squeezes ? in_eights(static_cast<double>(expanded / 4)) : 0, .gate = SqueezeExciteSpec::Gate::hard_sigmoid, .eps = eps, .momentum = momentum});
    }
    const std::string last = fmt::format("features.{}", index);
    x = conv_norm(x, last, {6 * x.shape()[1], 1, 1, 1, eps, momentum, hard_swished});
    net.module_output(last, x);
    taps.last(x);
    const Init weights = Init::normal(0, 0.01), biases = Init::zeros();
    x = flatten(global_avg_pool(x, "avgpool"));
    x = hard_swish(linear(x, {.out = width(hidden), .init = weights, .bias_init = biases}, "classifier.0"), "classifier.1");
    net.module_output("pooled", x);
    x = dropout(x, {.drop = dropout_of(options, 0.2)}, "classifier.2");
    classes_out(linear(x, {.out = options.classes, .init = weights, .bias_init = biases}, "classifier.3"));
    return net;
}

Graph build_large(const ModelCard&, const ModelOptions& options) { return build(options, large, 1280); }
Graph build_small(const ModelCard&, const ModelOptions& options) { return build(options, small, 1024); }

}  // namespace

std::vector<ModelCard> mobilenet_v3_cards() {
    constexpr const char* paper = "Howard et al. 2019, Searching for MobileNetV3, arXiv:1905.02244";
    return {{.name = "mobilenet_v3_large", .family = "mobilenet", .year = 2019, .paper = paper, .summary = "searched inverted residuals, squeeze and excitation, hard swish", .height = 224,
             .width = 224, .classes = 1000, .preprocess = imagenet(), .parameters = 5483032, .macs = 216589760,
             .accuracy = "ImageNet top-1 74.042 %, top-5 91.340 % (torchvision, IMAGENET1K_V1)", .build = build_large},
            {.name = "mobilenet_v3_small", .family = "mobilenet", .year = 2019, .paper = paper, .summary = "the same for the smallest devices", .height = 224, .width = 224,
             .classes = 1000, .preprocess = imagenet(), .parameters = 2542856, .macs = 56510400,
             .accuracy = "ImageNet top-1 67.668 %, top-5 87.402 % (torchvision, IMAGENET1K_V1)", .build = build_small}};
}

}  // namespace fovea
