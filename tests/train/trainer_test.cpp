#include "fovea/io.h"
#include "fovea/nn.h"
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

/// Without dropout and batch norm: batches of halves see what the whole batch sees.
Graph plain_network() {
    Graph net;
    Value x = net.input("image", {dynamic, 1, 8, 8});
    x = max_pool(relu(conv2d(x, {.out = 8, .kernel = 3, .pad = 1}, "conv1")), {.kernel = 2});
    net.output("logits", linear(flatten(x), {.out = 4}, "fc"));
    return net;
}

TEST(Trainer, AccumulatedBatchesEqualOneLargeBatch) {
    Graph net = plain_network();
    const Value loss = cross_entropy(net.find_output("logits"));
    const DatasetPtr data = test::quadrants(96, "accumulate");
    const Optimizer sgd = Sgd({.lr = 0.1, .momentum = 0.9});
    // Everything that hangs on the update, not on the batch, is in play.
    const StepSpec once{.clip_norm = 0.5, .ema = 0.9, .lookahead_every = 2};
    StepSpec four = once;
    four.accumulate = 4;
    Trainer whole(loss, sgd, {.step = once, .seed = 5}), parts(loss, sgd, {.step = four, .seed = 5});
    Loader large(data, {.batch = 32}), small(data, {.batch = 8});
    for (const Batch& batch : large) whole.step(batch);
    for (const Batch& batch : small) EXPECT_EQ(parts.step(batch).is_update, batch.step % 4 == 3);
    EXPECT_EQ(parts.updates(), 3);
    const Parameters wanted = whole.parameters(), got = parts.parameters();
    for (const std::string& name : wanted.names()) EXPECT_LT(test::relative_l2(got.at(name), wanted.at(name)), 1e-5) << name;  // f32 sums in another order
    EXPECT_LT(test::relative_l2(parts.optimizer_state().at("optimizer.average.fc.weight"), whole.optimizer_state().at("optimizer.average.fc.weight")), 1e-5);
    EXPECT_EQ(parts.optimizer_state().at("optimizer.accumulated.fc.bias").at(0), 0);
}

TEST(Trainer, AnUpdateMayComeBeforeAllBatchesAreThere) {
    Graph net = plain_network();
    const Value loss = cross_entropy(net.find_output("logits"));
    Loader loader(test::quadrants(24, "early"), {.batch = 8});
    Trainer three(loss, Sgd({.lr = 0.1}), {.step = {.accumulate = 3}, .seed = 5}), five(loss, Sgd({.lr = 0.1}), {.step = {.accumulate = 5}, .seed = 5});
    Epoch pass = loader.epoch(0);
    while (const std::optional<Batch> batch = pass.next()) {
        const std::map<std::string, Tensor> inputs{{"image", batch->images}, {"label", batch->labels}};
        three.step(inputs);
        five.step(inputs, {}, {}, batch->step == 2);  // the mean of three, not a fifth of their sum
    }
    EXPECT_EQ(five.updates(), 1);
    EXPECT_EQ(test::relative_l2(five.parameters().at("fc.weight"), three.parameters().at("fc.weight")), 0);
}

TEST(Trainer, EveryOptimizerTakesTheSameStepsOnTheReferenceBackendInF64) {
    Graph net = plain_network();
    const Value loss = cross_entropy(net.find_output("logits"));
    Loader loader(test::quadrants(64, "f64 all"), {.batch = 16});
    for (const char* name : {"lars", "lamb", "lion", "muon"}) {
        const Optimizer optimizer = make_optimizer(name, {{"lr", name == std::string("lars") ? 5.0 : 0.002}, {"weight_decay", 0.01}});
        const StepSpec step{.ema = 0.5, .lookahead_every = 2};
        Trainer fast(loss, optimizer, {.step = step, .seed = 5});
        Trainer exact(loss, optimizer, {.step = step, .seed = 5, .compile = {.backend = "reference", .precision = Precision::f64}});
        Epoch pass = loader.epoch(0);
        double first = 0, last = 0;
        while (const std::optional<Batch> batch = pass.next()) {
            last = fast.step(*batch).loss;
            if (batch->step == 0) first = last;
            // f32 rounding; Lion's sign turns where a gradient is nearly 0, by 2 lr in that element.
            EXPECT_NEAR(last, exact.step(*batch).loss, 2e-3) << name;
        }
        EXPECT_LT(last, first) << name;
    }
}

/// Frozen: the convolution and its norm. The loss sees neither dropout nor the batch's statistics.
Graph normed_network() {
    Graph net;
    Value x = net.input("image", {dynamic, 1, 8, 8});
    x = max_pool(relu(batch_norm(conv2d(x, {.out = 8, .kernel = 3, .pad = 1}, "conv1"), {}, "bn1")), {.kernel = 2});
    net.output("logits", linear(flatten(x), {.out = 4}, "fc"));
    return net;
}

