// fovea: train, evaluate, explain and run convolutional networks from the command line.
//
// Exit codes: 0 done, 1 it failed, 2 it was asked wrongly. Either way one line on stderr says what and how to put it right.

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <string>

#include <fmt/format.h>

#include "command.h"

namespace {

using namespace fovea;

/// One line: what CLI11 and nested messages put on several becomes one sentence.
std::string one_line(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
    for (char& c : text)
        if (c == '\n') c = ' ';
    return text;
}

/// "fovea train" where the words of the command line got that far.
std::string command_of(const CLI::App& app) {
    const auto used = app.get_subcommands();
    return used.empty() ? "fovea" : "fovea " + used.front()->get_name();
}

int run(int argc, char** argv) {
    CLI::App app("fovea: convolutional networks in native C++. 'fovea COMMAND --help' explains a command.", "fovea");
    app.set_version_flag("--version", "fovea " FOVEA_VERSION);
    app.require_subcommand(1);
    cli::add_models(app);
    cli::add_summary(app);
    cli::add_train(app);
    cli::add_finetune(app);
    cli::add_recipes(app);
    cli::add_runs(app);
    cli::add_study(app);
    cli::add_eval(app);
    cli::add_predict(app);
    cli::add_bench(app);
    cli::add_compare(app);
    cli::add_scale(app);
    cli::add_rf(app);
    cli::add_table(app);
    cli::add_graph(app);
    cli::add_autodiff(app);
    cli::add_filters(app);
    cli::add_errata(app);
    cli::add_convert(app);
    cli::add_export(app);
    cli::add_quantize(app);
    cli::add_data(app);
    try {
        const auto is_first = [&](const CLI::App* command) { return command->get_name() == argv[1]; };
        if (const auto commands = app.get_subcommands({}); argc > 1 && argv[1][0] != '-' && std::none_of(commands.begin(), commands.end(), is_first)) {
            std::string names;
            for (const CLI::App* command : commands) names += (names.empty() ? "" : ", ") + command->get_name();
            fmt::print(stderr, "fovea: no command '{}'; there are {}; 'fovea --help' explains\n", one_line(argv[1]), names);
            return 2;
        }
        app.parse(argc, argv);  // runs the command's callback
        if (std::fflush(stdout) == 0 && !std::ferror(stdout)) return 0;
        fmt::print(stderr, "{}: write to standard output: {}; what was printed is not complete\n", command_of(app), std::strerror(errno));
        return 1;
    } catch (const CLI::Success& wanted) {  // --help, --version
        return app.exit(wanted);
    } catch (const CLI::RuntimeError& ended) {  // a command that has said what was wrong itself
        return ended.get_exit_code();
    } catch (const CLI::ParseError& error) {
        const std::string who = command_of(app);
        fmt::print(stderr, "{}: {}; '{} --help' explains\n", who, one_line(error.what()), who);
        return 2;
    } catch (const ArgumentError& error) {
        fmt::print(stderr, "{}: {}\n", command_of(app), one_line(error.what()));
        return 2;
    } catch (const std::bad_alloc&) {
        fmt::print(stderr, "{}: out of memory; a smaller --batch needs less\n", command_of(app));
    } catch (const std::exception& error) {
        fmt::print(stderr, "{}: {}\n", command_of(app), one_line(error.what()));
    }
    return 1;
}

}  // namespace

int main(int argc, char** argv) { return run(argc, argv); }
