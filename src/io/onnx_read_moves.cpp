// What each ONNX operator becomes: those that move, join, cut, reduce and resample.
#include <algorithm>
#include <cmath>

#include "io/onnx_read_rules.h"

namespace fovea {

namespace {

using Integers = std::vector<std::int64_t>;

/// Sets the result of an operator that only moves elements. An initialiser that nothing else reads stays one, moved.
void set_moved(const ReadNode& n, const std::function<Value(const Value&)>& move) {
    Operand& given = n.operand(0);
    if (given.is_known() && !given.parameter.empty() && given.value.is_empty() && n.reader().uses(n.proto().input(0)) == 1)
        return n.reader().set(n.proto().output(0), {.tensor = n.reader().evaluate(given.tensor, move), .parameter = given.parameter});
    n.set(move(n.value(0)));
}

/// Exporters write weights that begin with equal values once and name the others by Identity: each is a parameter of its own again.
void identity_of(const ReadNode& n) {
    Operand result = n.operand(0);
    if (result.is_known() && !result.parameter.empty()) result.parameter = n.proto().output(0), result.value = {};
    n.reader().set(n.proto().output(0), std::move(result));
}

Integers axes_from_start(const ReadNode& n, Integers axes, int rank) {
    for (auto& a : axes) a = checked_axis(n, a, rank);
    std::ranges::sort(axes);
    n.need(std::ranges::adjacent_find(axes) == axes.end(), "an axis twice");
    return axes;
}

// ---- shape ------------------------------------------------------------------------------------------------------------------

void reshape_of(const ReadNode& n) {
    std::vector<double> wanted;
    if (n.has_attribute("shape")) for (const auto v : n.integers("shape", {})) wanted.push_back(static_cast<double>(v));
    else wanted = n.numbers(1);
    n.need(wanted.size() <= Shape::max_rank, "to {} dimensions", wanted.size());
    n.need(n.integer("allowzero", 0) == 0 || std::ranges::find(wanted, 0.0) == wanted.end(), "allowzero with a size of 0");
    const Shape& x = n.shape(0);
    const std::int64_t written = n.reader().written_batch();
    const auto infers = std::ranges::count(wanted, -1.0), open = std::ranges::count_if(wanted, [](double v) { return std::isnan(v); });
    Integers shape;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const double v = wanted[i];
        const bool keeps_batch = i == 0 && x.rank() > 0 && x[0] == dynamic;
        // An open size is the one to be inferred; where another is, it must be the batch in its place.
        if (std::isnan(v)) shape.push_back(keeps_batch && (infers > 0 || open > 1) ? 0 : -1);
        // A batch that was a number when the file was written, and is open now.
        else if (keeps_batch && written != dynamic && v == static_cast<double>(written)) shape.push_back(0);
        else shape.push_back(static_cast<std::int64_t>(std::clamp(v, -2.0, 0x1p53)));
    }
    Integers sizes;
    for (const auto v : shape) sizes.push_back(std::max<std::int64_t>(v, 1));
    check_elements(n, sizes);
    set_moved(n, [&](const Value& v) { return reshape(v, shape, n.path()); });
}

void flatten_of(const ReadNode& n) {
    const std::int64_t axis = n.integer("axis", 1);
    const int rank = n.shape(0).rank();
    n.need(axis >= -rank && axis <= rank, "axis {} of {} dimensions", axis, rank);
    set_moved(n, [&](const Value& x) { return flattened(n, x, axis < 0 ? axis + rank : axis); });
}

void squeeze_of(const ReadNode& n) {
    bool given = false;
    Integers axes = n.list("axes", 1, &given);
    const Shape x = n.shape(0);
    for (int d = 0; !given && d < x.rank(); ++d)
        if (x[d] == 1) axes.push_back(d);
    axes = axes_from_start(n, axes, x.rank());
    set_moved(n, [&](Value y) {
        for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) y = squeeze(y, *axis, n.path());
        return y;
    });
}

