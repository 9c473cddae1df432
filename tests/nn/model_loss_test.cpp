// What an output is trained with, by hand.
#include <cmath>

#include "fovea/nn.h"
#include "fovea/runtime.h"
#include "support.h"

namespace fovea {
namespace {

double loss_of(ModelLoss kind, const Tensor& out, const Tensor& labels) {
    Graph net;
    const Value x = net.input("out", {dynamic, 3}), t = net.input("label", labels.shape().rank() == 1 ? Shape{dynamic} : Shape{dynamic, 3}, labels.dtype());
    net.output("loss", model_loss(kind, x, t));
    return Program(std::move(net), std::make_shared<State>(Parameters()), {.backend = "reference", .inference = true}).run({{"out", out}, {"label", labels}}).front().at(0);
}

TEST(ModelLoss, EqualsWhatIsComputedByHand) {
    const double x[2][3] = {{1, -2, 0.5}, {0, 3, -1}};
    const std::int64_t labels[2] = {2, 1};
    Tensor out({2, 3}, DType::f32), label({2}, DType::i32), shares({2, 3}, DType::f32);
    double bce = 0, focal = 0, hinge = 0, entropy = 0;
    for (std::int64_t n = 0; n < 2; ++n) {
        double total = 0;
        label.set(n, static_cast<double>(labels[n]));
        for (std::int64_t c = 0; c < 3; ++c) {
            const double score = x[n][c], p = 1 / (1 + std::exp(-score)), of_truth = c == labels[n] ? p : 1 - p;
            out.set(n * 3 + c, score), shares.set(n * 3 + c, c == labels[n] ? 1 : 0);
            bce -= std::log(of_truth) / 6;
            focal -= (c == labels[n] ? 0.25 : 0.75) * std::pow(1 - of_truth, 2) * std::log(of_truth) / 2;
            if (c != labels[n]) hinge += std::max(0.0, 1 - x[n][labels[n]] + score) / 2;
            total += std::exp(score);
        }
        entropy += (std::log(total) - x[n][labels[n]]) / 2;
    }
    // 1e-6: f32.
    EXPECT_NEAR(loss_of(ModelLoss::bce, out, label), bce, 1e-6);
    EXPECT_NEAR(loss_of(ModelLoss::bce, out, shares), bce, 1e-6);
    EXPECT_NEAR(loss_of(ModelLoss::focal, out, label), focal, 1e-6);
    EXPECT_NEAR(loss_of(ModelLoss::focal, out, shares), focal, 1e-6);
    EXPECT_NEAR(loss_of(ModelLoss::hinge, out, label), hinge, 1e-6);
    EXPECT_NEAR(loss_of(ModelLoss::cross_entropy, out, label), entropy, 1e-6);
}

TEST(ModelLoss, HasAName) {
    for (const ModelLoss loss : {ModelLoss::cross_entropy, ModelLoss::label_distance, ModelLoss::bce, ModelLoss::focal, ModelLoss::hinge}) EXPECT_EQ(model_loss_named(name_of(loss)), loss);
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)model_loss_named("bse"); }), "no loss 'bse'; there are cross_entropy, label_distance, bce, focal, hinge");
}

}  // namespace
}  // namespace fovea
