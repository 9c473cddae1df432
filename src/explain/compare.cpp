// Networks side by side: totals, ratios, the table of keras.applications, and the chart of accuracy against operations.
#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "fovea/explain.h"

namespace fovea {

namespace {

/// The number behind "top-1 " in a card's accuracy, "ImageNet top-1 58.092 %, top-5 80.420 % (torchvision)".
std::optional<double> accuracy_in(const std::string& text, std::string_view what) {
    const std::size_t at = text.starts_with("ImageNet") ? text.find(what) : std::string::npos;
    if (at == std::string::npos) return std::nullopt;
    const std::string number = text.substr(at + what.size());
    if (number.empty() || number.find_first_of("0123456789") != 0) return std::nullopt;
    return std::stod(number);
}

double megabytes_of(std::int64_t parameters) { return static_cast<double>(parameters) * 4 / 1048576; }

std::string decimals(std::optional<double> value, int digits) { return value ? fmt::format("{:.{}f}", *value, digits) : ""; }

double ratio(std::int64_t a, std::int64_t b) { return static_cast<double>(a) / static_cast<double>(std::max<std::int64_t>(1, b)); }

}  // namespace

StackedKernels stack_kernels(const std::vector<std::int64_t>& kernels) {
    StackedKernels stack;
    for (const std::int64_t kernel : kernels) {
        require<ArgumentError>(kernel >= 1, "rf: a kernel is at least 1, got {}", kernel);
        stack.field += kernel - 1;
        stack.weights += kernel * kernel;
    }
    stack.weights_of_one = stack.field * stack.field;
    return stack;
}

std::vector<ModelCount> count_models(const std::vector<std::string>& models, Convention convention) {
    std::vector<ModelCount> counts;
    for (const std::string& name : models) {
        const ModelCard& card = find_model(name);
        const LayerTable table = layer_table(name, convention);
        counts.push_back({card.name, table.parameters, table.operations, table.volume, megabytes_of(table.parameters), accuracy_in(card.accuracy, "top-1 "), accuracy_in(card.accuracy, "top-5 ")});
    }
    return counts;
}

Sheet comparison_sheet(const std::vector<ModelCount>& counts, Convention convention) {
    Sheet sheet{.title = fmt::format("{} convention; accuracy in percent of ImageNet's validation set, higher is better, one run each", name_of(convention))};
    sheet.columns = {{"model", "model"},         {"parameters", "parameters", true}, {"MB", "megabytes", true},     {"operations", "operations", true}, {"volume", "volume", true},
                     {"top-1", "top1", true}, {"top-5", "top5", true},              {"x parameters", "parameter_ratio", true}, {"x operations", "operation_ratio", true}};
    for (const ModelCount& count : counts)
        sheet.rows.push_back({count.model, count.parameters, fmt::format("{:.1f}", count.megabytes), count.operations, count.volume, decimals(count.top1, 3), decimals(count.top5, 3),
                              fmt::format("{:.2f}", ratio(count.parameters, counts.front().parameters)), fmt::format("{:.2f}", ratio(count.operations, counts.front().operations))});
    for (std::size_t i = 1; i < counts.size(); ++i) sheet.notes.push_back(ratio_sentence(counts[i], counts[0]));
    return sheet;
}

std::string ratio_sentence(const ModelCount& model, const ModelCount& against) {
    const auto times = [](double r, std::string_view what) {
        return r >= 1 ? fmt::format("{:.2f} times the {}", r, what) : fmt::format("{:.2f} times fewer {}", 1 / r, what);
    };
    return fmt::format("{} against {}: {}, {}", model.model, against.model, times(ratio(model.operations, against.operations), "operations"),
                       times(ratio(model.parameters, against.parameters), "parameters"));
}

std::string bubble_chart(const std::vector<ModelCount>& counts) {
    std::vector<const ModelCount*> shown;
    std::string missing;
    for (const ModelCount& count : counts) {
        if (count.top1 && count.operations > 0) shown.push_back(&count);
        else missing += (missing.empty() ? "" : ", ") + count.model;
    }
    constexpr double width = 900, height = 600, left = 70, right = 30, top = 30, bottom = 70;
    double least = 1e30, most = 0, low = 100, high = 0, heaviest = 1;
    for (const ModelCount* count : shown) {
        const auto operations = static_cast<double>(count->operations);
        least = std::min(least, operations), most = std::max(most, operations);
        low = std::min(low, *count->top1), high = std::max(high, *count->top1);
        heaviest = std::max(heaviest, static_cast<double>(count->parameters));
    }
    // Decades of operations, five percent of accuracy.
    const double x0 = std::floor(std::log10(shown.empty() ? 1e8 : least)), x1 = std::max(x0 + 1, std::ceil(std::log10(shown.empty() ? 1e9 : most)));
    const double y0 = std::floor((shown.empty() ? 50 : low) / 5 - 0.2) * 5, y1 = std::ceil((shown.empty() ? 80 : high) / 5 + 0.2) * 5;
    const auto x_of = [&](double operations) { return left + (std::log10(operations) - x0) / (x1 - x0) * (width - left - right); };
    const auto y_of = [&](double accuracy) { return height - bottom - (accuracy - y0) / (y1 - y0) * (height - top - bottom); };
    std::string svg = fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" font-family=\"sans-serif\" font-size=\"12\">\n"
                                  "<rect width=\"{0}\" height=\"{1}\" fill=\"white\"/>\n", width, height);
    for (double decade = x0; decade <= x1; ++decade) {
        const double x = x_of(std::pow(10, decade));
        svg += fmt::format("<line x1=\"{0:.1f}\" y1=\"{1}\" x2=\"{0:.1f}\" y2=\"{2}\" stroke=\"#ddd\"/><text x=\"{0:.1f}\" y=\"{3}\" text-anchor=\"middle\">{4:g} G</text>\n", x, top, height - bottom,
                           height - bottom + 18, std::pow(10, decade - 9));
    }
    for (double accuracy = y0; accuracy <= y1; accuracy += 5)
        svg += fmt::format("<line x1=\"{0}\" y1=\"{2:.1f}\" x2=\"{1}\" y2=\"{2:.1f}\" stroke=\"#ddd\"/><text x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5:g} %</text>\n", left, width - right,
                           y_of(accuracy), left - 8, y_of(accuracy) + 4, accuracy);
    std::ranges::stable_sort(shown, std::greater<>{}, [](const ModelCount* count) { return count->parameters; });  // small bubbles stay visible
    constexpr std::array colours{"#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377"};
    for (std::size_t i = 0; i < shown.size(); ++i) {
        const ModelCount& count = *shown[i];
        const double x = x_of(static_cast<double>(count.operations)), y = y_of(*count.top1), radius = std::max(3.0, 40 * std::sqrt(static_cast<double>(count.parameters) / heaviest));
        svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\" fill=\"{}\" fill-opacity=\"0.5\" stroke=\"#444\"><title>{}: {} parameters, {} operations, top-1 {} %</title></circle>\n", x, y,
                           radius, colours[i % colours.size()], count.model, with_commas(count.parameters), with_commas(count.operations), *count.top1);
        svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n", x, y + 4, count.model);
    }
    svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">multiply-adds per image; the area of a bubble is its parameters (largest {})</text>\n", width / 2, height - 28,
                       with_commas(static_cast<std::int64_t>(heaviest)));
    if (!missing.empty()) svg += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"#777\">no published ImageNet accuracy: {}</text>\n", width / 2, height - 10, missing);
    return svg + "</svg>\n";
}

