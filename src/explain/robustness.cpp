// Accuracy under changes of fixed strength. The changes are the augmentation's own steps with ranges of one value.
#include "fovea/explain/robustness.h"

#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "image/colour.h"

namespace fovea {

const std::vector<Disturbance>& disturbances() {
    static const std::vector<Disturbance> all{
        {"scale", "times", 1, {0.4, 0.6, 0.8, 1.25, 1.67, 2.5}},
        {"rotation", "degrees", 0, {-90, -45, -30, -15, 15, 30, 45, 90}},
        {"shear", "degrees", 0, {-40, -25, -10, 10, 25, 40}},
        {"occlusion", "of the area", 0, {0.05, 0.1, 0.2, 0.4}},
        {"brightness", "times", 1, {0.25, 0.5, 0.75, 1.33, 2, 4}},
        {"contrast", "times", 1, {0.1, 0.25, 0.5, 2, 4}},
        {"saturation", "times", 1, {0, 0.5, 2, 4}},
        {"blur", "% of the side", 0, {2, 4, 6, 10}},
        {"noise", "grey levels", 0, {5, 10, 20, 40}},
    };
    return all;
}

namespace {

/// Normal noise of this deviation on every value.
void add_noise(Image& image, double deviation, std::int64_t sample) {
    const Rng rng(0, hash_name("robustness noise"), static_cast<std::uint64_t>(sample));
    for (std::size_t i = 0; i < image.pixels.size(); ++i)
        image.pixels[i] = static_cast<std::uint8_t>(std::clamp(std::nearbyint(image.pixels[i] + deviation * rng.normal(i)), 0.0, 255.0));
}

/// The steps of the training pipeline that do this, for a picture whose shorter side is `side`; none for what is no step.
Augment steps_of(std::string_view name, double strength, std::int64_t side) {
    const Bounds fixed{strength, strength};
    if (name == "scale") return {RandomAffine{.scale = fixed, .interpolation = Filter::bilinear, .fill = mean_fill}};
    if (name == "rotation") return {RandomRotation{.degrees = fixed, .interpolation = Filter::bilinear, .fill = mean_fill}};
    if (name == "shear") return {RandomAffine{.shear = fixed, .interpolation = Filter::bilinear, .fill = mean_fill}};
    if (name == "occlusion") return {RandomErasing{.p = 1, .scale = fixed, .ratio = {1, 1}}};
    if (name == "blur") {
        // Three deviations on each side; the kernel is mirrored at the edges and so fits into the picture.
        const double sigma = strength / 100 * static_cast<double>(side);
        const std::int64_t radius = std::clamp<std::int64_t>(static_cast<std::int64_t>(std::ceil(3 * sigma)), 1, std::min<std::int64_t>(499, std::max<std::int64_t>(1, side - 1)));
        return {GaussianBlur{.kernel_size = 2 * radius + 1, .sigma = {sigma, sigma}}};
    }
    return {};
}

/// Another set's pictures as the network sees them, changed.
class DisturbedDataset : public Dataset {
public:
    DisturbedDataset(DatasetPtr whole, const Preprocess& preprocess, const Shape& input, std::string name, double strength)
        : Dataset(fmt::format("{} with {} {:g}", whole->name(), name, strength), whole->classes()), whole_(std::move(whole)), preprocess_(preprocess), input_(input), change_(std::move(name)), strength_(strength) {
        for (std::size_t c = 0; c < 3; ++c) {
            const std::size_t network = preprocess.is_bgr ? 2 - c : c;
            mean_[c] = static_cast<std::uint8_t>(std::clamp(std::nearbyint(preprocess.mean[network] / preprocess.scale), 0.0, 255.0));
        }
    }

