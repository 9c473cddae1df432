// fovea bench MODEL --sweep batch|size|depth|threads: time and memory against one quantity, as a table and a chart.

#include <cmath>

#include <fmt/format.h>

#include "bench.h"
#include "fovea/io.h"
#include "network.h"

namespace fovea::cli {

namespace {

struct Point {
    std::string what;   ///< the network, where that is swept
    double x = 0;
    Times times;
    std::int64_t images = 0, operations = 0;
    std::size_t arena = 0, state = 0;
};

struct Sweep {
    std::string quantity, x_title;
    std::vector<BenchArguments> points;
    std::vector<double> x;
};

/// Depths of the family of a network: cards that differ in the number in their name alone.
std::vector<const ModelCard*> family_of(const ModelCard& card) {
    const auto stem = [](const ModelCard& c) {
        std::string name = c.name;
        const std::string number = std::to_string(c.depth);
        if (const std::size_t at = name.find(number); at != std::string::npos) name.replace(at, number.size(), "#");
        return name;
    };
    std::vector<const ModelCard*> family;
    for (const ModelCard& other : model_cards())
        if (card.depth > 0 && other.family == card.family && stem(other) == stem(card)) family.push_back(&other);
    std::ranges::sort(family, {}, &ModelCard::depth);
    return family;
}

Sweep sweep_of(const BenchArguments& a) {
    Sweep sweep{.quantity = a.sweep, .x_title = a.sweep, .points = {}, .x = {}};
    const auto add = [&](double x, auto change) {
        sweep.points.push_back(a);
        change(sweep.points.back());
        sweep.x.push_back(x);
    };
    const auto values = [&](std::vector<double> usual) { return a.values.empty() ? usual : a.values; };
    if (a.sweep == "batch") {
        sweep.x_title = "pictures per run";
        for (const double x : values({1, 2, 4, 8, 16, 32})) add(x, [&](BenchArguments& p) { p.batch = static_cast<std::int64_t>(x); });
    } else if (a.sweep == "threads") {
        std::vector<double> usual;
        for (int count = 1; count < threads(); count *= 2) usual.push_back(count);
        usual.push_back(threads());
        for (const double x : values(usual)) add(x, [&](BenchArguments& p) { p.common.threads = static_cast<int>(x); });
    } else if (a.sweep == "size") {
        sweep.x_title = "height and width of a picture";
        if (!has_model(a.what)) throw ArgumentError(fmt::format("--sweep size takes a name of 'fovea models', got '{}'", a.what));
        const auto own = static_cast<double>(find_model(a.what).height);
        for (const double x : values({own / 2, own * 3 / 4, own, own * 3 / 2, own * 2})) add(x, [&](BenchArguments& p) { p.size = static_cast<std::int64_t>(x); });
    } else {
        sweep.x_title = "layers";
        if (!a.values.empty()) throw ArgumentError("--sweep depth goes through the depths a network's family has; it takes no --values");
        const ModelCard* card = has_model(a.what) ? &find_model(a.what) : nullptr;
        const auto family = card ? family_of(*card) : std::vector<const ModelCard*>{};
        if (family.size() < 2) throw ArgumentError(fmt::format("--sweep depth: '{}' comes in one depth only; resnet50, vgg16, densenet121 and cifar_resnet20 have families", a.what));
        for (const ModelCard* each : family) add(each->depth, [&](BenchArguments& p) { p.what = each->name; });
    }
    return sweep;
}

Point measure_point(const BenchArguments& a, double x) {
    a.common.apply();
    Bench bench = make_bench(a);
    Point point{.what = a.what, .x = x, .times = {}, .images = bench.images, .operations = 0, .arena = bench.executable.arena_bytes(), .state = bench.state->bytes()};
    for (const PlanLine& line : bench.executable.plan()) point.operations += line.operations;
    point.times = measure(a.seconds, a.least_runs, bench.run);
    return point;
}

}  // namespace

void bench_sweep(const BenchArguments& a) {
    for (const double value : a.values)
        if (value < 1 || value != std::floor(value)) throw ArgumentError(fmt::format("--values are whole numbers from 1 on, got {:g}", value));
    const Sweep sweep = sweep_of(a);
    std::vector<Point> points;
    for (std::size_t i = 0; i < sweep.points.size(); ++i) points.push_back(measure_point(sweep.points[i], sweep.x[i]));

    const std::string title = fmt::format("{}{}: {}", a.what, a.is_training ? " training step" : "", sweep.quantity);
    if (!a.svg.empty()) {
        LineChart time{"milliseconds per run (minimum)", {{"time", {}}}}, rate{"pictures per second", {{"rate", {}}}}, memory{"memory, MiB", {{"activations", {}}, {"parameters and state", {}}}};
        for (const Point& p : points) {
            time.lines[0].points.emplace_back(p.x, p.times.min_ms);
            rate.lines[0].points.emplace_back(p.x, static_cast<double>(p.images) / p.times.min_ms * 1e3);
            memory.lines[0].points.emplace_back(p.x, static_cast<double>(p.arena) / (1 << 20));
            memory.lines[1].points.emplace_back(p.x, static_cast<double>(p.state) / (1 << 20));
        }
        write_file_atomically(a.svg, line_charts(title, sweep.x_title, {time, rate, memory}));
    }
    if (a.common.json) {
        Json rows = Json::array();
        for (const Point& p : points)
            rows.push_back({{"what", p.what}, {sweep.quantity, p.x}, {"min_ms", p.times.min_ms}, {"median_ms", p.times.median_ms}, {"runs", p.times.runs}, {"images_per_second", static_cast<double>(p.images) / p.times.min_ms * 1e3},
                            {"operations", p.operations}, {"arena_bytes", p.arena}, {"state_bytes", p.state}});
        print_document({{"command", "bench"}, {"what", a.what}, {"sweep", sweep.quantity}, {"is_training", a.is_training}, {"precision", a.computing.precision}, {"batch", a.batch}, {"threads", threads()}, {"points", rows}});
        return;
    }
    const bool names = sweep.quantity == "depth";
    std::vector<std::vector<std::string>> rows{{names ? "network" : sweep.quantity, "median ms", "minimum ms", "images/s", "operations/s", "activations", "parameters and state"}};
    for (const Point& p : points)
        rows.push_back({names ? p.what : fmt::format("{:g}", p.x), fmt::format("{:.3f}", p.times.median_ms), fmt::format("{:.3f}", p.times.min_ms), short_count(static_cast<double>(p.images) / p.times.min_ms * 1e3),
                        short_count(static_cast<double>(p.operations) / p.times.min_ms * 1e3), bytes_text(static_cast<double>(p.arena)), bytes_text(static_cast<double>(p.state))});
    fmt::print("{}\n{}", title, table(rows, names ? "<>>>>>>" : ">>>>>>>"));
    if (!a.svg.empty()) fmt::print("chart    {}\n", a.svg);
}

}  // namespace fovea::cli
