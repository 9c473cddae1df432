#include "fovea/io.h"
#include "fovea/train.h"
#include "small_run.h"

namespace fovea {
namespace {

TEST(Trainer, TrainsTheNetworkOfTheReadmeFashion) {
    Graph net;
    Value x = net.input("image", {dynamic, 1, 8, 8});
    x = max_pool(relu(conv2d(x, {.out = 8, .kernel = 3, .pad = 1})), {.kernel = 2});
    const Value logits = linear(flatten(x), {.out = 4});

    Trainer trainer(cross_entropy(logits), Sgd({.lr = 0.1f, .momentum = 0.9f}));
    Loader train(test::quadrants(320, "readme"), {.batch = 32, .shuffle = true, .seed = 1});
    double first = 0, last = 0;
    for (int epoch = 0; epoch < 4; ++epoch) {
        last = 0;
        for (const Batch& batch : train) {
            last += trainer.step(batch).loss / 10;
            if (trainer.updates() == 1) first = 10 * last;
        }
    }
    EXPECT_EQ(trainer.updates(), 40);
    EXPECT_GT(first, 1.0);  // ln 4 = 1.39 before anything is learned
    EXPECT_LT(last, 0.1);
    const test::TemporaryDirectory directory("trainer");
    save(trainer.parameters(), (directory.path() / "readme.safetensors").string());
    EXPECT_EQ(load_safetensors((directory.path() / "readme.safetensors").string()).names(), trainer.parameters().names());
}

TEST(Trainer, GivesScalarsAndTheTensorsAskedFor) {
    Graph net;
    const Value image = net.input("image", {dynamic, 1, 8, 8});
    const Value logits = linear(flatten(image), {.out = 4}, "fc");
    net.output("logits", logits);
    net.output("unwanted", image);
    Trainer trainer(cross_entropy(logits), Sgd({.lr = 0.1}), {.step = {.log_gradient_norm = true}, .keep = {"log*"}});
    Loader loader(test::quadrants(8, "few"), {.batch = 8});
    const StepResult result = trainer.step(*loader.epoch(0).next());
    EXPECT_EQ(result.scalars.size(), 2U);
    EXPECT_GT(result.scalars.at("gradient_norm"), 0);
    EXPECT_EQ(result.scalars.at("loss"), result.loss);
    EXPECT_EQ(result.tensors.size(), 1U);
    EXPECT_EQ(result.tensors.at("logits").shape(), (Shape{8, 4}));
}

TEST(Trainer, LoadsWhatItGaveAndGoesOnAlike) {
    Graph net = test::small_network();
    const Value loss = cross_entropy(net.find_output("logits"));
    Loader loader(test::quadrants(64, "load"), {.batch = 16});
    Trainer a(loss, Adam({.lr = 0.01}), {.seed = 5}), b(loss, Adam({.lr = 0.01}), {.seed = 6});
    Epoch pass = loader.epoch(0);
    a.step(*pass.next());
    b.load(a.parameters());
    b.load(a.optimizer_state());
    EXPECT_EQ(a.parameters().at("bn1.num_batches_tracked").at(0), 1);
    EXPECT_EQ(b.parameters().at("bn1.num_batches_tracked").at(0), 1);
    EXPECT_EQ(test::relative_l2(b.optimizer_state().at("optimizer.first_moment.fc.weight"), a.optimizer_state().at("optimizer.first_moment.fc.weight")), 0);
    Parameters wrong;
    wrong.set("fc.weights", Tensor({4, 128}));
    EXPECT_EQ(test::message_of<ArgumentError>([&] { b.load(wrong); }).substr(0, 63), "the network has no parameter 'fc.weights'; nearest: fc.weight, ");
}

TEST(Trainer, TakesTheSameStepsOnTheReferenceBackendInF64) {
    Graph net = test::small_network();
    const Value loss = cross_entropy(net.find_output("logits"));
    Loader loader(test::quadrants(64, "f64"), {.batch = 16});
    const StepSpec step{.clip_norm = 0.5, .momentum_input = true};
    Trainer fast(loss, AdamW({.lr = 0.01}), {.step = step, .seed = 5});
    Trainer exact(loss, AdamW({.lr = 0.01}), {.step = step, .seed = 5, .compile = {.backend = "reference", .precision = Precision::f64}});
    for (const Batch& batch : loader) {
        const double f32 = fast.step(batch).loss, f64 = exact.step(batch).loss;
        EXPECT_NEAR(f32, f64, 1e-4);  // f32 rounding through four steps of Adam, which divides by small numbers
    }
    EXPECT_EQ(exact.parameters().at("fc.weight").dtype(), DType::f64);
}

TEST(Trainer, NamesTheFirstNodeThatIsNotFinite) {
    Graph net;
    const Value image = net.input("image", {dynamic, 1, 8, 8});
    const Value hidden = linear(flatten(image), {.out = 8}, "fc1");
    const Value logits = linear(log(relu(hidden, "act") - 1e-3, "too_deep"), {.out = 4}, "fc2");  // log of what is below 0
    Trainer trainer(cross_entropy(logits), Sgd({.lr = 0.1}));
    Loader loader(test::quadrants(8, "nan"), {.batch = 8});
    const Batch batch = *loader.epoch(0).next();
    const Parameters before = trainer.parameters();
    EXPECT_EQ(trainer.first_not_finite(before, {{"image", batch.images}, {"label", batch.labels}}, 0, 0, 0.1, 0), "log 'too_deep'");
    EXPECT_EQ(test::message_of<Error>([&] { trainer.step(batch); }).substr(0, 36), "update 1: the loss is NaN; a smaller");
}

}  // namespace
}  // namespace fovea
