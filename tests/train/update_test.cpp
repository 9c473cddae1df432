// The update of a large linear layer takes its gradient piece by piece.
#include "fovea/train.h"
#include "small_run.h"

namespace fovea {
namespace {

/// 1,100 x 1,000 weights: more than the gradients that may wait for their update.
Graph wide_network() {
    Graph net;
    Value x = relu(linear(flatten(net.input("image", {dynamic, 1, 40, 25})), {.out = 1100}, "wide"));
    net.output("logits", linear(x, {.out = 4}, "fc"));
    return net;
}

TEST(UpdateOfALargeWeight, EqualsTheLoopsForEveryOptimiser) {
    const Tensor images = test::filled({9, 1, 40, 25}, "images").to(DType::f32);
    Tensor labels({9}, DType::i32);
    for (int i = 0; i < 9; ++i) labels.set(i, i % 4);
    for (const Optimizer& optimizer : {Optimizer(Sgd{.lr = 0.1, .momentum = 0.9, .nesterov = true, .weight_decay = 1e-2}), Optimizer(Sgd{.lr = 0.1}), Optimizer(Adam{.lr = 0.01}), Optimizer(RMSprop{.lr = 0.01})}) {
        const auto train = [&](const CompileOptions& options) {
            Graph net = wide_network();
            Trainer trainer(cross_entropy(net.find_output("logits")), optimizer, {.seed = 3, .compile = options});
            for (int step = 0; step < 3; ++step) (void)trainer.step({{"image", images}, {"label", labels}});
            return trainer.parameters().clone();
        };
        const Parameters fast = train({}), exact = train({.backend = "reference", .precision = Precision::f64});
        // Three steps of f32 sums of up to 1,100 products; Adam divides by the root of small squares.
        for (const char* name : {"wide.weight", "wide.bias", "fc.weight"}) EXPECT_LT(test::relative_l2(fast.at(name), exact.at(name)), 2e-5) << name;
    }
}

TEST(UpdateOfALargeWeight, KeepsNoGradient) {
    const auto compiled = [](const StepSpec& spec) {
        Graph net = wide_network();
        Trainer trainer(cross_entropy(net.find_output("logits")), Sgd{.lr = 0.1, .momentum = 0.9}, {.step = spec});
        return trainer.program().executable({{"image", Shape{8, 1, 40, 25}}, {"label", Shape{8}}});
    };
    const auto fused = [](const Executable& step) { return std::ranges::count_if(step.plan(), [](const PlanLine& line) { return line.kernel.starts_with("few_rows update"); }); };
    const Executable step = compiled({}), clipped = compiled({.clip_norm = 1});  // a norm needs the whole gradient
    EXPECT_EQ(fused(step), 1) << step.explain_plan();
    EXPECT_LT(step.arena_bytes(), std::size_t{1100} * 1000 * 4) << step.explain_plan();
    EXPECT_EQ(fused(clipped), 0) << clipped.explain_plan();
}

}  // namespace
}  // namespace fovea
