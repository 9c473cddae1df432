// Stages, and what lives in a thread's own memory inside one.
#include <cstring>

#include "fovea/models.h"
#include "fovea/explain.h"
#include "fovea/nn.h"
#include "fovea/passes.h"
#include "runtime/executable.h"
#include "support.h"

namespace fovea {
namespace {

using Place = Buffer::Place;

struct Life {
    int first = -1, last = -1;
    std::set<std::size_t> stages;
    bool by_rows = true;
    void touch(int time, std::size_t stage) {
        first = first < 0 ? time : first;
        last = time;
        stages.insert(stage);
    }
};

/// Of every root, from the phases' own words: time goes by phases.
std::map<int, Life> lives(const Executable::Impl& program) {
    std::map<int, Life> all;
    int time = 0;
    for (std::size_t s = 0; s < program.stages.size(); ++s)
        for (const auto& [i, p] : program.stages[s].phases) {
            const Item& item = program.items[static_cast<std::size_t>(i)];
            const Phase& phase = item.kernel.phases[static_cast<std::size_t>(p)];
            const auto bit = [](std::uint32_t mask, std::size_t k) { return (mask >> std::min<std::size_t>(k, 31) & 1) != 0; };
            for (std::size_t k = 0; k < item.in.size(); ++k)
                if (item.in[k] >= 0) {
                    Life& life = all[program.buffers[static_cast<std::size_t>(item.in[k])].root];
                    life.touch(time, s);
                    if (bit(phase.reads, k)) life.by_rows &= phase.kind == Phase::Kind::rows && bit(phase.row_reads, k);
                }
            for (std::size_t k = 0; k < item.out.size(); ++k)
                if (item.out[k] >= 0) {
                    Life& life = all[program.buffers[static_cast<std::size_t>(item.out[k])].root];
                    life.touch(time, s);
                    if (bit(phase.writes, k)) life.by_rows &= phase.kind == Phase::Kind::rows;
                }
            ++time;
        }
    return all;
}

/// The invariants of a plan's local memory; returns how many buffers are local.
int check_locals(const Executable::Impl& program) {
    const std::map<int, Life> all = lives(program);
    std::int64_t most_rows = 0;
    for (std::size_t p = 0; p + 1 < program.context.row_bounds.size(); ++p) most_rows = std::max(most_rows, program.context.row_bounds[p + 1] - program.context.row_bounds[p]);
    std::vector<std::tuple<Life, std::size_t, std::size_t, std::string>> placed;
    for (std::size_t b = 0; b < program.buffers.size(); ++b) {
        const Buffer& buffer = program.buffers[b];
        EXPECT_EQ(buffer.place == Place::local, program.buffers[static_cast<std::size_t>(buffer.root)].place == Place::local) << buffer.path;
        if (buffer.place != Place::local || buffer.root != static_cast<int>(b)) continue;
        const Life& life = all.at(buffer.root);
        EXPECT_EQ(life.stages.size(), 1U) << buffer.path;
        EXPECT_TRUE(life.by_rows) << buffer.path;
        EXPECT_EQ(buffer.row_bytes * static_cast<std::size_t>(program.context.rows), buffer.bytes) << buffer.path;
        const std::size_t end = buffer.offset + buffer.row_bytes * static_cast<std::size_t>(most_rows);
        EXPECT_LE(end, program.local_bytes) << buffer.path;
        for (const auto& [other, from, to, path] : placed)
            EXPECT_TRUE(life.last < other.first || other.last < life.first || end <= from || to <= buffer.offset) << buffer.path << " and " << path;
        placed.emplace_back(life, buffer.offset, end, buffer.path);
    }
    for (int output : program.output_buffers) EXPECT_NE(program.buffers[static_cast<std::size_t>(output)].place, Place::local);
    return static_cast<int>(placed.size());
}

TEST(Stages, WhatLivesInsideOneIsAThreadsOwn) {
    for (const char* name : {"mobilenet_v2", "densenet121", "googlenet", "resnet18"})
        for (const std::int64_t batch : {1, 5, 16}) {
            SCOPED_TRACE(fmt::format("{}, batch {}", name, batch));
            const Graph graph = build_model(name, {.height = 64, .width = 64});
            const Executable executable = compile(graph, {{"image", {batch, 3, 64, 64}}}, {.inference = true});
            const int locals = check_locals(executable.impl());
            if (batch == 1) EXPECT_EQ(locals, 0);  // nothing goes by rows
            else EXPECT_GE(locals, 5) << executable.explain_plan();
        }
}

TEST(Stages, ATrainingStepKeepsWhatTheReversePassReads) {
    Graph graph = build_model("resnet20");
    graph = training_step(graph, ModelLoss::cross_entropy);
    const Executable executable = compile(graph, {{"image", {16, 3, 32, 32}}, {"label", {16}}});
    EXPECT_GT(check_locals(executable.impl()), 0) << executable.explain_plan();
}

/// Part p has its rows at the start of the memory of whoever does it: uneven parts, and threads that do several of them in any order.
TEST(Stages, LocalMemoryGivesTheSameBytesWithAnyNumberOfThreads) {
    const int before = threads();
    Graph graph;
    Value x = graph.input("x", {dynamic, 3, 40, 40});
    x = relu(conv2d(x, {.out = 16, .kernel = 3, .stride = 2, .pad = 1}, "stem"));
    for (int block = 0; block < 3; ++block) {
        const std::string path = "b" + std::to_string(block);
        Value y = silu(conv2d(x, {.out = 48, .kernel = 1}, path + ".expand"));
        y = silu(conv2d(y, {.out = 48, .kernel = 3, .pad = 1, .groups = 48}, path + ".depthwise"));
        const Value gate = sigmoid(conv2d(silu(conv2d(mean(y, {.axes = {2, 3}, .keep = true}), {.out = 8, .kernel = 1}, path + ".squeeze")), {.out = 48, .kernel = 1}, path + ".excite"));
        x = x + conv2d(y * gate, {.out = 16, .kernel = 1}, path + ".project");
        if (block == 1) x = concat({x, relu(conv2d(x, {.out = 16, .kernel = 3, .pad = 1}, path + ".side"))}, 1), x = conv2d(x, {.out = 16, .kernel = 1}, path + ".join");
    }
    graph.output("y", linear(flatten(max_pool(x, {.kernel = 4})), {.out = 10}, "fc"));
    const auto state = std::make_shared<State>(make_parameters(graph, 3));
    for (const std::int64_t batch : {4, 19}) {
        Tensor given({batch, 3, 40, 40});
        const Rng rng(7, 1);
        for (std::int64_t i = 0; i < given.elements(); ++i) given.set(i, rng.uniform(static_cast<std::uint64_t>(i)) - 0.5);
        std::vector<double> first;
        for (const int count : {1, 2, 3, 5}) {
            set_threads(count);
            const Executable executable = compile(graph, {{"x", given.shape()}}, {.inference = true});
            EXPECT_GT(check_locals(executable.impl()), 10);
            Session session(executable, state);
            for (int run = 0; run < 2; ++run) {
                const std::vector<double> y = test::values_of(session.run({{"x", given}}).front());
                if (first.empty()) first = y;
                EXPECT_EQ(y, first) << "batch " << batch << ", " << count << " threads";
            }
        }
        const std::vector<double> want = test::values_of(Session(compile(graph, {{"x", given.shape()}}, {.backend = "reference", .inference = true}), state).run({{"x", given}}).front());
        for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(first[i], want[i], 1e-5 * (1 + std::abs(want[i])));  // sums of some hundred f32 products
    }
    set_threads(before);
}

}  // namespace
}  // namespace fovea
