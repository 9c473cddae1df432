#include "fovea/tasks.h"

#include "fovea/io.h"
#include "fovea/nn.h"
#include "fovea/train.h"
#include "train/small_run.h"

namespace fovea {
namespace {

/// Bright quadrants, enlarged to the size of the network.
DatasetPtr enlarged(const DatasetPtr& small, std::int64_t height, std::int64_t width) {
    MemoryImages images{height, width, 1, {}, {}};
    for (std::int64_t i = 0; i < small->size(); ++i) {
        const Sample sample = small->get(i);
        const Image picture = resize(sample.image, width, height);
        images.pixels.insert(images.pixels.end(), picture.pixels.begin(), picture.pixels.end());
        images.labels.push_back(static_cast<std::int32_t>(sample.label));
    }
    return memory_dataset("enlarged", small->classes(), images);
}

FitResult trained(const std::filesystem::path& out) {
    const ModelOptions options{.classes = 4, .channels = 1};
    const ModelCard& card = find_model("lenet5");
    FitSpec spec = test::small_fit(out, 8);
    spec.model = "lenet5";
    spec.model_options = to_text(options);
    spec.train = spec.validation = enlarged(test::quadrants(160, "tasks"), card.height, card.width);
    spec.augment = {};
    return fit(build_model("lenet5", options), spec);
}

TEST(Classifier, ReadsARunAndAnswersAsTheEvaluationDid) {
    const test::TemporaryDirectory directory("classifier");
    const FitResult run = trained(directory.path());
    ASSERT_GT(run.best_metric, 0.9);
    const Classifier classifier(directory.path());
    EXPECT_EQ(classifier.model(), "lenet5_modern");
    EXPECT_EQ(classifier.classes().size(), 4U);
    EXPECT_EQ(classifier.weights().filename(), "checkpoint-best.safetensors");
    const DatasetPtr pictures = test::quadrants(40, "new ones");  // 8 x 8: fitted to the network's size
    std::vector<Image> batch;
    int right = 0;
    for (std::int64_t i = 0; i < pictures->size(); ++i) {
        const Sample sample = pictures->get(i);
        batch.push_back(sample.image);
        const auto best = classifier.predict(sample.image, 4);
        right += best.front().index == sample.label;
        double total = 0;
        for (const Prediction& prediction : best) total += prediction.probability;
        EXPECT_NEAR(total, 1, 1e-9);
        EXPECT_EQ(best.front().name, classifier.classes().at(static_cast<std::size_t>(best.front().index)));
    }
    EXPECT_GT(right, 34);
    const auto together = classifier.predict(batch, 1);
    ASSERT_EQ(together.size(), 40U);
    const auto alone = classifier.predict(batch[7], 1);
    EXPECT_EQ(together[7].front().index, alone.front().index);
    EXPECT_NEAR(together[7].front().probability, alone.front().probability, 1e-5);  // f32, other batch size
    write_png(directory.path() / "one.png", batch[7]);
    EXPECT_EQ(classifier.predict(directory.path() / "one.png", 1).front().probability, alone.front().probability);
}

TEST(Classifier, TakesPlainWeightsWithAName) {
    const test::TemporaryDirectory directory("plain");
    const std::string file = (directory.path() / "weights.safetensors").string();
    save(make_parameters(build_model("lenet5"), 3), file);
    EXPECT_EQ(test::message_of<ArgumentError>([&] { Classifier classifier(file); }), "'" + file + "' does not say which network its weights are of: name the model; 'fovea models' lists them");
    const Classifier classifier(file, "lenet5");
    EXPECT_EQ(classifier.predict(Image(50, 40, 3, 128)).size(), 5U);
    EXPECT_EQ(classifier.classes().at(9), "9");
    EXPECT_EQ(test::message_of<FormatError>([&] { Classifier wrong(directory.path()); }),
              "'" + directory.path().string() + "' is no run: it has no checkpoint-best.safetensors and no checkpoint-last.safetensors");
}

TEST(Network, OfAListingTravelsInItsCheckpoint) {
    const test::TemporaryDirectory directory("listing");
    const std::string text = "nn.Sequential(nn.LazyConv2d(4, kernel_size=3), nn.ReLU(), nn.MaxPool2d(2),\n  nn.Flatten(), nn.LazyLinear(4))\n";
    const Network network = build_listing(text, "net.txt", {.channels = 1, .usual_height = 8, .usual_width = 8});
    EXPECT_EQ(network.model, "listing:net.txt");
    EXPECT_EQ(network.graph.inputs().front().shape(), (Shape{dynamic, 1, 8, 8})) << "the text leaves the size open: the pictures' is tried first";
    FitSpec spec = test::small_fit(directory.path(), 3);
    spec.model = network.model;
    spec.model_options = network.model_options;
    spec.listing = network.listing;
    spec.preprocess = network.preprocess;
    spec.train = spec.validation = test::quadrants(64, "listing");
    spec.augment = {};
    (void)fit(network.graph, spec);
    const Network back = load_network(directory.path());  // no file net.txt exists
    EXPECT_EQ(back.listing, text);
    EXPECT_EQ(back.model, network.model);
    EXPECT_EQ(back.graph.print(), network.graph.print());
    EXPECT_EQ(back.classes, spec.train->classes());
    const Classifier classifier(directory.path());
    EXPECT_EQ(classifier.predict(spec.train->get(0).image, 4).size(), 4U);
    spec.resume = true;
    spec.listing += " ";
    EXPECT_NE(test::message_of<ArgumentError>([&] { (void)fit(network.graph, spec); }).find("it would not continue the same run"), std::string::npos);
}

TEST(Network, OfACardHasItsClassesAndUntrainedItIsNoClassifier) {
    const Network network = build_network("lenet5");
    EXPECT_EQ(network.classes.at(3), "3");
    EXPECT_TRUE(build_network("lenet5", {.classes = 4}).classes.empty());
    EXPECT_EQ(test::message_of<ArgumentError>([] { Classifier untrained(build_network("lenet5")); }), "model 'lenet5_modern' is untrained: a classifier needs its weights");
}

TEST(ModelOptionsText, GoesBothWays) {
    const ModelOptions options{.classes = 4, .channels = 1, .dropout = 0.25};
    const ModelOptions back = parse_model_options(to_text(options));
    EXPECT_EQ(back.classes, 4);
    EXPECT_EQ(back.dropout, 0.25);
    EXPECT_EQ(test::message_of<FormatError>([] { (void)parse_model_options(R"({"depth": 3})"); }), "model options: no option 'depth'; there are classes, channels, height, width, dropout, width_multiplier, drop_path, shortcut");
}

}  // namespace
}  // namespace fovea
