// fovea table inception-demo: the modules that lectures count by hand.   fovea errata: what lectures get wrong.

#include <fmt/format.h>

#include "command.h"
#include "fovea/explain.h"

namespace fovea::cli {

namespace {

struct TableArguments {
    Common common;
    std::string name, format = "table";
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
    CLI::App* command = add(app, "table", "Modules counted layer by layer: inception-demo, inception-5b, bottleneck, neurons", a);
    command->add_option("name", a->name, "Which")->required();
    command->callback([a] { print(demo_sheet(a->name), *a); });
}

void add_errata(CLI::App& app) {
    auto a = std::make_shared<TableArguments>();
    CLI::App* command = add(app, "errata", "What lectures say about networks and is not so, with the right values counted", a);
    command->callback([a] { print(errata_sheet(), *a); });
}

}  // namespace fovea::cli