void unsqueeze_of(const ReadNode& n) {
    const Integers given = n.list("axes", 1);
    const Integers axes = axes_from_start(n, given, n.shape(0).rank() + static_cast<int>(given.size()));
    set_moved(n, [&](Value y) {
        for (const std::int64_t axis : axes) y = unsqueeze(y, axis, n.path());
        return y;
    });
}

void transpose_of(const ReadNode& n) {
    const int rank = n.shape(0).rank();
    Integers order = n.integers("perm", {});
    for (int d = rank - 1; !n.has_attribute("perm") && d >= 0; --d) order.push_back(d);
    set_moved(n, [&](const Value& x) { return transpose(x, order, n.path()); });
}

/// x broadcast to the shape of another value, or to one that is known: a sum with zeros.
void expand_of(const ReadNode& n) {
    if (const Value like = n.operand(1).shape_of; !like.is_empty()) return n.set(expand_to(n.value(0), like));
    std::vector<double> wanted = n.numbers(1);
    const Shape& x = n.shape(0);
    Integers dims;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const int at = static_cast<int>(i) - (static_cast<int>(wanted.size()) - x.rank());
        const bool is_open = at >= 0 && x[at] == dynamic;
        n.need(!std::isnan(wanted[i]) || is_open, "to the batch, which is open");
        dims.push_back(std::isnan(wanted[i]) || is_open ? 1 : static_cast<std::int64_t>(std::clamp(wanted[i], -1.0, 0x1p53)));
    }
    check_elements(n, dims, std::int64_t{1} << 22);
    n.set(add(n.value(0), n.graph().constant(Tensor(Shape(std::span<const std::int64_t>(dims)))), n.path()));
}

// ---- parts ------------------------------------------------------------------------------------------------------------------

void concat_of(const ReadNode& n) {
    std::vector<Value> values;
    for (int i = 0; i < n.inputs(); ++i) values.push_back(n.value(i));
    n.need(!values.empty(), "of nothing");
    n.set(concat(values, checked_axis(n, n.integer("axis", 1), values[0].shape().rank()), n.path()));
}

void split_of(const ReadNode& n) {
    const Value x = n.value(0);
    const std::int64_t axis = checked_axis(n, n.integer("axis", 0), x.shape().rank()), size = x.shape()[static_cast<int>(axis)], count = n.outputs();
    n.need(size != dynamic && count >= 1, "along an open dimension");
    bool given = false;
    Integers parts = n.list("split", 1, &given);
    const std::int64_t part = (size + count - 1) / count;
    for (std::int64_t i = 0; !given && i < count; ++i) parts.push_back(std::min(part, size - i * part));
    n.need(static_cast<std::int64_t>(parts.size()) == count && std::ranges::all_of(parts, [&](auto p) { return p >= 1 && p <= size; }), "into [{}] of {}", fmt::join(parts, ", "), size);
    const auto pieces = split(x, parts, axis, n.path());
    for (int i = 0; i < count; ++i)
        if (!n.proto().output(i).empty()) n.set(pieces[static_cast<std::size_t>(i)], i);
}

