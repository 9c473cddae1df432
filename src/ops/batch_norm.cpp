// Batch normalisation on the statistics of the batch. Ioffe & Szegedy 2015, arXiv:1502.03167, algorithm 1.
// The biased variance normalises; the unbiased one, n / (n - 1), enters the running average, as in PyTorch.
#include <algorithm>
#include <cmath>
#include <optional>

#include "fovea/ops.h"
#include "graph/op.h"
#include "ops/channels.h"
#include "ops/over_ranks.h"

namespace fovea {

Value batch_norm(const Value& x, const BatchNormSpec& spec, std::string_view name) {
    Graph& graph = x.graph();
    std::string base(name.empty() ? "batch_norm" : name);
    // Unnamed layers must not share their statistics: numbered like layer_name(), by a tensor that every batch norm has.
    for (int i = 1; name.empty() && graph.find_parameter(graph.path_of(base + ".running_mean")) != nullptr; ++i) base = fmt::format("batch_norm_{}", i);
    require<ShapeError>(x.shape().rank() >= 2 && x.shape()[1] > 0, "batch_norm '{}': the input is [N, C, ...], got {}", graph.path_of(base), x.shape());
    require<ArgumentError>(spec.eps > 0, "batch_norm '{}': eps must be positive, got {}", graph.path_of(base), spec.eps);
    require<ArgumentError>(spec.momentum >= 0 && spec.momentum <= 1, "batch_norm '{}': momentum is the weight of the new batch, 0..1, got {}", graph.path_of(base), spec.momentum);
    const Shape per_channel{x.shape()[1]};
    const auto ones = [&](double v) {
        Tensor t(per_channel);
        for (std::int64_t i = 0; i < t.elements(); ++i) t.set(i, v);
        return graph.constant(t, base + (v > 0 ? ".ones" : ".zeros"));
    };
    const Value gamma = spec.affine ? graph.parameter(base + ".weight", per_channel, Init::ones()) : ones(1);
    const Value beta = spec.affine ? graph.parameter(base + ".bias", per_channel, Init::zeros()) : ones(0);
    const Value mean = graph.parameter(base + ".running_mean", per_channel, Init::zeros(), false);
    const Value var = graph.parameter(base + ".running_var", per_channel, Init::ones(), false);
    const Value count = graph.parameter(base + ".num_batches_tracked", {}, Init::zeros(), false, DType::i64);
    if (spec.frozen) return graph.add("batch_norm_inference", {x, gamma, beta, mean, var}, {{"eps", spec.eps}}, base);
    const Value y = graph.add("batch_norm", {x, gamma, beta, mean, var}, {{"eps", spec.eps}, {"momentum", spec.momentum}}, base);
    // A layer used twice keeps the statistics of its last use.
    for (const auto& [parameter, value] : graph.updates())
        if (parameter == mean) return y;
    graph.update(mean, y.sibling(3));
    graph.update(var, y.sibling(4));
    graph.update(count, increment(count));
    return y;
}

namespace {

Types batch_norm_shape(const OpInputs& in) {
    const Shape& x = in.shape(0);
    in.check(x.rank() >= 2, "the input is [N, C, ...], got {}", x);
    const Shape per_channel{x[1]};
    static constexpr const char* names[] = {"x", "gamma", "beta", "running_mean", "running_var"};
    for (int i = 1; i < 5; ++i) in.check(in.shape(i) == per_channel, "{} is {}, the input {} has {} channels", names[i], in.shape(i), x, x[1]);
    in.check(!in.has(5) || in.shape(5) == x, "residual is {}, the input {}", in.has(5) ? in.shape(5) : Shape{}, x);
    return Types{Type{x}, Type{per_channel}, Type{per_channel}, Type{per_channel}, Type{per_channel}};
}

/// One channel of a batch norm in doubles, as all its loops see it: what makes a result again, or asks for its sign, sums again and so
/// gives the same bits. Kernels read the statistics that were kept instead.
template <class T> struct ChannelNorm {
    double mean = 0, var = 0, inv_std, scale, shift;
    ChannelNorm(const Channels& dims, std::int64_t c, const T* x, T gamma, T beta, double eps) {
        const double count = static_cast<double>(dims.count());
        dims.each(c, [&](std::int64_t i) { mean += static_cast<double>(x[i]); });
        mean /= count;
        dims.each(c, [&](std::int64_t i) { var += (static_cast<double>(x[i]) - mean) * (static_cast<double>(x[i]) - mean); });
        var /= count;
        finish(1 / std::sqrt(var + eps), gamma, beta);
    }
    /// On given statistics: those of all ranks cannot be summed again here.
    ChannelNorm(double given_mean, double given_inv_std, T gamma, T beta) : mean(given_mean) { finish(given_inv_std, gamma, beta); }
    void finish(double given_inv_std, T gamma, T beta) {
        inv_std = given_inv_std;
        scale = gamma * inv_std;
        shift = beta - mean * scale;
    }
    [[nodiscard]] T operator()(T x, const T* residual, bool is_relu) const {
        double y = x * scale + shift;
        if (residual) y += *residual;
        return static_cast<T>(is_relu ? std::max(y, 0.0) : y);
    }
};

void batch_norm_loops(const OpRun& run) {
    run.with_real([&](auto tag) {
        using T = decltype(tag);
        const Channels dims(run.shape(0));
        const T *x = run.in<T>(0), *gamma = run.in<T>(1), *beta = run.in<T>(2), *old_mean = run.in<T>(3), *old_var = run.in<T>(4);
        const T* residual = run.has(5) ? run.in<T>(5) : nullptr;
        const double eps = run.attrs().real("eps"), momentum = run.attrs().real("momentum"), count = static_cast<double>(dims.count());
        const bool is_relu = run.attrs().text("activation") == "relu";
        ChannelMoments over_all{count, {}, {}};
        if (run.attrs().flag("synchronised")) {
            for (std::int64_t c = 0; c < dims.channels; ++c) {
                const ChannelNorm<T> norm(dims, c, x, gamma[c], beta[c], eps);
                over_all.mean.push_back(norm.mean);
                over_all.deviation.push_back(norm.var * count);
            }
            join_over_ranks(run.place(), over_all);
        }
        for (std::int64_t c = 0; c < dims.channels; ++c) {
            ChannelNorm<T> norm(dims, c, x, gamma[c], beta[c], eps);
            if (!over_all.mean.empty()) {
                const auto i = static_cast<std::size_t>(c);
                const double var = over_all.deviation[i] / over_all.count;
                norm = ChannelNorm<T>(over_all.mean[i], 1 / std::sqrt(var + eps), gamma[c], beta[c]);
                norm.var = var;
            }
            dims.each(c, [&](std::int64_t i) { run.out<T>(0)[i] = norm(x[i], residual ? residual + i : nullptr, is_relu); });
            run.out<T>(1)[c] = static_cast<T>(norm.mean);
            run.out<T>(2)[c] = static_cast<T>(norm.inv_std);
            run.out<T>(3)[c] = static_cast<T>((1 - momentum) * old_mean[c] + momentum * norm.mean);
            run.out<T>(4)[c] = static_cast<T>((1 - momentum) * old_var[c] + momentum * norm.var * over_all.count / std::max(1.0, over_all.count - 1));
        }
    });
}

Types apply_shape(const OpInputs& in) {
    const Shape& x = in.shape(0);
    in.check(x.rank() >= 2, "the input is [N, C, ...], got {}", x);
    for (int i = 1; i < 5; ++i) in.check(in.shape(i) == Shape{x[1]}, "operand {} is {}, the input {} has {} channels", i, in.shape(i), x, x[1]);
    in.check(!in.has(5) || in.shape(5) == x, "residual is {}, the input {}", in.has(5) ? in.shape(5) : Shape{}, x);
    return Types(x);
}

void apply_loops(const OpRun& run) {
    run.with_real([&](auto tag) {
        using T = decltype(tag);
        const T *x = run.in<T>(0), *residual = run.has(5) ? run.in<T>(5) : nullptr;
        const Channels dims(run.shape(0));
        const bool is_relu = run.attrs().text("activation") == "relu";
        const bool is_given = run.attrs().flag("given_statistics");
        for (std::int64_t c = 0; c < dims.channels; ++c) {
            const ChannelNorm<T> norm = is_given ? ChannelNorm<T>(run.in<T>(3)[c], run.in<T>(4)[c], run.in<T>(1)[c], run.in<T>(2)[c])
                                                 : ChannelNorm<T>(dims, c, x, run.in<T>(1)[c], run.in<T>(2)[c], run.attrs().real("eps"));
            dims.each(c, [&](std::int64_t i) { run.out<T>(0)[i] = norm(x[i], residual ? residual + i : nullptr, is_relu); });
        }
    });
}

Values expand_apply(const Node& node) {
    const auto& in = node.inputs;
    const Value& x = in[0];
    Value y = (x - per_channel(in[3], x)) * per_channel(in[1] * in[4], x) + per_channel(in[2], x);
    if (in.size() > 5) y = y + in[5];
    return Values{node.attrs.text("activation") == "relu" ? relu(y) : y};
}

Values batch_norm_gradient(const Grad& g) {
    Graph& graph = g.graph();
    const Value &x = g.x(), mean = g.y(1), inv_std = g.y(2);
    Values result(static_cast<std::size_t>(g.inputs()));
    if (!g.dy(0).is_empty()) {
        const bool is_relu = g.attrs().text("activation") == "relu", has_residual = g.has(5);
        Attrs attrs{{"eps", g.attrs().real("eps")}};
        if (has_residual) attrs.set("residual", true);
        if (g.attrs().flag("synchronised")) attrs.set("synchronised", true);
        const Value dx = graph.add("batch_norm_backward", {x, g.dy(0), g.x(1), mean, inv_std, is_relu ? g.y(0) : Value{}}, attrs);
        for (int i = 0; i < 3; ++i) result[static_cast<std::size_t>(i)] = dx.sibling(i);
        if (has_residual) result[5] = dx.sibling(3);
    }
    // The statistics as outputs of their own: d mean / dx = 1/n; d inv_std / dx = -(x - mean) inv_std^3 / n. The running
    // averages are state: nothing flows through them.
    const auto plus = [&](const Value& more) { result[0] = result[0].is_empty() ? more : result[0] + more; };
    const auto share = [&](const Value& of) { return graph.add("divide_by_count", {expand_to(per_channel(of, x), x), x, mean}); };
    if (!g.dy(1).is_empty()) plus(share(g.dy(1)));
    if (!g.dy(2).is_empty()) plus(share(g.dy(2) * inv_std * square(inv_std)) * (per_channel(mean, x) - x));
    return result;
}

Types backward_shape(const OpInputs& in) {
    const Shape per_channel{in.shape(0)[1]};
    in.check(in.shape(1) == in.shape(0), "the gradient is {}, the input {}", in.shape(1), in.shape(0));
    for (int i = 2; i < 7; ++i)
        if (i != 5 && (i < 5 || in.has(i))) in.check(in.shape(i) == per_channel, "operand {} is {}, expected {}", i, in.shape(i), per_channel);
    Types types{Type{in.shape(0)}, Type{per_channel}, Type{per_channel}};
    if (in.attrs().flag("residual")) types.push_back(Type{in.shape(0)});
    return types;
}

// dx = gamma inv_std (dy - mean(dy) - x^ mean(dy x^)), x^ = (x - mean) inv_std; dgamma = sum(dy x^); dbeta = sum(dy).
// Inputs x, dy, gamma, mean, inv_std and, where a ReLU followed, its output y [5], or beta [6] to know y's sign from x: dy counts where y > 0.
void backward_loops(const OpRun& run) {
    run.with_real([&](auto tag) {
        using T = decltype(tag);
        const Channels dims(run.shape(0));
        const T *x = run.in<T>(0), *dy = run.in<T>(1), *gamma = run.in<T>(2), *mean = run.in<T>(3), *inv_std = run.in<T>(4);
        const T *y = run.has(5) ? run.in<T>(5) : nullptr, *beta = run.has(6) ? run.in<T>(6) : nullptr;
        const bool is_synchronised = run.attrs().flag("synchronised");
        ChannelSums sums{static_cast<double>(dims.count()), std::vector<double>(static_cast<std::size_t>(dims.channels)), std::vector<double>(static_cast<std::size_t>(dims.channels))};
        // f(channel, masked, x_hat) with the last two as functions of an element.
        const auto each_channel = [&](auto&& f) {
            for (std::int64_t c = 0; c < dims.channels; ++c) {
                std::optional<ChannelNorm<T>> norm;
                if (beta && is_synchronised) norm.emplace(mean[c], inv_std[c], gamma[c], beta[c]);
                else if (beta) norm.emplace(dims, c, x, gamma[c], beta[c], run.attrs().real("eps"));
                const auto is_off = [&](std::int64_t i) { return (y && !(y[i] > 0)) || (norm && !((*norm)(x[i], nullptr, false) > 0)); };
                f(c, [&](std::int64_t i) { return is_off(i) ? 0.0 : static_cast<double>(dy[i]); }, [&](std::int64_t i) { return (static_cast<double>(x[i]) - mean[c]) * inv_std[c]; });
            }
        };
        each_channel([&](std::int64_t c, const auto& masked, const auto& x_hat) {
            double &dbeta = sums.first[static_cast<std::size_t>(c)], &dgamma = sums.second[static_cast<std::size_t>(c)];
            dims.each(c, [&](std::int64_t i) { dbeta += masked(i), dgamma += masked(i) * x_hat(i); });
            run.out<T>(1)[c] = static_cast<T>(dgamma);
            run.out<T>(2)[c] = static_cast<T>(dbeta);
        });
        if (is_synchronised) add_over_ranks(run.place(), sums);
        each_channel([&](std::int64_t c, const auto& masked, const auto& x_hat) {
            const double dbeta = sums.first[static_cast<std::size_t>(c)], dgamma = sums.second[static_cast<std::size_t>(c)], scale = static_cast<double>(gamma[c]) * inv_std[c];
            dims.each(c, [&](std::int64_t i) { run.out<T>(0)[i] = static_cast<T>(scale * (masked(i) - dbeta / sums.count - x_hat(i) * dgamma / sums.count)); });
            if (run.outputs() > 3) dims.each(c, [&](std::int64_t i) { run.out<T>(3)[i] = static_cast<T>(masked(i)); });
        });
    });
}

/// The backward pass as a function of x, dy and gamma alone: mean and inv_std are computed again, so that derivatives reach x through them.
Values expand_backward(const Node& node) {
    const Value x = node.inputs[0], gamma = node.inputs[2];
    Value dy = node.inputs[1];
    const auto given = [&](std::size_t i) { return node.inputs.size() > i && !node.inputs[i].is_empty(); };
    require<ArgumentError>(!node.attrs.flag("synchronised"), "batch_norm '{}': over several ranks it has no second derivative", node.path);
    if (given(5)) dy = x.graph().add("relu_backward", {dy, node.inputs[5]});
    if (given(6)) dy = x.graph().add("relu_backward", {dy, x.graph().add("batch_norm_apply", {x, gamma, node.inputs[6], node.inputs[3], node.inputs[4]}, {{"eps", node.attrs.real("eps")}})});
    const ReduceSpec channels{.axes = axes_but_channels(x.shape())};
    const Value centred = x - per_channel(mean(x, channels), x);
    const Value inv_std = rsqrt(mean(square(centred), channels) + node.attrs.real("eps"));
    const Value x_hat = centred * per_channel(inv_std, x);
    const Value dx = per_channel(gamma * inv_std, x) * (dy - per_channel(mean(dy, channels), x) - x_hat * per_channel(mean(dy * x_hat, channels), x));
    Values result{dx, sum(dy * x_hat, channels), sum(dy, channels)};
    if (node.outputs.size() > 3) result.push_back(dy);
    return result;
}

}  // namespace

void register_batch_norm(OpRegistry& ops) {
    ops.add({.name = "batch_norm",
             .shape = batch_norm_shape,
             .gradient = batch_norm_gradient,
             .cost = [](const OpInputs& in) { return Cost{0, 7 * in.shape(0).elements()}; },
             .reference = batch_norm_loops});
    // y of a batch norm from x and the statistics it kept: x, gamma, beta, mean, inv_std, residual -> y, bit for bit.
    ops.add({.name = "batch_norm_apply",
             .shape = apply_shape,
             .expand = expand_apply,
             .cost = [](const OpInputs& in) { return Cost{0, 2 * in.shape(0).elements()}; },
             .reference = apply_loops});
    ops.add({.name = "batch_norm_backward",
             .shape = backward_shape,
             .expand = expand_backward,
             .cost = [](const OpInputs& in) { return Cost{0, 10 * in.shape(0).elements()}; },
             .reference = backward_loops});
}

}  // namespace fovea