    std::int64_t size() const override { return whole_->size(); }
    Shape image_shape() const override { return {input_[2], input_[3], input_[1]}; }
    std::int64_t label(std::int64_t index) const override { return whole_->label(index); }
    std::string key(std::int64_t index) const override { return whole_->key(index); }
    const std::vector<std::int64_t>& runs() const override { return whole_->runs(); }
    Sample get(std::int64_t index) const override {
        Sample sample = whole_->get(index);
        sample.image = disturbed(with_channels(apply_geometry(sample.image, preprocess_), static_cast<int>(input_[1])), change_, strength_, mean_, index);
        return sample;
    }

private:
    DatasetPtr whole_;
    Preprocess preprocess_;
    Shape input_;
    std::string change_;
    double strength_;
    std::array<std::uint8_t, 3> mean_{};
};

}  // namespace

Image disturbed(const Image& image, std::string_view name, double strength, const std::array<std::uint8_t, 3>& mean, std::int64_t sample) {
    std::vector<std::string> names;
    for (const Disturbance& known : disturbances()) names.push_back(known.name);
    const auto found = std::ranges::find(names, name);
    require<ArgumentError>(found != names.end(), "no disturbance '{}'; nearest: {}", name, fmt::join(nearest_names(name, names), ", "));
    if (strength == disturbances()[static_cast<std::size_t>(found - names.begin())].none) return image;
    Annotated picture{.image = image};
    if (name == "brightness") adjust_brightness(picture.image, strength);
    else if (name == "contrast") adjust_contrast(picture.image, strength);
    else if (name == "saturation") adjust_saturation(picture.image, strength);
    else if (name == "noise") add_noise(picture.image, strength, sample);
    else augment(picture, steps_of(name, strength, std::min(image.width, image.height)), {image.width, image.height, mean}, {.sample = sample});
    return std::move(picture.image);
}

double Robustness::mean_top1(std::string_view name) const {
    if (name.empty()) {
        double sum = 0;
        for (const Disturbance& disturbance : disturbances()) sum += mean_top1(disturbance.name);
        return sum / static_cast<double>(disturbances().size());
    }
    double sum = 0, count = 0;
    for (const Point& point : points)
        if (point.name == name) sum += point.top1, ++count;
    return count > 0 ? sum / count : 0;
}

std::int64_t robustness_evaluations() {
    std::int64_t count = 1;
    for (const Disturbance& disturbance : disturbances()) count += std::ssize(disturbance.strengths);
    return count;
}

Robustness measure_robustness(const Graph& network, const Parameters& parameters, const DatasetPtr& dataset, const EvaluateSpec& spec, const std::function<void(std::int64_t)>& on_point) {
    require<ArgumentError>(dataset != nullptr, "measure_robustness: no data set given");
    Robustness result{.clean = evaluate(network, parameters, dataset, spec)};
    std::int64_t made = 1;
    if (on_point) on_point(made);
    EvaluateSpec sized = spec;
    Preprocess& p = sized.preprocess;
    p.resize_shorter = p.resize_width = p.resize_height = p.crop_width = p.crop_height = 0;
    const Shape input = network.inputs().front().shape();
    for (const Disturbance& disturbance : disturbances())
        for (const double strength : disturbance.strengths) {
            const Evaluation now = evaluate(network, parameters, std::make_shared<DisturbedDataset>(dataset, spec.preprocess, input, disturbance.name, strength), sized);
            result.points.push_back({disturbance.name, strength, now.top1, now.loss});
            if (on_point) on_point(++made);
            if (spec.stop != nullptr && spec.stop->load()) return result;
        }
    return result;
}

Sheet robustness_sheet(const Robustness& robustness) {
    const auto percent = [](double share) { return fmt::format("{:.2f} %", share * 100); };
    Sheet sheet{.title = "accuracy under disturbances of fixed strength"};
    sheet.columns = {{"disturbance", "disturbance"}, {"strength", "strength", true}, {"", "unit"}, {"accuracy", "top1", true}, {"points", "points", true}, {"loss", "loss", true}};
    sheet.rows.push_back({"none", "", "", percent(robustness.clean.top1), "", fmt::format("{:.4f}", robustness.clean.loss)});
    for (const Robustness::Point& point : robustness.points) {
        const auto& disturbance = *std::ranges::find(disturbances(), point.name, &Disturbance::name);
        sheet.rows.push_back({point.name, fmt::format("{:g}", point.strength), disturbance.unit, percent(point.top1), fmt::format("{:+.2f}", 100 * (point.top1 - robustness.clean.top1)), fmt::format("{:.4f}", point.loss)});
    }
    for (const Disturbance& disturbance : disturbances())
        sheet.totals.push_back({disturbance.name, "mean", "", percent(robustness.mean_top1(disturbance.name)), fmt::format("{:+.2f}", 100 * (robustness.mean_top1(disturbance.name) - robustness.clean.top1)), ""});
    sheet.totals.push_back({"all", "mean", "", percent(robustness.mean_top1()), fmt::format("{:+.2f}", 100 * (robustness.mean_top1() - robustness.clean.top1)), ""});
    return sheet;
}

std::string robustness_chart(const Robustness& robustness) {
    std::vector<LineChart> charts;
    for (const Disturbance& disturbance : disturbances()) {
        LineChart::Line line{disturbance.name, {{disturbance.none, 100 * robustness.clean.top1}}};
        for (const Robustness::Point& point : robustness.points)
            if (point.name == disturbance.name) line.points.emplace_back(point.strength, 100 * point.top1);
        std::ranges::sort(line.points);
        charts.push_back({fmt::format("{} ({})", disturbance.name, disturbance.unit), {std::move(line)}});
    }
    return line_charts("Accuracy in percent under disturbances", "strength", charts);
}

}  // namespace fovea
