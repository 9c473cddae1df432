// Theoretical receptive fields: a window of k positions, d apart, over a map whose neighbours are j pixels apart widens what is seen by
// (k - 1) d j; a stride s makes it s j. Araujo, Norris, Sim 2019, "Computing Receptive Fields of Convolutional Neural Networks".
#include <algorithm>

#include "core/text.h"
#include "fovea/explain.h"
#include "fovea/passes.h"
#include "graph/op.h"

namespace fovea {

namespace {

using Extent = std::array<std::int64_t, 2>;

/// What is known of a value: its field, and the rows and columns that a flattened vector came from.
struct Seen {
    ReceptiveField field;
    Extent extent{1, 1};
};

Extent extent_of(const Shape& shape) { return shape.rank() == 4 ? Extent{shape[2], shape[3]} : Extent{1, 1}; }

/// The window and the step that a node slides over its input, per axis.
struct Slide {
    std::array<double, 2> kernel{1, 1}, stride{1, 1}, dilation{1, 1};
};

Slide slide_of(const Attrs& attrs, std::array<double, 2> kernel) {
    Slide slide{.kernel = kernel};
    for (std::size_t a = 0; a < 2; ++a) {
        if (attrs.has("stride")) slide.stride[a] = static_cast<double>(attrs.integers("stride")[a]);
        if (attrs.has("dilation")) slide.dilation[a] = static_cast<double>(attrs.integers("dilation")[a]);
    }
    return slide;
}

std::array<double, 2> pair_of(const std::vector<std::int64_t>& sizes) { return {static_cast<double>(sizes[0]), static_cast<double>(sizes[1])}; }

/// A window as large as what it sees: a linear layer, a global pool.
Slide whole(const Extent& extent) {
    const std::array<double, 2> sizes{static_cast<double>(extent[0]), static_cast<double>(extent[1])};
    return {.kernel = sizes, .stride = sizes};
}

ReceptiveField slid(const ReceptiveField& from, const Slide& slide) {
    ReceptiveField to;
    for (std::size_t a = 0; a < 2; ++a) {
        to.size[a] = from.size[a] + (slide.kernel[a] - 1) * slide.dilation[a] * from.stride[a];
        to.stride[a] = from.stride[a] * slide.stride[a];
    }
    return to;
}

/// A map enlarged by `factor`: positions lie closer; each is made from `taps` neighbours.
ReceptiveField enlarged(const ReceptiveField& from, std::array<double, 2> factor, double taps) {
    ReceptiveField to;
    for (std::size_t a = 0; a < 2; ++a) {
        to.size[a] = from.size[a] + (factor[a] > 1 ? taps - 1 : 0) * from.stride[a];
        to.stride[a] = from.stride[a] / factor[a];
    }
    return to;
}

class Walk {
public:
    explicit Walk(const Graph& graph) : seen_(graph.nodes().size()) {
        for (const Node& node : graph.nodes()) seen_[static_cast<std::size_t>(node.id)] = look(node);
    }
    [[nodiscard]] std::vector<std::optional<ReceptiveField>> fields() const {
        std::vector<std::optional<ReceptiveField>> all;
        for (const auto& seen : seen_) all.push_back(seen ? std::optional(seen->field) : std::nullopt);
        return all;
    }

private:
    [[nodiscard]] const std::optional<Seen>& of(const Value& value) const {
        static const std::optional<Seen> nothing;
        return value.is_empty() ? nothing : seen_[static_cast<std::size_t>(value.id())];
    }

    /// The widest of the inputs. A gate of one value per channel scales a map and moves nothing: what it sees itself is left out.
    [[nodiscard]] std::optional<Seen> joined(const Node& node) const {
        std::optional<Seen> all;
        const Extent here = extent_of(node.outputs[0].shape);
        bool has_map = false;
        for (const Value& input : node.inputs) has_map |= of(input) && extent_of(input.shape()) == here;
        for (std::size_t i = 0; i < node.inputs.size(); ++i) {
            const std::optional<Seen>& one = of(node.inputs[i]);
            if (!one || !node.op->reads_values_of(i)) continue;
            if (has_map && here != Extent{1, 1} && extent_of(node.inputs[i].shape()) == Extent{1, 1}) continue;
            if (!all) {
                all = one;
                continue;
            }
            for (std::size_t a = 0; a < 2; ++a) {
                all->field.size[a] = std::max(all->field.size[a], one->field.size[a]);
                all->field.stride[a] = std::max(all->field.stride[a], one->field.stride[a]);
            }
        }
        return all;
    }

