// Softmax and cross-entropy in one op: loss = -sum over c of t_c log p_c, on logits shifted by their maximum.
//
// t is the label smoothed as in Szegedy et al. 2016, arXiv:1512.00567, sec. 7, and weighted by class:
//   t_c = (1 - s) w_label [c = label] + s / L w_c.
// The mean divides by the sum of w_label over the labels that count (their number without weights), as PyTorch does;
// when none counts the loss and its gradient are 0.
#include <algorithm>
#include <cmath>

#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/labels.h"

namespace fovea {

Value cross_entropy(const Value& logits, const Value& labels, const CrossEntropySpec& spec, std::string_view name) {
    Graph& graph = logits.graph();
    const std::string path = graph.path_of(name.empty() ? "cross_entropy" : name);
    require<ArgumentError>(spec.label_smoothing >= 0 && spec.label_smoothing <= 1, "cross_entropy '{}': label_smoothing lies in 0..1, got {}", path, spec.label_smoothing);
    Value weights;
    if (!spec.class_weights.empty()) {
        const std::int64_t classes = logits.shape().rank() >= 2 ? logits.shape()[1] : 0;
        const auto count = static_cast<std::int64_t>(spec.class_weights.size());
        require<ShapeError>(count == classes, "cross_entropy '{}': {} class weights for logits {}", path, count, logits.shape());
        weights = graph.constant(Tensor::of(std::span<const double>(spec.class_weights), {count}), "class_weights");
    }
    return graph.add("softmax_cross_entropy", {logits, labels, weights},
                     {{"label_smoothing", spec.label_smoothing}, {"ignore_index", spec.ignore_index}, {"reduction", std::string(name_of(spec.reduction))}},
                     name.empty() ? "cross_entropy" : name);
}

Value cross_entropy(const Value& logits, const CrossEntropySpec& spec, std::string_view name) {
    require<ShapeError>(logits.shape().rank() >= 2, "cross_entropy '{}': logits are [N, L] or [N, L, H, W], got {}", name, logits.shape());
    return cross_entropy(logits, logits.graph().input("label", label_shape(logits.shape()), DType::i32), spec, name);
}

std::string_view name_of(Reduction reduction) {
    switch (reduction) {
        case Reduction::mean: return "mean";
        case Reduction::sum: return "sum";
        case Reduction::none: break;
    }
    return "none";
}

namespace {

Shape loss_shape(const OpInputs& in) {
    check_labels(in, in.type(0), in.type(1));
    return in.attrs().text("reduction") == "none" ? in.shape(1) : Shape{};
}

void check_weights(const OpInputs& in, int i) {
    if (in.has(i)) in.check(in.shape(i) == Shape{in.shape(0)[1]}, "class weights are {}, expected {}", in.shape(i), Shape{in.shape(0)[1]});
}

/// One pixel (or sample) after another, with the smoothed target of each.
class Rows {
public:
    Rows(const OpRun& run, int weights_input)
        : run_(run), weights_(weights_input), classes_(run.shape(0)[1]), area_(run.shape(0).elements(2, run.shape(0).rank())), rows_(run.shape(0)[0] * area_),
          smoothing_(run.attrs().real("label_smoothing", 0)), ignore_(run.attrs().integer("ignore_index", -100)) {
        if (run.has(weights_)) run.with_real([&](auto tag) {
            for (std::int64_t c = 0; c < classes_; ++c) all_weights_ += weight<decltype(tag)>(c);
        });
        else all_weights_ = static_cast<double>(classes_);
    }
    template <class T> [[nodiscard]] double weight(std::int64_t c) const { return run_.has(weights_) ? static_cast<double>(run_.in<T>(weights_)[c]) : 1.0; }
    /// What the mean divides by.
    template <class T> [[nodiscard]] double divisor() const {
        double total = 0;
        for (std::int64_t r = 0; r < rows_; ++r)
            if (const std::int64_t label = label_of(r); label != ignore_) total += weight<T>(label);
        return total;
    }
    /// f(row, label, index of class 0, its maximum, its log-sum-exp above the maximum), for each row that counts; g(row, index) for each ignored one.
    template <class T, class F, class G> void each(F&& f, G&& g) const {
        const T* x = run_.in<T>(0);
        for (std::int64_t r = 0; r < rows_; ++r) {
            const std::int64_t first = r / area_ * classes_ * area_ + r % area_, label = label_of(r);
            if (label == ignore_) {
                g(r, first);
                continue;
            }
            double largest = x[first], total = 0;
            for (std::int64_t c = 1; c < classes_; ++c) largest = std::max(largest, static_cast<double>(x[first + c * area_]));
            for (std::int64_t c = 0; c < classes_; ++c) total += std::exp(x[first + c * area_] - largest);
            f(r, label, first, largest + std::log(total));
        }
    }
    template <class T> [[nodiscard]] double target(std::int64_t label, std::int64_t c) const {
        return (c == label ? (1 - smoothing_) * weight<T>(label) : 0.0) + smoothing_ / static_cast<double>(classes_) * weight<T>(c);
    }
    template <class T> [[nodiscard]] double target_sum(std::int64_t label) const {
        return (1 - smoothing_) * weight<T>(label) + smoothing_ / static_cast<double>(classes_) * all_weights_;
    }
    [[nodiscard]] std::int64_t classes() const { return classes_; }
    [[nodiscard]] std::int64_t area() const { return area_; }
    [[nodiscard]] double smoothing() const { return smoothing_; }

private:
    [[nodiscard]] std::int64_t label_of(std::int64_t r) const {
        const std::int64_t label = label_at(run_, 1, r);
        require<ArgumentError>(label == ignore_ || (label >= 0 && label < classes_), "softmax_cross_entropy: label {} at position {} is outside 0..{} and is not ignore_index {}", label,
                               r, classes_ - 1, ignore_);
        return label;
    }
    const OpRun& run_;
    int weights_;
    std::int64_t classes_, area_, rows_;
    double smoothing_;
    std::int64_t ignore_;
    double all_weights_ = 0;
};

void forward_loops(const OpRun& run) {
    run.with_real([&](auto tag) {
        using T = decltype(tag);
        const Rows rows(run, 2);
        const std::string reduction = run.attrs().text("reduction", "mean");
        const T* x = run.in<T>(0);
        double total = 0;
        rows.each<T>(
            [&](std::int64_t r, std::int64_t label, std::int64_t first, double log_sum) {
                double loss = 0;
                if (rows.smoothing() == 0)
                    loss = rows.weight<T>(label) * (log_sum - x[first + label * rows.area()]);
                else
                    for (std::int64_t c = 0; c < rows.classes(); ++c) loss += rows.target<T>(label, c) * (log_sum - x[first + c * rows.area()]);
                total += loss;
                if (reduction == "none") run.out<T>()[r] = static_cast<T>(loss);
            },
            [&](std::int64_t r, std::int64_t) {
                if (reduction == "none") run.out<T>()[r] = 0;
            });
        if (reduction == "none") return;
        const double divisor = reduction == "mean" ? rows.divisor<T>() : 1;
        run.out<T>()[0] = static_cast<T>(divisor > 0 ? total / divisor : 0);
    });
}

void backward_loops(const OpRun& run) {
    run.with_real([&](auto tag) {
        using T = decltype(tag);
        const Rows rows(run, 3);
        const std::string reduction = run.attrs().text("reduction", "mean");
        const T *x = run.in<T>(0), *dloss = run.in<T>(2);
        T* dx = run.out<T>();
        const double divisor = reduction == "mean" ? rows.divisor<T>() : 1, scale = divisor > 0 ? 1 / divisor : 0;
        rows.each<T>(
            [&](std::int64_t r, std::int64_t label, std::int64_t first, double log_sum) {
                const double g = scale * dloss[reduction == "none" ? r : 0], whole = rows.target_sum<T>(label);
                for (std::int64_t c = 0; c < rows.classes(); ++c) {
                    const std::int64_t i = first + c * rows.area();
                    dx[i] = static_cast<T>(g * (std::exp(x[i] - log_sum) * whole - rows.target<T>(label, c)));
                }
            },
            [&](std::int64_t, std::int64_t first) {
                for (std::int64_t c = 0; c < rows.classes(); ++c) dx[first + c * rows.area()] = 0;
            });
    });
}

/// dlogits = (sum(t) softmax(x) - t) dloss / divisor, from one-hot labels.
Values expand_backward(const Node& node) {
    const Value x = node.inputs[0], labels = node.inputs[1], dloss = node.inputs[2];
    const Value hot = one_hot(labels, x, node.attrs.integer("ignore_index", -100));
    const ReduceSpec over_classes{.axes = {1}, .keep = true};
    const double smoothing = node.attrs.real("label_smoothing", 0), classes = static_cast<double>(x.shape()[1]);
    const std::string reduction = node.attrs.text("reduction", "mean");
    const Value weighted = node.inputs.size() > 3 ? hot * per_channel(node.inputs[3], x) : hot;
    Value target = (1 - smoothing) * weighted;
    if (smoothing > 0) {
        const Value counts = sum(hot, over_classes);  // 0 where ignored
        target = target + smoothing / classes * (node.inputs.size() > 3 ? counts * per_channel(node.inputs[3], x) : expand_to(counts, x));
    }
    const Value slope = softmax(x, {.axis = 1}) * sum(target, over_classes) - target;
    if (reduction == "none") return slope * reshape_to(dloss, sum(hot, over_classes));
    if (reduction == "sum") return slope * dloss;
    return slope * (dloss / maximum(sum(weighted), 1e-30));
}

}  // namespace

void register_softmax_cross_entropy(OpRegistry& ops) {
    const auto cost = [](const OpInputs& in) { return Cost{0, 5 * in.shape(0).elements()}; };
    ops.add({.name = "softmax_cross_entropy",
             .shape =
                 [](const OpInputs& in) {
                     const Shape shape = loss_shape(in);
                     check_weights(in, 2);
                     return Types(shape);
                 },
             .gradient =
                 [](const Grad& g) {
                     return Values{g.graph().add("softmax_cross_entropy_backward", {g.x(0), g.x(1), g.dy(), g.has(2) ? g.x(2) : Value{}}, g.attrs())};
                 },
             .cost = cost,
             .reference = forward_loops});
    ops.add({.name = "softmax_cross_entropy_backward",
             .shape =
                 [](const OpInputs& in) {
                     const Shape shape = loss_shape(in);
                     in.check(in.shape(2) == shape, "the gradient of the loss is {}, expected {}", in.shape(2), shape);
                     check_weights(in, 3);
                     return Types(in.shape(0));
                 },
             .expand = expand_backward,
             .cost = cost,
             .reference = backward_loops});
}

}  // namespace fovea
