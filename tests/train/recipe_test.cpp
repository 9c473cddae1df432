// Recipes: reading, overriding, writing, and that every shipped one trains what it says.
#include "fovea/train.h"

#include <fstream>

#include "fovea/models.h"
#include "fovea/nn.h"
#include "small_run.h"
#include "train/with_loss.h"

namespace fovea {
namespace {

constexpr const char* small = R"(
about = "a test"
model = "lenet5"
epochs = 3
augment = ["pad-crop", "mirror"]
freeze = ["conv1.*"]

[optimizer]
name = "sgd"
lr = 0.1
momentum = 0.9
nesterov = true

[schedule]
name = "multistep"
milestones = [1, 2.5]
)";

std::string refused(const std::string& line) {
    return test::message_of<ArgumentError>([&] { (void)parse_recipe(line, "r"); });
}

TEST(Recipe, IsReadFromToml) {
    const Recipe recipe = parse_recipe(small, "small");
    EXPECT_EQ(recipe.name, "small");
    EXPECT_EQ(recipe.epochs, 3);
    EXPECT_EQ(recipe.augment, (Augment{RandomCrop{.padding = 4, .fill = mean_fill}, RandomHorizontalFlip{}}));
    EXPECT_EQ(recipe.step.frozen, std::vector<std::string>{"conv1.*"});
    const FitSpec spec = fit_spec(recipe);
    EXPECT_EQ(std::get<Sgd>(spec.optimizer), (Sgd{.lr = 0.1, .momentum = 0.9, .nesterov = true}));
    EXPECT_EQ(std::get<MultiStep>(spec.schedule.kind).milestones, (std::vector<double>{1, 2.5}));
    EXPECT_EQ(spec.recipe, to_toml(recipe));
}

TEST(Recipe, WrittenAndReadAgainIsTheSame) {
    std::vector<std::pair<std::string, std::string>> texts{{"small", small}};
    texts.insert(texts.end(), shipped_recipes().begin(), shipped_recipes().end());
    for (const auto& [name, text] : texts) {
        const std::string written = to_toml(parse_recipe(text, name));
        EXPECT_EQ(to_toml(parse_recipe(written, name)), written);
    }
    Recipe odd;
    odd.about = "quotes \" and \\ and\nlines \x01 é";
    EXPECT_EQ(parse_recipe(to_toml(odd), "odd").about, odd.about);
}

TEST(Recipe, EveryKeyCanBeOverridden) {
    Recipe recipe = parse_recipe(small, "small");
    // Bare words, lists with commas, TOML values; the optimiser's name counts first, wherever it stands.
    override_recipe(recipe, {{"optimizer.lr", "2e-3"}, {"model", "cifar_resnet20"}, {"freeze", "conv1.*,bn1.*"}, {"optimizer.name", "adam"}, {"schedule.milestones", "[7]"}, {"augment.random_horizontal_flip.p", "0.25"}, {"augment", "mirror"},
                             {"label_smoothing", "0.1"}});
    EXPECT_EQ(std::get<Adam>(fit_spec(recipe).optimizer), (Adam{.lr = 2e-3}));
    EXPECT_EQ(recipe.model, "cifar_resnet20");
    EXPECT_EQ(recipe.step.frozen, (std::vector<std::string>{"conv1.*", "bn1.*"}));
    EXPECT_EQ(std::get<MultiStep>(fit_spec(recipe).schedule.kind).milestones, std::vector<double>{7});
    EXPECT_EQ(recipe.augment, Augment{RandomHorizontalFlip{.p = 0.25}});
    EXPECT_EQ(parse_setting(" optimizer.lr = 0.5 "), (std::pair<std::string, std::string>{"optimizer.lr", "0.5"}));
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)parse_setting("lr"); }), "a setting is key=value, got 'lr'");
}

