// Padding and cropping. Constant padding is its own gradient with the signs turned; reflect and replicate have a scattering one.
#include "fovea/ops.h"
#include "ops/axis_maps.h"

namespace fovea {

namespace {

/// Where padded index o along an axis comes from; before and after may be negative.
AxisMap map_of(std::int64_t size, std::int64_t before, std::int64_t after, std::string_view mode) {
    AxisMap map;
    for (std::int64_t o = 0; o < size + before + after; ++o) {
        std::int64_t i = o - before;
        if (i < 0 || i >= size) {
            if (mode == "reflect")
                i = i < 0 ? -i : 2 * (size - 1) - i;
            else if (mode == "replicate")
                i = std::clamp<std::int64_t>(i, 0, size - 1);
            else
                i = -1;
        }
        map.push_back(i);
    }
    return map;
}

Shape padded(const OpInputs& in, const Shape& x) {
    const auto before = in.attrs().integers("before"), after = in.attrs().integers("after");
    const std::string mode = in.attrs().text("mode");
    in.check<ArgumentError>(mode == "constant" || mode == "reflect" || mode == "replicate", "mode must be constant, reflect or replicate, got '{}'", mode);
    const auto rank = static_cast<std::size_t>(x.rank());
    in.check(before.size() == rank && after.size() == rank && rank >= 1, "takes {} amounts before and after for input {}, got {} and {}", rank, x, before.size(), after.size());
    Shape y = x;
    for (int d = 0; d < x.rank(); ++d) {
        const std::int64_t b = before[static_cast<std::size_t>(d)], a = after[static_cast<std::size_t>(d)];
        if (x[d] == dynamic) continue;
        y[d] = x[d] + b + a;
        in.check(y[d] >= 0, "nothing is left of dimension {} of {} with {} before and {} after", d, x, b, a);
        if (mode == "reflect") in.check(b < x[d] && a < x[d], "reflect takes less than the size of dimension {} of {}, got {} before and {} after", d, x, b, a);
    }
    return y;
}

bool is_dynamic_padded(const Shape& x, const Attrs& attrs) {
    const auto before = attrs.integers("before"), after = attrs.integers("after");
    for (int d = 0; d < x.rank(); ++d)
        if (x[d] == dynamic && (before[static_cast<std::size_t>(d)] != 0 || after[static_cast<std::size_t>(d)] != 0)) return true;
    return false;
}

Values pad_gradient(const Grad& g) {
    if (g.attrs().text("mode") != "constant" || is_dynamic_padded(g.x().shape(), g.attrs())) return g.graph().add("pad_backward", {g.dy(), g.x()}, g.attrs());
    std::vector<std::int64_t> before = g.attrs().integers("before"), after = g.attrs().integers("after");
    for (auto& v : before) v = -v;
    for (auto& v : after) v = -v;
    return g.graph().add("pad", {g.dy()}, {{"before", before}, {"after", after}, {"mode", "constant"}, {"value", 0.0}});
}

}  // namespace

AxisMaps pad_maps(const Shape& x, const Attrs& attrs) {
    const auto before = attrs.integers("before"), after = attrs.integers("after");
    AxisMaps maps;
    for (int d = 0; d < x.rank(); ++d) maps.push_back(map_of(x[d], before[static_cast<std::size_t>(d)], after[static_cast<std::size_t>(d)], attrs.text("mode")));
    return maps;
}

Value pad(const Value& x, const std::vector<std::int64_t>& before, const std::vector<std::int64_t>& after, const PadSpec& spec, std::string_view name) {
    require<ArgumentError>(spec.mode == PadMode::given || spec.mode == PadMode::reflect || spec.mode == PadMode::replicate, "pad '{}': mode must be given, reflect or replicate", name);
    const std::string mode = spec.mode == PadMode::reflect ? "reflect" : spec.mode == PadMode::replicate ? "replicate" : "constant";
    return x.graph().add("pad", {x}, {{"before", before}, {"after", after}, {"mode", mode}, {"value", spec.value}}, name);
}

Value pad(const Value& x, const Pad4& amounts, const PadSpec& spec, std::string_view name) {
    const int rank = x.shape().rank();
    require<ShapeError>(rank >= 2, "pad '{}': input must have rows and columns, got {}", x.graph().path_of(name), x.shape());
    std::vector<std::int64_t> before(static_cast<std::size_t>(rank), 0), after = before;
    before[before.size() - 2] = amounts.top, after[after.size() - 2] = amounts.bottom;
    before.back() = amounts.left, after.back() = amounts.right;
    return pad(x, before, after, spec, name);
}

Value crop(const Value& x, const CropSpec& spec, std::string_view name) {
    const Shape& s = x.shape();
    require<ShapeError>(s.rank() >= 2 && s[-2] != dynamic && s[-1] != dynamic, "crop '{}': needs a known height and width, got {}", x.graph().path_of(name), s);
    require<ShapeError>(spec.top >= 0 && spec.left >= 0 && spec.top + spec.size.h <= s[-2] && spec.left + spec.size.w <= s[-1],
                        "crop '{}': {}x{} from ({}, {}) reaches outside {}", x.graph().path_of(name), spec.size.h, spec.size.w, spec.top, spec.left, s);
    return pad(x, Pad4(-spec.top, spec.top + spec.size.h - s[-2], -spec.left, spec.left + spec.size.w - s[-1]), {}, name.empty() ? "crop" : name);
}

void register_pad(OpRegistry& ops) {
    ops.add({.name = "pad",
             .shape = [](const OpInputs& in) { return Types(Type{padded(in, in.shape(0)), in.dtype(0)}); },
             .gradient = pad_gradient,
             .cost = [](const OpInputs&) { return Cost{}; },
             .reference =
                 [](const OpRun& run) {
                     with_input_type(run, [&](auto tag) {
                         using T = decltype(tag);
                         gather(run.out_shape(), run.shape(0), pad_maps(run.shape(0), run.attrs()), run.in<T>(0), run.out<T>(), static_cast<T>(run.attrs().real("value", 0)));
                     });
                 }});
    // dy, like x -> dx: what was copied to several places is summed.
    ops.add({.name = "pad_backward",
             .shape =
                 [](const OpInputs& in) {
                     const Shape y = padded(in, in.shape(1));
                     in.check(in.shape(0) == y, "gradient must be {}, got {}", y, in.shape(0));
                     return Types(in.shape(1));
                 },
             .gradient =
                 [](const Grad& g) -> Values {
                 Attrs attrs = g.attrs();
                 attrs.set("value", 0.0);
                 return g.graph().add("pad", {g.dy()}, std::move(attrs));
             },
             .cost = [](const OpInputs& in) { return Cost{0, in.shape(0).elements()}; },
             .reference =
                 [](const OpRun& run) {
                     run.with_real([&](auto tag) {
                         using T = decltype(tag);
                         scatter(run.shape(0), run.out_shape(), pad_maps(run.out_shape(), run.attrs()), run.in<T>(0), run.out<T>());
                     });
                 },
             .shape_only = 0b10});
}

}  // namespace fovea
