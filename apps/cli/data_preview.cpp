// fovea data preview folder:DIR --recipe imagenet_resnet50 --out grid.png: what a network will see.

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "data_options.h"
#include "data_preview.h"

namespace fovea::cli {

namespace {

struct PreviewArguments {
    Common common;
    PictureOptions pictures;
    std::string out;
    std::int64_t rows = 6, variants = 7;
};

/// Evenly spread over the set; damaged ones give way to the next that is readable.
DatasetPtr spread(const DatasetPtr& data, std::int64_t count) {
    std::vector<std::int64_t> chosen;
    count = std::min(count, data->size());
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int64_t first = i * data->size() / count, end = (i + 1) * data->size() / count;
        for (std::int64_t at = first; at < end; ++at)
            if (data->pixels(at) || data->try_get(at)) {
                chosen.push_back(at);
                break;
            }
    }
    if (chosen.empty()) throw Error(fmt::format("'{}' has no readable picture", data->name()));
    return subset(data, std::move(chosen), "preview");
}

void preview(const PreviewArguments& a) {
    const Recipe recipe = a.pictures.resolved();
    const DatasetPtr data = spread(a.pictures.open(recipe), a.rows);
    const Preprocess preprocess = a.pictures.preprocess(recipe, *data);
    const LoaderSpec plain{.batch = data->size(), .threads = 0, .preprocess = preprocess};
    LoaderSpec changed = plain;
    changed.seed = a.common.seed, changed.augment = recipe.augment, changed.draft = recipe.draft;
    const auto batch_of = [&](const LoaderSpec& spec, std::int64_t epoch) {
        Loader loader(data, spec);
        return loader.epoch(epoch).next()->images;
    };
    std::vector<Tensor> columns{batch_of(plain, 0)};
    for (std::int64_t epoch = 0; epoch < a.variants; ++epoch) columns.push_back(batch_of(changed, epoch));

    const Shape& shape = columns[0].shape();
    const int factor = static_cast<int>(std::max<std::int64_t>(1, 96 / std::max(shape[2], shape[3])));
    const std::int64_t gap = 4, width = shape[3] * factor, height = shape[2] * factor, line = 12;
    Image grid(gap + std::ssize(columns) * (width + gap), line + shape[0] * (height + line + gap), 3, 255);
    const Colour ink{60, 60, 60};
    for (std::size_t c = 0; c < columns.size(); ++c) {
        const std::int64_t x = gap + static_cast<std::int64_t>(c) * (width + gap);
        draw_text(grid, x, 2, c == 0 ? "as it is" : fmt::format("epoch {}", c), ink);
        for (std::int64_t n = 0; n < shape[0]; ++n) paste(grid, with_channels(enlarge(to_image(columns[c], n, preprocess), factor), 3), x, line + n * (height + line + gap));
    }
    for (std::int64_t n = 0; n < shape[0]; ++n) {
        const std::string& name = data->classes()[static_cast<std::size_t>(data->label(n))];
        draw_text(grid, gap, line + n * (height + line + gap) + height + 2, name.substr(0, static_cast<std::size_t>(std::max<std::int64_t>(1, grid.width / 6 - 2))), ink);
    }
    write_png(a.out, grid);
    std::vector<std::string> steps;
    for (const AugmentStep& step : recipe.augment) steps.emplace_back(name_of(step));
    if (a.common.json) return print_document({{"command", "data preview"}, {"out", a.out}, {"pictures", shape[0]}, {"variants", a.variants}, {"steps", steps}, {"width", grid.width}, {"height", grid.height}});
    fmt::print("{} pictures of {}, each as it is and {} times as a network sees it ({}): {}\n", shape[0], recipe.data, a.variants, steps.empty() ? std::string("nothing augmented") : fmt::format("{}", fmt::join(steps, ", ")), a.out);
}

}  // namespace

void add_data_preview(CLI::App& data) {
    auto a = std::make_shared<PreviewArguments>();
    CLI::App* command = data.add_subcommand("preview", "Draw augmented pictures as a grid: look before you train");
    a->pictures.add_to(*command);
    command->add_option("--out", a->out, "The PNG to write")->required();
    command->add_option("--pictures", a->rows, "Rows: pictures spread over the set")->check(CLI::Range(1, 64));
    command->add_option("--variants", a->variants, "Columns: each picture in so many epochs")->check(CLI::Range(1, 64));
    a->common.add_to(*command);
    command->callback([a] { preview(*a); });
}

}  // namespace fovea::cli
