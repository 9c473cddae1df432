// What a position of a map sees in fact: the gradient of its middle with respect to every pixel, over images of noise.
#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "fovea/explain.h"
#include "fovea/ops.h"
#include "fovea/passes.h"
#include "fovea/runtime.h"

namespace fovea {

namespace {

/// `layer`, or the last map of the network.
Value map_of(Graph& graph, std::string_view layer) {
    Value map;
    if (!layer.empty()) {
        map = graph.find(layer);
    } else {
        const std::vector<bool> alive = reachable(graph);
        for (const Node& node : graph.nodes()) {
            const Shape& shape = node.outputs[0].shape;
            if (alive[static_cast<std::size_t>(node.id)] && shape.rank() == 4 && shape[0] == 1 && shape[2] * shape[3] > 1 && node.inputs.size() > 0) map = Value(&graph, node.id, 0);
        }
    }
    require<ArgumentError>(!map.is_empty() && map.shape().rank() == 4, "effective field: '{}' is no map [N, C, H, W]", layer.empty() ? "the network" : layer);
    return map;
}

}  // namespace

EffectiveField effective_field(const Graph& network, const Parameters& parameters, std::string_view layer, const EffectiveFieldSpec& spec) {
    require<ArgumentError>(spec.images > 0, "effective field: at least one image, got {}", spec.images);
    const Value image = network.inputs().front();
    Shape shape = image.shape();
    shape[0] = 1;
    const std::string name = image.path();
    Graph graph = specialize(to_inference(network), {{name, shape}});
    const Value map = map_of(graph, layer);
    EffectiveField field{.layer = std::string(map.path()), .weight = Tensor({shape[2], shape[3]}, DType::f64)};
    if (const auto theoretical = receptive_fields(graph)[static_cast<std::size_t>(map.id())]) field.theoretical = *theoretical;
    const Value middle = slice(slice(map, {.axis = 2, .start = map.shape()[2] / 2, .stop = map.shape()[2] / 2 + 1}), {.axis = 3, .start = map.shape()[3] / 2, .stop = map.shape()[3] / 2 + 1});
    const Value pixels = graph.inputs().front();
    const Value gradient = gradients(sum(middle), {&pixels, 1}).front();
    require<ArgumentError>(!gradient.is_empty(), "effective field: '{}' does not depend on the image", field.layer);
    graph.clear_outputs();
    graph.clear_updates();
    graph.output("gradient", gradient);
    graph = remove_dead_code(graph, true);

    Session session(compile(graph, {{name, shape}}), std::make_shared<State>(parameters));
    const std::int64_t plane = shape[2] * shape[3];
    std::vector<double> total(static_cast<std::size_t>(plane), 0.0);
    const Rng rng(spec.seed, hash_name("effective field"));
    for (int i = 0; i < spec.images; ++i) {
        Tensor noise(shape);
        for (std::int64_t e = 0; e < noise.elements(); ++e) noise.set(e, rng.normal(static_cast<std::uint64_t>(i * noise.elements() + e)));
        const Tensor slope = session.run({{name, noise}}).front();
        for (std::int64_t p = 0; p < plane; ++p) {
            double square = 0;
            for (std::int64_t c = 0; c < shape[1]; ++c) square += slope.at(c * plane + p) * slope.at(c * plane + p);
            total[static_cast<std::size_t>(p)] += std::sqrt(square);
        }
    }
    const double most = *std::ranges::max_element(total);
    require<Error>(most > 0 && std::isfinite(most), "effective field: the gradient of '{}' is {} everywhere", field.layer, most);
    constexpr double two_deviations = 1 - 0.9545;
    std::int64_t area = 0;
    for (std::int64_t p = 0; p < plane; ++p) {
        const double weight = total[static_cast<std::size_t>(p)] / most;
        field.weight.set(p, weight);
        area += weight > two_deviations;
    }
    field.side = std::sqrt(static_cast<double>(area));
    return field;
}

Image picture_of(const EffectiveField& field) {
    const std::int64_t height = field.weight.shape()[0], width = field.weight.shape()[1];
    const int scale = static_cast<int>(std::max<std::int64_t>(1, 448 / std::max(height, width)));
    Image picture(width, height, 3);
    for (std::int64_t p = 0; p < height * width; ++p) {
        // The square root shows the skirts; black, red, yellow, white.
        const double heat = 3 * std::sqrt(field.weight.at(p));
        for (std::int64_t c = 0; c < 3; ++c) picture.pixels[static_cast<std::size_t>(3 * p + c)] = static_cast<std::uint8_t>(std::lround(255 * std::clamp(heat - static_cast<double>(c), 0.0, 1.0)));
    }
    picture = enlarge(picture, scale);
    const auto frame = [&](double h, double w, Colour colour) {
        const auto rows = static_cast<std::int64_t>(h * scale), columns = static_cast<std::int64_t>(w * scale);
        draw_rect(picture, (picture.width - columns) / 2, (picture.height - rows) / 2, columns, rows, colour);
    };
    frame(field.theoretical.size[0], field.theoretical.size[1], {128, 128, 128});
    frame(field.side, field.side, {255, 255, 255});
    return picture;
}

}  // namespace fovea
