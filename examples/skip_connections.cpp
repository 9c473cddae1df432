// GoogLeNet's auxiliary classifiers become skip connections: a rewrite of a graph in three lines.
#include <cmath>
#include <cstdio>
#include <fovea/fovea.h>

using namespace fovea;

/// The norm of the gradient that reaches the first convolution, from the loss of `scores` alone.
double gradient_at_the_stem(const Graph& network, const Parameters& parameters) {
    Graph net = network.clone();
    const Value loss = cross_entropy(net.find_output("out"), net.input("label", {dynamic}, DType::i32));
    const Value weight = net.find("conv1.weight");
    const Value gradient = gradients(loss, {&weight, 1}).front();
    net.clear_outputs();
    net.clear_updates();
    net.output("norm", sum(square(gradient)));
    Session session(compile(remove_dead_code(net, true), {{"image", {2, 3, 224, 224}}, {"label", {2}}}), std::make_shared<State>(parameters));
    Tensor image({2, 3, 224, 224}), label({2}, DType::i32);
    const Rng rng(1, hash_name("noise"));
    for (std::int64_t i = 0; i < image.elements(); ++i) image.set(i, rng.normal(static_cast<std::uint64_t>(i)));
    label.set(1, 7);
    return std::sqrt(session.run({{"image", image}, {"label", label}}).front().at(0));
}

int main() {
    const Graph googlenet = build_model("googlenet_v1");
    Graph net = googlenet.clone();

    // Each head ends in the op "auxiliary", which marks its scores for a loss of their own, with a weight, and for being dropped at inference.
    const auto scores_of_head = [&](std::string_view name) { return net.find_output(name).node().inputs.front(); };
    const Value joined = net.find_output("out") + 0.3 * scores_of_head("aux1") + 0.3 * scores_of_head("aux2");
    net.clear_outputs();
    net.output("out", joined);

    const Parameters parameters = make_parameters(net, 0);
    std::printf("nodes at inference: %zu, and %zu with skips\n", remove_dead_code(to_inference(googlenet)).nodes().size(), remove_dead_code(to_inference(net)).nodes().size());
    const double plain = gradient_at_the_stem(googlenet, parameters), skipped = gradient_at_the_stem(net, parameters);
    std::printf("gradient at the first convolution: %.3g from the last classifier, %.3g with skips, %.1f times as much\n", plain, skipped, skipped / plain);
    return skipped > plain ? 0 : 1;
}
