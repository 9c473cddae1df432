// Threads of one session and sessions of one executable: what the thread sanitizer watches (ctest --preset tsan).
#include <thread>

#include "fovea/passes.h"
#include "fovea/runtime.h"
#include "support.h"

namespace fovea {
namespace {

/// Enough work for a team: above the 4 million operations that one thread does alone.
struct Network {
    Graph graph;
    Value loss;
    Parameters parameters;

    Network() {
        Value x = graph.input("x", {dynamic, 3, 24, 24});
        x = max_pool(relu(conv2d(x, {.out = 16, .kernel = 3, .pad = 1}, "conv1")), {.kernel = 2});
        x = batch_norm(conv2d(x, {.out = 32, .kernel = 3, .pad = 1}, "conv2"), {}, "bn");
        x = linear(flatten(relu(x)), {.out = 10}, "fc");
        graph.output("y", x);
        loss = mean(square(x));
        std::uint64_t key = 0;
        for (const ParameterInfo& info : graph.parameters()) {
            Tensor value(info.type.shape, info.type.dtype);
            const Rng rng(7, ++key);
            for (std::int64_t i = 0; i < value.elements(); ++i) value.set(i, 0.1 + 0.2 * (rng.uniform(static_cast<std::uint64_t>(i)) - 0.5));
            parameters.set(info.name, value);
        }
    }
};

Tensor pictures() {
    Tensor x({24, 3, 24, 24});
    const Rng rng(7, 0);
    for (std::int64_t i = 0; i < x.elements(); ++i) x.set(i, rng.uniform(static_cast<std::uint64_t>(i)) - 0.5);
    return x;
}

struct WithThreads {
    int before = threads();
    explicit WithThreads(int count) { set_threads(count); }
    ~WithThreads() { set_threads(before); }
};

TEST(Threads, SessionsOfOneExecutableRunAtTheSameTime) {
    const WithThreads two(2);
    Network net;
    const auto state = std::make_shared<State>(net.parameters);
    const Executable executable = compile(net.graph, {{"x", {24, 3, 24, 24}}}, {.inference = true});
    const Tensor x = pictures();
    const std::vector<double> alone = test::values_of(Session(executable, state).run({{"x", x}}).front());
    std::vector<std::vector<double>> results(6);
    {
        std::vector<std::jthread> callers;
        for (std::size_t caller = 0; caller < 3; ++caller)
            callers.emplace_back([&, caller] {
                Session session(executable, state);
                for (std::size_t run = 0; run < 2; ++run) results[2 * caller + run] = test::values_of(session.run({{"x", x}}).front());
            });
    }
    for (const auto& result : results) EXPECT_EQ(result, alone);
}

TEST(Threads, FewPicturesGiveTheSameBytesWithAnyNumberOfThreads) {
    Network net;
    const auto state = std::make_shared<State>(net.parameters);
    const Tensor all = pictures();
    for (const std::int64_t rows : {1, 2, 3}) {
        Tensor x({rows, 3, 96, 96});
        for (std::int64_t i = 0; i < x.elements(); ++i) x.set(i, all.at(i % all.elements()));
        Graph graph;
        const Value wide = relu(conv2d(graph.input("x", {dynamic, 3, 96, 96}), {.out = 16, .kernel = 3, .pad = 1}, "conv1"));
        graph.output("y", conv2d(wide, {.out = 32, .kernel = 3, .stride = 2, .pad = 1}, "conv2"));
        std::vector<double> first;
        for (const int count : {1, 2, 3, 5}) {
            const WithThreads team(count);
            const std::vector<double> y = test::values_of(Session(compile(graph, {{"x", x.shape()}}, {.inference = true}), state).run({{"x", x}}).front());
            if (first.empty()) first = y;
            EXPECT_EQ(y, first) << rows << " pictures with " << count << " threads";
        }
    }
}

/// The number of threads, and whether they are bound to cores, changes between runs; sessions and teams live on.
TEST(Threads, ASessionLivesThroughChangesOfThreadsAndPinning) {
    const WithThreads restored(2);
    Network net;
    Session session(compile(net.graph, {{"x", {24, 3, 24, 24}}}, {.inference = true}), std::make_shared<State>(net.parameters));
    const Tensor x = pictures();
    const std::vector<double> first = test::values_of(session.run({{"x", x}}).front());
    for (const int count : {5, 1, 3, 2}) {
        set_threads(count);
        set_thread_pinning(count == 3);
        EXPECT_EQ(thread_pinning(), count == 3);
        for (int run = 0; run < 3; ++run) EXPECT_EQ(test::values_of(session.run({{"x", x}}).front()), first) << count << " threads";
    }
}

TEST(Threads, ATrainingStepGivesTheSameBytesWhoeverDoesWhichPart) {
    Network net;
    std::vector<Value> weights;
    for (const ParameterInfo& info : net.graph.parameters())
        if (info.is_trainable) weights.push_back(net.graph.find(info.name));
    const std::vector<Value> slopes = gradients(net.loss, weights);
    for (std::size_t i = 0; i < weights.size(); ++i) net.graph.update(weights[i], weights[i] - slopes[i] * 0.1);
    const Tensor x = pictures();
    std::map<std::string, std::vector<double>> first;
    for (const int count : {1, 2, 3, 5}) {
        const WithThreads team(count);
        const auto state = std::make_shared<State>(net.parameters);
        Session session(compile(net.graph, {{"x", {24, 3, 24, 24}}}), state);
        for (int step = 0; step < 3; ++step) (void)session.run({{"x", x}});
        for (const Value& weight : weights) {
            const std::vector<double> values = test::values_of(state->read(weight.path()));
            const auto [it, is_new] = first.emplace(weight.path(), values);
            if (!is_new) {
                EXPECT_EQ(values, it->second) << weight.path() << " with " << count << " threads";
            }
        }
    }
}

}  // namespace
}  // namespace fovea