    [[nodiscard]] std::optional<Seen> look(const Node& node) const {
        const std::string& op = node.op->name;
        const Shape& shape = node.outputs[0].shape;
        if (op == "input") return Seen{{}, extent_of(shape)};
        std::optional<Seen> in = joined(node);
        if (!in) return in;
        // The image may come second (weights folded, gates): windows slide over the first input that depends on it.
        const Shape& x = node.inputs[0].shape();
        Seen out{in->field, shape.rank() == 4 ? extent_of(shape) : in->extent};
        if (op == "conv2d" || op == "locally_connected2d" || op == "unfold") {
            const auto kernel = op == "unfold" || node.attrs.has("kernel") ? pair_of(node.attrs.integers("kernel"))
                                                                           : std::array<double, 2>{static_cast<double>(node.inputs[1].shape()[2]), static_cast<double>(node.inputs[1].shape()[3])};
            out.field = slid(in->field, slide_of(node.attrs, kernel));
        } else if (op == "max_pool2d" || op == "avg_pool2d") {
            out.field = slid(in->field, slide_of(node.attrs, pair_of(node.attrs.integers("kernel"))));
        } else if (op == "adaptive_avg_pool2d" || op == "adaptive_max_pool2d") {
            const Extent from = extent_of(x), to = extent_of(shape);
            Slide slide;
            for (std::size_t a = 0; a < 2; ++a) {
                slide.stride[a] = static_cast<double>(from[a]) / static_cast<double>(to[a]);
                slide.kernel[a] = static_cast<double>((from[a] + to[a] - 1) / to[a]);
            }
            out.field = slid(in->field, slide);
        } else if ((op == "mean" || op == "sum" || op == "max_over") && x.rank() == 4 && extent_of(shape) == Extent{1, 1}) {
            out.field = slid(in->field, whole(extent_of(x)));
            out.extent = {1, 1};
        } else if (op == "linear") {
            out.field = slid(in->field, whole(in->extent));
            out.extent = {1, 1};
        } else if (op == "slice" && x.rank() == 4 && node.attrs.integer("axis") >= 2) {
            out.field.stride[static_cast<std::size_t>(node.attrs.integer("axis") - 2)] *= static_cast<double>(node.attrs.integer("step"));
        } else if (op == "conv2d_backward_input") {  // a transposed convolution: k / s taps meet at a position
            const Slide slide = slide_of(node.attrs, {static_cast<double>(node.inputs[1].shape()[2]), static_cast<double>(node.inputs[1].shape()[3])});
            for (std::size_t a = 0; a < 2; ++a) {
                const double taps = static_cast<double>((static_cast<std::int64_t>(slide.kernel[a]) + static_cast<std::int64_t>(slide.stride[a]) - 1) / static_cast<std::int64_t>(slide.stride[a]));
                out.field.size[a] = in->field.size[a] + (taps - 1) * in->field.stride[a];
                out.field.stride[a] = in->field.stride[a] / slide.stride[a];
            }
        } else if (op == "interpolate" || op == "pixel_shuffle" || op == "pixel_unshuffle") {
            const Extent from = extent_of(x), to = extent_of(shape);
            const double taps = op == "interpolate" && node.attrs.text("mode") != "nearest" ? 2 : 1;
            out.field = enlarged(in->field, {static_cast<double>(to[0]) / static_cast<double>(from[0]), static_cast<double>(to[1]) / static_cast<double>(from[1])}, taps);
            if (op == "pixel_unshuffle")
                for (std::size_t a = 0; a < 2; ++a) out.field.size[a] += out.field.stride[a] - in->field.stride[a];
        }
        return out;
    }

    std::vector<std::optional<Seen>> seen_;
};

}  // namespace

std::vector<std::optional<ReceptiveField>> receptive_fields(const Graph& graph) { return Walk(graph).fields(); }

}  // namespace fovea