void slice_of(const ReadNode& n) {
    Value y = n.value(0);
    const int rank = y.shape().rank();
    const Integers starts = n.list("starts", 1), ends = n.list("ends", 2);
    bool has_axes = false;
    Integers axes = n.list("axes", 3, &has_axes), steps = n.has(4) ? n.integers(4) : Integers(starts.size(), 1);
    for (std::size_t i = 0; !has_axes && i < starts.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
    n.need(ends.size() == starts.size() && axes.size() == starts.size() && steps.size() == starts.size(), "{} starts, {} ends, {} axes, {} steps", starts.size(), ends.size(), axes.size(), steps.size());
    for (std::size_t i = 0; i < starts.size(); ++i) {
        const std::int64_t axis = checked_axis(n, axes[i], rank), size = y.shape()[static_cast<int>(axis)];
        if (starts[i] == 0 && steps[i] == 1 && (ends[i] >= (std::int64_t{1} << 31) - 1 || (size != dynamic && ends[i] >= size))) continue;
        n.need(size != dynamic, "along an open dimension");
        if (steps[i] == -1) {
            const bool is_whole = (starts[i] == -1 || starts[i] >= size - 1) && ends[i] < -size;
            n.need(is_whole, "backwards over a part");
            y = flip(y, {axis}, n.path());
            continue;
        }
        n.need(steps[i] >= 1 && steps[i] <= std::int64_t{1} << 31, "a step of {}", steps[i]);
        y = slice(y, {.axis = axis, .start = starts[i], .stop = ends[i], .step = steps[i]}, n.path());
    }
    n.set(y);
}

void gather_of(const ReadNode& n) {
    const Value x = n.value(0);
    const std::int64_t axis = checked_axis(n, n.integer("axis", 0), x.shape().rank()), size = x.shape()[static_cast<int>(axis)];
    n.need(size != dynamic, "along an open dimension");
    const Shape which = n.shape(1);
    n.need(which.rank() <= 1 && which.elements() >= 1 && which.elements() <= 1024, "by indices {}", which);
    Integers indices = n.integers(1);
    for (auto& i : indices) n.need(i >= -size && i < size, "index {} of {}", i, size), i = i < 0 ? i + size : i;
    const auto one = [&](std::int64_t i) { return slice(x, {.axis = axis, .start = i, .stop = i + 1}, n.path()); };
    if (which.rank() == 0) return n.set(squeeze(one(indices[0]), axis, n.path()));
    const std::int64_t step = indices.size() > 1 ? indices[1] - indices[0] : 1;
    bool is_even = step >= 1;
    for (std::size_t i = 1; i < indices.size(); ++i) is_even &= indices[i] - indices[i - 1] == step;
    if (is_even) return n.set(slice(x, {.axis = axis, .start = indices.front(), .stop = indices.back() + 1, .step = step}, n.path()));
    std::vector<Value> parts;
    for (const std::int64_t i : indices) parts.push_back(one(i));
    n.set(concat(parts, axis, n.path()));
}

void pad_of(const ReadNode& n) {
    const Value x = n.value(0);
    const auto rank = static_cast<std::size_t>(x.shape().rank());
    const Integers amounts = n.opset() < 2 ? n.list("paddings", 1) : n.list("pads", 1);
    n.need(amounts.size() == 2 * rank && !n.has(3), "{} amounts for {}", amounts.size(), x.shape());
    for (const std::int64_t v : amounts) n.need(std::abs(v) <= std::int64_t{1} << 24, "by {}", v);
    const std::string mode = n.text("mode", "constant");
    n.need(mode == "constant" || mode == "reflect" || mode == "edge", "mode {}", mode);
    const PadSpec spec{.mode = mode == "constant" ? PadMode::given : mode == "reflect" ? PadMode::reflect : PadMode::replicate, .value = n.number("value", 2, 0)};
    const auto half = amounts.begin() + static_cast<std::ptrdiff_t>(rank);
    if (std::ranges::all_of(amounts, [](auto v) { return v == 0; })) return n.set(x);
    n.set(pad(x, Integers(amounts.begin(), half), Integers(half, amounts.end()), spec, n.path()));
}

// ---- reductions -------------------------------------------------------------------------------------------------------------

ReduceSpec reduction(const ReadNode& n) {
    const Integers axes = axes_from_start(n, n.list("axes", 1), n.shape(0).rank());
    return {.axes = axes, .keep = n.integer("keepdims", 1) != 0};
}

/// Whether an empty list of axes asks for nothing instead of all.
bool reduces_nothing(const ReadNode& n, const ReduceSpec& spec) { return spec.axes.empty() && n.integer("noop_with_empty_axes", 0) != 0; }

template <class F> ReadRule reduce(F f) {
    return [f](const ReadNode& n) {
        const ReduceSpec spec = reduction(n);
        n.set(reduces_nothing(n, spec) ? n.value(0) : f(n.value(0), spec, n.path()));
    };
}

Value mean_of(const Value& x, const ReduceSpec& spec, const std::string& name) {
    // The mean over a plane is the pooling that the kernels know.
    if (x.shape().rank() == 4 && spec.axes == Integers{2, 3} && spec.keep) return global_avg_pool(x, name);
    return mean(x, spec, name);
}

// ---- resampling -------------------------------------------------------------------------------------------------------------

void resample(const ReadNode& n, const std::vector<double>& scales, const std::vector<double>& sizes, std::string transformation, const std::string& rounding) {
    const Value x = n.value(0);
    const Shape& s = x.shape();
    const std::string mode = n.text("mode", "nearest");
    const auto& list = sizes.empty() ? scales : sizes;
    n.need(s.rank() == 4 && list.size() == 4, "of {} by {} numbers", s, list.size());
    n.need(mode == "nearest" || mode == "linear" || mode == "bilinear", "mode {}", mode);
    for (const int d : {2, 3}) n.need(list[static_cast<std::size_t>(d)] > 0 && list[static_cast<std::size_t>(d)] <= 0x1p24, "to a size or by a scale of {}", list[static_cast<std::size_t>(d)]);
    if (sizes.empty()) n.need(scales[0] == 1 && scales[1] == 1, "of batch or channels");
    else n.need((std::isnan(sizes[0]) || s[0] == dynamic || sizes[0] == static_cast<double>(s[0])) && sizes[1] == static_cast<double>(s[1]), "of batch or channels");
    const auto factor = [&](int d) { return sizes.empty() ? scales[static_cast<std::size_t>(d)] : s[d] == dynamic ? 0 : sizes[static_cast<std::size_t>(d)] / static_cast<double>(s[d]); };
    const double fh = factor(2), fw = factor(3);
    if (fh == 1 && fw == 1) return n.set(x);
    const bool is_nearest = mode == "nearest", is_whole = fh >= 1 && fw >= 1 && fh == std::floor(fh) && fw == std::floor(fw);
    if (is_nearest) {
        // For whole factors the ways to round agree: the middle of a cell lies in its own pixel.
        const bool is_floor = transformation == "asymmetric" && (rounding == "floor" || (is_whole && std::max(fh, fw) <= 2 && rounding == "round_prefer_floor"));
        const bool is_centred = is_whole && (transformation == "half_pixel" || transformation == "pytorch_half_pixel") && rounding.starts_with("round");
        n.need(is_floor || is_centred, "nearest, {} and {}, by {} x {}", transformation, rounding, fh, fw);
    } else {
        if (transformation == "pytorch_half_pixel") transformation = "half_pixel";
        n.need(transformation == "half_pixel" || transformation == "align_corners", "linear, {}", transformation);
    }
    InterpolateSpec spec{.mode = is_nearest ? Interpolation::nearest : Interpolation::bilinear, .align_corners = transformation == "align_corners"};
    if (sizes.empty() && fh == fw) {
        spec.scale = fh;
    } else {
        const auto size = [&](int d) {
            n.need(!sizes.empty() || s[d] != dynamic, "by {} x {} of an open size", fh, fw);
            return sizes.empty() ? static_cast<std::int64_t>(std::floor(static_cast<double>(s[d]) * factor(d))) : static_cast<std::int64_t>(sizes[static_cast<std::size_t>(d)]);
        };
        spec.size = Size2(size(2), size(3));
        n.need(!sizes.empty() || (static_cast<double>(spec.size->h) == static_cast<double>(s[2]) * fh && static_cast<double>(spec.size->w) == static_cast<double>(s[3]) * fw), "by {} x {} of {}", fh, fw, s);
    }
    n.set(interpolate(x, spec, n.path()));
}

void resize_of(const ReadNode& n) {
    if (n.opset() == 10) return resample(n, n.numbers(1), {}, "asymmetric", "floor");
    n.need(n.integer("exclude_outside", 0) == 0 && !n.has_attribute("axes"), "exclude_outside or axes");
    const bool has_sizes = n.has(3);
    n.need(has_sizes || n.has(2), "neither scales nor sizes");
    resample(n, has_sizes ? std::vector<double>{} : n.numbers(2), has_sizes ? n.numbers(3) : std::vector<double>{}, n.text("coordinate_transformation_mode", "half_pixel"),
             n.text("nearest_mode", "round_prefer_floor"));
}

void upsample_of(const ReadNode& n) {
    std::vector<double> scales;
    if (const auto* a = n.attribute("scales")) scales.assign(a->floats().begin(), a->floats().end());
    else scales = n.numbers(1);
    resample(n, scales, {}, "asymmetric", "floor");
}

void depth_to_space(const ReadNode& n) {
    const std::int64_t f = n.integer("blocksize", 0);
    const Value x = n.value(0);
    const Shape& s = x.shape();
    n.need(f >= 1 && f <= 1 << 12 && s.rank() == 4 && s[1] != dynamic && s[1] % (f * f) == 0, "cells of {} x {} of {}", f, f, s);
    if (n.text("mode", "DCR") == "CRD") return n.set(pixel_shuffle(x, f, n.path()));
    // The cell comes before the channel: bring the channel to the front first.
    n.set(pixel_shuffle(channel_shuffle(x, f * f), f, n.path()));
}

void space_to_depth(const ReadNode& n) {
    const std::int64_t f = n.integer("blocksize", 0);
    const Value x = n.value(0);
    n.need(f >= 1 && f <= 1 << 12 && x.shape().rank() == 4 && x.shape()[1] != dynamic, "cells of {} x {} of {}", f, f, x.shape());
    n.set(channel_shuffle(pixel_unshuffle(x, f), x.shape()[1], n.path()));
}

}  // namespace