TEST(Trainer, FrozenTensorsKeepTheirBytesAndTheirNormItsStatistics) {  // X01
    Graph net = normed_network();
    const Value loss = cross_entropy(net.find_output("logits"));
    Loader loader(test::quadrants(64, "frozen"), {.batch = 16});
    Trainer trainer(loss, Sgd({.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01}), {.step = {.frozen = {"conv1.*", "bn1.*"}, .ema = 0.9}, .seed = 5});
    Parameters start = trainer.parameters().clone();
    for (std::int64_t c = 0; c < 8; ++c) start.at("bn1.running_mean").set(c, 0.1 * static_cast<double>(c)), start.at("bn1.running_var").set(c, 1 + 0.1 * static_cast<double>(c));
    trainer.load(start);
    for (const Batch& batch : loader) trainer.step(batch);
    const Parameters after = trainer.parameters();
    for (const std::string& name : after.names()) {
        const auto a = start.at(name).to(DType::f64), b = after.at(name).to(DType::f64);
        bool is_same = true;
        for (std::int64_t i = 0; i < a.elements(); ++i) is_same &= a.at(i) == b.at(i);
        EXPECT_EQ(is_same, !name.starts_with("fc.")) << name;
    }
    EXPECT_FALSE(trainer.optimizer_state().has("optimizer.momentum.conv1.weight"));
}

TEST(Trainer, TheLossOfAFrozenNetworkIsThatOfEvaluation) {  // X01
    Graph net = normed_network();
    const Value loss = cross_entropy(net.find_output("logits"));
    Trainer trainer(loss, Sgd({.lr = 0}), {.step = {.frozen = {"conv1.*", "bn1.*", "fc.weight"}}, .seed = 5});  // a bias is left: something has to be trained
    const DatasetPtr data = test::quadrants(32, "same loss");
    Loader loader(data, {.batch = 32});
    const double training = trainer.step(*loader.epoch(0).next()).loss;
    EXPECT_NEAR(training, evaluate(net, trainer.parameters(), data).loss, 1e-6);  // inference folds the norm into the convolution: f32 rounding
    // Unfrozen, the batch's own statistics give another loss.
    Trainer live(loss, Sgd({.lr = 0}), {.seed = 5});
    EXPECT_GT(std::abs(live.step(*loader.epoch(0).next()).loss - training), 1e-3);
}

TEST(BatchNormStatistics, AreThoseOfTheWholeSet) {
    Graph net = normed_network();
    const Parameters start = make_parameters(net, 3);
    const DatasetPtr data = test::quadrants(50, "statistics");
    const Loader loader(data, {.batch = 16});  // the last batch is smaller
    const Parameters found = reestimate_batch_norm(net, start, loader, 0);
    // The first norm sees the same values in every cut: mean and variance over all pictures at once.
    Graph first;
    const Value image = first.input("image", {dynamic, 1, 8, 8});
    first.output("y", conv2d(image, {.out = 8, .kernel = 3, .pad = 1}, "conv1"));
    const Batch all = *Loader(data, {.batch = 50}).epoch(0).next();
    auto state = std::make_shared<State>(start.of(first));
    const Tensor y = Program(std::move(first), std::move(state)).run({{"image", all.images}}).front();
    for (std::int64_t c = 0; c < 8; ++c) {
        double total = 0, squares = 0;
        for (std::int64_t n = 0; n < 50; ++n)
            for (std::int64_t i = 0; i < 64; ++i) total += y.at((n * 8 + c) * 64 + i);
        const double mean = total / 3200;
        for (std::int64_t n = 0; n < 50; ++n)
            for (std::int64_t i = 0; i < 64; ++i) squares += (y.at((n * 8 + c) * 64 + i) - mean) * (y.at((n * 8 + c) * 64 + i) - mean);
        EXPECT_NEAR(found.at("bn1.running_mean").at(c), mean, 1e-5);
        EXPECT_NEAR(found.at("bn1.running_var").at(c), squares / 3199, 1e-4 * squares / 3199);  // through 1 / sqrt in f32
    }
    EXPECT_EQ(found.at("fc.bias").at(0), start.at("fc.bias").at(0));
}

TEST(ParameterChanges, AreRelativeToTheStart) {
    Graph net;
    net.output("y", linear(net.input("x", {1, 2}), {.out = 1}, "fc"));
    Parameters before, after;
    before.set("fc.weight", Tensor::of({3.0f, 4.0f}, {1, 2})), before.set("fc.bias", Tensor::of({0.0f}, {1}));
    after.set("fc.weight", Tensor::of({3.0f, 5.0f}, {1, 2})), after.set("fc.bias", Tensor::of({0.5f}, {1}));
    const auto changes = parameter_changes(net, before, after);
    ASSERT_EQ(changes.size(), 2U);
    EXPECT_DOUBLE_EQ(changes[0].relative, 0.2);
    EXPECT_DOUBLE_EQ(changes[1].relative, 0.5);  // from zero: how far
}

TEST(FindLearningRate, RisesUntilTheLossRunsAway) {
    FitSpec spec = test::small_fit({});
    spec.augment = {};
    const FindLrResult result = find_learning_rate(plain_network(), spec, {.from = 1e-5, .to = 1e4, .steps = 60});
    ASSERT_GT(result.points.size(), 10U);
    EXPECT_LT(result.points.size(), 60U) << "a rate of ten thousand diverges";
    EXPECT_DOUBLE_EQ(result.points.front().lr, 1e-5);
    EXPECT_NEAR(result.points.front().smoothed, result.points.front().loss, 1e-12);  // 0.1 loss / (1 - 0.9)
    EXPECT_GT(result.lowest, 1e-3);
    EXPECT_LT(result.lowest, result.points.back().lr);
    EXPECT_GT(result.steepest, 1e-5);
    EXPECT_LE(result.steepest, result.lowest);
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
