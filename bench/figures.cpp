// fovea-figures: the small times of docs/benchmarks.md: building, compiling and opening networks, each beside its target.
//
// Wall time and this process's own CPU time, minimum of several runs: on a machine with other work only the second means something.

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "fovea/io.h"
#include "fovea/models.h"
#include "fovea/nn.h"
#include "fovea/runtime.h"
#include "fovea/train.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

struct Figure {
    std::string what;
    double wall_ms = 0, cpu_ms = 0, target_ms = 0;
};

double now_ms() { return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Of this process, or of the children it has waited for.
double cpu_ms(int who) {
    rusage usage{};
    getrusage(who, &usage);
    const auto ms = [](const timeval& t) { return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_usec) / 1e3; };
    return ms(usage.ru_utime) + ms(usage.ru_stime);
}

/// The least of `runs` times; CPU and wall time may come from different runs.
Figure figure(std::string what, double target_ms, int runs, const std::function<void()>& run, int who = RUSAGE_SELF) {
    Figure best{std::move(what), 1e300, 1e300, target_ms};
    for (int i = 0; i < runs; ++i) {
        const double wall = now_ms(), cpu = cpu_ms(who);
        run();
        best.wall_ms = std::min(best.wall_ms, now_ms() - wall);
        best.cpu_ms = std::min(best.cpu_ms, cpu_ms(who) - cpu);
    }
    return best;
}

void builds(std::vector<Figure>& figures) {
    for (const auto& [model, target] : {std::pair{"resnet152", 10.0}, {"densenet201", 20.0}})
        figures.push_back(figure(fmt::format("build {}", model), target, 20, [&] { (void)build_model(model); }));
}

/// Loss, gradients, optimiser: the whole step at batch 1 (the graph's size is what costs).
Executable compile_step(const Graph& network) {
    Graph graph = network.clone();
    const Value out = graph.find_output("out");
    const Value loss = model_loss(ModelLoss::cross_entropy, out, graph.input("label", {dynamic}, DType::i32));
    graph.clear_outputs();
    graph.output("loss", loss);
    append_optimizer(graph, loss, Sgd{.lr = 0.1, .momentum = 0.9});
    Shape image = graph.inputs().front().shape();
    image[0] = 1;
    return compile(graph, {{"image", image}, {"label", Shape{1}}});
}

void compiles(std::vector<Figure>& figures) {
    for (const char* model : {"resnet50", "resnet152", "densenet201", "efficientnet_b7"}) {
        const Graph graph = build_model(model);
        Shape image = graph.inputs().front().shape();
        image[0] = 1;
        figures.push_back(figure(fmt::format("compile {} for inference", model), 500, 3, [&] { (void)compile(graph, {{"image", image}}, {.inference = true}); }));
        figures.push_back(figure(fmt::format("compile {} training step", model), 1500, 3, [&] { (void)compile_step(graph); }));
    }
}

/// VGG-16: 138 million parameters, 528 MiB. The files are in the page cache when they are read.
void files(std::vector<Figure>& figures, const fs::path& folder) {
    const Graph graph = build_model("vgg16");
    const std::string mapped = folder / "vgg16.safetensors", pickled = folder / "vgg16.pth";
    {
        Parameters parameters;  // what the values are costs nothing to read; zeros are quick to make, but no hole in a file
        for (const ParameterInfo& p : graph.parameters()) {
            Tensor value(p.type.shape, p.type.dtype);
            std::ranges::fill(value.data<float>(), 0.01F);
            parameters.set(p.name, value);
        }
        save_safetensors(mapped, parameters);
        save_pytorch(pickled, parameters);
    }
    const double gigabytes = static_cast<double>(fs::file_size(pickled)) / 1e9;
    figures.push_back(figure("map VGG-16's 528 MiB safetensors, match it to the network, compile: ready to run", 500, 3, [&] {
        const Graph network = build_model("vgg16");
        const auto state = std::make_shared<State>(parameters_from(network, load_weights(mapped)));
        const Session session(compile(network, {{"image", {1, 3, 224, 224}}}, {.inference = true}), state);
    }));
    figures.push_back(figure(fmt::format("read its .pth, every byte: {:.2f} GB at 1 GB/s", gigabytes), gigabytes * 1e3, 3, [&] {
        const Parameters parameters = load_weights(pickled);
        std::uint64_t sum = 0;  // of every page, so that a mapped tensor counts as read only when it is
        for (const std::string& name : parameters.names()) {
            const auto values = parameters.at(name).data<float>();
            for (std::size_t i = 0; i < values.size(); i += 16) sum += static_cast<std::uint64_t>(values[i] * 1e4F);
        }
        if (sum == 0) throw Error("figures: the .pth holds nothing");
    }));
}

/// A process from start to exit; its output goes nowhere.
void commands(std::vector<Figure>& figures, const std::string& fovea) {
    for (const char* arguments : {"models", "summary resnet152", "summary densenet201", "summary efficientnet_b7"}) {
        const std::string command = fmt::format("'{}' {} > /dev/null", fovea, arguments);
        figures.push_back(figure(fmt::format("fovea {}", arguments), 150, 5, [&] {
            if (std::system(command.c_str()) != 0) throw Error(fmt::format("figures: {} failed", command));
        }, RUSAGE_CHILDREN));
    }
}

}  // namespace
}  // namespace fovea

int main(int argc, char** argv) {
    using namespace fovea;
    CLI::App app("Times of building, compiling and opening networks, beside their targets");
    std::string program, folder = fs::temp_directory_path() / "fovea-figures";
    bool json = false;
    app.add_option("--fovea", program, "The fovea program; left out, its commands are not timed");
    app.add_option("--folder", folder, "For two files of 528 MiB, removed afterwards");
    app.add_flag("--json", json, "One document instead of a table");
    CLI11_PARSE(app, argc, argv);
    try {
        std::vector<Figure> figures;
        builds(figures);
        compiles(figures);
        fs::create_directories(folder);
        files(figures, folder);
        fs::remove_all(folder);
        if (!program.empty()) commands(figures, program);
        if (json) {
            nlohmann::ordered_json rows = nlohmann::ordered_json::array();
            for (const Figure& f : figures) rows.push_back({{"what", f.what}, {"wall_ms", f.wall_ms}, {"cpu_ms", f.cpu_ms}, {"target_ms", f.target_ms}});
            fmt::print("{}\n", rows.dump(2));
        } else {
            fmt::print("| what | target ms | wall ms | CPU ms | |\n|---|---|---|---|---|\n");
            for (const Figure& f : figures)
                fmt::print("| {} | {:.0f} | {:.1f} | {:.1f} | {} |\n", f.what, f.target_ms, f.wall_ms, f.cpu_ms, f.wall_ms <= f.target_ms ? "met" : f.cpu_ms <= f.target_ms ? "met in CPU time" : "missed");
        }
    } catch (const std::exception& error) {
        fmt::print(stderr, "fovea-figures: {}\n", error.what());
        return 1;
    }
}
