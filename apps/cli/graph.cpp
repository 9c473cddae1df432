// fovea graph lenet5 --elementary --format dot: a network, or all it computes, as one graph.

#include <fmt/format.h>

#include "command.h"
#include "fovea/explain.h"
#include "fovea/ops.h"
#include "fovea/passes.h"
#include "network.h"

namespace fovea::cli {

namespace {

struct GraphArguments {
    Common common;
    std::string model, format = "text";
    bool is_elementary = false, has_loss = false;
};

void graph(const GraphArguments& a) {
    const Network network = named_network(a.model);
    Shape image = network.graph.inputs().front().shape();
    image[0] = 1;
    Graph net = a.has_loss ? network.graph.clone() : to_inference(network.graph);
    std::map<std::string, Shape> shapes{{net.inputs().front().path(), image}};
    if (a.has_loss) {
        const Value out = scores_of(net), label = net.input("label", {dynamic}, DType::i32);
        const Value loss = model_loss(network.loss, out, label);
        net.clear_outputs(), net.clear_updates();
        net.output("loss", loss);
        shapes["label"] = {1};
    }
    Graph fixed = remove_dead_code(specialize(net, shapes));
    if (a.is_elementary) fixed = to_elementary(fixed);
    const std::string text = a.format == "dot" ? to_dot(fixed, network.model) : fixed.print();
    if (a.common.json) print_document({{"command", "graph"}, {"model", network.model}, {"nodes", fixed.nodes().size()}, {"graph", text}});
    else fmt::print("{}", text);
}

}  // namespace

void add_graph(CLI::App& app) {
    auto a = std::make_shared<GraphArguments>();
    CLI::App* command = app.add_subcommand("graph", "The network as one graph, a line per operation or in the DOT language");
    command->add_option("model", a->model, "A name of 'fovea models'")->required();
    command->add_flag("--elementary", a->is_elementary, "Layers taken apart into sums, products, exponentials, choices and moves");
    command->add_flag("--loss", a->has_loss, "With the loss behind it");
    command->add_option("--format", a->format, "text or dot (Graphviz)")->check(CLI::IsMember({"text", "dot"}));
    a->common.add_to(*command);
    command->callback([a] { graph(*a); });
}

}  // namespace fovea::cli