TEST(Recipe, HasGroupsAveragesAndLookahead) {
    Recipe recipe = parse_recipe("freeze = [\"backbone\"]\naccumulate = 4\npatience = 3\n[groups.head]\nparameters = [\"fc.*\"]\nlr = 10\n[average]\nema = 0.99\n[lookahead]\nevery = 5", "r");
    override_recipe(recipe, {{"groups.body.parameters", "layer1.*,layer2.*"}, {"groups.body.lr", "0.1"}, {"groups.head.elementwise", "true"}});
    const FitSpec spec = fit_spec(recipe);
    ASSERT_EQ(spec.step.groups.size(), 2U);  // by name
    EXPECT_EQ(spec.step.groups[0], (ParameterGroup{.name = "body", .parameters = {"layer1.*", "layer2.*"}, .lr = 0.1}));
    EXPECT_EQ(spec.step.groups[1], (ParameterGroup{.name = "head", .parameters = {"fc.*"}, .lr = 10, .elementwise = true}));
    EXPECT_EQ(spec.step.accumulate, 4);
    EXPECT_EQ(spec.step.ema, 0.99);
    EXPECT_EQ(spec.step.lookahead_every, 5);
    EXPECT_EQ(spec.patience, 3);
    EXPECT_EQ(to_toml(parse_recipe(to_toml(recipe), "r")), to_toml(recipe));
    EXPECT_EQ(test::message_of<FormatError>([] { (void)parse_recipe("[^groups]\nlr = 2", "r"); }),
              "'r' line 1 is no TOML: Error while parsing key: expected bare key starting character or string delimiter, saw '^'");
    EXPECT_EQ(refused("[groups.head]\nrate = 2"), "recipe 'r': a group has no key 'groups.head.rate'; it has groups.NAME.parameters, lr, weight_decay and elementwise");
    EXPECT_EQ(refused("[groups.head]\nlr = 2"), "recipe 'r': groups.head needs parameters: the names it is for");
    EXPECT_EQ(refused("[average]\nema = 0.9\nswa_from = 2"), "recipe 'r': average.swa_from and average.ema both average the weights: leave one out");
    EXPECT_EQ(refused("[average]\nswa_from = 20"), "recipe 'r': average.swa_from = 20 lies beyond the last of 10 epochs: nothing would be averaged");
    EXPECT_EQ(refused("probe = -1"), "recipe 'r': probe is a number of pictures, 0 for none, got -1");
    EXPECT_EQ(fit_spec(parse_recipe("probe = 0", "r")).probe, 0);
    EXPECT_EQ(refused("min_delta = 0.1"), "recipe 'r': min_delta = 0.1 needs patience: without it nothing ends early");
}

TEST(Recipe, NamesTheNearestKey) {
    EXPECT_EQ(refused("epoch = 3").substr(0, 56), "recipe 'r': a recipe has no key 'epoch'; nearest: epochs");
    EXPECT_EQ(refused("[augment]\nstep = 1").substr(0, 67), "recipe 'r': a recipe has no key 'augment.step'; nearest: augment.st");
    EXPECT_TRUE(refused("augment = [\"miror\"]").starts_with("recipe 'r': no augmentation 'miror'; nearest: mirror, ")) << refused("augment = [\"miror\"]");
    EXPECT_EQ(refused("[augment]\nsteps = [\"mirror\"]\nrandom_horizontal_flip.q = 1"),
              "recipe 'r': a recipe has no key 'augment.random_horizontal_flip.q'; nearest: augment.random_horizontal_flip.p, augment.random_horizontal_flip.alternating");
    EXPECT_EQ(refused("[augment]\nsteps = [\"mirror\"]\ncolor_jitter.hue = 0.1"), "recipe 'r': 'augment.color_jitter.hue': the steps are random_horizontal_flip; add color_jitter to augment.steps");
    EXPECT_EQ(refused("[optimizer]\nname = \"adam\"\nmomentum = 0.9"), "recipe 'r': optimizer 'adam' has no option 'momentum'; it has lr, beta1, beta2, eps, weight_decay");
    EXPECT_EQ(test::message_of<ArgumentError>([] { (void)load_recipe("cifar_resnet21"); }).substr(0, 97),
              "no recipe 'cifar_resnet21', neither a file nor one that comes with fovea; nearest: cifar_resnet20");
}