Value flattened(const ReadNode& n, const Value& x, std::int64_t axis) {
    const Shape& s = x.shape();
    if (axis == 1) return flatten(x, 1, n.path());
    if (axis == 0) return reshape(x, {1, -1}, n.path());
    const std::int64_t inner = s.elements(static_cast<int>(axis), s.rank());
    n.need(inner != dynamic, "{} from axis {} on, which is open", s, axis);
    return reshape(x, {-1, inner}, n.path());
}

void add_move_rules(std::map<std::string, ReadRule, std::less<>>& rules) {
    rules.merge(std::map<std::string, ReadRule, std::less<>>{
        {"Identity", identity_of},
        {"Reshape", reshape_of},
        {"Flatten", flatten_of},
        {"Squeeze", squeeze_of},
        {"Unsqueeze", unsqueeze_of},
        {"Transpose", transpose_of},
        {"Expand", expand_of},
        {"Concat", concat_of},
        {"Split", split_of},
        {"Slice", slice_of},
        {"Gather", gather_of},
        {"Pad", pad_of},
        {"ReduceSum", reduce([](const Value& x, const ReduceSpec& s, const std::string& name) { return sum(x, s, name); })},
        {"ReduceMean", reduce(mean_of)},
        {"ReduceMax", reduce([](const Value& x, const ReduceSpec& s, const std::string& name) { return max_over(x, s, name); })},
        {"ReduceMin", reduce([](const Value& x, const ReduceSpec& s, const std::string&) { return -max_over(-x, s); })},
        {"ReduceL1", reduce([](const Value& x, const ReduceSpec& s, const std::string& name) { return sum(abs(x), s, name); })},
        {"ReduceL2", reduce([](const Value& x, const ReduceSpec& s, const std::string& name) { return sqrt(sum(square(x), s), name); })},
        {"ReduceSumSquare", reduce([](const Value& x, const ReduceSpec& s, const std::string& name) { return sum(square(x), s, name); })},
        {"Resize", resize_of},
        {"Upsample", upsample_of},
        {"DepthToSpace", depth_to_space},
        {"SpaceToDepth", space_to_depth},
    });
}

const std::map<std::string, ReadRule, std::less<>>& read_rules() {
    static const auto rules = [] {
        std::map<std::string, ReadRule, std::less<>> all;
        add_layer_rules(all);
        add_move_rules(all);
        add_quantize_rules(all);
        return all;
    }();
    return rules;
}

}  // namespace fovea
