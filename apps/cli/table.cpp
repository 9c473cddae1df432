// fovea table inception-demo: the modules that lectures count by hand.   fovea errata: what lectures get wrong.

#include <fmt/format.h>

#include "command.h"
#include "fovea/explain.h"
#include "fovea/io.h"

namespace fovea::cli {

namespace {

struct TableArguments {
    Common common;
    std::string name, format = "table", chart;
};

void print(const Sheet& sheet, const TableArguments& a) { fmt::print("{}", to_text(sheet, chosen_format(a.common, a.format))); }

CLI::App* add(CLI::App& app, const std::string& name, const std::string& help, const std::shared_ptr<TableArguments>& a) {
    CLI::App* command = app.add_subcommand(name, help);
    add_format(*command, a->format);
    a->common.add_to(*command);
    return command;
}

}  // namespace

void add_table(CLI::App& app) {
    auto a = std::make_shared<TableArguments>();
    CLI::App* command = add(app, "table", "Modules counted layer by layer (inception-demo, inception-5b, bottleneck, neurons), and how ImageNet's error fell (ilsvrc)", a);
    command->add_option("name", a->name, "Which")->required();
    command->add_option("--chart", a->chart, "Of ilsvrc: bars, to this SVG file");
    command->callback([a] {
        const bool is_ilsvrc = a->name == "ilsvrc";
        if (!is_ilsvrc && !a->chart.empty()) throw ArgumentError("--chart: only 'fovea table ilsvrc' has a chart");
        if (!a->chart.empty()) {
            write_file_atomically(a->chart, ilsvrc_chart());
            note(fmt::format("chart in '{}'", a->chart));
        }
        print(is_ilsvrc ? ilsvrc_sheet() : demo_sheet(a->name), *a);
    });
}

void add_errata(CLI::App& app) {
    auto a = std::make_shared<TableArguments>();
    CLI::App* command = add(app, "errata", "What lectures say about networks and is not so, with the right values counted", a);
    command->callback([a] { print(errata_sheet(), *a); });
}

}  // namespace fovea::cli