TEST(Recipe, SaysWhichKindOfValueIsWanted) {
    EXPECT_EQ(refused("epochs = \"many\""), "recipe 'r': 'epochs' is a number, got \"many\"");
    EXPECT_EQ(refused("epochs = 2.5"), "recipe 'r': 'epochs' is a whole number, got 2.5");
    EXPECT_EQ(refused("drop_last = 3"), "recipe 'r': 'drop_last' is true or false, got 3");
    EXPECT_EQ(refused("model = 5"), "recipe 'r': 'model' is a text, got 5");
    EXPECT_EQ(test::message_of<FormatError>([] { (void)parse_recipe("a = 1\nb = = 2", "bad.toml"); }).substr(0, 29), "'bad.toml' line 2 is no TOML:");
    EXPECT_EQ(test::message_of<FormatError>([] {
                  std::string deep = "a";
                  for (int i = 0; i < 100'000; ++i) deep += ".a";
                  (void)parse_recipe(deep + " = 1", "r");
              }),
              "'r' line 1: more than 256 dots in one key or text");
    EXPECT_EQ(test::message_of<FormatError>([] { (void)parse_recipe("seed = 1979-05-27", "r"); }), "'r' line 1: 'seed' is a date or a time; a recipe has texts, numbers, flags and lists of them");
}

TEST(Recipe, RefusesContradictionsInOneSentence) {
    EXPECT_EQ(refused("precision = \"f64\""), "recipe 'r': precision = \"f64\" needs backend = \"reference\": the cpu backend computes in f32");
    EXPECT_EQ(refused("weights = \"w\"\ninit = \"he\""), "recipe 'r': weights = 'w' and init = 'he' both say where the parameters start: leave one out");
    EXPECT_EQ(refused("augment = [\"mirror\", \"mirror\"]"), "recipe 'r': augment.steps has random_horizontal_flip twice: a recipe's keys name a step by its name, so each stands once");
    EXPECT_EQ(refused("[augment]\nsteps = [\"color-jitter\"]\ncolor_jitter.hue = 0.6"), "recipe 'r': color_jitter.hue lies in 0..0.5, got 0.6");
    EXPECT_EQ(refused("[augment]\nsteps = [\"random-resized-crop\"]\nrandom_resized_crop.scale = [1, 0.5]"),
              "recipe 'r': random_resized_crop.scale is a range within 1e-06..1, the smaller first, got 1..0.5");
    EXPECT_EQ(refused("[augment]\nsteps = [\"random-resized-crop\"]\nrandom_resized_crop.scale = 1"), "recipe 'r': 'augment.random_resized_crop.scale' is a list of two numbers, got 1");
    EXPECT_EQ(refused("[augment]\nsteps = [\"pad-crop\"]\nrandom_crop.fill = 256"), "recipe 'r': 'augment.random_crop.fill' is \"mean\" or a grey level of 0..255, got 256");
    EXPECT_EQ(refused("[schedule]\nname = \"one-cycle\"\nwarm_up = 2"), "recipe 'r': schedule.warm_up = 2 with one-cycle: that schedule rises by itself (pct_start)");
    EXPECT_EQ(refused("validation = \"none\"\nmetric = \"topk\""), "recipe 'r': metric = \"topk\" needs a validation set, but validation = \"none\"");
    EXPECT_EQ(refused("[optimizer]\nnesterov = true"), "recipe 'r': optimizer 'sgd': nesterov must be used with a momentum and without dampening, got 1");
    EXPECT_EQ(refused("[network]\nchannels = 2"), "recipe 'r': network.channels is 1 or 3 (0: as the pictures have), got 2");
    EXPECT_EQ(refused("per_class = -1"), "recipe 'r': per_class is at least 0 (0: all pictures), got -1");
    EXPECT_EQ(refused("epochs = 0"), "recipe 'r': epochs and batch are at least 1, got 0 and 128");
}

TEST(Recipe, TheOneForANetworkIsFound) {
    EXPECT_EQ(recipe_for("cifar_resnet20", 3).name, "residual");
    EXPECT_EQ(recipe_for("cifar_plain56", 3).name, "residual");
    EXPECT_EQ(recipe_for("small_cifar", 3).name, "colour");
    EXPECT_EQ(recipe_for("lenet5_modern", 1).name, "grey");
    EXPECT_EQ(recipe_for("lenet5_classic", 1).name, "lenet5_classic");
}

TEST(Recipe, AFileIsLoadedAndKeptInTheRun) {
    const test::TemporaryDirectory directory("recipe");
    const auto file = directory.path() / "mine.toml";
    std::ofstream(file) << small;
    Recipe recipe = load_recipe(file.string());
    EXPECT_EQ(recipe.name, "mine");
    override_recipe(recipe, {{"epochs", "1"}, {"freeze", "[]"}, {"augment", "none"}});
    const auto data = test::small_fit({});
    FitSpec spec = fit_spec(recipe);
    spec.train = data.train;
    spec.preprocess = data.preprocess;
    spec.out = directory.path() / "run";
    fit(test::small_network(), spec);
    EXPECT_EQ(to_toml(load_recipe((spec.out / "recipe.toml").string())), to_toml(recipe));
}

// The whole step of each: network, loss, gradients, updates, kernels and memory plan, for two pictures.
class ShippedRecipe : public testing::TestWithParam<std::string> {};

TEST_P(ShippedRecipe, CompilesToATrainingStep) {
    Recipe recipe = load_recipe(GetParam());
    EXPECT_FALSE(recipe.about.empty());
    if (recipe.model.empty()) recipe.model = recipe.for_channels == 3 ? "small_cifar" : "lenet5";
    const ModelCard& card = find_model(recipe.model);
    ModelOptions options;
    options.dropout = recipe.dropout;
    options.drop_path = recipe.drop_path;
    Graph network = build_model(recipe.model, options);
    const FitSpec spec = fit_spec(recipe);
    WithLoss step = with_loss(network, card.loss == ModelLoss::cross_entropy ? spec.loss : [&](const Value& out, const Value& labels) { return model_loss(card.loss, out, labels); },
                              card.loss == ModelLoss::label_distance, true);
    step.graph->clear_outputs();
    step.graph->output("loss", step.loss);
    append_optimizer(*step.graph, step.loss, spec.optimizer, spec.step);
    const Shape input = network.inputs().front().shape();
    const Executable program = compile(*step.graph, {{"image", {2, input[1], input[2], input[3]}}, {"label", {2}}});
    EXPECT_TRUE(program.fallbacks().empty()) << program.fallbacks().front();
    EXPECT_GT(program.arena_bytes(), 0U);
    if (!recipe.init.empty()) {
        EXPECT_NO_THROW((void)init_of(recipe.init));
    }
}

std::vector<std::string> shipped_names() {
    std::vector<std::string> names;
    for (const auto& [name, text] : shipped_recipes()) names.push_back(name);
    return names;
}
INSTANTIATE_TEST_SUITE_P(All, ShippedRecipe, testing::ValuesIn(shipped_names()), [](const auto& kind) { return kind.param; });

// G04, G07: Krizhevsky et al. 2012, sec. 4.1; Simonyan, Zisserman 2014, sec. 3.1.
TEST(Recipe, AlexNetsAndVggsPicturesAreChangedAsTheirPapersDid) {
    const auto steps_of = [](const char* name) {
        std::vector<std::string> names;
        for (const AugmentStep& step : load_recipe(name).augment) names.emplace_back(name_of(step));
        return names;
    };
    EXPECT_EQ(steps_of("alexnet"), (std::vector<std::string>{"random_crop", "random_horizontal_flip", "pca_lighting"}));
    for (const char* name : {"vgg11", "vgg16_staged"}) {
        EXPECT_EQ(steps_of(name), (std::vector<std::string>{"random_resize", "random_crop", "random_horizontal_flip", "pca_lighting"}));
        const Augment steps = load_recipe(name).augment;
        EXPECT_EQ(std::get<RandomResize>(steps[0]), (RandomResize{.min_size = 256, .max_size = std::string(name) == "vgg11" ? 256 : 512}));  // table 3: A saw one scale
        EXPECT_EQ(std::get<PcaLighting>(steps[3]).sigma, 0.1);
        // The picture as it is in its file, 400 x 300, to the network's input.
        Annotated picture{.image = Image(400, 300, 3, 90)};
        augment(picture, {steps[0]}, {.width = 224, .height = 224}, {.seed = 1});
        EXPECT_GE(picture.image.height, 256);
        EXPECT_LE(picture.image.height, 512);
        EXPECT_EQ(picture.image.width, picture.image.height * 4 / 3);
        augment(picture, {steps[1], steps[2], steps[3]}, {.width = 224, .height = 224}, {.seed = 1});
        EXPECT_EQ(picture.image.width, 224);
        EXPECT_EQ(picture.image.height, 224);
    }
}

TEST(Recipe, TheStagedVggTakesWhatThePaperTakes) {
    const Recipe recipe = load_recipe("vgg16_staged");
    Parameters given;
    const Graph vgg11 = build_model("vgg11");
    for (const ParameterInfo& info : vgg11.parameters()) given.set(info.name, Tensor(Shape{1}));
    std::vector<PrefixRule> rules;
    for (const std::string& rule : recipe.weights_map) {
        const auto [from, to] = parse_setting(rule);
        rules.push_back({from, to});
    }
    auto names = with_prefixes(given, rules).names(), wanted = vgg_start("vgg16", given).names();
    std::ranges::sort(names), std::ranges::sort(wanted);
    EXPECT_EQ(names, wanted);
    EXPECT_EQ(names.size(), 14U);
}

}  // namespace
}  // namespace fovea