const std::vector<KerasEntry>& keras_applications() {
    static const std::vector<KerasEntry> entries{
        {"Xception", "xception", 88, 0.790, 0.945, 22'910'480},
        {"VGG16", "vgg16", 528, 0.713, 0.901, 138'357'544},
        {"VGG19", "vgg19", 549, 0.713, 0.900, 143'667'240},
        {"ResNet50", "resnet50", 98, 0.749, 0.921, 25'636'712},
        {"ResNet101", "resnet101", 171, 0.764, 0.928, 44'707'176},
        {"ResNet152", "resnet152", 232, 0.766, 0.931, 60'419'944},
        {"ResNet50V2", "resnet50v2", 98, 0.760, 0.930, 25'613'800},
        {"ResNet101V2", "resnet101v2", 171, 0.772, 0.938, 44'675'560},
        {"ResNet152V2", "resnet152v2", 232, 0.780, 0.942, 60'380'648},
        {"ResNeXt50", "resnext50_32x4d", 96, 0.777, 0.938, 25'097'128},
        {"ResNeXt101", "resnext101_32x4d", 170, 0.787, 0.943, 44'315'560},
        {"InceptionV3", "inception_v3", 92, 0.779, 0.937, 23'851'784},
        {"InceptionResNetV2", "inception_resnet_v2", 215, 0.803, 0.953, 55'873'736},
        {"MobileNet", "mobilenet_v1_1.0", 16, 0.704, 0.895, 4'253'864},
        {"MobileNetV2", "mobilenet_v2", 14, 0.713, 0.901, 3'538'984},
    };
    return entries;
}

Sheet keras_sheet() {
    Sheet sheet{.title = "keras.applications, counted here in the keras convention; accuracies as Keras prints them"};
    sheet.columns = {{"model", "model"}, {"MB", "megabytes", true}, {"top-1", "top1", true}, {"top-5", "top5", true}, {"parameters", "parameters", true}};
    for (const KerasEntry& entry : keras_applications()) {
        if (!has_model(entry.model)) continue;
        const std::int64_t parameters = layer_table(entry.model, Convention::keras).parameters;
        sheet.rows.push_back({std::string(entry.title), fmt::format("{:.0f}", megabytes_of(parameters)), fmt::format("{:.3f}", entry.top1), fmt::format("{:.3f}", entry.top5), parameters});
    }
    return sheet;
}

}  // namespace fovea
