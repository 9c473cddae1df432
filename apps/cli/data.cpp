// fovea data pack | verify: data sets as files.

#include <algorithm>
#include <chrono>

#include <fmt/format.h>

#include "command.h"
#include "data_options.h"
#include "data_preview.h"
#include "fovea/data.h"

namespace fovea::cli {

namespace {

struct DataArguments {
    Common common;
    std::string data, out, split = "train", prefix;
    double shard_mib = 256;
    bool keeps_order = false, overwrite = false;
    std::int64_t show = 10;
};

/// How many of `total` are done, how fast, and how long the rest takes.
class Counter {
public:
    Counter(std::string what, std::int64_t total) : what_(std::move(what)), total_(total) {}
    void operator()(std::int64_t done) {
        if (done == total_) return line_.clear();
        if (!line_.is_due(false)) return;
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(), rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
        line_.write(fmt::format("{} {} {}/{}  {}/s  {} left", what_, bar(static_cast<double>(done) / static_cast<double>(total_), 24), commas(done), commas(total_), short_count(rate),
                                duration(rate > 0 ? static_cast<double>(total_ - done) / rate : 0)));
    }

private:
    std::string what_;
    std::int64_t total_;
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    ProgressLine line_;
};

void pack(const DataArguments& a) {
    const DatasetPtr data = open_dataset(a.data, split_of(a.split));
    Counter progress("packed", data->size());
    const PackReport report = write_shards(*data, a.out, {.prefix = a.prefix.empty() ? a.split : a.prefix,
                                                          .shard_bytes = static_cast<std::size_t>(a.shard_mib * 1024 * 1024),
                                                          .shuffle = !a.keeps_order,
                                                          .seed = a.common.seed,
                                                          .overwrite = a.overwrite,
                                                          .on_picture = [&](std::int64_t done) { progress(done); }});
    if (data->has_tags() || !own_weights(*data).empty()) note(fmt::format("a shard holds one class for each picture: further classes and weights of '{}' are not in them", data->name()));
    const std::vector<std::string> damaged = data->damaged();
    constexpr std::size_t most_named = 20;
    for (std::size_t i = 0; i < std::min(damaged.size(), most_named); ++i) note(damaged[i] + "; left out");
    if (damaged.size() > most_named) note(fmt::format("... and {} more; 'fovea data verify {}' names all", damaged.size() - most_named, a.data));
    if (a.common.json)
        return print_document({{"out", a.out}, {"shards", report.shards}, {"pictures", report.pictures}, {"skipped", report.skipped}, {"damaged", damaged}, {"classes", data->classes()}});
    fmt::print("{} pictures of {} in {} shard{}{}: 'fovea train MODEL --data shards:{}'\n", commas(report.pictures), data->name(), report.shards, report.shards == 1 ? "" : "s",
               report.skipped ? fmt::format(", {} left out", commas(report.skipped)) : "", a.out);
}

void verify_data(const DataArguments& a) {
    const DatasetPtr data = open_dataset(a.data, split_of(a.split));
    Counter progress("looked at", data->size());
    const DatasetReport report = verify(*data, [&](std::int64_t done) { progress(done); });
    const auto& classes = data->classes();
    if (a.common.json) {
        Json counts = Json::object();
        for (std::size_t c = 0; c < classes.size(); ++c) counts[classes[c]] = report.per_class[c];
        Json duplicates = Json::array();
        for (const auto& [picture, earlier] : report.duplicates) duplicates.push_back({data->key(picture), data->key(earlier)});
        print_document({{"data", data->name()}, {"pictures", report.pictures}, {"readable", report.readable}, {"classes", counts}, {"least", {report.least_width, report.least_height}},
                        {"most", {report.most_width, report.most_height}}, {"damaged", report.damaged}, {"faults", report.faults}, {"duplicates", duplicates}});
    } else {
        fmt::print("{}: {} pictures, {} readable, {}x{} to {}x{} pixels\n\n", data->name(), commas(report.pictures), commas(report.readable), report.least_width, report.least_height,
                   report.most_width, report.most_height);
        const std::int64_t most = std::ranges::max(report.per_class);
        std::vector<std::vector<std::string>> rows{{"class", "pictures", "", ""}};
        const auto shown = std::min<std::size_t>(classes.size(), 50);
        for (std::size_t c = 0; c < shown; ++c)
            rows.push_back({classes[c], commas(report.per_class[c]), bar(most ? static_cast<double>(report.per_class[c]) / static_cast<double>(most) : 0, 24), report.per_class[c] ? "" : "empty"});
        fmt::print("{}", table(rows, "<><<"));
        if (shown < classes.size()) fmt::print("... and {} classes more\n", classes.size() - shown);
        const auto list = [&](const auto& items, const std::string& title, const auto& text) {
            if (items.empty()) return;
            fmt::print("\n{} {}\n", items.size(), title);
            for (std::size_t i = 0; i < std::min(items.size(), static_cast<std::size_t>(a.show)); ++i) fmt::print("  {}\n", text(items[i]));
            if (items.size() > static_cast<std::size_t>(a.show)) fmt::print("  ... and {} more (--show)\n", items.size() - static_cast<std::size_t>(a.show));
        };
        list(report.faults, report.faults.size() == 1 ? "fault of the files that hold them" : "faults of the files that hold them", [](const std::string& message) { return message; });
        list(report.damaged, "damaged", [](const std::string& message) { return message; });
        list(report.duplicates, "with the same pixels as an earlier one", [&](const auto& pair) { return fmt::format("{} = {}", data->key(pair.first), data->key(pair.second)); });
    }
    for (const std::string& text : data->notes()) note(text);
    const std::string faults = report.faults.empty() ? "" : fmt::format("{} fault{} of the files that hold the pictures of '{}'", report.faults.size(), report.faults.size() == 1 ? "" : "s", data->name());
    const auto damaged = report.pictures - report.readable;
    if (damaged > 0) throw Error(fmt::format("{} of {} pictures of '{}' are damaged{}{}", damaged, report.pictures, data->name(), faults.empty() ? "" : "; ", faults));
    if (!faults.empty()) throw Error(fmt::format("{}; the {} pictures that are left are whole", faults, report.pictures));
}

}  // namespace

void add_data(CLI::App& app) {
    CLI::App* data = app.add_subcommand("data", "Data sets as files: pack them into tar shards, look through them, preview augmentation");
    data->require_subcommand(1);
    const auto add = [&](const std::string& name, const std::string& help, void (*run)(const DataArguments&)) {
        auto a = std::make_shared<DataArguments>();
        CLI::App* command = data->add_subcommand(name, help);
        command->add_option("data", a->data, "NAME or NAME:PLACE, as for 'fovea train --data'")->required();
        command->add_option("--split", a->split, "train, val or test")->check(CLI::IsMember({"train", "val", "test"}));
        a->common.add_to(*command);
        command->callback([a, run] { run(*a); });
        return std::pair(command, a);
    };
    const auto [packing, p] = add("pack", "Write tar shards in WebDataset's layout", pack);
    packing->add_option("--out", p->out, "Folder of the shards")->required();
    packing->add_option("--shard-size", p->shard_mib, "MiB of pictures in a shard")->check(CLI::PositiveNumber);
    packing->add_option("--prefix", p->prefix, "Shards are PREFIX-000000.tar ... (the split's name)");
    packing->add_flag("--no-shuffle", p->keeps_order, "Keep the data set's order, which for a folder is that of its classes, instead of a random one by --seed");
    packing->add_flag("--overwrite", p->overwrite, "Replace the PREFIX-*.tar of --out once the new ones are whole");
    const auto [looking, v] = add("verify", "Decode every picture: counts, sizes, damaged ones, faults of the files that hold them, duplicates; fails when there is damage", verify_data);
    add_data_preview(*data);
    looking->add_option("--show", v->show, "Faults, damaged pictures and duplicates to print")->check(CLI::NonNegativeNumber);
}

}  // namespace fovea::cli
