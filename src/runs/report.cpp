// One run as one HTML page: text, inline SVG, and pictures as data URIs, so that it works without a network.
#include <algorithm>

#include "core/markup.h"
#include "fovea/image.h"
#include "fovea/io.h"
#include "explain/chart.h"
#include "fovea/explain/reliability.h"
#include "runs/text.h"

namespace fovea {

namespace {

constexpr const char* style =
    "body{font-family:sans-serif;margin:24px auto;max-width:1040px;color:#222;line-height:1.4}h1{margin:0 0 4px}h2{margin:28px 0 8px;border-bottom:1px solid #ddd}"
    "table{border-collapse:collapse;font-size:13px}td,th{padding:2px 12px 2px 0;text-align:left;vertical-align:top}.n{text-align:right;font-variant-numeric:tabular-nums}"
    ".row{display:flex;flex-wrap:wrap;gap:16px}.tile{font-size:11px;width:112px}.tile img,.pixels{image-rendering:pixelated}.tile img{max-width:108px;max-height:108px}"
    ".muted{color:#666}.big{font-size:20px;font-weight:bold}pre{background:#f6f6f6;padding:10px;overflow:auto;font-size:12px}div>svg{max-width:100%;height:auto}";

std::string base64(const std::vector<std::byte>& bytes) {
    constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    text.reserve(bytes.size() * 4 / 3 + 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const auto byte = [&](std::size_t at) { return at < bytes.size() ? std::to_integer<unsigned>(bytes[at]) : 0U; };
        const unsigned three = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
        for (int shift = 18; shift >= 0; shift -= 6) text += letters[three >> shift & 63];
    }
    for (std::size_t missing = (3 - bytes.size() % 3) % 3, i = 1; i <= missing; ++i) text[text.size() - i] = '=';
    return text;
}

std::string picture(const Image& image, std::string_view what) {
    return fmt::format("<img class=\"pixels\" width=\"{}\" height=\"{}\" alt=\"{}\" src=\"data:image/png;base64,{}\">", image.width, image.height, markup_escaped(what), base64(encode_png(image)));
}

std::string class_name(const RunRecord& run, std::int64_t index) {
    return index >= 0 && index < static_cast<std::int64_t>(run.classes.size()) ? run.classes[static_cast<std::size_t>(index)] : std::to_string(index);
}

std::string facts_table(const std::vector<std::pair<std::string, std::string>>& facts) {
    std::string html = "<table>\n";
    for (const auto& [key, value] : facts)
        if (!value.empty()) html += fmt::format("<tr><th>{}</th><td>{}</td></tr>\n", markup_escaped(key), markup_escaped(value));
    return html + "</table>\n";
}

std::string setting(const RunRecord& run, std::string_view key) {
    const auto found = std::ranges::find(run.settings, key, &std::pair<std::string, std::string>::first);
    return found == run.settings.end() ? "" : found->second;
}

std::string heading(const RunRecord& run) {
    std::string html = fmt::format("<h1>{}</h1>\n<p class=\"muted\">{} on {}; {}{}</p>\n", markup_escaped(run.name), markup_escaped(run.model), markup_escaped(run.dataset), markup_escaped(run.status),
                                   run.why.empty() ? "" : ": " + markup_escaped(run.why));
    const auto tile = [&](const std::string& value, const std::string& what) { html += fmt::format("<div><div class=\"big\">{}</div><div class=\"muted\">{}</div></div>\n", markup_escaped(value), markup_escaped(what)); };
    html += "<div class=\"row\">\n";
    if (const RunEpoch* best = run.best()) tile(metric_text(run, *best), fmt::format("best {} (epoch {})", run.evaluation || best->top1 ? run.metric : "training accuracy", best->epoch));
    tile(fmt::format("{} of {}", run.epochs.size(), run.epochs_wanted), "epochs");
    tile(time_text(run.seconds), "time");
    if (!run.epochs.empty()) tile(fmt::format("{:.0f}", run.epochs.back().images_per_second), "images per second");
    tile(with_commas(run.parameters), "parameters");
    return html + "</div>\n";
}

/// Training thin, validation bold.
std::string curves(const RunRecord& run) {
    Series steps{"training, each batch", {}, "#9bbbdd", 0.8}, train{"training", {}, "#3b77b5", 1.2}, test{"validation", {}, "#c03030", 2.8};
    Series step_accuracy = steps, train_accuracy = train, test_accuracy = test;
    step_accuracy.name = "training, so far";
    Series lr{"learning rate", {}, "#228833", 1.5}, rate{"images per second", {}, "#3b77b5", 1.2}, wait{"waiting for the loader", {}, "#aa3377", 1.2};
    for (const RunStep& step : run.steps) {
        steps.points.emplace_back(step.epoch, step.loss);
        step_accuracy.points.emplace_back(step.epoch, step.accuracy);
        lr.points.emplace_back(step.epoch, step.lr);
        rate.points.emplace_back(step.epoch, step.images_per_second);
        wait.points.emplace_back(step.epoch, step.loader_wait);
    }
    for (const RunEpoch& epoch : run.epochs) {
        const auto x = static_cast<double>(epoch.epoch);
        train.points.emplace_back(x, epoch.train_loss);
        train_accuracy.points.emplace_back(x, epoch.train_accuracy);
        if (epoch.loss) test.points.emplace_back(x, *epoch.loss);
        if (epoch.top1) test_accuracy.points.emplace_back(x, *epoch.top1);
        if (run.steps.empty()) {  // epochs of fewer steps than a line is written for
            lr.points.emplace_back(x, epoch.lr);
            rate.points.emplace_back(x, epoch.images_per_second);
            wait.points.emplace_back(x, epoch.loader_wait);
        }
    }
    return "<h2>Curves</h2>\n<div class=\"row\">\n" + line_chart({.title = "Loss", .x_title = "epoch"}, {steps, train, test}) +
           line_chart({.title = "Accuracy", .x_title = "epoch", .is_share = true}, {step_accuracy, train_accuracy, test_accuracy}) + line_chart({.title = "Learning rate", .x_title = "epoch"}, {lr}) +
           line_chart({.title = "Images per second", .x_title = "epoch"}, {rate}) + line_chart({.title = "Share of the time waiting for the loader", .x_title = "epoch", .is_share = true}, {wait}) + "</div>\n";
}

std::string gradient_flow(const RunRecord& run) {
    if (run.probes.empty() || run.probes.back().gradient_norms.empty()) return {};
    const auto& layers = run.probes.back().gradient_norms;
    std::vector<Series> over_time;
    for (std::size_t i = 0; i < layers.size(); ++i) {
        Series line{layers[i].first, {}, rainbow(i, layers.size()), 1.2};
        for (const RunProbe& probe : run.probes)
            if (i < probe.gradient_norms.size()) line.points.emplace_back(static_cast<double>(probe.epoch), probe.gradient_norms[i].second);
        over_time.push_back(std::move(line));
    }
    const auto by_depth = [](const RunProbe& probe, const std::string& colour) {
        Series line{fmt::format("epoch {}", probe.epoch), {}, colour, 1.8};
        for (std::size_t i = 0; i < probe.gradient_norms.size(); ++i) line.points.emplace_back(static_cast<double>(i + 1), probe.gradient_norms[i].second);
        return line;
    };
    std::vector<Series> depths{by_depth(run.probes.front(), "#9bbbdd")};
    if (run.probes.size() > 1) depths.push_back(by_depth(run.probes.back(), "#c03030"));
    std::string html = "<h2>Gradient norms</h2>\n<p class=\"muted\">L2 norm of the loss's gradient over each layer's parameters, on the same few training pictures after every epoch; "
                       "from the first layer (blue) to the last (red).</p>\n<div class=\"row\">\n" +
                       line_chart({.title = "Over the epochs", .x_title = "epoch", .is_logarithmic = true}, over_time) +
                       line_chart({.title = "By depth", .x_title = "layer", .is_logarithmic = true}, depths) + "</div>\n<details><summary>after the last epoch</summary><table>\n";
    for (const auto& [layer, norm] : layers) html += fmt::format("<tr><td>{}</td><td class=\"n\">{:.3e}</td></tr>\n", markup_escaped(layer), norm);
    return html + "</table></details>\n";
}

std::string unit_health(const RunRecord& run) {
    if (run.probes.empty() || run.probes.back().activations.empty()) return {};
    const auto& layers = run.probes.back().activations;
    const auto chart = [&](const char* title, double RunProbe::Activation::*share) {
        std::vector<Series> lines;
        for (std::size_t i = 0; i < layers.size(); ++i) {
            if (std::isnan(layers[i].*share)) continue;
            Series line{layers[i].layer, {}, rainbow(i, layers.size()), 1.2};
            for (const RunProbe& probe : run.probes)
                if (i < probe.activations.size()) line.points.emplace_back(static_cast<double>(probe.epoch), probe.activations[i].*share);
            lines.push_back(std::move(line));
        }
        return lines.empty() ? std::string() : line_chart({.title = title, .x_title = "epoch", .is_share = true}, lines);
    };
    std::string html = "<h2>Saturated and dead units</h2>\n<p class=\"muted\">A ReLU's channel is dead when it is 0 for every probe picture and place; an output of a sigmoid or tanh is saturated "
                       "where its slope is less than a twentieth of the largest.</p>\n<div class=\"row\">\n" +
                       chart("Dead units", &RunProbe::Activation::dead) + chart("Outputs that are 0", &RunProbe::Activation::zero) + chart("Saturated outputs", &RunProbe::Activation::saturated) +
                       "</div>\n<details><summary>after the last epoch</summary><table>\n<tr><th>layer</th><th>op</th><th class=\"n\">dead</th><th class=\"n\">0</th><th class=\"n\">saturated</th></tr>\n";
    for (const auto& a : layers)
        html += fmt::format("<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n", markup_escaped(a.layer), markup_escaped(a.op), percent_text(a.dead), percent_text(a.zero),
                            percent_text(a.saturated));
    return html + "</table></details>\n";
}

/// Of each class's pictures the share that got each answer, 0 white to 1 dark blue; the diagonal is right.
std::string confusion_cells(const RunRecord& run, const ConfusionMatrix& matrix, const std::vector<std::int64_t>& totals) {
    const std::int64_t classes = matrix.classes();
    const auto share = [&](std::int64_t label, std::int64_t predicted) {
        const auto total = static_cast<double>(totals[static_cast<std::size_t>(label)]);
        return total > 0 ? static_cast<double>(matrix.at(label, predicted)) / total : 0;
    };
    if (classes > 24) {  // a pixel (or some) each; of thousands, the darkest of a square
        const std::int64_t square = (classes + 1199) / 1200, side = (classes + square - 1) / square;
        Image pixels(side, side, 3, 255);
        for (const auto& [cell, count] : matrix.cells()) {
            const double depth = std::sqrt(share(cell.first, cell.second));  // so that rare confusions are seen
            const Colour full = cell.first == cell.second ? Colour{29, 78, 137} : Colour{178, 24, 43};
            for (std::size_t c = 0; c < 3; ++c) {
                std::uint8_t& pixel = pixels.row(cell.first / square)[cell.second / square * 3 + static_cast<std::int64_t>(c)];
                pixel = std::min(pixel, static_cast<std::uint8_t>(std::lround(255 - depth * (255 - full[c]))));
            }
        }
        return picture(enlarge(pixels, static_cast<int>(std::max<std::int64_t>(1, 600 / side))), "confusion matrix");
    }
    constexpr double cell = 34, left = 130, top = 96;
    const double side = cell * static_cast<double>(classes);
    std::string svg = fmt::format("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:g}\" height=\"{1:g}\" viewBox=\"0 0 {0:g} {1:g}\" font-family=\"sans-serif\" font-size=\"11\">\n", left + side + 60, top + side + 8);
    for (std::int64_t y = 0; y < classes; ++y) {
        const double middle = (static_cast<double>(y) + 0.5) * cell;
        const std::string name = markup_escaped(class_name(run, y).substr(0, 20));
        svg += fmt::format("<text x=\"{:g}\" y=\"{:g}\" text-anchor=\"end\">{}</text><text transform=\"translate({:g} {:g}) rotate(-45)\">{}</text>\n", left - 6, top + middle + 4, name, left + middle, top - 6, name);
        for (std::int64_t x = 0; x < classes; ++x) {
            const double depth = std::sqrt(share(y, x)), x0 = left + static_cast<double>(x) * cell;
            svg += fmt::format("<rect x=\"{:g}\" y=\"{:g}\" width=\"{:g}\" height=\"{:g}\" fill=\"{}\" fill-opacity=\"{:.3f}\" stroke=\"#ddd\"><title>{} taken for {}: {}</title></rect>", x0, top + middle - cell / 2,
                               cell, cell, x == y ? "#1d4e89" : "#b2182b", depth, name, markup_escaped(class_name(run, x)), matrix.at(y, x));
            if (matrix.at(y, x) > 0)
                svg += fmt::format("<text x=\"{:g}\" y=\"{:g}\" text-anchor=\"middle\" fill=\"{}\">{}</text>\n", x0 + cell / 2, top + middle + 4, depth > 0.6 ? "white" : "#222", matrix.at(y, x));
        }
    }
    return svg + "</svg>\n";
}

/// Empty for runs of a fovea that did not measure it.
std::string reliability(const RunRecord& run) {
    const Reliability& found = run.evaluation->reliability;
    if (found.images() == 0) return {};
    return fmt::format("<div>{}<p class=\"muted\" style=\"max-width:360px\">Calibration: of answers with a probability of p, a share of p should be right. Expected error {}, largest {}; Brier score {}.</p></div>\n",
                       reliability_chart(found), percent_text(found.expected_error()), percent_text(found.largest_error()), number_text(found.brier()));
}

std::string confusion(const RunRecord& run) {
    if (!run.evaluation) return {};
    const ConfusionMatrix& matrix = run.evaluation->confusion;
    if (matrix.cells().empty()) return {};  // pictures with several classes
    std::vector<std::int64_t> totals(static_cast<std::size_t>(matrix.classes()), 0);
    struct Pair {
        std::int64_t label, predicted, count;
    };
    std::vector<Pair> pairs;
    for (const auto& [cell, count] : matrix.cells()) {
        totals[static_cast<std::size_t>(cell.first)] += count;
        if (cell.first != cell.second) pairs.push_back({cell.first, cell.second, count});
    }
    std::ranges::stable_sort(pairs, std::greater<>{}, &Pair::count);
    pairs.resize(std::min<std::size_t>(pairs.size(), 12));
    std::string html = fmt::format("<h2>Confusion matrix</h2>\n<p class=\"muted\">{} pictures of {}: accuracy {}, loss {}. Rows: what a picture shows; columns: the answer; the darker, the larger its share of the "
                                   "row.</p>\n<div class=\"row\"><div>\n",
                                   with_commas(run.evaluation->images), markup_escaped(run.evaluated_on), percent_text(run.evaluation->top1), number_text(run.evaluation->loss)) +
                       confusion_cells(run, matrix, totals) + "</div>\n";
    if (!pairs.empty()) {
        html += "<table><tr><th>most often taken</th><th>for</th><th class=\"n\">pictures</th></tr>\n";
        for (const Pair& pair : pairs)
            html += fmt::format("<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td></tr>\n", markup_escaped(class_name(run, pair.label)), markup_escaped(class_name(run, pair.predicted)), with_commas(pair.count));
        html += "</table>\n";
    }
    html += reliability(run) + "</div>\n<details><summary>by class</summary><table><tr><th>class</th><th class=\"n\">pictures</th><th class=\"n\">recognised</th><th class=\"n\">answers that are right</th></tr>\n";
    const std::vector<double> recall = matrix.recall(), precision = matrix.precision();
    for (std::size_t i = 0; i < recall.size(); ++i)
        html += fmt::format("<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n", markup_escaped(class_name(run, static_cast<std::int64_t>(i))), with_commas(totals[i]),
                            percent_text(recall[i]), percent_text(precision[i]));
    return html + "</table></details>\n";
}

/// At most 108 pixels a side, small ones enlarged by whole factors.
Image thumbnail(const Image& image) {
    constexpr std::int64_t side = 108;
    const std::int64_t longer = std::max(image.width, image.height);
    if (longer <= side) return enlarge(image, static_cast<int>(std::max<std::int64_t>(1, side / std::max<std::int64_t>(1, longer))));
    return resize(image, std::max<std::int64_t>(1, image.width * side / longer), std::max<std::int64_t>(1, image.height * side / longer));
}

std::string mistakes(const RunRecord& run, const DatasetPtr& validation) {
    if (!run.evaluation || run.evaluation->worst.empty()) return {};
    const bool has_pictures = validation && validation->name() == run.evaluated_on;
    std::string html = "<h2>Worst mistakes</h2>\n<p class=\"muted\">Pictures whose own class got the least probability.</p>\n<div class=\"row\">\n";
    for (const Mistake& m : run.evaluation->worst) {
        html += "<div class=\"tile\">";
        if (has_pictures && m.index >= 0 && m.index < validation->size())
            if (const std::optional<Sample> sample = validation->try_get(m.index)) html += picture(thumbnail(sample->image), fmt::format("picture {}", m.index)) + "<br>";
        html += fmt::format("<b>{}</b> {}<br>taken for <b>{}</b> {}<br><span class=\"muted\">no. {}{}</span></div>\n", markup_escaped(class_name(run, m.label)), percent_text(m.of_label), markup_escaped(class_name(run, m.predicted)),
                            percent_text(m.of_predicted), m.index, has_pictures ? "" : " of the set");
    }
    return html + "</div>\n";
}

std::string filters(const RunRecord& run) {
    const std::filesystem::path file = run.path / "checkpoint-last.safetensors";
    if (!std::filesystem::exists(file)) return {};
    const Parameters parameters = load_safetensors(file.string());
    for (const std::string& name : parameters.names()) {
        const Tensor& weight = parameters.at(name);
        if (weight.shape().rank() != 4 || name.starts_with(optimizer_prefix)) continue;
        if (weight.elements() / (weight.shape()[2] * weight.shape()[3]) > 4096) return {};  // no first layer of a network for pictures
        return fmt::format("<h2>Filters of the first layer</h2>\n<p class=\"muted\">{} {}, each stretched from its least to its largest weight.</p>\n", markup_escaped(name), markup_escaped(weight.shape().str())) +
               picture(filter_grid(weight, {.towers = towers_of(parameters, name)}), name);
    }
    return {};
}

std::string facts(const RunRecord& run) {
    const std::string memory = setting(run, "machine.memory_bytes");
    std::string classes;
    for (std::size_t i = 0; i < std::min<std::size_t>(run.classes.size(), 20); ++i) classes += (i > 0 ? ", " : "") + run.classes[i];
    if (run.classes.size() > 20) classes += ", ...";
    std::string html = "<h2>Data and machine</h2>\n" + facts_table({{"training set", fmt::format("{}, {} pictures", run.dataset, with_commas(run.images))},
                                                                      {"validation set", run.evaluated_on},
                                                                      {"classes", fmt::format("{}: {}", run.classes.size(), classes)},
                                                                      {"seed", setting(run, "seed")},
                                                                      {"fovea", setting(run, "build.fovea") + ", " + setting(run, "build.compiler")},
                                                                      {"processor", fmt::format("{}, {} cores, {} threads used", setting(run, "machine.processor"), setting(run, "machine.cores"), setting(run, "threads"))},
                                                                      {"memory", memory.empty() ? "" : human_bytes(std::stod(memory))},
                                                                      {"system", setting(run, "machine.system")}});
    html += "<details><summary>all settings</summary>\n" + facts_table(run.settings) + "</details>\n";
    if (!run.recipe.empty()) html += "<details><summary>recipe</summary><pre>" + markup_escaped(run.recipe) + "</pre></details>\n";
    return html;
}

}  // namespace

std::string report_html(const RunRecord& run, const DatasetPtr& validation) {
    return fmt::format("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{}</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>{}</style>\n</head>\n<body>\n", markup_escaped(run.name), style) +
           heading(run) + curves(run) + gradient_flow(run) + unit_health(run) + confusion(run) + mistakes(run, validation) + filters(run) + facts(run) + "</body>\n</html>\n";
}

}  // namespace fovea
