// fovea bench loader cifar10:DIR --recipe cifar_resnet20: the pictures a second that training can be fed, and where their time goes.
#include "bench_loader.h"

#include <chrono>

#include <fmt/format.h>

#include "data_options.h"

namespace fovea::cli {

namespace {

struct LoaderArguments {
    Common common;
    PictureOptions pictures;
    double seconds = 3;
    int loader_threads = 0;
    std::int64_t batch = 128;
};

struct Rate {
    std::int64_t pictures = 0, epochs = 0;
    double seconds = 0, best = 0;  ///< best: pictures a second of the fastest tenth of a second or batch
};

Rate measure(const Loader& loader, double seconds) {
    using Clock = std::chrono::steady_clock;
    const auto since = [](Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); };
    Rate rate;
    const Clock::time_point begin = Clock::now();
    while (true) {
        Epoch pass = loader.epoch(rate.epochs++);
        Clock::time_point window = Clock::now();
        std::int64_t in_window = 0;
        while (const auto batch = pass.next()) {
            const std::int64_t count = batch->labels.elements();
            rate.pictures += count, in_window += count;
            if (const double passed = since(window); passed > 0.1) rate.best = std::max(rate.best, static_cast<double>(in_window) / passed), in_window = 0, window = Clock::now();
            if (since(begin) > seconds) {
                rate.seconds = since(begin);
                rate.best = std::max(rate.best, static_cast<double>(rate.pictures) / rate.seconds);
                return rate;
            }
        }
        if (rate.pictures == 0) throw Error(fmt::format("'{}' gave no readable picture", loader.dataset().name()));
    }
}

void bench_loader(const LoaderArguments& a) {
    a.common.apply();
    const Recipe recipe = a.pictures.resolved();
    const DatasetPtr data = a.pictures.open(recipe);
    LoaderTimes times;
    const LoaderSpec spec{.batch = std::min(a.batch, data->size()), .shuffle = true, .seed = a.common.seed, .threads = a.loader_threads, .augment = recipe.augment,
                          .preprocess = a.pictures.preprocess(recipe, *data), .draft = recipe.draft, .repeats = recipe.repeats, .times = &times};
    // Counting the stages takes some of a small picture's time: the rate is measured without, the shares in a shorter run with it.
    LoaderSpec uncounted = spec;
    uncounted.times = nullptr;
    const Rate rate = measure(Loader(data, uncounted), a.seconds);
    (void)measure(Loader(data, spec), a.seconds / 3);
    const double decode = static_cast<double>(times.decode), resize = static_cast<double>(times.resize), augment = static_cast<double>(times.augment), normalise = static_cast<double>(times.normalise);
    const double total = std::max(1.0, decode + resize + augment + normalise), mean = static_cast<double>(rate.pictures) / rate.seconds;
    if (a.common.json)
        return print_document({{"command", "bench loader"}, {"data", recipe.data}, {"loader_threads", a.loader_threads}, {"pictures", rate.pictures}, {"images_per_second", mean},
                               {"best_images_per_second", rate.best}, {"microseconds_per_image", 1e6 / rate.best},
                               {"shares", {{"decode", decode / total}, {"resize", resize / total}, {"augment", augment / total}, {"normalise", normalise / total}}}});
    fmt::print("{}, {}\n", data->name(), a.loader_threads == 0 ? std::string("in one thread") : fmt::format("{} loader thread{}", a.loader_threads, a.loader_threads == 1 ? "" : "s"));
    fmt::print("  rate     {} images/s ({} at best, {:.1f} us each), {} pictures\n", short_count(mean), short_count(rate.best), 1e6 / rate.best, commas(rate.pictures));
    const auto row = [&](const char* name, double part) { fmt::print("  {:<9}{:5.1f} %  {}\n", name, 100 * part / total, bar(part / total, 30)); };
    row("decode", decode), row("resize", resize), row("augment", augment), row("normalise", normalise);
}

}  // namespace

void add_bench_loader(CLI::App& bench) {
    auto a = std::make_shared<LoaderArguments>();
    CLI::App* command = bench.add_subcommand("loader", "Images per second of the loader alone, and the share of each stage");
    a->pictures.add_to(*command);
    command->add_option("--seconds", a->seconds, "How long to measure")->check(CLI::Range(0.0, 3600.0));
    command->add_option("--batch", a->batch, "Pictures per batch")->check(CLI::Range(1, 1'000'000));
    command->add_option("--loader-threads", a->loader_threads, "Threads that prepare pictures; 0: the caller's")->check(CLI::Range(0, 256));
    a->common.add_to(*command);
    command->callback([a] { bench_loader(*a); });
}

}  // namespace fovea::cli
