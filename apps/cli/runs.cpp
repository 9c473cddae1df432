// fovea runs [DIR]; fovea runs compare A B ... [--svg FILE]; fovea runs report RUN: what training has written, looked at again.

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include "command.h"
#include "data_options.h"
#include "fovea/io.h"
#include "fovea/runs.h"

namespace fovea::cli {

namespace {

namespace fs = std::filesystem;

struct RunsArguments {
    Common common;
    std::string directory = "runs", format = "table", svg, out;
    std::vector<std::string> names;
};

void list(const RunsArguments& a) {
    const std::vector<RunRecord> runs = read_runs(a.directory);
    if (runs.empty()) throw Error(fmt::format("'{}' holds no runs: 'fovea train' makes one", a.directory));
    fmt::print("{}", to_text(runs_sheet(runs), chosen_format(a.common, a.format)));
}

/// As a path, else a name in runs/.
RunRecord run_named(const std::string& name) {
    const fs::path below = fs::path("runs") / name;
    return read_run(!fs::exists(name) && fs::exists(below) ? below : fs::path(name));
}

void compare(const RunsArguments& a) {
    std::vector<RunRecord> runs;
    for (const std::string& name : a.names) runs.push_back(run_named(name));
    const TableFormat format = chosen_format(a.common, a.format);
    const Sheet differences = runs_differences(runs);
    if (format == TableFormat::json) {
        print_document({{"command", "runs compare"}, {"runs", Json::parse(to_text(runs_comparison(runs), format))}, {"differences", Json::parse(to_text(differences, format))}});
    } else {
        fmt::print("{}", to_text(runs_comparison(runs), format));
        if (!differences.rows.empty()) fmt::print("\n{}", to_text(differences, format));
    }
    if (a.svg.empty()) return;
    write_file_atomically(a.svg, runs_chart(runs));
    if (format != TableFormat::json) fmt::print("\ncurves: {}\n", a.svg);
}

/// The set that the run was tested on, by its recipe; empty, with a note, where it cannot be opened.
DatasetPtr validation_of(const RunRecord& run) {
    if (run.recipe.empty() || run.evaluated_on.empty()) return {};
    try {
        const Recipe recipe = parse_recipe(run.recipe, (run.path / "recipe.toml").string());
        if (recipe.val_split == 0)  // most sets have a part to test on, which is read without the rest
            if (DatasetPtr part = open_dataset(recipe.validation.empty() ? recipe.data : recipe.validation, Split::test); part->name() == run.evaluated_on) return part;
        return open_run_data(recipe).validation;
    } catch (const Error& error) {
        note(fmt::format("without thumbnails: {}", error.what()));
        return {};
    }
}

void report(const RunsArguments& a) {
    const RunRecord run = run_named(a.names.front());
    const fs::path out = a.out.empty() ? run.path / "report.html" : fs::path(a.out);
    write_file_atomically(out.string(), report_html(run, validation_of(run)));
    if (a.common.json) print_document({{"command", "runs report"}, {"run", run.path.string()}, {"out", out.string()}});
    else fmt::print("{}\n", out.string());
}

}  // namespace

void add_runs(CLI::App& app) {
    auto a = std::make_shared<RunsArguments>();
    CLI::App* runs = app.add_subcommand("runs", "Training runs: list them, compare them, a report of one");
    runs->add_option("directory", a->directory, "Folder of run directories (default: runs)");
    add_format(*runs, a->format);
    a->common.add_to(*runs);
    const auto add = [&](const std::string& name, const std::string& help, void (*run)(const RunsArguments&)) {
        auto own = std::make_shared<RunsArguments>();
        CLI::App* command = runs->add_subcommand(name, help);
        own->common.add_to(*command);
        command->callback([own, run] { run(*own); });
        return std::pair(command, own);
    };
    const auto [comparing, c] = add("compare", "Results, settings that differ, and curves over one another", compare);
    comparing->add_option("runs", c->names, "Run directories, or names in runs/")->required()->expected(1, 1000);
    comparing->add_option("--svg", c->svg, "Curves to this SVG file");
    add_format(*comparing, c->format);
    const auto [reporting, r] = add("report", "One HTML page that needs nothing else; training writes it too when it ends", report);
    reporting->add_option("run", r->names, "Run directory, or a name in runs/")->required()->expected(1);
    reporting->add_option("--out", r->out, "Where to (default: RUN/report.html)");
    runs->callback([a, runs] {
        if (runs->get_subcommands().empty()) list(*a);
    });
}

}  // namespace fovea::cli
